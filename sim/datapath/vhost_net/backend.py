"""What the worker does with a packet behind its copy: the XDP program, the host's stack, the way to a NIC."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.host.sink import has_sink
from sim.datapath.plan.plan import Condition, Effect, Register
from sim.datapath.plan.step import Draft, add, worker_row

R = Register


def room_at_sink(scenario: Scenario) -> Condition | None:
    """Return the condition under which another frame may go to the NIC or the receiver."""
    return Condition(R.SINK_QUEUED, "<", scenario.backend.queue, R.SINK_DONE) if has_sink(scenario) else None


def to_sink(scenario: Scenario, batched: bool) -> tuple[Effect, ...]:
    """Return the effect of handing the packet, or the batch, to the NIC or the receiver."""
    if not has_sink(scenario):
        return ()
    return (Effect("add", R.SINK_QUEUED, R.DONE_IDX),) if batched else (add(R.SINK_QUEUED), add(R.COPIED))


def backend_rows(scenario: Scenario, batched: bool, expand_bytes: int = 0) -> list[Draft]:
    """Return the rows behind the copy; `batched` rows run for all packets of a batch.

    An skb from tun_alloc_skb (`expand_bytes` of it) meets an XDP program in its generic form, which wants linear memory
    with 256 bytes of headroom: the skb is copied once more.
    """
    backend = scenario.backend
    program = backend.program_instructions.value if backend.runs_xdp else 0.0
    each = worker_row(
        "backend", "XDP program on each packet", "packet", "backend_packet", unit=R.DONE_IDX, per_unit=True,
        extra_instructions=program,
    )  # fmt: skip
    rows = [each]
    if not backend.runs_xdp:
        rows = [] if expand_bytes else [replace(each, step="skb from the packet's buffer")]
    elif expand_bytes:
        expand = worker_row(
            "expand", "skb made linear with headroom", "packet", accessor="kernel_copy", function="pskb_expand_head",
            bytes=expand_bytes,
        )  # fmt: skip
        rows = [expand, replace(each, step="XDP program on the skb", kernel_step="generic_xdp")]
    if backend.kind == "tap-xdp-redirect":
        rows += [
            replace(each, label="redirect", step="redirect to the NIC", kernel_step="redirect_packet",
                    extra_instructions=0.0),
            worker_row("redirect_flush", "doorbell of the NIC", "flush" if batched else "packet", "redirect_flush"),
        ]  # fmt: skip
    if backend.kind in ("tap-xdp-pass", "tap-skb", "tap-bridge"):
        receive = replace(
            each, label="receive", step="skb up the host's stack", kernel_step="skb_receive", extra_instructions=0.0,
            extra_ns=0.0 if backend.has_nic else backend.stack_cost.value,
        )  # fmt: skip
        rows.append(receive)
    if backend.kind == "tap-bridge":
        rows.append(
            replace(each, label="bridge", step="bridge to the NIC", kernel_step="bridge_packet", extra_instructions=0.0)
        )
    if not batched:
        rows = [replace(row, unit=None, per_unit=False) for row in rows]
    return rows
