"""Laws of the access variants, where the worker bounds the rate and nothing drains (the issue's "It is done when")."""

from __future__ import annotations

from hypothesis import assume, example, given
from hypothesis import strategies as st

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.engine import Point, simulate
from sim.study.questions.explain import count_primitives

from .scenarios import PACKETS, any_scenario, busy_workers, drains, load, quick

TOGGLES = ("stac", "clac")


def simulated(overrides, access, packet_bytes):
    scenario = load(*overrides, f"access={access}", f"traffic.packet_bytes={packet_bytes}")
    return simulate(build_plan(scenario, access, packet_bytes), scenario.run)


def worker_bound(*points: Point):
    assume(all(point.bound_by == "worker" and drains(point) == 0 for point in points))


def bounds(point):
    """The 95 % interval of the time per packet, in ps."""
    return point.ps_per_packet - point.half_width_ps, point.ps_per_packet + point.half_width_ps


@quick
@given(busy_workers("mitigations.smap=true"), st.lists(st.integers(64, 1518), min_size=2, max_size=2, unique=True))
def test_the_gain_of_vmap_falls_as_packets_grow(overrides, sizes):
    small, large = sorted(sizes)
    points = {(a, n): simulated(overrides, a, n) for a in ("copy_user", "vmap") for n in (small, large)}
    worker_bound(*points.values())
    highest = bounds(points["copy_user", small])[1] / bounds(points["vmap", small])[0] - 1
    lowest = bounds(points["copy_user", large])[0] / bounds(points["vmap", large])[1] - 1
    assert highest >= lowest


@quick
@given(busy_workers(), st.booleans(), st.integers(14, 1518))
def test_vmap_is_not_slower_than_copy_user_nor_ideal_than_vmap(overrides, smap, packet_bytes):
    overrides = (*overrides, f"mitigations.smap={str(smap).lower()}", "mitigations.spectre_v1=true")
    points = {access: simulated(overrides, access, packet_bytes) for access in ("vmap", "ideal")}
    worker_bound(*points.values())
    assert bounds(points["ideal"])[0] <= bounds(points["vmap"])[1]


@quick
@given(any_scenario("mitigations.smap=true"))
def test_smap_off_makes_every_toggle_0_and_leaves_every_other_count(on):
    access, packet_bytes = on.access[0].name, on.traffic.packet_bytes[0]
    off = on.model_copy(update={"mitigations": on.mitigations.model_copy(update={"smap": False})})
    before = count_primitives(build_plan(on, access, packet_bytes, apart=True))
    after = count_primitives(build_plan(off, access, packet_bytes, apart=True))
    for family, scopes in after.items():
        for scope, table in scopes.items():
            assert all(table.get(name, 0) == 0 for name in TOGGLES)
            others = {name: count for name, count in before[family][scope].items() if name not in TOGGLES}
            assert {name: count for name, count in table.items() if name not in TOGGLES} == others, (family, scope)


#: Found by a longer search: nothing waits for loads here, so the toggles of the used index only fill the store drain.
ZEN5 = (
    "kernel=v4.20",
    "cpu=zen5",
    "mitigations.spectre_v1=false",
    "device.batch=16",
    "driver.burst=16",
    "driver.packet_cost=1",
    f"run.packets={PACKETS}",
)


@quick
@example(ZEN5, "copy_user", 14)
@given(busy_workers(), st.sampled_from(["copy_user", "vmap", "ideal"]), st.integers(14, 1518))
def test_smap_off_saves_at_least_the_base_cost_of_the_toggles_that_no_store_drain_hid(overrides, access, packet_bytes):
    on = simulated((*overrides, "mitigations.smap=true"), access, packet_bytes)
    off = simulated((*overrides, "mitigations.smap=false"), access, packet_bytes)
    worker_bound(on, off)
    base = sum(on.breakdown_ps.get(name, 0) for name in TOGGLES) / on.packets
    # A toggle behind the used elements runs while their lines are on the way; without it smp_mb waits so much longer.
    drains_on, drains_off = (point.breakdown_ps.get("store_drain", 0) / point.packets for point in (on, off))
    assert bounds(on)[1] - bounds(off)[0] >= base - max(0.0, drains_off - drains_on)
    assert not set(TOGGLES) & set(off.breakdown_ps)


@quick
@given(any_scenario("traffic.load={kind: poisson, pps: 2000000}", "driver.kind=virtio-user"), st.integers(0, 2**63 - 1))
def test_variants_meet_the_same_arrivals(scenario, seed):
    packet_bytes = scenario.traffic.packet_bytes[0]
    variants = [load_scenario("virtio-user-xdp1-tap").variant(name) for name in ("copy_user", "vmap", "ideal")]
    run = scenario.run.model_copy(update={"seed": seed})
    both = scenario.model_copy(update={"access": variants, "run": run})
    first, *others = (build_plan(both, variant.name, packet_bytes).arrivals.block(3) for variant in variants)
    assert all((other == first).all() for other in others)
    another = both.model_copy(update={"run": run.model_copy(update={"seed": seed ^ 1})})
    assert (build_plan(another, "vmap", packet_bytes).arrivals.block(3) != first).any()
