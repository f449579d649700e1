"""A tornado of any scenario: every table entry that an answer depends on, swung alone over its range."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from sim.config.errors import ConfigError
from sim.study.runs.pool import Job, Progress, run_jobs
from sim.study.sensitivity.study import ENDS, Index, Sensitivities, measure_next
from sim.study.uncertainty.distributions import Ranged, at_shares, used_entries
from sim.study.uncertainty.intervals import Side, measured_together


def swings(sides: Sequence[Side], executor: Executor | None = None, progress: Progress | None = None) -> Sensitivities:
    """Swing each entry between the ends of its central 90 %, the others as they are; the widest swing stands first.

    The answer is the gain in percent of the second side over the first, or the packets/s of a single side. Entries that
    one source gives together move together. Raises ConfigError when the answer itself cannot be run.
    """
    cases = [side.case for side in sides]
    entries = {one.key: one for case in cases for one in used_entries(case.scenario, [case.plan])}
    together: dict[str, list[Ranged]] = {}
    for one in entries.values():
        together.setdefault(measured_together(one.quantity.moves_with or one.key), []).append(one)
    values: list[dict[str, float]] = [{}]
    for group in together.values():
        values += [{one.key: float(at_shares(one.quantity, np.array(end))) for one in group} for end in ENDS]
    outcomes = run_jobs(
        cases, [Job(number, row) for row in values for number in range(len(cases))], executor, progress
    )  # fmt: skip
    rates = outcomes.figures.reshape(len(values), len(cases))
    answers = rates[:, 0] if len(cases) == 1 else 100 * (rates[:, 1] / rates[:, 0] - 1)
    nominal = float(answers[0])
    if not np.isfinite(nominal):
        raise ConfigError(next(iter(outcomes.errors.values())))
    indices, failed = [], []
    for number, name in enumerate(together):
        low, high = (float(answers[1 + 2 * number + end]) for end in (0, 1))
        if not np.isfinite([low, high]).all():
            failed.append(name)
            continue
        indices.append(
            Index(name, {"low": low, "high": high, "swing": max(low, high, nominal) - min(low, high, nominal)}, {})
        )
    indices.sort(key=lambda one: (-one.values["swing"], one.key))
    said = [f"{', '.join(failed)}: cannot be run at an end of the range and is left out"] if failed else []
    output, unit = ("pps", "packets/s") if len(cases) == 1 else ("gain", "%")
    return Sensitivities(
        cases[0].scenario.name, "tornado", output, unit, nominal, len(values) * len(cases), tuple(indices),
        (*said, *measure_next("tornado", indices)),
    )  # fmt: skip
