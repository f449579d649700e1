"""The answers as one table of full-precision values each, one row per case, and such a table as CSV.

Units stand in the names of columns. What is unknown or undefined is an empty cell, infinity is `inf`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sim.config.loading.provenance import made_by

if TYPE_CHECKING:
    import pandas as pd

    from sim.config.tables.calibration import Calibration
    from sim.config.tables.measurement import Measurements
    from sim.engine import Point
    from sim.host.profile import Profile
    from sim.study.catalogue import Checked, Listed
    from sim.study.evidence.validate import Validation
    from sim.study.questions.capacity import Capacities
    from sim.study.questions.compare import Comparison
    from sim.study.questions.cpus import CpuComparison
    from sim.study.questions.explain import Explanation
    from sim.study.questions.host_ring import RingReport
    from sim.study.questions.host_tap import TapReport
    from sim.study.questions.host_vhost import VhostReport
    from sim.study.questions.run import Result
    from sim.study.sensitivity.breakeven import BreakEven
    from sim.study.sensitivity.drawn_breakeven import DrawnBreakEven, DrawnPlace
    from sim.study.sensitivity.tornado import Sensitivities
    from sim.study.sweep.run import Outcome
    from sim.study.timeline.model import Timeline
    from sim.study.uncertainty.intervals import Interval, Rate, Uncertainty
    from sim.study.uncertainty.parts import DrawnParts

Row = dict[str, Any]


def with_origin(rows: Iterable[Row]) -> list[Row]:
    """Return rows with the version of the model and the digest of its tables in columns of their own, the last ones."""
    origin = flat(made_by(), "made_by.")
    return [{**row, **origin} for row in rows]


def csv_text(rows: Sequence[Row]) -> str:
    """Return rows as CSV: a header, every column that any row has, lines that end as those of the files."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    records: list[list[object]] = [[*columns], *([_cell(row.get(name)) for name in columns] for row in rows)]
    return "".join(_line(cells) for cells in records) if columns else ""


def _line(cells: Sequence[object]) -> str:
    """Return one record. A cell with any end of line in it is quoted, so the writer has to know both signs."""
    record = io.StringIO()
    csv.writer(record, lineterminator="\r\n").writerow(cells)
    return record.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: object) -> object:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def flat(values: Mapping[str, Any], prefix: str = "") -> Row:
    """Return nested values under names that are joined by dots; lists become texts with spaces between their parts."""
    row: Row = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{prefix}{name}.")
        else:
            row[f"{prefix}{name}"] = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return row


def _records(frame: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _notes(*points: Point) -> Row:
    """Return a last column for what is to be known of points, where there is any."""
    notes = dict.fromkeys(note for point in points for note in point.notes)
    return {"notes": "; ".join(notes)} if notes else {}


def _interval(name: str, interval: Interval) -> Row:
    return {f"{name}_90_low": interval.low, f"{name}_90_high": interval.high}


def _rate_ends(rate: Rate, name: str = "") -> Row:
    start = f"{name}_pps".lstrip("_")
    return {**_interval(start, rate.pps), **_interval(f"{start}_of_parameters", rate.pps_of_parameters)}


def result_rows(result: Result, sure: Uncertainty | None = None) -> list[Row]:
    """Return the rows of `results.csv`; with draws also the ends of the 90 % interval of each rate."""
    rates = sure.rates if sure else ()
    ends = {(rate.access, rate.packet_bytes): _rate_ends(rate) for rate in rates}
    rows = [row | _notes(point) for row, point in zip(_records(result.to_frame()), result.points, strict=True)]
    return [{**row, **ends.get((row["access"], row["packet_bytes"]), {})} for row in rows]


def comparison_rows(
    comparison: Comparison, sure: Uncertainty | None = None, made_up_of: DrawnParts | None = None
) -> list[Row]:
    """Return the rows of `comparison.csv`; with draws also the ends of the 90 % intervals of gain and saving.

    At the first size those of the parts that make up the difference stand behind them.
    """
    ends = {
        gain.packet_bytes: {
            **_interval("gain_percent", gain.gain_percent),
            **_interval("saved_ns", gain.saved_ns),
            **_interval("gain_percent_of_parameters", gain.gain_percent_of_parameters),
            **_interval("saved_ns_of_parameters", gain.saved_ns_of_parameters),
        }
        for gain in (sure.gains if sure else ())
    }
    sides = [(difference.before, difference.after) for difference in comparison.differences]
    rows = [row | _notes(*both) for row, both in zip(_records(comparison.to_frame()), sides, strict=True)]
    rows = [{**row, **ends.get(row["packet_bytes"], {})} for row in rows]
    return rows if made_up_of is None else [rows[0] | _part_ends(made_up_of), *rows[1:]]


def _part_ends(made_up_of: DrawnParts) -> Row:
    ends: Row = {}
    for name, part in made_up_of.parts.items():
        ends |= _interval(f"saved_{name}_ns_of_parameters", part)
    return ends


def capacity_rows(
    capacities: Capacities, sure: Uncertainty | None = None, with_loss: Uncertainty | None = None
) -> list[Row]:
    """Return the rows of `capacity.csv`; with draws also the ends of the intervals of what is searched."""
    points = [capacity.saturated for capacity in capacities.results]
    rows = [row | _notes(point) for row, point in zip(_records(capacities.to_frame()), points, strict=True)]
    for name, drawn in (("capacity", sure), ("capacity_with_loss", with_loss)):
        if drawn:
            rows = [row | _rate_ends(rate, name) for row, rate in zip(rows, drawn.rates, strict=True)]
    return rows


def explanation_rows(
    explanation: Explanation,
    by: str,
    actor: str,
    sources: bool,
    skid: bool = False,
    sure: Uncertainty | None = None,
) -> list[Row]:
    """Return the rows of one actor, or the worker's cycles by kernel function, or every input with its source.

    With draws each has the rate with the ends of its 90 % intervals beside it.
    """
    rows = _explanation_rows(explanation, by, actor, sources, skid)
    if sure is None:
        return rows
    return [{**row, "pps": sure.rates[0].pps.value, **_rate_ends(sure.rates[0])} for row in rows]


def _explanation_rows(explanation: Explanation, by: str, actor: str, sources: bool, skid: bool) -> list[Row]:
    data = explanation.to_dict()
    if sources:
        return [flat(entry) for entry in data["inputs"]]
    if by == "function":
        cycles = data["by_function_skid_cycles" if skid else "by_function_cycles"]
        return [
            {"function": name, "cycles_per_packet": value, "basis": data["basis"]} for name, value in cycles.items()
        ]
    return [{**flat(row), "basis": data["basis"]} for row in data["rows"] if row["actor"] == actor]


def sweep_rows(outcome: Outcome) -> list[Row]:
    """Return every point, or, when they were written to a folder, one row that says how many."""
    if outcome.folder is None:
        return outcome.rows
    return [{**outcome.to_dict(), "notes": "; ".join(outcome.notes)}]


def listing_rows(tables: Mapping[str, Sequence[Listed]]) -> list[Row]:
    """Return the names of several kinds of table."""
    return [{"kind": kind, **table.to_dict()} for kind, listed in tables.items() for table in listed]


def finding_rows(checked: Checked) -> list[Row]:
    """Return what a check found, guesses too."""
    return list(checked.to_dict()["findings"])


def calibration_rows(calibration: Calibration) -> list[Row]:
    """Return the fitted parameters."""
    return [flat(parameter) for parameter in calibration.to_dict()["parameters"]]


def validation_rows(validation: Validation) -> list[Row]:
    """Return every figure beside its prediction, the rows of `validation.csv`."""
    return [row.to_dict() for row in validation.rows]


def left_out_rows(folds: Iterable[tuple[str, Validation]]) -> list[Row]:
    """Return every figure beside its prediction by a calibration that did not see its source."""
    return [{"left_out": name, **row} for name, validation in folds for row in validation_rows(validation)]


def sensitivity_rows(result: Sensitivities) -> list[Row]:
    """Return the inputs, most important first; the unit is that of the answer."""
    rows = []
    for index in result.indices:
        half_widths = {f"{name}_half_width": width for name, width in index.half_widths.items()}
        rows.append({"input": index.key, **index.values, **half_widths, "unit": result.unit, "remark": index.remark})
    return rows


def breakeven_rows(result: BreakEven, drawn: DrawnBreakEven | None = None) -> list[Row]:
    """Return the values that were looked at, and whether the target was met there.

    Those of them that were drawn have the ends of both 90 % intervals, and the share of draws in which it is met.
    """
    places = {place.value: place for place in drawn.places} if drawn else {}
    key, unit, target = result.key, result.unit, result.target
    return [
        {
            "key": key,
            "value": place,
            "unit": unit,
            target.quantity: value,
            "met": target.met(value),
            "basis": result.basis,
            **(_place_ends(target.quantity, places[place]) if place in places else {}),
        }
        for place, value in result.looks
    ]


def _place_ends(quantity: str, place: DrawnPlace) -> Row:
    ends = _interval(quantity, place.measured) | _interval(f"{quantity}_of_parameters", place.of_parameters)
    return {**ends, "met_in_draws": place.met}


def measurement_rows(measurements: Measurements) -> list[Row]:
    """Return the figures of one source."""
    names = ("id", "quantity", "value", "low", "high", "unit")
    return [{name: getattr(figure, name) for name in names} for figure in measurements.figures()]


def profile_rows(profile: Profile) -> list[Row]:
    """Return the measured entries of a CPU profile."""
    from sim.report.tables.host import quantity

    rows = []
    for key, summary in profile.summaries.items():
        entry = quantity(profile, key)
        numbers = {name: getattr(entry, name) for name in ("value", "low", "high", "unit")}
        rows.append({"key": key, **numbers, "outliers": summary.outliers, "stable": summary.stable})
    return rows


def ring_rows(report: RingReport) -> list[Row]:
    """Return measured and predicted rates of the ring."""
    return [flat(point.to_dict()) for point in report.comparisons]


def tap_rows(report: TapReport) -> list[Row]:
    """Return measured and predicted times of writes to a TAP."""
    return [flat(point.to_dict()) for point in report.comparisons]


def vhost_rows(report: VhostReport) -> list[Row]:
    """Return measured and predicted rates of the host's vhost worker."""
    return [flat(point.to_dict()) for point in report.comparisons]


def cpu_rows(comparison: CpuComparison) -> list[Row]:
    """Return the entries in which two CPU tables differ, those that matter most first."""
    basis = comparison.scenario.queues.basis
    return [{**flat(difference.to_dict()), "basis": basis} for difference in comparison.differences]


def rate_rows(sure: Uncertainty, basis: str) -> list[Row]:
    """Return every rate with the ends of its 90 % interval, and what it is the rate of."""
    return [
        {
            "access": rate.access,
            "packet_bytes": rate.packet_bytes,
            "pps": rate.pps.value,
            **_rate_ends(rate),
            "basis": basis,
        }
        for rate in sure.rates
    ]


def timeline_rows(timeline: Timeline) -> list[Row]:
    """Return what each actor spent its time on."""
    return [
        {"actor": track.actor, "name": name, "us": time_ps / 1e6}
        for track in timeline.tracks
        for name, time_ps in track.totals_ps().items()
    ]
