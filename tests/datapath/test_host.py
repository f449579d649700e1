"""What the host does to the ring's memory and to the worker's core: pages, TLB entries, storms, set-up, placement."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.config import ConfigError, load_scenario
from sim.datapath import build_plan
from sim.datapath.memory.ring_memory import RingMemory
from sim.datapath.plan.plan import Wait
from sim.engine import simulate

SEED = "virtio-user-xdp1-tap"


def load(*overrides, access="copy_user,vmap,vmap_notifier"):
    bare = ["calibration=null", f"access={access}", "traffic.packet_bytes=64"]  # the tables' own numbers
    return load_scenario(SEED, overrides=[*bare, *overrides])


def rate(scenario, access):
    return simulate(build_plan(scenario, access, 64), scenario.run).pps


@pytest.mark.parametrize(
    ("size", "pages"),
    [(256, 1 + 1 + 1), (1024, 4 + 1 + 3), (32768, 128 + 17 + 65)],  # 16 n, 4 + 2 n + 2 and 4 + 8 n + 2 bytes
)
def test_each_area_begins_a_page_of_its_own(size, pages):
    scenario = load(f"virtqueue.size={size}")
    assert RingMemory(scenario, scenario.variant("vmap")).pages == pages


def test_vmap_takes_4_kib_tlb_entries_and_a_guest_with_huge_pages_one():
    scenario = load("virtqueue.size=1024")
    assert RingMemory(scenario, scenario.variant("vmap")).tlb_entries == 8
    assert RingMemory(scenario, scenario.variant("copy_user")).tlb_entries == 1
    small = load("virtqueue.size=1024", "memory.guest_pages=4k")
    assert RingMemory(small, small.variant("copy_user")).tlb_entries == 8


def test_a_tlb_that_is_too_small_by_half_is_missed_by_half_of_the_accesses():
    """64 entries on Broadwell, 3 of the ring and 125 others: 1 - 64/128, each 8 cycles; no walk below 1536."""
    scenario = load("memory.other_pages=125")
    plan = build_plan(scenario, "vmap", 64)
    (head,) = (row for row in plan.rows if row.label == "head")
    missed = {part.primitive: (part.count, part.cost_ps) for part in head.components}
    assert missed["stlb_hit"] == (0.5, round(0.5 * 8 / 3 * 1000))
    assert "page_walk" not in missed
    assert not any(part.primitive == "stlb_hit" for row in plan.rows if row.label == "payload_copy"
                   for part in row.components)  # fmt: skip


def test_a_tlb_miss_walks_when_the_second_level_is_too_small_as_well():
    scenario = load("memory.other_pages=3069")
    (head,) = (row for row in build_plan(scenario, "vmap", 64).rows if row.label == "head")
    missed = {part.primitive: part.count for part in head.components}
    assert missed["page_walk"] == 1 - 1536 / 3072
    assert missed["stlb_hit"] == (1 - 64 / 3072) - (1 - 1536 / 3072)


def test_the_set_up_of_vmap_is_three_areas_and_three_pages():
    plan = build_plan(load(), "vmap", 64)
    cycle_ps = 1000 / 3
    assert {part.primitive: part.cost_ps for part in plan.setup} == {
        "vmap_fixed": 3 * 1_200_000,
        "pin_page": 3 * 60_000,
        "vmap_page": round(3 * 50 * cycle_ps),
    }
    assert build_plan(load(), "copy_user", 64).setup == ()


@pytest.mark.parametrize("limit_kib", [0, 8, 11])
def test_over_the_locked_memory_limit_a_pinned_ring_is_reached_by_copy_user(limit_kib):
    scenario = load(f"memory.locked_limit_kib={limit_kib}")
    plan = build_plan(scenario, "vmap", 64)
    assert plan.notes == (f"vmap: 12 KiB of ring pages exceed the locked-memory limit of {limit_kib} KiB: copy_user",)
    assert simulate(plan, scenario.run).pps == rate(scenario, "copy_user")
    assert plan.setup == ()


def test_at_the_locked_memory_limit_and_without_pins_the_ring_is_mapped():
    assert build_plan(load("memory.locked_limit_kib=12"), "vmap", 64).notes == ()
    assert build_plan(load("memory.locked_limit_kib=0"), "vmap_notifier", 64).notes == ()


def test_without_invalidations_nobody_waits_for_the_memory_management():
    plan = build_plan(load(), "vmap_notifier", 64)
    assert plan.actors == ("worker", "driver")


def test_an_invalidation_costs_a_pinned_ring_its_stall_and_nothing_more():
    """5000 a second, 2 us each: 1 % of the time."""
    quiet, stormy = load(), load("memory.invalidations_per_second=5000", "run.precision=0")
    for access in ("copy_user", "vmap"):
        assert rate(stormy, access) / rate(quiet, access) == pytest.approx(1 - 5000 * 2e-6, abs=5e-4)


def test_each_invalidation_tears_the_mapping_down_once_and_it_is_mapped_again():
    scenario = load("memory.invalidations_per_second=2000", "run.precision=0")
    point = simulate(build_plan(scenario, "vmap_notifier", 64), scenario.run)
    torn_down, again = point.row_rates["notifier.teardown"], point.row_rates["worker.map_again"]
    assert torn_down * point.pps == pytest.approx(2000, rel=0.015)  # 70 of them, or 69
    assert again == pytest.approx(torn_down, rel=0.05)
    assert point.row_rates["worker.head@copy_user"] + point.row_rates["worker.head"] == pytest.approx(1, rel=1e-3)
    assert 0 < point.row_rates["worker.head@copy_user"] < 0.2


def test_a_storm_leaves_a_torn_down_ring_slower_than_copy_user():
    scenario = load("memory.invalidations_per_second=50000")
    assert rate(scenario, "vmap_notifier") < rate(scenario, "copy_user") < rate(scenario, "vmap")


@given(st.just(0.0) | st.floats(1e-3, 4e5), st.sampled_from(["copy_user", "vmap", "vmap_notifier"]), st.booleans())
@settings(max_examples=20, deadline=None, derandomize=True)
def test_no_storm_stops_the_worker(per_second, access, event_idx):
    scenario = load(
        f"memory.invalidations_per_second={per_second}", f"virtqueue.event_idx={str(event_idx).lower()}",
        "run.packets=3000", "traffic.load=1e6",
    )  # fmt: skip
    assert simulate(build_plan(scenario, access, 64), scenario.run).packets > 0


def test_another_task_takes_its_share_of_the_core():
    """300 us and two switches of 1.3 us of each 3 ms."""
    scenario = load("placement={preempted_us: 300, preempted_every_us: 3000}", "run.packets=400000", "run.precision=0")
    taken = 1 - rate(scenario, "vmap") / rate(load(), "vmap")
    assert taken == pytest.approx((300 + 2 * 1.3) / 3000, rel=0.05)


def test_smt_siblings_trade_slower_work_for_shorter_transfers():
    apart, together = (
        build_plan(load(f"placement.smt_siblings={siblings}"), "copy_user", 64) for siblings in ("false", "true")
    )
    assert together.latencies.transfer_ps == 7_400 < apart.latencies.transfer_ps == 23_000
    work = [next(part.cost_ps for row in plan.rows if row.label == "translate" for part in row.components)
            for plan in (apart, together)]  # fmt: skip
    assert work[1] / work[0] == pytest.approx(1.6, rel=1e-3)


def test_numa_rebalancing_brings_all_together_but_pinned_pages():
    apart = "placement.same_socket=false"
    together = load(apart, "placement.numa_rebalancing=true")
    plans = {access: build_plan(together, access, 64) for access in ("copy_user", "vmap")}
    assert all(list(plan.wait_names[Wait.TRANSFER]) == ["line_transfer"] for plan in plans.values())
    assert plans["vmap"].latencies.clean_ps == 130_000
    assert plans["copy_user"].latencies.clean_ps == 17_700
    assert [list(plan.wait_names[Wait.CLEAN]) for plan in plans.values()] == [["l3_hit"], ["memory_remote"]]
    assert list(build_plan(load(apart), "vmap", 64).wait_names[Wait.TRANSFER]) == ["line_transfer_cross_socket"]


@pytest.mark.parametrize(("state", "extra_us"), [("poll", 0), ("c1", 2), ("c1e", 10), ("c6", 133)])
@pytest.mark.parametrize("name", [SEED, "virtio-user-receive-skb", "af-xdp-tx", "af-xdp-rx"])
def test_a_sleeping_core_leaves_its_idle_state_first(name, state, extra_us):
    scenario = load_scenario(name, overrides=["calibration=null", f"placement.idle_state={state}"])
    plan = build_plan(scenario, scenario.access[0].name, 64)
    asleep = [row for row in plan.rows if row.actor == "worker" and row.label.startswith("idle")]
    wake_up = {"virtio-user-receive-skb": 2}  # no packets, or no buffers
    assert len(asleep) == wake_up.get(name, 1)
    at_once = scenario.cpu.primitives["worker_wakeup"].value
    assert {row.cost_ps for row in asleep} == {round((at_once + extra_us) * 1e6)}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("placement={preempted_us: 5, preempted_every_us: 5}", "leaves nothing to the worker"),
        ("placement={preempted_us: 6, preempted_every_us: 5}", "cannot run longer than preempted_every_us"),
        ("placement={preempted_every_us: 5}", "go together"),
        ("placement.numa_rebalancing=true", r"goes with two sockets \(same_socket: false\)"),
        ("placement.idle_state=c3", "idle_state: input should be 'poll', 'c1', 'c1e' or 'c6'"),
        ("memory.guest_pages=2k", "guest_pages: input should be '4k', '2m' or '1g'"),
        ("memory.invalidations_per_second=-1", "greater than or equal to 0"),
        ("memory.invalidations_per_second=500000", "500000 stalls of 2 us leave the worker no time"),
        ("memory.invalidations_per_second=1e-300", r"0 \(none\), or at least 0.001"),
        ("memory.locked_limit_kb=1", r"unknown key 'memory.locked_limit_kb'; did you mean 'locked_limit_kib'\?"),
        ("memory.invalidation_stall={value: 1, unit: ns, low: 1, high: 1, source: x, grade: guess}",
         "invalidation_stall: unit 'ns' should be 'us'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_in_a_sentence(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load(override)


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ("{pages: vmap, pinned: true, torn_down: at once}", "pinned pages are not invalidated"),
        ("{setup: [vmap_fixed]}", r"the other keys go with a mapping \(vmap or direct\)"),
        (
            "{pages: vmap, setup: [vmap_fixd]}",
            r"unknown primitive 'vmap_fixd' in a recipe; did you mean 'vmap_fixed'\?",
        ),
    ],
)
def test_a_mapping_that_makes_no_sense_is_said_in_a_sentence(mapping, sentence, tmp_path):
    (tmp_path / "access").mkdir()
    file = tmp_path / "access" / "mine.yaml"
    file.write_text(f"schema: 1\nkind: access\nname: mine\nextends: copy_user\ntitle: t\nmapping: {mapping}\n")
    with pytest.raises(ConfigError, match=sentence):
        load_scenario(SEED, overrides=["access=mine"], configs=tmp_path)
