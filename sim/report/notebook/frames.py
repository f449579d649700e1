"""Results as the tables of a notebook: few columns, units in their names, intervals spelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from sim.config.tables.quantity import Quantity
from sim.report.tables.evidence import interval, unsigned
from sim.report.tables.explained import executes
from sim.study.questions.explain import Explanation
from sim.study.review.alternatives import AlternativeAnswer
from sim.study.sensitivity.shapley import MECHANISMS, Decomposition
from sim.study.uncertainty.intervals import Gain
from sim.study.uncertainty.uncertainty import Uncertainty

#: Rows executed less often than once in so many packets, or whose cycles differ by less, are not listed.
_RARE_PER_PACKET, _SAME_CYCLES = 1e-3, 0.05


def access_frame(explanation: Explanation) -> pd.DataFrame:
    """List the accesses to guest memory of one variant: how often, how long, what one executes."""
    return pd.DataFrame(
        [
            {
                "access": row.title,
                "what": row.family,
                "kernel function": row.function,
                "times / packet": round(explanation.rate(row), 4),
                "waits (cycles / packet)": round(explanation.wait_cycles(row), 1),
                "all (cycles / packet)": round(explanation.time_cycles(row), 1),
                "one execution runs through": executes(row),
            }
            for row in explanation.plan.rows
            if row.actor == "worker" and row.family != "work" and explanation.rate(row) > _RARE_PER_PACKET
        ]
    )


def price_frame(explanation: Explanation, label: str) -> pd.DataFrame:
    """Price one row, primitive by primitive, with what the tables say of each; the last line is the sum."""
    row = next(row for row in explanation.plan.rows if row.actor == "worker" and row.label == label)
    known, cycle_ps = explanation.scenario.cpu.primitives, explanation.plan.cycle_ps
    lines = []
    for part in row.components:
        entry = known.get(part.primitive)
        lines.append(
            {
                "primitive": part.primitive,
                "times": round(part.count, 4),
                "cycles": round(part.cost_ps / cycle_ps, 1),
                "table entry": _entry(entry) if entry else f"x CPI, {_entry(explanation.scenario.cpu.cpi)}",
                "grade": entry.grade if entry else explanation.scenario.cpu.cpi.grade,
            }
        )
    rest = {"table entry": "", "grade": ""}
    waits = round(explanation.wait_cycles(row), 1)
    lines.append({"primitive": "waiting for the cache line", "cycles": waits, **rest})
    lines.append({"primitive": "sum", "cycles": round(explanation.time_cycles(row), 1), **rest})
    return pd.DataFrame(lines, columns=list(lines[0]))


def _entry(entry: Quantity) -> str:
    if entry.low == entry.high:
        return f"{entry.value:.3g} {entry.unit}"
    return f"{entry.value:.3g} [{entry.low:.3g}, {entry.high:.3g}] {entry.unit}"


def change_frame(first: Explanation, second: Explanation) -> pd.DataFrame:
    """List the worker's rows whose cycles per packet differ between two variants; the last line is their sum."""
    theirs = {row.label: second.time_cycles(row) for row in second.plan.rows if row.actor == "worker"}
    mine = [row for row in first.plan.rows if row.actor == "worker"]
    pairs = [(row.title, first.time_cycles(row), theirs.get(row.label, 0.0)) for row in mine]
    listed = [pair for pair in pairs if abs(pair[1] - pair[2]) > _SAME_CYCLES]
    listed.append(("sum", sum(pair[1] for pair in listed), sum(pair[2] for pair in listed)))
    names = (f"{explanation.plan.access} (cycles)" for explanation in (first, second))
    frame = pd.DataFrame(listed, columns=["access", *names])
    frame["saved (cycles)"] = frame.iloc[:, 1] - frame.iloc[:, 2]
    return _tidy(frame)


def share_frame(result: Decomposition) -> pd.DataFrame:
    """List what each mechanism adds to a gain; shares and rest add up to the sum."""
    lines: list[tuple[str, str, float, float, float | None]] = [
        (share.mechanism, MECHANISMS[share.mechanism], share.saved_ns, share.gain_points, share.gain_without_percent)
        for share in result.shares
    ]
    lines.append(("rest", "what differs with all of them off", result.rest_ns, result.rest_points, None))
    lines.append(("sum", "", result.saved_ns, result.gain_percent, None))
    names = ["mechanism", "switched off", "share (ns)", "share (points of the gain)", "gain without it (%)"]
    return _tidy(pd.DataFrame(lines, columns=names))


def _tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Round to one place."""
    return frame.map(lambda value: unsigned(value, 1) if isinstance(value, float) else value)


def fit_frame(fits: Mapping[str, Uncertainty]) -> pd.DataFrame:
    """Lay the same question under several calibrations side by side: rates, gain and saving of its first pair."""
    lines = []
    for name, sure in fits.items():
        first = sure.gains[0]
        before, after = (interval(rate.pps, 2, 1e-6) for rate in sure.rates[:2])
        rates = {f"{first.before} (Mpps)": before, f"{first.after} (Mpps)": after}
        lines.append({"fitted on": name, **rates, **_gain_cells(first)})
    return pd.DataFrame(lines)


def gain_frame(answers: Iterable[AlternativeAnswer], first: str) -> pd.DataFrame:
    """List answers: rates before and after, gain and saving with their intervals; `first` names the first column."""
    lines = []
    for answer in answers:
        before, after = (f"{pps.value / 1e6:.2f}" for pps in (answer.before_pps, answer.after_pps))
        rates = {"before (Mpps)": before, "after (Mpps)": after}
        lines.append({first: answer.name, **rates, **_gain_cells(answer.gain)})
    return pd.DataFrame(lines)


def _gain_cells(gain: Gain) -> dict[str, str]:
    return {"gain (%)": interval(gain.gain_percent), "saved (ns / packet)": interval(gain.saved_ns)}
