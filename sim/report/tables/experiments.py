"""Tables of experiments with the running kernel, beside predictions: writes to a TAP, and its vhost worker."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from sim.host.machine import HostMachine
from sim.report.tables.terminal import Columns, table_of
from sim.study.questions.host_kernel import FigureComparison
from sim.study.questions.host_tap import FunctionShare, TapComparison, TapReport, middle_cycles_per_instruction
from sim.study.questions.host_vhost import VhostComparison, VhostReport

#: Functions with a smaller share on both sides are not listed.
_LEAST_SHARE = 0.005


def tap_tables(report: TapReport) -> RenderableType:
    """Time of a write to a TAP less that of one to /dev/null by way and size, and where it goes by function."""
    columns: Columns[TapComparison] = (
        ("way", lambda point: point.way),
        ("bytes", lambda point: str(point.packet_bytes)),
        ("measured ns", lambda point: _value(point.beyond_call)),
        ("low", lambda point: _bound(point.beyond_call, "low")),
        ("high", lambda point: _bound(point.beyond_call, "high")),
        ("predicted ns", lambda point: f"{point.beyond_call.predicted_ns:.0f}"),
        ("rate off by", lambda point: _error(point.beyond_call)),
        ("cycles/instruction", lambda point: _number(point.cycles_per_instruction, 2)),
        ("", lambda point: point.beyond_call.verdict),
    )
    title = "frame written to a TAP, less a write to /dev/null, against its prediction"
    shares: Columns[FunctionShare] = (
        ("way", lambda share: share.way),
        ("function", lambda share: share.function),
        ("sampled %", lambda share: f"{100 * share.measured:.1f}"),
        ("predicted %", lambda share: f"{100 * share.predicted:.1f}"),
    )
    seen = [share for share in report.shares if max(share.measured, share.predicted) >= _LEAST_SHARE]
    kernel = next(iter(report.scenarios.values())).kernel
    call = report.call
    lines = [
        f"a write to /dev/null: {_value(call)} ns measured, {call.predicted_ns:.0f} predicted ({call.verdict})",
        f"the table that stands for this kernel: {kernel.name}",
    ]
    cpi = middle_cycles_per_instruction(report)
    if cpi is not None:
        lines.append(f"left for an instruction, median of all: {cpi:.2f} cycles")
    tables = [table_of(title, columns, report.comparisons, keys=2)]
    if seen:
        tables.append(table_of("share of the time of a write by kernel function", shares, seen, keys=2))
    return Group(*tables, *(Text(line) for line in lines))


def vhost_tables(report: VhostReport) -> RenderableType:
    """Rates of the host's vhost worker and what a packet costs it, beside the prediction; the state of the machine."""
    columns: Columns[VhostComparison] = (
        ("", lambda point: point.direction),
        ("bytes", lambda point: str(point.packet_bytes)),
        ("Mpps", lambda point: _rate(point.rate)),
        ("predicted", lambda point: f"{1e3 / point.rate.predicted_ns:.3f}"),
        ("off by", lambda point: _error(point.rate)),
        ("worker ns/packet", lambda point: _value(point.worker)),
        ("predicted ns", lambda point: f"{point.worker.predicted_ns:.0f}"),
        ("busy", lambda point: f"{100 * point.busy:.0f}%"),
        ("cycles", lambda point: _number(point.cycles, 0)),
        ("instructions", lambda point: _number(point.instructions, 0)),
        ("predicted instr.", lambda point: f"{point.predicted_instructions:.0f}"),
        ("rate", lambda point: point.rate.verdict),
        ("worker", lambda point: point.worker.verdict),
    )
    table = table_of("this kernel's vhost worker against its prediction", columns, report.comparisons, keys=2)
    lines = [
        *_state(report.recording.machine),
        f"{report.counted} packets: descriptors used, statistics of the TAP and runs of the XDP program agree",
        f"the table that stands for this kernel: {report.scenario.kernel.name}",
    ]
    return Group(table, *(Text(line) for line in lines))


def _state(machine: HostMachine) -> list[str]:
    smt = "on" if machine.smt else "off"
    smap = "on" if "smap" in machine.flags else "off"
    parameters = ", ".join(f"{name}={value}" for name, value in machine.module_parameters.items()) or "not shown"
    weak = ", ".join(f"{name}: {state}" for name, state in machine.vulnerabilities.items() if state != "Not affected")
    governor = machine.governor or "not shown"
    return [
        f"{machine.model_name}, Linux {machine.kernel}, SMAP {smap}, SMT {smt}, governor {governor}",
        f"command line: {machine.command_line or 'not shown'}",
        f"module parameters: {parameters}",
        f"vulnerabilities: {weak or 'not shown'}",
    ]


def _value(compared: FigureComparison) -> str:
    return "" if compared.measured is None else f"{compared.measured.value:.0f}"


def _bound(compared: FigureComparison, end: str) -> str:
    return "" if compared.measured is None else f"{getattr(compared.measured, end):.0f}"


def _rate(compared: FigureComparison) -> str:
    return "" if compared.measured is None else f"{1e3 / compared.measured.value:.3f}"


def _error(compared: FigureComparison) -> str:
    return "" if compared.error is None else f"{compared.error:+.1%}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
