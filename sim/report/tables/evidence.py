"""Tables of how sure an answer is: intervals, calibrations, what an answer depends on, what a gain is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from sim.config.answer import counted, rounded
from sim.config.tables.calibration import Calibration, Correlation, Fitted, Residual
from sim.config.tables.measurement import Measurements
from sim.report.tables.terminal import Columns, TextTable, table_of
from sim.study.sensitivity.shapley import MECHANISMS, Decomposition
from sim.study.uncertainty.intervals import FEW_DRAWS, Gain, Interval, Rate
from sim.study.uncertainty.parts import DrawnParts
from sim.study.uncertainty.uncertainty import Uncertainty

if TYPE_CHECKING:
    from sim.study.sensitivity.breakeven import BreakEven, DrawnBreakEven, DrawnPlace
    from sim.study.sensitivity.tornado import Sensitivities

#: Correlations of a fit that are listed.
_PAIRS_SHOWN = 12
#: Parts of a time below this are not listed, in ns.
_LEAST_NS = 0.005
#: How half widths of intervals are printed.
_WIDTHS = {"sobol": ".3f", "morris": ".2g", "tornado": ".2g"}


def unsigned(number: float, places: int) -> float:
    """Round a number; what rounds to zero loses its sign."""
    return round(number, places) + 0.0


def interval(bounds: Interval, places: int = 1, factor: float = 1.0) -> str:
    """Spell a number with its 90 % interval: `21.1 [18.0, 24.2]`."""
    ends = (bounds.value, bounds.low, bounds.high)
    value, low, high = (f"{unsigned(number * factor, places):.{places}f}" for number in ends)
    return f"{value} [{low}, {high}]"


def draws_text(sure: Uncertainty) -> str:
    """Say on how many draws intervals rest, and how precise they are."""
    if sure.draws < FEW_DRAWS:
        return counted(sure.draws, "draw")
    return f"{sure.draws} draws, ends good to {sure.precision:.1%} of the width"


def uncertainty_tables(sure: Uncertainty, carried: str = "") -> RenderableType:
    """Rates and differences with their 90 % intervals, the sign in words, and what makes them wide.

    `carried` says what the rates are where they are no plain ones.
    """
    rate_columns: Columns[Rate] = (
        ("access", lambda rate: rate.access),
        ("bytes", lambda rate: str(rate.packet_bytes)),
        ("Mpps", lambda rate: f"{rate.pps.value / 1e6:.3f}"),
        ("measured", lambda rate: _range(rate.pps, 1e-6, 2)),
        ("parameters", lambda rate: _range(rate.pps_of_parameters, 1e-6, 2)),
    )
    gain_columns: Columns[Gain] = (
        ("", lambda gain: f"{gain.before} -> {gain.after}"),
        ("bytes", lambda gain: str(gain.packet_bytes)),
        ("gain %", lambda gain: f"{gain.gain_percent.value:+.1f}"),
        ("measured", lambda gain: _range(gain.gain_percent)),
        ("parameters", lambda gain: _range(gain.gain_percent_of_parameters)),
        ("saved ns/packet", lambda gain: f"{gain.saved_ns.value:+.1f}"),
        ("measured", lambda gain: _range(gain.saved_ns)),
        ("sign", lambda gain: gain.sentence(sure.draws)),
    )
    title = (
        f"{carried and f'{carried}: '}90 % intervals of a measurement, and of the parameters alone; {draws_text(sure)}"
    )
    parts: list[RenderableType] = [table_of(title, rate_columns, sure.rates, keys=2)]
    if sure.gains:
        parts.append(table_of("differences, draw by draw", gain_columns, sure.gains, keys=2))
    if sure.widest:
        answer = f"gain {sure.gains[0].before} -> {sure.gains[0].after}" if sure.gains else "rate"
        title = f"what makes it wide: share of the variance of the first {answer}"
        wide = TextTable(title, ("entry", "share"))
        for name, share in sure.widest.items():
            wide.add_row(name, f"{share:.0%}")
        wide.add_section()
        wide.add_row("all entries, as far as a straight line explains it", f"{sure.explained:.0%}")
        parts.append(wide)
    return Group(*parts, *(Text(note) for note in sure.notes))


def _range(bounds: Interval, factor: float = 1.0, digits: int = 1) -> str:
    return f"[{bounds.low * factor:.{digits}f}, {bounds.high * factor:.{digits}f}]"


_PARAMETER_COLUMNS: Columns[Fitted] = (
    ("parameter", lambda fitted: fitted.key),
    ("for", lambda fitted: ", ".join((*fitted.cpus[:1], *fitted.kernels[:1])) or "all"),
    ("value", lambda fitted: f"{fitted.value:.4g}"),
    ("+/-", lambda fitted: rounded(fitted.error, 2)),
    ("", lambda fitted: f"({fitted.error / fitted.value:.0%})" if fitted.value else ""),
    ("90 %", lambda fitted: f"[{fitted.low:.4g}, {fitted.high:.4g}]"),
    ("init", lambda fitted: f"{fitted.prior.value:g}"),
    ("prior range", lambda fitted: f"[{fitted.prior.low:g}, {fitted.prior.high:g}]"),
    ("pull", lambda fitted: f"{fitted.pull:+.2f}" + (" edge" if fitted.at_edge else "")),
)
_CORRELATION_COLUMNS: Columns[Correlation] = (
    ("", lambda pair: pair.first),
    ("", lambda pair: pair.second),
    ("r", lambda pair: f"{pair.value:+.2f}"),
)
_RESIDUAL_COLUMNS: Columns[Residual] = (
    ("", lambda residual: residual.measurement),
    ("measured", lambda residual: f"{residual.measured:,.4g}"),
    ("with the fit", lambda residual: f"{residual.predicted:,.4g}"),
    ("error", lambda residual: f"{residual.predicted / residual.measured - 1:+.1%}"),
    ("sigma", lambda residual: f"{residual.sigma:.1%}"),
    ("residual", lambda residual: f"{residual.residual:+.2f}"),
)


def calibration_tables(calibration: Calibration) -> RenderableType:
    """Report of a fit: value +/- error (share), start and range, pull; correlations, residuals, what it means."""
    title = f"calibration {calibration.name}: {calibration.title}"
    parts: list[RenderableType] = [table_of(title, _PARAMETER_COLUMNS, calibration.parameters, left=2)]
    if calibration.correlations:
        pairs = calibration.correlations[:_PAIRS_SHOWN]
        parts.append(table_of("correlations of the draws", _CORRELATION_COLUMNS, pairs, left=2))
    parts.append(table_of("measurements used", _RESIDUAL_COLUMNS, calibration.residuals))
    for shift in calibration.shifts:
        moved = f"{shift.value:+.1%} +/- {shift.error:.1%} (prior 0 +/- {shift.spread:.1%})"
        parts.append(Text(f"session {shift.session}: {moved}"))
    for name, why in calibration.not_modelled.items():
        parts.append(Text(f"not used, {name}: not modelled: {why}"))
    quality = (
        f"chi-square {calibration.chi_square:.1f} for {counted(len(calibration.residuals), 'measurement')}, "
        f"{calibration.effective_draws:.0f} effective draws"
    )
    return Group(*parts, Text(quality), *(Text(f"- {finding}") for finding in calibration.findings))


def measurement_table(measurements: Measurements) -> RenderableType:
    """The figures of one source."""
    table = TextTable(f"{measurements.name}: {measurements.title}", ("figure", "quantity", "value", "unit"), left=2)
    for figure in measurements.figures():
        table.add_row(figure.id, figure.quantity, f"{figure.value:.5g}", figure.unit)
    keys = ", ".join(f"{key}={value}" for key, value in measurements.set.items()) or "nothing"
    remarks = {
        "taken with": [f"{measurements.scenario}, {keys}"],
        "not stated": measurements.not_stated,
        "assumed": measurements.assumed,
        "left out": measurements.left_out,
    }
    return Group(table, *(Text(f"{label}: {text}") for label, texts in remarks.items() for text in texts))


def sensitivity_tables(result: Sensitivities) -> RenderableType:
    """Inputs, most important first; an index below zero is explained, not printed bare."""
    answer = f"{result.output}, {result.nominal:.5g} {result.unit}"
    title = f"{result.study}: {result.method} on {answer}, {counted(result.runs, 'run')}"
    names = list(result.indices[0].values) if result.indices else []
    table = TextTable(title, ("input", *(column for name in names for column in _index_columns(result, name))))
    for index in result.indices:
        cells = []
        for name in names:
            cells.append(_index_text(result.method, index.values[name]))
            if name in index.half_widths:
                cells.append(f"+/- {index.half_widths[name]:{_WIDTHS[result.method]}}")
        table.add_row(index.key, *cells)
    remarks = [f"{index.key}: {index.remark}" for index in result.indices if index.remark]
    lines = (Text(f"- {line}") for line in (*remarks, *result.findings))
    return Group(table if result.indices else Text(title), *lines)


def _index_columns(result: Sensitivities, name: str) -> tuple[str, ...]:
    return (name, "") if name in result.indices[0].half_widths else (name,)


def _index_text(method: str, value: float) -> str:
    if method != "sobol":
        return f"{value:.4g}"
    return "~0" if value < 0 else f"{value:.3f}"


def breakeven_tables(result: BreakEven) -> RenderableType:
    """The answer in a sentence, and the values that were looked at; with draws those of them that were drawn, too."""
    unit = f" ({result.unit})" if result.unit else ""
    table = TextTable("", (f"{result.key}{unit}", result.target.quantity, "met"), left=0)
    for place, value in result.looks:
        table.add_row(f"{place:.5g}", f"{value:.5g}", "yes" if result.target.met(value) else "no")
    basis = [Text(f"({result.basis})")] if result.basis else []
    drawn = result.drawn
    shown = [] if drawn is None else [Text(drawn.sentence(result.unit)), _drawn_places(result, drawn)]
    return Group(Text(result.sentence()), table, *basis, *_left_out(result), *shown)


def _drawn_places(result: BreakEven, drawn: DrawnBreakEven) -> RenderableType:
    """What the target looks at with some values of the key, with both intervals, and how often it is met."""
    factor = 1e-6 if result.target.quantity == "pps" else 1.0
    name = {"pps": "Mpps", "gain": "gain %"}.get(result.target.quantity, result.target.quantity)
    columns: Columns[DrawnPlace] = (
        (result.key, lambda place: "as it is" if place.value is None else f"{place.value:.5g}"),
        (name, lambda place: f"{unsigned(place.measured.value * factor, 2):.2f}"),
        ("measured", lambda place: _range(place.measured, factor, 2)),
        ("parameters", lambda place: _range(place.of_parameters, factor, 2)),
        ("met in", lambda place: f"{place.met:.0%}"),
    )
    title = f"90 % intervals of a measurement, and of the parameters alone; {counted(drawn.draws, 'draw')}"
    return table_of(title, columns, (drawn.as_it_is, *drawn.places))


def _left_out(result: BreakEven) -> list[Text]:
    if not result.left_out:
        return []
    return [Text(f"{counted(len(result.left_out), 'refused value')} left out, the first: {result.left_out[0]}")]


def part_table(parts: DrawnParts) -> RenderableType:
    """The time of a packet by primitive, with intervals of the parameters."""
    title = f"worker ns per packet at {parts.packet_bytes} B, and the 90 % intervals of the parameters"
    table = TextTable(title, ("primitive", "ns", "parameters"), left=1)
    for name, part in parts.parts.items():
        if max(abs(part.value), abs(part.low), abs(part.high)) >= _LEAST_NS:
            table.add_row(name, f"{unsigned(part.value, 2):.2f}", _range(part, 1.0, 2))
    table.add_section()
    table.add_row("total", f"{parts.total.value:.2f}", _range(parts.total, 1.0, 2))
    return table


def decomposition_table(shares: Decomposition) -> RenderableType:
    """What each mechanism adds to a gain; shares add up to the whole."""
    title = f"{shares.before} -> {shares.after} at {shares.packet_bytes} B, shared out to mechanisms (Shapley)"
    table = TextTable(title, ("mechanism", "", "saved ns/packet", "gain points", "gain without it"), left=2)
    for share in shares.shares:
        numbers = (f"{share.saved_ns:+.2f}", f"{share.gain_points:+.2f}", f"{share.gain_without_percent:+.1f} %")
        table.add_row(share.mechanism, MECHANISMS[share.mechanism], *numbers)
    rest = (f"{shares.rest_ns:+.2f}", f"{shares.rest_points:+.2f}")
    table.add_row("rest", "what differs with all of them off", *rest, "")
    table.add_section()
    table.add_row("total", "", f"{shares.saved_ns:+.2f}", f"{shares.gain_percent:+.2f}", "")
    return table
