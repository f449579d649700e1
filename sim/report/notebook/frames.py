"""Results as the tables of a notebook: few columns, units in their names, intervals spelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sim.config.tables.quantity import Quantity
from sim.report.tables.explained import executes
from sim.study.questions.explain import Explanation
from sim.study.review.alternatives import Answer
from sim.study.sensitivity.shapley import MECHANISMS, Decomposition
from sim.study.uncertainty.intervals import Interval, Uncertainty

if TYPE_CHECKING:
    import pandas as pd

#: Rows executed less often than once in so many packets, or whose cycles differ by less, are not listed.
_RARE_PER_PACKET, _SAME_CYCLES = 1e-3, 0.05


def interval(one: Interval, places: int = 1, factor: float = 1.0) -> str:
    """Spell a number with its 90 % interval: `21.1 [18.0, 24.2]`."""
    value, low, high = (f"{unsigned(number * factor, places):.{places}f}" for number in (one.value, one.low, one.high))
    return f"{value} [{low}, {high}]"


def unsigned(number: float, places: int) -> float:
    """Round a number; what rounds to zero loses its sign."""
    return round(number, places) + 0.0


def access_frame(explanation: Explanation) -> pd.DataFrame:
    """List the accesses to guest memory of one variant: how often, how long, what one executes."""
    import pandas as pd

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
    import pandas as pd

    row = next(one for one in explanation.plan.rows if one.actor == "worker" and one.label == label)
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
    import pandas as pd

    theirs = {row.label: second.time_cycles(row) for row in second.plan.rows if row.actor == "worker"}
    pairs = [
        (row.title, first.time_cycles(row), theirs.get(row.label, 0.0))
        for row in first.plan.rows
        if row.actor == "worker"
    ]
    listed = [pair for pair in pairs if abs(pair[1] - pair[2]) > _SAME_CYCLES]
    listed.append(("sum", sum(pair[1] for pair in listed), sum(pair[2] for pair in listed)))
    names = (f"{one.plan.access} (cycles)" for one in (first, second))
    frame = pd.DataFrame(listed, columns=["access", *names])
    frame["saved (cycles)"] = frame.iloc[:, 1] - frame.iloc[:, 2]
    return _tidy(frame)


def share_frame(found: Decomposition) -> pd.DataFrame:
    """List what each mechanism adds to a gain; shares and rest add up to the sum."""
    import pandas as pd

    lines: list[tuple[str, str, float, float, float | None]] = [
        (one.mechanism, MECHANISMS[one.mechanism], one.saved_ns, one.gain_points, one.gain_without_percent)
        for one in found.shares
    ]
    lines.append(("rest", "what differs with all of them off", found.rest_ns, found.rest_points, None))
    lines.append(("sum", "", found.saved_ns, found.gain_percent, None))
    names = ["mechanism", "switched off", "share (ns)", "share (points of the gain)", "gain without it (%)"]
    return _tidy(pd.DataFrame(lines, columns=names))


def _tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Round to one place."""
    return frame.map(lambda value: unsigned(value, 1) if isinstance(value, float) else value)


def fit_frame(found: Mapping[str, Uncertainty]) -> pd.DataFrame:
    """Lay the same question under several calibrations side by side: rates, gain and saving of its first pair."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "fitted on": name,
                f"{one.gains[0].before} (Mpps)": interval(one.rates[0].pps, 2, 1e-6),
                f"{one.gains[0].after} (Mpps)": interval(one.rates[1].pps, 2, 1e-6),
                "gain (%)": interval(one.gains[0].gain_percent),
                "saved (ns / packet)": interval(one.gains[0].saved_ns),
            }
            for name, one in found.items()
        ]
    )


def gain_frame(found: Iterable[Answer], first: str) -> pd.DataFrame:
    """List answers: rates before and after, gain and saving with their intervals; `first` names the first column."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                first: one.name,
                "before (Mpps)": f"{one.before_pps.value / 1e6:.2f}",
                "after (Mpps)": f"{one.after_pps.value / 1e6:.2f}",
                "gain (%)": interval(one.gain.gain_percent),
                "saved (ns / packet)": interval(one.gain.saved_ns),
            }
            for one in found
        ]
    )
