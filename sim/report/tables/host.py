"""Tables for the terminal about measured hosts: a profile, the ring experiment, two CPU tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from sim.config.tables.quantity import Flag, Quantity
from sim.host.contrasts import contrasts
from sim.host.profile import Profile
from sim.host.recording import Recording
from sim.report.tables.text import table
from sim.study.questions.cpus import CpuComparison
from sim.study.questions.host_ring import RingReport

_LEAST_SHOWN_NS = 0.005


def profile_tables(recording: Recording, profile: Profile) -> RenderableType:
    """What was measured, with its interval; what was refused; where the rest comes from."""
    state = profile.cpu.measured
    assert state is not None
    machine, quiet = state.machine, sum(one.quiet for one in recording.rounds)
    kind = "virtual machine" if machine.virtualised else "bare metal"
    head = Text(
        f"{profile.cpu.name}: {machine.model}, microcode {machine.microcode}, Linux {machine.kernel}, {kind}\n"
        f"{len(recording.used)} of {len(recording.rounds)} rounds used ({quiet} quiet), CPUs {machine.cpus}, "
        f"{machine.started}"
    )
    made = table("measured", ("entry", "value", "low", "high", "unit", "outliers", ""), left=1)
    for key, summary in profile.summaries.items():
        entry = quantity(profile, key)
        numbers = (f"{value:.4g}" for value in (entry.value, entry.low, entry.high))
        made.add_row(key, *numbers, entry.unit, str(summary.outliers), "" if summary.stable else "UNSTABLE")
    seen = table("seen besides (ns)", ("", "ns", "beside", "ns"), left=1)
    for one in contrasts(recording):
        seen.add_row(one.title, f"{one.ns:.1f}", one.beside, f"{one.beside_ns:.1f}")
    parts: list[RenderableType] = [head, made, seen]
    parts += [Text(f"refused: {key}: {why}") for key, why in profile.refused.items()]
    parts += [Text(f"unstable: {key}: {why}") for key, why in profile.unstable.items()]
    if not profile.cpu.features.smap.value:
        parts.append(Text(f"no SMAP: {profile.cpu.primitives['stac'].source}"))
    parts.append(Text(f"the rest is of table {profile.nearest} ({profile.why_nearest})"))
    return Group(*parts)


def quantity(profile: Profile, key: str) -> Quantity:
    """Return the entry of a profile by its key."""
    name = key.removeprefix("primitives.")
    found = profile.cpu.primitives[name] if name != key else getattr(profile.cpu, key)
    assert isinstance(found, Quantity)
    return found


def ring_table(report: RingReport) -> RenderableType:
    """Measured and predicted rate of the ring by size, fences on and off."""
    made = table(
        "ring on this host against its prediction",
        ("access", "bytes", "measured Mpps", "ns", "predicted Mpps", "ns", "difference", "runs", ""),
        keys=2,
    )
    for one in report.comparisons:
        summary, rate = one.measured.summary, one.measured.pps
        spread = "" if summary is None else f"{summary.value:.1f} [{summary.low:.1f}, {summary.high:.1f}]"
        made.add_row(
            one.predicted.access, str(one.predicted.packet_bytes), "" if rate is None else f"{rate / 1e6:.2f}", spread,
            f"{one.predicted.pps / 1e6:.2f}", f"{one.predicted.ns_per_packet:.1f}",
            "" if one.error is None else f"{one.error:+.1%}",
            f"{len(one.measured.runs) - one.measured.moved}/{len(one.measured.runs)}", one.verdict,
        )  # fmt: skip
    return made


def cpu_table(comparison: CpuComparison) -> RenderableType:
    """Entries of two CPU tables side by side, those that matter most to the scenario first."""
    first, second = comparison.first.name, comparison.second.name
    title = (
        f"{first} -> {second} in {comparison.scenario.name} ({comparison.access}, {comparison.packet_bytes} B): "
        f"{comparison.first_ns:.1f} -> {comparison.second_ns:.1f} ns per packet"
    )
    made = table(title, ("entry", first, second, "unit", "ratio", "ns/packet"))
    for one in comparison.differences:
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        worth = f"{one.worth_ns:+.2f}" if abs(one.worth_ns) >= _LEAST_SHOWN_NS else "0"
        unit = getattr(one.first, "unit", "")
        key = one.key.removeprefix("primitives.")
        made.add_row(key, shown(one.first), shown(one.second), unit, ratio, worth)
    made.add_section()
    made.add_row("together beyond the sum", "", "", "", "", f"{comparison.together_ns:+.2f}")
    made.add_row("total", "", "", "", "", f"{comparison.second_ns - comparison.first_ns:+.2f}")
    return made


def shown(entry: Quantity | Flag) -> str:
    """Write an entry as value and range."""
    if isinstance(entry, Flag):
        return "yes" if entry.value else "no"
    return f"{entry.value:.4g} [{entry.low:.4g}, {entry.high:.4g}]"
