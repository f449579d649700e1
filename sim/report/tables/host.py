"""Tables about a measured host: its CPU profile, and the ring experiment."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from sim.config.answer import counted
from sim.host.contrasts import contrasts
from sim.host.profile import Profile
from sim.host.recording import Recording
from sim.host.serialisation import added_cycles
from sim.report.tables.terminal import Columns, TextTable, table_of
from sim.study.questions.host_ring import RingComparison, RingReport


def profile_tables(recording: Recording, profile: Profile) -> RenderableType:
    """What was measured, with its interval; what was refused; where the rest comes from."""
    state = profile.cpu.measured
    assert state is not None
    machine, quiet = state.machine, sum(measured.quiet for measured in recording.rounds)
    kind = "virtual machine" if machine.virtualised else "bare metal"
    head = Text(
        f"{profile.cpu.name}: {machine.model}, microcode {machine.microcode}, Linux {machine.kernel}, {kind}\n"
        f"{len(recording.used)} of {counted(len(recording.rounds), 'round')} used ({quiet} quiet), "
        f"CPUs {machine.cpus}, {machine.started}"
    )
    table = TextTable("measured", ("entry", "value", "low", "high", "unit", "outliers", ""), left=1)
    for key, summary in profile.summaries.items():
        entry = profile.entry(key)
        numbers = (f"{value:.4g}" for value in (entry.value, entry.low, entry.high))
        table.add_row(key, *numbers, entry.unit, str(summary.outliers), "" if summary.stable else "UNSTABLE")
    seen = TextTable("seen besides (ns)", ("", "ns", "beside", "ns"), left=1)
    for contrast in contrasts(recording):
        seen.add_row(contrast.title, f"{contrast.ns:.1f}", contrast.beside, f"{contrast.beside_ns:.1f}")
    parts: list[RenderableType] = [head, table, seen]
    rows = added_cycles(recording)
    if rows:
        behind = TextTable("added behind n independent instructions (cycles)", ("n", *rows[0].cycles), left=0)
        for row in rows:
            behind.add_row(str(row.instructions), *(_number(value) for value in row.cycles.values()))
        parts.append(behind)
    parts += [Text(f"{key}: {why}") for key, why in profile.missing.items()]
    parts += [Text(f"refused: {key}: {why}") for key, why in profile.refused.items()]
    parts += [Text(f"unstable: {key}: {why}") for key, why in profile.unstable.items()]
    if not profile.cpu.features.smap.value:
        parts.append(Text(f"no SMAP: {profile.cpu.primitives['stac'].source}"))
    parts.append(Text(f"the rest is of table {profile.nearest} ({profile.why_nearest})"))
    parts += [Text(f"differs from that table: {difference}") for difference in profile.differs]
    return Group(*parts)


def ring_table(report: RingReport) -> RenderableType:
    """Measured and predicted time per packet of the ring by size, fences on and off, and what was refused by name."""
    columns: Columns[RingComparison] = (
        ("access", lambda point: point.access),
        ("bytes", lambda point: str(point.measured.settings.packet_bytes)),
        ("lines ns", _distances),
        ("measured ns", lambda point: _number(point.middle and point.middle[0])),
        ("predicted ns", lambda point: _number(point.middle and point.middle[1])),
        ("rate off by", lambda point: "" if point.error is None else f"{point.error:+.1%}"),
        ("windows", lambda point: f"{len(point.measured.counted)}/{len(point.measured.windows)}"),
        ("", lambda point: point.verdict),
    )
    table = table_of("ring on this host against its prediction", columns, report.comparisons, keys=2)
    reasons = [
        Text(f"refused: {point.access}, {point.measured.settings.packet_bytes} B: {key}: {why}")
        for point in report.comparisons
        for key, why in point.unstable.items()
    ]
    return Group(table, *reasons)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _distances(point: RingComparison) -> str:
    """The least and the most that a line travelled in the windows that count."""
    seen = [window.place.line_transfer for window in point.measured.counted]
    return f"{min(seen):.0f} to {max(seen):.0f}" if seen else ""
