"""Tables of how sure an answer is: intervals, calibrations, validation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sim.config.tables.calibration import Calibration
from sim.config.tables.measurement import Measurements
from sim.report.tables.text import table
from sim.study.evidence.validate import Summary, Validated, Validation
from sim.study.uncertainty.intervals import Interval, Uncertainty


def uncertainty_tables(found: Uncertainty) -> RenderableType:
    """Rates and differences with their 90 % intervals, the sign in words, and what makes them wide."""
    rates = table(
        f"90 % intervals, {found.draws} draw{'s' if found.draws != 1 else ''}", ("access", "bytes", "Mpps", ""), keys=2
    )
    for rate in found.rates:
        rates.add_row(rate.access, str(rate.packet_bytes), f"{rate.pps.value / 1e6:.3f}", _range(rate.pps, 1e-6, 2))
    parts: list[RenderableType] = [rates]
    if found.gains:
        gains = table("differences, draw by draw", ("", "bytes", "gain %", "", "saved ns", "", "sign"), keys=2)
        for one in found.gains:
            gains.add_row(
                f"{one.before} -> {one.after}", str(one.packet_bytes), f"{one.gain_percent.value:+.1f}",
                _range(one.gain_percent, 1, 1), f"{one.saved_ns.value:+.1f}", _range(one.saved_ns, 1, 1),
                one.sentence(found.draws),
            )  # fmt: skip
        parts.append(gains)
    if found.widest:
        what = f"gain {found.gains[0].before} -> {found.gains[0].after}" if found.gains else "rate"
        wide = table(f"what makes it wide: share of the variance of the first {what}", ("entry", "share"))
        for name, share in found.widest.items():
            wide.add_row(name, f"{share:.0%}")
        wide.add_section()
        wide.add_row("all entries, as far as a straight line explains it", f"{found.explained:.0%}")
        parts.append(wide)
    return Group(*parts, *(Text(note) for note in found.notes))


def _range(interval: Interval, factor: float, digits: int) -> str:
    return f"[{interval.low * factor:.{digits}f}, {interval.high * factor:.{digits}f}]"


def calibration_tables(calibration: Calibration) -> RenderableType:
    """Report of a fit: value +/- error (share), start and range, pull; correlations, residuals, what it means."""
    fitted = table(
        f"calibration {calibration.name}: {calibration.title}",
        ("parameter", "for", "value", "+/-", "", "90 %", "init", "prior range", "pull"), left=2,
    )  # fmt: skip
    for one in calibration.parameters:
        share = f"({one.error / one.value:.0%})" if one.value else ""
        fitted.add_row(
            one.key, ", ".join((*one.cpus[:1], *one.kernels[:1])) or "all", f"{one.value:.4g}", f"{one.error:.2g}",
            share,
            f"[{one.low:.4g}, {one.high:.4g}]", f"{one.prior.value:g}", f"[{one.prior.low:g}, {one.prior.high:g}]",
            f"{one.pull:+.2f}" + (" edge" if one.at_edge else ""),
        )  # fmt: skip
    parts: list[RenderableType] = [fitted]
    if calibration.correlations:
        pairs = table("correlations of the draws", ("", "", "r"), left=2)
        for pair in calibration.correlations[:12]:
            pairs.add_row(pair.first, pair.second, f"{pair.value:+.2f}")
        parts.append(pairs)
    met = table("measurements used", ("", "measured", "with the fit", "error", "sigma", "residual"))
    for left in calibration.residuals:
        met.add_row(
            left.measurement, f"{left.measured:,.4g}", f"{left.predicted:,.4g}",
            f"{left.predicted / left.measured - 1:+.1%}", f"{left.sigma:.1%}", f"{left.residual:+.2f}",
        )  # fmt: skip
    parts.append(met)
    for shift in calibration.shifts:
        parts.append(
            Text(f"session {shift.session}: {shift.value:+.1%} +/- {shift.error:.1%} (prior 0 +/- {shift.spread:.1%})")
        )
    for name, why in calibration.not_modelled.items():
        parts.append(Text(f"not used, {name}: not modelled: {why}"))
    parts.append(
        Text(
            f"chi-square {calibration.chi_square:.1f} for {len(calibration.residuals)} measurements, "
            f"{calibration.effective_draws:.0f} effective draws"
        )
    )
    return Group(*parts, *(Text(f"- {finding}") for finding in calibration.findings))


def validation_tables(validation: Validation, everything: bool = False) -> RenderableType:
    """Every figure beside its prediction, worst first; counts by kernel and quantity unless all are wanted."""
    made = table(
        f"published figures, calibration {validation.calibration or 'none'}: worst first",
        ("measurement", "measured", "predicted", "90 % interval", "error", "inside", "used", "status"),
    )
    rows = [row for row in validation.rows if row.status != "not modelled"]
    for row in (row for row in rows if everything or not row.figure.entry.is_count):
        made.add_row(
            row.figure.name, figure_text(row, row.figure.entry.value), figure_text(row, row.predicted or 0.0),
            interval_text(row), f"{row.error:+.1%}", {True: "yes", False: "no", None: ""}[row.inside],
            "yes" if row.used else "", row.status,
        )  # fmt: skip
    counts = table("executed counts", ("", "figures", "met", "off", "worst", "error"))
    for name, group in count_groups(validation).items():
        off = [row for row in group if row.status == "off"]
        worst, error = (group[0].figure.entry.id, f"{group[0].error:+.2%}") if off else ("", "")
        counts.add_row(name, str(len(group)), str(len(group) - len(off)), str(len(off)), worst, error)
    lines: list[RenderableType] = [made, *([counts] if counts.rows and not everything else [])]
    lines += [Text(f"not modelled: {line}") for line in not_modelled_lines(validation)]
    lines += [Text(f"{label}: {summary_text(one)}") for label, one in validation.summaries().items()]
    return Group(*lines)


def count_groups(validation: Validation) -> dict[str, list[Validated]]:
    """Put modelled counts together by file, kernel and quantity, worst first within each."""
    groups: dict[str, list[Validated]] = {}
    for row in validation.rows:
        if row.figure.entry.is_count and row.error is not None:
            kernel = row.figure.cases[0].scenario.kernel.name
            groups.setdefault(f"{row.figure.file.name} {kernel} {row.figure.entry.quantity}", []).append(row)
    return dict(sorted(groups.items()))


def figure_text(row: Validated, value: float) -> str:
    """Print a figure in its customary unit."""
    quantity = row.figure.entry.quantity
    if quantity == "pps":
        return f"{value / 1e6:.3f}M"
    return f"{value:.1%}" if quantity == "share" else f"{value:.4g}"


def interval_text(row: Validated) -> str:
    """Print the interval of a prediction; counts have none."""
    if row.low is None or row.high is None:
        return ""
    return f"[{figure_text(row, row.low)}, {figure_text(row, row.high)}]"


def not_modelled_lines(validation: Validation) -> list[str]:
    """Say what is not modelled and why, figures of one file and reason together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in validation.of("not modelled"):
        groups.setdefault((row.figure.file.name, row.problem or ""), []).append(row.figure.entry.id)
    return [
        f"{file}, {ids[0] if len(ids) == 1 else f'{len(ids)} figures ({ids[0]} ...)'}: {why}"
        for (file, why), ids in groups.items()
    ]


def summary_text(summary: Summary) -> str:
    """One line: how many are how near, median, bias, coverage."""
    near = ", ".join(f"{share:.0%} within {limit}" for limit, share in summary.within.items())
    held = "" if summary.coverage is None else f", 90 % intervals hold {summary.coverage:.0%}"
    return f"{summary.figures} figures: {near}; median error {summary.median_error:.1%}, bias {summary.bias:+.1%}{held}"


def left_out_table(rows: Sequence[tuple[str, Validation]]) -> RenderableType:
    """Each source predicted by a calibration that did not see it."""
    made = table("leave one source out", ("source", "figures", "median error", "bias", "within 10 %", "interval holds"))
    for name, validation in rows:
        for summary in list(validation.summaries().values())[:1]:
            made.add_row(
                name, str(summary.figures), f"{summary.median_error:.1%}", f"{summary.bias:+.1%}",
                f"{summary.within['10%']:.0%}", "" if summary.coverage is None else f"{summary.coverage:.0%}",
            )  # fmt: skip
    return made


def measurement_table(found: Measurements) -> RenderableType:
    """The figures of one source."""
    made = table(f"{found.name}: {found.title}", ("figure", "quantity", "value", "unit"), left=2)
    for entry in found.figures():
        made.add_row(entry.id, entry.quantity, f"{entry.value:.5g}", entry.unit)
    keys = ", ".join(f"{key}={value}" for key, value in found.set.items()) or "nothing"
    return Group(made, Text(f"taken with: {keys}"))
