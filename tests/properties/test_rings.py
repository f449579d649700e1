"""Laws of ring formats and access variants: what a mapping may change, what a device IOTLB undoes, what packed adds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.config.loading.load import load_table
from sim.config.tables.access import Access
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.questions.explain import count_primitives

from .scenarios import ACCESS, KERNELS, MACHINE, any_scenario, load, one, queues, quick

MAPPED = [name for name in ACCESS if isinstance(t := load_table("access", name), Access) and t.mapping.maps]


def test_every_variant_of_a_kernel_mapping_is_known():
    assert {name for name in ACCESS if name.startswith(("vmap", "direct_map"))} == set(MAPPED)


@quick
@given(st.tuples(*MACHINE), queues(), st.sampled_from(MAPPED), st.integers(14, 3000))
def test_mapping_the_rings_never_changes_payload_counts(machine, ring, access, packet_bytes):
    counts = [
        count_primitives(build_plan(load(*machine, *ring, f"access={name}"), name, packet_bytes, apart=True))
        for name in ("copy_user", access)
    ]
    assert counts[0]["payload"] == counts[1]["payload"]


@quick
@given(any_scenario("virtqueue.iotlb=true"), st.sampled_from(MAPPED), st.booleans())
def test_with_a_device_iotlb_mapped_variants_are_copy_user(scenario, access, cache):
    queue = scenario.virtqueue.model_copy(update={"iotlb_cache": cache})
    variants = [load_table("access", name) for name in ("copy_user", access)]
    both = scenario.model_copy(update={"access": variants, "virtqueue": queue})
    size = scenario.traffic.packet_bytes[0]
    plain, mapped = (build_plan(both, name, size) for name in ("copy_user", access))
    assert mapped.notes == (f"{access}: no ring is mapped with a device IOTLB: copy_user", *plain.notes)
    assert replace(mapped, access="copy_user", arrivals=None, notes=plain.notes) == replace(plain, arrivals=None)
    points = [simulate(plan, scenario.run) for plan in (plain, mapped)]
    assert points[0].pps == points[1].pps


@quick
@given(
    st.tuples(*MACHINE),
    one("virtqueue.descriptors_per_packet", (1, 2, 3)),
    st.booleans(),
    st.integers(3, 256),
    st.sampled_from(["copy_user", "copy_user_masked"]),
)
def test_a_packed_ring_without_mapping_has_more_user_accesses_than_a_split_one(machine, chain, table, batch, access):
    # In batches of one or two, the split ring's accesses per flush weigh more than what packed adds per packet.
    base = (*machine, chain, f"virtqueue.indirect={str(table).lower()}", f"access={access}", "mitigations.smap=true")
    base = (*base, "cpu=broadwell-2.6ghz")
    windows = []
    for layout in ("split", "packed"):
        plan = build_plan(load(*base, f"virtqueue.layout={layout}"), access, 64, apart=True)
        counts = count_primitives(plan)["metadata"]
        windows.append(counts["per_packet"]["stac"] + counts["per_flush"]["stac"] / batch)
    assert windows[1] > windows[0]


@quick
@given(any_scenario(packets=2000))
def test_no_scenario_loses_a_kick(scenario):
    # A lost kick leaves everybody asleep, which is a DeadlockError, or with a clock running never ends.
    name, size = scenario.access[0].name, scenario.traffic.packet_bytes[0]
    point = simulate(build_plan(scenario, name, size), scenario.run)
    assert point.packets > 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_atomic_per_access_erases_the_gain_without_smap_and_not_with_it(kernel):
    # published-measurements.md, argument 12. On v7.3, which has no fence to save, it is a loss with SMAP as well.
    def pps(access, smap):
        scenario = load(f"kernel={kernel}", f"mitigations.smap={smap}", f"access={access}", "run.packets=60000")
        return simulate(build_plan(scenario, access, 64), scenario.run).pps

    assert pps("direct_map_atomic_bitops", "false") < pps("copy_user", "false")
    assert pps("direct_map_rcu", "false") > pps("copy_user", "false")
    assert pps("direct_map_rcu", "true") > pps("copy_user", "true")


ORDERS = [
    ["direct_map_rcu", "direct_map_refcount", "direct_map_counter_mb"],
    ["direct_map_rcu", "direct_map_rcu_preempt", "direct_map_spinlock"],
    ["direct_map_counter_mb", "direct_map_atomic_bitops"],
    ["ideal", "vmap", "vmap_index_nospec", "copy_user"],
    ["ideal", "uaccess_batched", "copy_user"],
    ["smap_off_worker", "copy_user"],
]


@pytest.mark.parametrize("order", ORDERS)
def test_variants_that_execute_more_are_slower_on_the_seed(order):
    rates = []
    for access in order:
        scenario = load(f"access={access}", "run.packets=60000")
        rates.append(simulate(build_plan(scenario, access, 64), scenario.run).pps)
    assert rates == sorted(rates, reverse=True)
