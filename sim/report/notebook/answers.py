"""Every answer of the library as a notebook shows it: a line, a table of few columns, and a small plot."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sim.config.answer import Answer, counted, rounded
from sim.config.errors import lacking
from sim.config.tables.calibration import Calibration
from sim.report.notebook.show import chart
from sim.report.notebook.show import table as shown_table
from sim.report.tables.evidence import interval
from sim.study.evidence.validate import Validation
from sim.study.questions.capacity import Capacities
from sim.study.questions.compare import Comparison
from sim.study.questions.cpus import CpuComparison
from sim.study.questions.explain import Explanation
from sim.study.questions.run import Result
from sim.study.review.review import Review
from sim.study.sensitivity.breakeven import BreakEven
from sim.study.sensitivity.shapley import Decomposition
from sim.study.sensitivity.tornado import Sensitivities
from sim.study.sweep.gains import GAIN, free_axes
from sim.study.sweep.run import Outcome
from sim.study.timeline.model import Timeline
from sim.study.uncertainty.intervals import Interval
from sim.study.uncertainty.uncertainty import Uncertainty

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Frame = pd.DataFrame
#: Rows of a table that are shown, and cells of a column that is left as wide as it is.
_ROWS, _CELL = 12, 72
#: Bars of a small plot.
_BARS = 10


def html_of(answer: Answer) -> str:
    """Return an answer as HTML; without its plot where there is none, or what draws it is not installed."""
    frame = _frame(answer)
    shown = frame.head(_ROWS)
    left = len(frame) - len(shown)
    parts = [f"<p>{html.escape(answer.headline())}</p>", table(shown)]
    if left:
        parts.append(f"<p>{left} more of {counted(len(frame), 'row')}: <code>to_frame()</code></p>")
    if (figure := _figure(answer)) is not None:
        parts.append(figure)
    return "\n".join(parts)


def table(frame: Frame) -> str:
    """Return a table without its index; long texts are cut."""
    cut = frame.map(lambda value: f"{value[: _CELL - 1]}…" if isinstance(value, str) and len(value) > _CELL else value)
    return shown_table(cut).forms["text/html"]


def _frame(answer: Answer) -> Frame:
    for kind, shaped in _FRAMES.items():
        if isinstance(answer, kind):
            return shaped(answer)
    return answer.to_frame()


def _figure(answer: Answer) -> str | None:
    """Return the plot of an answer as SVG in a box, with what it says for who does not see it."""
    draw = next((draw for kind, draw in _FIGURES.items() if isinstance(answer, kind)), None)
    if draw is None or lacking("matplotlib"):
        return None
    figure = draw(answer)
    if figure is None:
        return None
    drawn = chart(figure, answer.headline()).forms["image/svg+xml"]
    return f'<div style="max-width: 560px; background: #fff">{drawn}</div>'


def _mpps(pps: float) -> float:
    return round(pps / 1e6, 3)


def _result(answer: Result) -> Frame:
    return Frame(
        {
            "access": point.access,
            "bytes": point.packet_bytes,
            "Mpps": _mpps(point.pps),
            "ns / packet": round(point.ns_per_packet, 1),
            "cycles / packet": round(point.cycles_per_packet, 1),
            "bound by": point.bound_by,
        }
        for point in answer.points
    )


def _comparison(answer: Comparison) -> Frame:
    return Frame(
        {
            "bytes": each.packet_bytes,
            f"{answer.before} (Mpps)": _mpps(each.before.pps),
            f"{answer.after} (Mpps)": _mpps(each.after.pps),
            "gain (%)": round(each.gain_percent, 1),
            "saved (ns / packet)": round(each.saved_ns, 1),
        }
        for each in answer.differences
    )


def _explanation(answer: Explanation) -> Frame:
    rows = [row for row in answer.plan.rows if row.actor == "worker" and answer.rate(row)]
    return Frame(
        {
            "step": row.title,
            "kernel function": row.function,
            "times / packet": round(answer.rate(row), 4),
            "cycles / packet": round(answer.time_cycles(row), 1),
        }
        for row in sorted(rows, key=lambda row: -answer.time_cycles(row))
    )


def _capacities(answer: Capacities) -> Frame:
    return Frame(
        {
            "access": each.access,
            "bytes": each.packet_bytes,
            "without loss (Mpps)": _mpps(each.pps),
            "always full (Mpps)": _mpps(each.saturated.pps),
            "share": round(each.share, 3),
        }
        for each in answer.results
    )


def _uncertainty(answer: Uncertainty) -> Frame:
    gains = {(gain.after, gain.packet_bytes): gain for gain in answer.gains}
    rows = []
    for rate in answer.rates:
        row = {"access": rate.access, "bytes": rate.packet_bytes, "Mpps": interval(rate.pps, 2, 1e-6)}
        gain = gains.get((rate.access, rate.packet_bytes))
        rows.append(row | ({"gain (%)": interval(gain.gain_percent), "sign": f"{gain.same_sign:.0%}"} if gain else {}))
    return Frame(rows)


def _sensitivities(answer: Sensitivities) -> Frame:
    return answer.to_frame().drop(columns="unit", errors="ignore").round(3)


def _breakeven(answer: BreakEven) -> Frame:
    return answer.to_frame().drop(columns=["key", "basis"]).round(4)


def _calibration(answer: Calibration) -> Frame:
    return Frame(
        {
            "entry": each.key,
            "value": f"{each.value:.4g} ± {rounded(each.error, 2)} {each.unit}",
            "prior": f"{each.prior.value:.4g} [{each.prior.low:.4g}, {each.prior.high:.4g}]",
            "pull": round(each.pull, 2),
        }
        for each in answer.parameters
    )


def _cpus(answer: CpuComparison) -> Frame:
    return Frame(
        {
            "entry": each.key,
            answer.first.name: each.first.value,
            answer.second.name: each.second.value,
            "ns / packet": round(each.worth_ns, 2),
        }
        for each in answer.differences
    )


def _validation(answer: Validation) -> Frame:
    return Frame(
        {
            "figure": row.figure.name,
            "measured": row.figure.entry.value,
            "predicted": row.predicted,
            "error": "" if row.error is None else f"{row.error:+.1%}",
            "status": row.status,
        }
        for row in answer.rows
    )


def _sweep_rows(answer: Outcome) -> Frame:
    whole = answer.to_frame()
    if "pps" in whole.columns:
        whole["Mpps"] = (whole["pps"] / 1e6).round(3)
    wanted = [*free_axes(answer.sweep), "access", "packet_bytes", "Mpps", GAIN, "error"]
    kept = whole[[name for name in wanted if name in whole.columns and whole[name].notna().any()]]
    return kept.round(3)


#: What a notebook lists of an answer; of the others everything.
_FRAMES: dict[type[Answer], Callable[[Any], Frame]] = {
    Result: _result,
    Comparison: _comparison,
    Explanation: _explanation,
    Capacities: _capacities,
    Uncertainty: _uncertainty,
    Review: lambda answer: _uncertainty(answer.sure),
    Sensitivities: _sensitivities,
    BreakEven: _breakeven,
    Calibration: _calibration,
    CpuComparison: _cpus,
    Decomposition: lambda answer: answer.to_frame().round(2),
    Validation: _validation,
    Outcome: _sweep_rows,
    Timeline: lambda answer: answer.to_frame().round(3),
}


def _points(answer: Result) -> Figure:
    from sim.report.plots.comparisons import stack_figure
    from sim.report.plots.results import pps_figure

    if len({point.packet_bytes for point in answer.points}) > 1:
        return pps_figure(answer.points, answer.scenario.name)
    return stack_figure(answer.points, f"{answer.scenario.name}, {answer.points[0].packet_bytes} B")


def _difference(answer: Comparison) -> Figure:
    from sim.report.plots.comparisons import waterfall_figure

    first = answer.differences[0]
    before, after = answer.sides()
    named = type(first)(before[0], after[0])
    return waterfall_figure(named, f"{answer.before} -> {answer.after}, {first.packet_bytes} B")


def _stack(answer: Explanation) -> Figure:
    from sim.report.plots.comparisons import stack_figure

    return stack_figure([answer.point], f"{answer.scenario.name}, {answer.plan.packet_bytes} B")


def _bars(rows: Sequence[tuple[str, Interval]], title: str, label: str) -> Figure | None:
    from sim.report.plots.comparisons import gains_figure

    return gains_figure(rows[:_BARS], title, label) if rows else None


def _capacity_bars(answer: Capacities) -> Figure | None:
    rows = [
        (f"{each.access}, {each.packet_bytes} B", Interval(each.pps / 1e6, each.pps / 1e6, each.loses_at_pps / 1e6))
        for each in answer.results
    ]
    return _bars(rows, f"{answer.scenario.name}: highest rate without loss", "Mpps")


def _uncertainty_bars(answer: Uncertainty) -> Figure | None:
    gains = [(f"{gain.after}, {gain.packet_bytes} B", gain.gain_percent) for gain in answer.gains]
    if gains:
        return _bars(gains, f"gain over {answer.gains[0].before}, of a measurement", "gain, %")
    rates = [
        (f"{rate.access}, {rate.packet_bytes} B", Interval(*(end / 1e6 for end in rate.pps.to_dict().values())))
        for rate in answer.rates
    ]
    return _bars(rates, "rate, of a measurement", "Mpps")


def _sensitivity_bars(answer: Sensitivities) -> Figure:
    from dataclasses import replace

    from sim.report.plots.evidence import sensitivity_figure

    return sensitivity_figure(replace(answer, indices=answer.indices[:_BARS]))


def _breakeven_curve(answer: BreakEven) -> Figure:
    from sim.report.plots.comparisons import curves_figure

    places = [(place, Interval(value, value, value)) for place, value in answer.looks]
    across = f"{answer.key}, {answer.unit}" if answer.unit else answer.key
    return curves_figure({"": places}, answer.sentence(), across, answer.target.quantity, powers=False)


def _cpu_bars(answer: CpuComparison) -> Figure | None:
    rows = [(each.key, Interval(each.worth_ns, each.worth_ns, each.worth_ns)) for each in answer.differences]
    return _bars(rows, f"{answer.first.name} -> {answer.second.name}", "ns per packet")


def _share_bars(answer: Decomposition) -> Figure | None:
    rows = [(each.mechanism, Interval(each.saved_ns, each.saved_ns, each.saved_ns)) for each in answer.shares]
    return _bars(rows, answer.headline(), "ns per packet")


def _pulls(answer: Calibration) -> Figure | None:
    rows = [(each.key, Interval(each.pull, each.pull, each.pull)) for each in answer.parameters]
    return _bars(rows, f"{answer.name}: distance from the prior", "standard normal score")


def _validated(answer: Validation) -> Figure:
    from sim.report.plots.evidence import validation_figure

    return validation_figure(answer.rows[:_BARS], answer.headline())


def _times(answer: Timeline) -> Figure | None:
    worker = answer.to_frame().query("actor == 'worker'")
    rows = [(name, Interval(us, us, us)) for name, us in zip(worker["name"], worker["us"], strict=True)]
    return _bars(rows, f"{answer.headline()}, worker", "us")


def _sweep(answer: Outcome) -> Figure | None:
    from sim.report.plots.sweeps import sweep_figures

    return next(iter(sweep_figures(answer.sweep, answer.to_frame()).values()), None)


#: What a notebook draws of an answer.
_FIGURES: dict[type[Answer], Callable[[Any], Figure | None]] = {
    Result: _points,
    Comparison: _difference,
    Explanation: _stack,
    Capacities: _capacity_bars,
    Uncertainty: _uncertainty_bars,
    Review: lambda answer: _uncertainty_bars(answer.sure),
    Sensitivities: _sensitivity_bars,
    BreakEven: _breakeven_curve,
    CpuComparison: _cpu_bars,
    Decomposition: _share_bars,
    Calibration: _pulls,
    Outcome: _sweep,
    Validation: _validated,
    Timeline: _times,
}
