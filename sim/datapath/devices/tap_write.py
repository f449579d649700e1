"""A process that writes frames to a TAP, one system call each: what the kernel's tun does with them, without a ring.

The same functions stand behind a worker's sendmsg of one packet. A frame is in the writer's own cache, so its copy
meets no line of another core.
"""

from __future__ import annotations

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Placement, Scenario
from sim.config.scenario.virtqueue import Virtqueue
from sim.config.tables.vocabulary import SYSTEM_CALL
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Step
from sim.datapath.vhost_net.allocation import linear_bytes, new_linear_part, new_pages_of_skb, new_skb
from sim.datapath.vhost_net.path import largest_xdp_packet

#: What becomes of the frame: the only backends that are counted behind a write.
_BACKENDS = ("tap-xdp-drop", "tap-skb", "tap-down")


def check_writes(scenario: Scenario) -> None:
    """Raise ConfigError for what a write to a TAP is not modelled with."""
    check_backend(scenario)
    if scenario.traffic.load.kind != "saturate" or scenario.traffic.mix is not None:
        raise ConfigError("tap_write sets its own pace, with frames of one size", key="traffic.load")


def check_backend(scenario: Scenario) -> None:
    """Raise ConfigError for what was not counted behind a write to a TAP."""
    device, backend = scenario.device.kind, scenario.backend.kind
    if backend not in _BACKENDS:
        raise ConfigError(f"{backend} is not modelled behind {device}", key="backend.kind", got=backend)
    if backend != "tap-xdp-drop" and not scenario.device.sndbuf_limited:
        raise ConfigError(
            f"{backend} is modelled with device.sndbuf_limited, where frames are skbs", key="backend.kind"
        )


def without_ring(scenario: Scenario) -> Scenario:
    """Return the scenario of a process that has neither a ring nor another core to talk to: what it says of them is
    not read, and defaults stand in its place.
    """
    placement = Placement.model_construct(smt_siblings=scenario.placement.smt_siblings)
    return scenario.model_copy(update={"virtqueue": Virtqueue.model_construct(), "placement": placement})


def becomes_skb(scenario: Scenario, packet_bytes: int) -> bool:
    """Return whether a frame becomes an skb before a program sees it (tun_can_build_skb says no)."""
    return scenario.device.sndbuf_limited or packet_bytes > largest_xdp_packet(scenario.kernel.behaviour)


def write_frames(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of one write(2) after another."""
    writer = Program("worker", "ksys_write")
    with writer.each("packet"):
        writer.step("call", "write(2), up to the file", "write_call", primitives=SYSTEM_CALL)
        writer.change(condition=R.RING_AVAIL_IDX.differs(R.LAST_AVAIL_IDX))
        into_tap(writer, scenario, packet_bytes)
        writer.step("done", "end of the call", function="ksys_write", marks="used")
        writer.then(R.LAST_AVAIL_IDX.add(), R.RING_USED_IDX.add())
        writer.jump("call")
    return writer.steps


def into_tap(writer: Program, scenario: Scenario, packet_bytes: int, shared: bool = False) -> None:
    """Add the steps behind the call, for a frame of the writer's own or (`shared`) a guest's."""
    header, body = ("first", "rest") if shared else ("none", "none")
    writer.step("write", "from the file to the TAP", "write_tap")
    writer.step("send", "checks of the TAP", "single_send")
    writer.copy("header_copy", "vnet header", "single_header", "single_header", copied=header)
    if becomes_skb(scenario, packet_bytes):
        writer.step("skb", "an skb: allocated, charged to the socket, freed", "write_skb")
        new_skb(writer, scenario, "skb", linear_bytes(packet_bytes))
        pieces = 1 + new_pages_of_skb(writer, scenario, packet_bytes)
        writer.copy("payload_copy", "frame", "skb_copy", "skb_copy", bytes=-(-packet_bytes // pieces), times=pieces)
        writer.change(copied=body)
        _behind_skb(writer, scenario, packet_bytes)
    else:
        writer.step("build", "buffer in the page fragment", "single_build")
        writer.copy("payload_copy", "frame", "single_copy", "single_copy", bytes=packet_bytes, copied=body)
        writer.step("program", "XDP program on the buffer", "write_program", extra_function="program")
        writer.change(extra_instructions=scenario.backend.program_instructions.value)


def _behind_skb(writer: Program, scenario: Scenario, packet_bytes: int) -> None:
    """Where an skb ends: freed, in an XDP program, or in the host's stack."""
    backend = scenario.backend
    if backend.kind == "tap-xdp-drop":
        writer.copy("expand", "skb made linear with headroom", "kernel_copy", function="pskb_expand_head")
        writer.change(bytes=packet_bytes)
        new_linear_part(writer, scenario, "expand", packet_bytes)
        writer.step("program", "XDP program on the skb", "write_generic", extra_function="program")
        writer.change(extra_instructions=backend.program_instructions.value)
    elif backend.kind == "tap-skb":
        writer.step("receive", "skb up the host's stack", "write_stack", extra_ns=backend.stack_cost.value)


def frames() -> list[Step]:
    """Return the steps of what has frames ready: the next one is there as soon as the last one is written."""
    ready = Program("driver", "main")
    with ready.each("packet"):
        ready.step("frame", "the next frame", condition=R.RING_AVAIL_IDX.equals(R.RING_USED_IDX), marks="posted")
        ready.then(R.AVAIL_IDX_SHADOW.add(), R.TAKEN.add(), R.RING_AVAIL_IDX.add())
        ready.jump("frame")
    return ready.steps
