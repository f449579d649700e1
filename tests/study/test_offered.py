"""An offered load: what is offered is carried or lost, and all three stand in every form."""

from __future__ import annotations

import pytest

import sim
from sim.report.tables.results import comparison_tables, result_tables
from sim.report.tables.terminal import plain_lines

SEED = "virtio-user-xdp1-tap"


OFFERED = ["traffic.packet_bytes=64", "access=copy_user", "run.packets=20000"]


@pytest.mark.parametrize("pps", [1e6, 4.9e6, 5.2e6, 8e6])
@pytest.mark.parametrize("load", ["{{kind: constant, pps: {}}}", "{{kind: poisson, pps: {}}}"])
def test_what_is_offered_is_carried_or_lost(pps, load):
    point = sim.run(sim.load_scenario(SEED, overrides=[*OFFERED, f"traffic.load={load.format(pps)}"])).points[0]
    assert point.offered_pps == pytest.approx(pps, rel=0.02)  # of 20 000 random gaps
    assert point.pps + point.lost_pps == pytest.approx(point.offered_pps, rel=0.01)
    assert (point.lost_share > 0.01) == (pps > 5.1e6)


def test_a_backlog_that_overflows_now_and_then_loses_what_was_dropped():
    bursts = "traffic.load={kind: on-off, pps: 5000000, on_us: 100, off_us: 400, backlog: 40}"
    slow = ["device.busyloop_timeout_us=0", "virtqueue.size=16", "driver.burst=8"]
    point = sim.run(sim.load_scenario(SEED, overrides=[*OFFERED, *slow, bursts])).points[0]
    assert point.offered_pps == pytest.approx(5e6 / 5, rel=0.02)
    assert 0 < point.lost_pps < 0.5 * point.offered_pps
    assert point.pps + point.lost_pps == pytest.approx(point.offered_pps, rel=0.01)


def test_nothing_is_offered_or_lost_where_the_driver_always_has_packets(result):
    assert {(point.offered_pps, point.lost_pps, point.lost_share) for point in result.points} == {(None, None, None)}
    assert not {"offered_pps", "lost_pps", "lost_share"} & set(result.to_frame().columns)


@pytest.mark.parametrize("form", [result_tables, comparison_tables])
def test_offered_carried_and_lost_stand_in_tables_and_rows(form):
    scenario = sim.load_scenario(SEED, overrides=[*OFFERED, "access=copy_user,vmap", "traffic.load=8e6"])
    answer = sim.run(scenario) if form is result_tables else sim.compare(scenario)
    words = {"offered", "carried", "lost"} if form is result_tables else {"offered", "loses"}
    assert words <= set("\n".join(plain_lines(form(answer), 200)).split())
    kept = {"offered_pps", "lost_pps", "lost_share"} if form is result_tables else {"before_lost_share", "offered_pps"}
    assert kept <= set(answer.to_frame().columns)
