"""The sensitivity of a scenario's answer to every entry that it has read: no study lists them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor

import numpy as np

from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.study.runs.asked import Point
from sim.study.runs.case import Floats, Side, gain_or_rate, sides_of
from sim.study.runs.pool import Job, run_jobs
from sim.study.sensitivity.screening import screen_by
from sim.study.sensitivity.tornado import Method, Sensitivities, measure_next, moving_together, swing_entries
from sim.study.uncertainty.distributions import at_shares
from sim.study.uncertainty.least_counts import least_counts, values_fitted_together
from sim.study.uncertainty.uncertainty import measured_together

#: Base samples of sobol and trajectories of morris, unless they are asked for.
USUAL_SAMPLES = {"sobol": 256, "morris": 20}
USUAL_SEED = 1


def sides_asked(scenario: Scenario) -> list[Side]:
    """Return what is looked at: the first two access variants, or the only one, at the first size."""
    names = [variant.name for variant in scenario.access[:2]]
    return [side for side in sides_of(scenario, names) if side.packet_bytes == scenario.traffic.sizes[0]]


def asked_of(scenario: Scenario) -> list[Point]:
    """Return the points that are looked at."""
    return [(side.case.scenario, side.label, side.packet_bytes) for side in sides_asked(scenario)]


def runs_of(scenario: Scenario, method: Method, samples: int | None = None) -> int:
    """Return about how many runs a method takes."""
    sides = sides_asked(scenario)
    inputs = len(_inputs(moving_together(side.case for side in sides)))
    blocks = 2 if method == "tornado" else samples or USUAL_SAMPLES[method]
    return len(sides) * blocks * (inputs + 2)


def _inputs(together: Iterable[str]) -> dict[str, list[str]]:
    """Return the inputs, each with the keys of the entries that it stands for."""
    names: dict[str, list[str]] = {}
    for key in together:
        names.setdefault(measured_together(key), []).append(key)
    return names


def sensitivity_of(
    scenario: Scenario,
    method: Method,
    samples: int | None = None,
    seed: int = USUAL_SEED,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> Sensitivities:
    """Say which entries move the gain of the second access variant over the first, or the rate of the only one.

    Entries that one source gives together move together. ConfigError when the answer itself cannot be run.
    """
    sides = sides_asked(scenario)
    if method == "tornado":
        return swing_entries(sides, executor, progress)
    screen = screen_by(method)
    cases = [side.case for side in sides]
    least, together = least_counts(cases), moving_together(cases)
    names = _inputs(together)
    errors: list[str] = []

    def answers(points: list[dict[str, float]]) -> Floats:
        jobs = [Job(number, point) for point in points for number in range(len(cases))]
        outcomes = run_jobs(cases, jobs, executor, progress)
        errors.extend(outcomes.errors.values())
        return gain_or_rate(outcomes.figures.reshape(len(points), len(cases)))

    def point(shares: Floats) -> dict[str, float]:
        share_of = {key: share for share, keys in zip(shares, names.values(), strict=True) for key in keys}
        values = {
            entry.key: float(at_shares(entry.quantity, np.array(share_of[key])))
            for key, group in together.items()
            for entry in group
        }
        return values_fitted_together(values, least)

    nominal = float(answers([{}])[0])
    if errors:
        raise ConfigError(errors[0])
    runs = len(cases)

    def answer_at(shares: Floats) -> Floats:
        nonlocal runs
        runs += len(shares) * len(cases)
        return answers([point(row) for row in shares])

    indices, remarks = screen(answer_at, list(names), samples or USUAL_SAMPLES[method], seed)
    failed = [f"{len(errors)} of {runs} runs failed and are left out: {errors[0]}"] if errors else []
    output, unit = ("pps", "packets/s of all queues") if len(cases) == 1 else ("gain", "%")
    findings = (*failed, *remarks, *measure_next(method, indices))
    return Sensitivities(scenario.name, method, output, unit, nominal, runs, tuple(indices), findings)
