"""A guest that forwards: two rings, one worker or two, and a guest that frees what it cannot send."""

from __future__ import annotations

from functools import cache

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.datapath.plan.registers import BANK, R
from sim.engine import simulate
from sim.engine.fast import FastEngine
from sim.engine.reference import ReferenceEngine

L2FWD, ROUTING, PVP = "virtio-user-l2fwd", "virtio-net-routing", "virtio-user-pvp"
SENT = BANK  # registers of the transmit ring stand so many further on


@cache
def run(name, *overrides):
    scenario = load_scenario(name, overrides=["access=copy_user", "traffic.packet_bytes=64", *overrides])
    return simulate(build_plan(scenario, "copy_user", 64), scenario.run)


def alone(direction, *overrides):
    """The same rings, with a guest that does one of the two."""
    return run(L2FWD, "driver.forwards=false", f"device.direction={direction}", *overrides)


def registers(name, engine, packets, *overrides):
    scenario = load_scenario(name, overrides=["access=copy_user", "traffic.packet_bytes=64", *overrides])
    made = engine(build_plan(scenario, "copy_user", 64), 10**9)
    made.run(packets)
    return made.machine.registers


def test_one_worker_takes_the_time_of_receiving_and_of_sending():
    both = run(L2FWD)
    assert both.bound_by == "worker"
    assert both.ns_per_packet == pytest.approx(alone("rx").ns_per_packet + alone("tx").ns_per_packet, rel=0.05)


def test_two_workers_are_as_fast_as_the_slower_of_them():
    both = run(L2FWD, "driver.ports=2")
    assert both.pps == pytest.approx(min(alone("rx").pps, alone("tx", "traffic.dirty_bytes=full").pps), rel=0.05)


@pytest.mark.parametrize("ports", [1, 2])
def test_packets_are_as_many_at_either_ring_while_none_is_lost(ports):
    received, sent = (run(L2FWD, f"driver.ports={ports}", f"device.direction={counted}") for counted in ("rx", "tx"))
    assert received.pps == pytest.approx(sent.pps, rel=0.01)


def test_a_slow_guest_is_what_bounds_the_rate():
    point = run(L2FWD, "driver.ports=2", "driver.packet_cost=400")
    assert point.bound_by == "driver"
    assert 0.9e9 / 800 < point.pps < 1e9 / 800  # 400 ns to receive a packet and 400 ns to send it, and its lines


def test_rounds_as_long_as_there_are_packets_starve_the_transmit_ring():
    long_rounds = ("kernel.behaviour.round_packets=100000", "kernel.behaviour.round_bytes=10000000")
    received, sent = (run(L2FWD, *long_rounds, f"device.direction={counted}") for counted in ("rx", "tx"))
    assert received.pps > 5 * sent.pps
    assert received.pps == pytest.approx(alone("rx", *long_rounds).pps, rel=0.1)


@pytest.mark.parametrize("engine", [ReferenceEngine, FastEngine])
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        (L2FWD, ()),
        (L2FWD, ("virtqueue.size=32", "kernel.behaviour.round_packets=10000")),
        (L2FWD, ("driver.ports=2", "receive.source.kind=xdp_frame", "driver.burst=7")),
        (PVP, ("traffic.load=2e7", "receive.source.queue=20")),
        (ROUTING, ()),
        (ROUTING, ("driver.ports=1", "virtqueue.size=32", "virtqueue.event_idx=false", "driver.route_cost=0")),
        (ROUTING, ("driver.napi_tx=false", "driver.route_cost=0", "backend.kind=tap-skb", "backend.receiver_cost=900")),
    ],
)
def test_what_was_received_was_sent_or_freed_or_is_in_the_guest(engine, name, overrides):
    at_end = registers(name, engine, 3000, *overrides)
    taken, produced, freed = at_end[R.TAKEN], at_end[R.PRODUCED], at_end[SENT + R.FREED]
    dropped = at_end[R.DROPPED] - freed  # at the TAP; in the end all that was lost stands there
    assert 0 <= taken - dropped - produced <= 1  # one that the source is about to put into the TAP
    assert at_end[R.RETURNED] <= at_end[R.RECEIVED] <= at_end[R.GRABBED] <= produced
    received, written = at_end[R.LAST_USED_IDX], at_end[SENT + R.AVAIL_IDX_SHADOW]
    assert received <= at_end[R.RETURNED]
    in_hand = max(at_end[R.FORWARD_LEFT], at_end[SENT + R.BURST_LEFT], 1 if name == ROUTING else 0)
    assert 0 <= received - written - freed <= in_hand
    used, fetched, published = (
        at_end[SENT + register] for register in (R.RING_USED_IDX, R.LAST_AVAIL_IDX, R.RING_AVAIL_IDX)
    )
    assert 3000 <= used <= fetched <= published <= written


def test_a_routing_guest_frees_packets_while_its_queue_is_stopped():
    slow = ("backend.kind=tap-skb", "backend.receiver_cost=2000", "backend.queue=10")
    point = run(ROUTING, *slow)
    assert point.bound_by == "receiver"
    assert point.row_rates["driver.stopped"] > 0
    assert point.row_rates["driver.element#rx"] > 1.5 * point.row_rates["driver.write_chain"]


def test_what_is_offered_below_the_rate_is_carried_without_loss():
    point = run(PVP, "traffic.load=1e6")
    assert point.bound_by == "load"
    assert point.lost_pps == 0
    over = run(PVP, "traffic.load=8e6")
    assert over.pps + over.lost_pps == pytest.approx(8e6, rel=0.01)


def test_what_two_workers_send_was_written_in_the_cache_of_the_other_one():
    one, two = (
        build_plan(
            load_scenario(L2FWD, overrides=[f"driver.ports={ports}", "access=copy_user"]), "copy_user", 1518
        ).rows
        for ports in (1, 2)
    )
    moved = [
        {part.primitive: part.count for row in rows if row.label == "payload_copy" for part in row.components}
        for rows in (one, two)
    ]
    lines = -(-(12 + 1518) // 64)
    assert moved[0]["clean_line"] == lines - 1
    assert moved[1]["line_stream_copy"] == lines - 1
    assert "clean_line" not in moved[1]


def test_the_answer_says_where_packets_are_counted():
    assert any("counted where they leave the guest" in note for note in run(L2FWD).notes)
    assert any("counted where they come into the guest" in note for note in run(L2FWD, "device.direction=rx").notes)
