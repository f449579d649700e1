"""What takes packets behind the worker at a rate of its own: a NIC with a line rate, or the process that reads."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.applications.messages import is_application
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Step

#: Preamble, start of frame, FCS and gap (DESIGN 6b.12).
WIRE_OVERHEAD_BYTES = 24
MIN_FRAME_BYTES = 60
#: Ethernet header and VLAN tag beyond the MTU; Ethernet, IPv4 and TCP headers that each further frame repeats.
FRAME_HEADER_BYTES = 18
REPEATED_HEADER_BYTES = 54
#: vhost_zerocopy_callback wakes the worker at the last completion and at each 16th.
WAKE_EVERY = 16


def has_sink(scenario: Scenario) -> bool:
    """Return whether something behind the worker has a pace of its own."""
    if is_application(scenario):
        return True
    return scenario.reaches_backend and (scenario.backend.has_nic or scenario.backend.has_receiver)


def wire_bytes(packet_bytes: int, mtu_bytes: int) -> int:
    """Bytes on the wire: a packet beyond the MTU is cut into frames (TSO), which repeat its headers."""
    frames = 1
    if packet_bytes > mtu_bytes + FRAME_HEADER_BYTES:
        carried = mtu_bytes + FRAME_HEADER_BYTES - REPEATED_HEADER_BYTES
        frames = -(-(packet_bytes - REPEATED_HEADER_BYTES) // carried)
    headers = (frames - 1) * REPEATED_HEADER_BYTES + frames * WIRE_OVERHEAD_BYTES
    return max(packet_bytes, MIN_FRAME_BYTES) + headers


def sink_ns(scenario: Scenario, packet_bytes: int) -> float:
    """Time that one packet takes there, in ns: under a mix of sizes the mean of theirs."""
    mix = scenario.traffic.mix
    if mix is None:
        return _sink_ns(scenario, packet_bytes)
    return sum(share * _sink_ns(scenario, size) for size, share in zip(mix.bytes, mix.shares, strict=True))


def _sink_ns(scenario: Scenario, packet_bytes: int) -> float:
    """Queue pairs are loaded alike, each has its share of one NIC's line."""
    backend = scenario.backend
    if backend.has_nic:
        return wire_bytes(packet_bytes, backend.mtu_bytes) * 8 * scenario.queues.pairs / backend.line_gbps
    return backend.receiver_cost.value + packet_bytes * backend.receiver_byte_cost.value


def sink_steps(scenario: Scenario, packet_bytes: int, pinned: bool) -> list[Step]:
    """Return the steps of the NIC or the receiver (none without); `pinned`: frames may come by zero copy.

    Frames of pinned pages and copied ones leave in proportion to their numbers in the queue: as many per second as from
    one queue in order.
    """
    if not has_sink(scenario):
        return []
    name, title = ("nic", "frame on the wire") if scenario.backend.has_nic else ("receiver", "packet is read")
    sink = Program(name, name)
    with sink.each("packet"):
        sink.step("take", title, extra_ns=sink_ns(scenario, packet_bytes))
        sink.change(condition=R.SINK_QUEUED.differs(R.SINK_DONE))
        if not pinned:
            sink.then(R.SINK_DONE.add())
            sink.jump("take")
            return sink.steps
        sink.then(R.TURN.add_register(R.UPEND_IDX), R.TURN.count_down(R.ZEROCOPY_COMPLETED))
        sink.then(R.TURN.count_down(R.SINK_QUEUED), R.TURN.add_register(R.SINK_DONE))
        sink.jump("copied", R.UPEND_IDX.equals(R.ZEROCOPY_COMPLETED))
        sink.jump("unpin", R.COPIED.equals(R.COPIED_SENT))
        sink.jump("unpin", R.TURN.at_least(0))
        sink.jump("copied")
    with sink.each("packet", sometimes="pages were pinned"):
        sink.step("unpin", "pages released", function="vhost_zerocopy_callback")
        sink.then(R.SINK_DONE.add(), R.ZEROCOPY_COMPLETED.add(), R.ZEROCOPY_COMPLETIONS_LEFT.add(-1))
        sink.jump("wake", R.UPEND_IDX.equals(R.ZEROCOPY_COMPLETED))
        sink.jump("wake", R.ZEROCOPY_COMPLETIONS_LEFT.below(1))
        sink.jump("take")
        sink.step("wake", "wake the worker", function="vhost_poll_queue")
        sink.then(R.KICKS.add(), R.ZEROCOPY_COMPLETIONS_LEFT.put(WAKE_EVERY))
        sink.jump("take")
    with sink.each("packet", sometimes="it was copied"):
        sink.step("copied", "copied frame sent")
        sink.then(R.TURN.add_register(R.SINK_QUEUED), R.TURN.count_down(R.SINK_DONE))
        sink.then(R.SINK_DONE.add(), R.COPIED_SENT.add())
        sink.jump("take")
    return sink.steps
