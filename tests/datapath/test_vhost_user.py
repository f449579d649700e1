"""vhost-user below a Linux guest: it polls and is not kicked, and each call is a system call."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.engine import simulate

TX, RX = "vhost-user-virtio-net-tx", "vhost-user-virtio-net-rx"
LOW_LOAD = "traffic.load={kind: poisson, pps: 20000}"

both_directions = pytest.mark.parametrize("name", [TX, RX])


def plan(name, *overrides, size=64):
    return build_plan(load_scenario(name, overrides=overrides), "plain", size, apart=True)


def point(name, *overrides, size=64):
    scenario = load_scenario(name, overrides=("run.packets=20000", *overrides))
    return simulate(build_plan(scenario, "plain", size), scenario.run)


def primitives(name, label, *overrides):
    (row,) = (row for row in plan(name, *overrides).rows if row.label == label)
    return {part.primitive: part.count for part in row.components}


@both_directions
@pytest.mark.parametrize("event_idx", ["true", "false"])
@pytest.mark.parametrize("load", ["traffic.load=saturate", LOW_LOAD])
def test_a_device_that_polls_is_not_kicked(name, event_idx, load):
    assert point(name, f"virtqueue.event_idx={event_idx}", load).row_rates["driver.kick"] == pytest.approx(0, abs=1e-3)


@both_directions
def test_a_call_is_a_system_call_with_the_mitigations_of_the_border(name):
    assert primitives(name, "call") == {"syscall": 1, "pti": 1, "verw": 1, "eventfd_signal": 1}
    assert primitives(name, "call", "cpu=cascade-lake").keys() >= {"syscall", "clear_bhb", "eventfd_signal"}
    assert primitives(name, "call", "cpu=skylake-sp").keys() >= {"syscall", "ibrs_entry", "eventfd_signal"}
    off = ("mitigations.pti=false", "mitigations.mds=false")
    assert primitives(name, "call", *off) == {"syscall": 1, "eventfd_signal": 1}


def test_a_guest_that_receives_now_and_then_is_interrupted_for_each_packet():
    low = point(RX, "traffic.load=20000").row_rates
    assert low["worker.call"] == pytest.approx(1, abs=0.001)
    assert low["driver.irq"] == pytest.approx(low["worker.call"], abs=0.01)


def test_a_guest_whose_poll_never_ends_is_not_interrupted():
    busy = point(RX, "traffic.load=saturate")
    assert busy.bound_by == "driver"
    assert busy.row_rates["worker.call"] < 0.01


@pytest.mark.parametrize("event_idx", ["true", "false"])
def test_a_full_ring_stops_the_guest_until_it_is_called(event_idx):
    """Three quarters of what is posted: a call for so many packets where the ring is small and the device slow."""
    done = point(TX, "virtqueue.size=64", f"virtqueue.event_idx={event_idx}", "driver.pktgen_cost=1", size=9000)
    assert done.bound_by == "worker"
    calls = done.row_rates["worker.call"]
    assert 1 / 64 < calls < 1 / 8
    assert done.row_rates["driver.wait_call"] + done.row_rates["driver.interrupt"] == pytest.approx(calls, rel=0.1)


def test_an_application_sends_what_its_stack_allows():
    pace = load_scenario(TX).driver.stack_cost.value
    sent = point(TX, "driver.sender=socket")
    assert sent.bound_by == "driver"
    assert pace < sent.ns_per_packet < pace + 100


def test_a_packet_in_pieces_takes_an_indirect_table():
    """A packet of one piece has none, of three a table of as many entries, the first of them read in the place of one."""
    one, three = (plan(TX, *more) for more in ((), ("virtqueue.descriptors_per_packet=3",)))
    tables = [[row.label for row in each.rows if row.label.startswith("indirect")] for each in (one, three)]
    assert tables == [[], ["indirect_table", "indirect_0", "indirect_1", "indirect_2"]]
    direct = point(TX, "virtqueue.indirect=false", "virtqueue.descriptors_per_packet=3")
    assert direct.row_rates["worker.descriptor_2"] == pytest.approx(1)
