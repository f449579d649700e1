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
    """A packet of one piece has none, one of three pieces a table of as many entries."""
    tables = []
    for pieces in (1, 3):
        rows = plan(TX, f"virtqueue.descriptors_per_packet={pieces}").rows
        tables.append([row.label for row in rows if row.label.startswith("indirect")])
    assert tables == [[], ["indirect_table", "indirect_0", "indirect_1", "indirect_2"]]
    direct = point(TX, "virtqueue.indirect=false", "virtqueue.descriptors_per_packet=3")
    assert direct.row_rates["worker.descriptor_2"] == pytest.approx(1)


PACKED, IN_ORDER = "virtqueue.layout=packed", "virtqueue.in_order=true"


def accessors(name, *overrides):
    found = {row.accessor for row in plan(name, *overrides).rows if row.actor == "worker" and row.accessor}
    return {accessor for accessor in found if not accessor.endswith("copy")}


@both_directions
def test_a_packed_ring_is_read_and_written_once_for_each_buffer(name):
    """Whatever `packed_access` says, which is how vhost_net's RFC did it."""
    once = {"packed_whole_read", "packed_used_write", "packed_used_flags_write", "packed_driver_event_read"}
    for access in ("rfc", "ideal"):
        assert accessors(name, PACKED, f"virtqueue.packed_access={access}") == once
    rates = point(name, PACKED).row_rates
    assert rates["worker.head"] >= 1
    assert rates["worker.call"] < 0.1


@both_directions
def test_a_packed_ring_has_functions_of_its_own(name):
    functions = {row.function for row in plan(name, PACKED).rows if row.actor == "worker"}
    assert "vhost_vring_call_packed" in functions
    assert not [function for function in functions if function.endswith("_split")]


@both_directions
@pytest.mark.parametrize(("layout", "left"), [("split", {"avail_entry_read"}), ("packed", set())])
def test_in_order_leaves_the_avail_ring_alone_where_there_is_one(name, layout, left):
    plain, ordered = (accessors(name, f"virtqueue.layout={layout}", *more) for more in ((), (IN_ORDER,)))
    assert plain - ordered - {"used_elements_write"} == left


@pytest.mark.parametrize("layout", ["split", "packed"])
def test_in_order_writes_one_used_element_for_a_burst_and_one_for_each_packet_received(layout):
    ring = (f"virtqueue.layout={layout}", IN_ORDER)
    (sent,) = (row for row in plan(TX, *ring).rows if row.label == "used_elements")
    assert sent.unit is None
    (received,) = (row for row in plan(RX, *ring, size=4000).rows if row.label == "used_elements")
    assert received.per_unit
    assert not received.components


@both_directions
@pytest.mark.parametrize("layout", ["split", "packed"])
@pytest.mark.parametrize("in_order", ["true", "false"])
@pytest.mark.parametrize("driver", ["virtio-user", "virtio-net"])
def test_all_that_is_sent_comes_back_whatever_the_ring(name, layout, in_order, driver):
    settings = (f"virtqueue.layout={layout}", f"virtqueue.in_order={in_order}", f"driver.kind={driver}")
    low = point(name, *settings, "traffic.load=100000", "virtqueue.size=32")
    assert low.pps == pytest.approx(100_000, rel=0.01)
    assert low.dropped == 0


def test_a_full_packed_ring_stops_and_starts_the_guest():
    done = point(TX, PACKED, "virtqueue.size=48", "driver.pktgen_cost=1", size=9000)
    stops = done.row_rates["driver.wait_call"] + done.row_rates["driver.interrupt"]
    assert 1 / 48 < stops == pytest.approx(done.row_rates["worker.call"], rel=0.1)
