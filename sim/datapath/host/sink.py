"""What takes packets behind the worker at a rate of its own: a NIC with a line rate, or the process that reads."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.plan import Condition, Effect, Jump, Register
from sim.datapath.plan.step import Draft, add, go, put

R = Register

#: Preamble, start of frame, FCS and gap (DESIGN 6b.12).
WIRE_OVERHEAD_BYTES = 24
MIN_FRAME_BYTES = 60
#: Ethernet header and VLAN tag beyond the MTU; Ethernet, IPv4 and TCP headers that each further frame repeats.
FRAME_HEADER_BYTES = 18
REPEATED_HEADER_BYTES = 54
#: vhost_zerocopy_callback wakes the worker at the last completion and at each 16th.
WAKE_EVERY = 16


def has_sink(scenario: Scenario) -> bool:
    """Tell whether something behind the worker has a pace of its own."""
    return scenario.backend.has_nic or scenario.backend.has_receiver


def wire_bytes(packet_bytes: int, mtu_bytes: int) -> int:
    """Bytes on the wire: a packet beyond the MTU is cut into frames (TSO), which repeat its headers."""
    frames = 1
    if packet_bytes > mtu_bytes + FRAME_HEADER_BYTES:
        carried = mtu_bytes + FRAME_HEADER_BYTES - REPEATED_HEADER_BYTES
        frames = -(-(packet_bytes - REPEATED_HEADER_BYTES) // carried)
    headers = (frames - 1) * REPEATED_HEADER_BYTES + frames * WIRE_OVERHEAD_BYTES
    return max(packet_bytes, MIN_FRAME_BYTES) + headers


def sink_ns(scenario: Scenario, packet_bytes: int) -> float:
    """Time that one packet takes there, in ns."""
    backend = scenario.backend
    if backend.has_nic:
        return wire_bytes(packet_bytes, backend.mtu_bytes) * 8 / backend.line_gbps
    return backend.receiver_cost.value + packet_bytes * backend.receiver_byte_cost.value


def sink_rows(scenario: Scenario, packet_bytes: int, pinned: bool) -> list[Draft]:
    """Return the rows of the NIC or the receiver (none without); `pinned`: frames may come by zero copy.

    Frames of pinned pages and copied ones leave in proportion to their numbers in the queue: as many per second as from
    one queue in order.
    """
    if not has_sink(scenario):
        return []
    name, step = ("nic", "frame on the wire") if scenario.backend.has_nic else ("receiver", "packet is read")
    take = Draft(
        "take", name, step, ("packet",), function=name, extra_ns=sink_ns(scenario, packet_bytes),
        condition=Condition(R.SINK_QUEUED, "!=", 0, R.SINK_DONE), effects=(add(R.SINK_DONE),), jumps=(go("take"),),
    )  # fmt: skip
    if not pinned:
        return [take]
    take = replace(
        take,
        effects=(
            Effect("add", R.TURN, R.UPEND_IDX), Effect("countdown", R.TURN, R.ZEROCOPY_COMPLETED),
            Effect("countdown", R.TURN, R.SINK_QUEUED), Effect("add", R.TURN, R.SINK_DONE),
        ),
        jumps=(
            Jump(R.UPEND_IDX, "==", 0, "copied", R.ZEROCOPY_COMPLETED), Jump(R.COPIED, "==", 0, "unpin", R.COPIED_SENT),
            Jump(R.TURN, ">=", 0, "unpin"), go("copied"),
        ),
    )  # fmt: skip
    unpin = Draft(
        "unpin", name, "pages released", ("packet",), function="vhost_zerocopy_callback",
        effects=(add(R.SINK_DONE), add(R.ZEROCOPY_COMPLETED), add(R.ZEROCOPY_COMPLETIONS_LEFT, -1)),
        jumps=(Jump(R.UPEND_IDX, "==", 0, "wake", R.ZEROCOPY_COMPLETED), Jump(R.ZEROCOPY_COMPLETIONS_LEFT, "<", 1, "wake"), go("take")),
    )  # fmt: skip
    wake = Draft(
        "wake", name, "wake the worker", ("packet",), function="vhost_poll_queue",
        effects=(add(R.KICKS), put(R.ZEROCOPY_COMPLETIONS_LEFT, WAKE_EVERY)), jumps=(go("take"),),
    )  # fmt: skip
    copied = Draft(
        "copied", name, "copied frame sent", ("packet",), function=name,
        effects=(
            Effect("add", R.TURN, R.SINK_QUEUED), Effect("countdown", R.TURN, R.SINK_DONE),
            add(R.SINK_DONE), add(R.COPIED_SENT),
        ),
        jumps=(go("take"),),
    )  # fmt: skip
    return [take, unpin, wake, copied]
