"""What the worker does with a packet behind its copy: the XDP program, the host's stack, the way to a NIC."""

from __future__ import annotations

from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.datapath.host.sink import has_sink
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import Condition, R


def room_at_sink(scenario: Scenario) -> Condition | None:
    """Return the condition under which another frame may go to the NIC or the receiver."""
    return R.SINK_QUEUED.minus(R.SINK_DONE).below(scenario.backend.queue) if has_sink(scenario) else None


def hand_to_sink(worker: Program, scenario: Scenario, batched: bool) -> None:
    """Let the last step hand the packet, or the batch, to the NIC or the receiver."""
    if has_sink(scenario) and batched:
        worker.then(R.SINK_QUEUED.add_register(R.DONE_IDX))
    elif has_sink(scenario):
        worker.then(R.SINK_QUEUED.add(), R.COPIED.add())


def after_copy(worker: Program, scenario: Scenario, batched: bool, expand_bytes: int = 0, prefix: str = "") -> None:
    """Add the steps behind the copy; those of a batch run for each of its packets.

    An skb from tun_alloc_skb (`expand_bytes` of it) meets an XDP program in its generic form, which wants linear memory
    with 256 bytes of headroom: the skb is copied once more.
    """
    backend = scenario.backend
    redirects, goes_up = backend.kind == "tap-xdp-redirect", backend.kind in ("tap-xdp-pass", "tap-skb", "tap-bridge")
    each: dict[str, Any] = {"unit": R.DONE_IDX, "per_unit": True} if batched else {}
    program: dict[str, Any] = {}
    if backend.runs_xdp:
        program = {"extra_instructions": backend.program_instructions.value}
    with worker.each("packet"):
        if backend.runs_xdp and expand_bytes:
            worker.copy(f"{prefix}expand", "skb made linear with headroom", "kernel_copy", function="pskb_expand_head")
            worker.change(bytes=expand_bytes)
            worker.step(f"{prefix}backend", "XDP program on the skb", "generic_xdp", **each, **program)
        elif backend.runs_xdp:
            worker.step(f"{prefix}backend", "XDP program on each packet", "backend_packet", **each, **program)
        elif not expand_bytes:
            worker.step(f"{prefix}backend", "skb from the packet's buffer", "backend_packet", **each)
        if redirects:
            worker.step(f"{prefix}redirect", "redirect to the NIC", "redirect_packet", **each)
            with worker.each("flush" if batched else "packet"):
                worker.step(f"{prefix}redirect_flush", "doorbell of the NIC", "redirect_flush")
        if goes_up:
            worker.step(f"{prefix}receive", "skb up the host's stack", "skb_receive", **each)
            worker.change(extra_ns=0.0 if backend.has_nic else backend.stack_cost.value)
        if backend.kind == "tap-bridge":
            worker.step(f"{prefix}bridge", "bridge to the NIC", "bridge_packet", **each)
