"""What a measurement of a configuration would give, beside what the parameters leave open.

ln y = ln y_hat(parameters) + model + rig + noise. The parameters are drawn from their ranges or their posterior. How
far the model itself is off was estimated by leaving each published source out in turn; the calibration holds it, by
class of path. How far a rig repeats itself and how far rigs lie apart is that of published repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import hypot
from pathlib import Path
from statistics import NormalDist

import numpy as np

from sim.config.loading.load import load_of
from sim.config.scenario.scenario import Scenario
from sim.config.tables.calibration import Calibration
from sim.config.tables.calibration import Path as PathClass
from sim.datapath import Plan
from sim.study.questions.limits import line_rate_pps
from sim.study.runs.case import Case, Floats, Side, gain_percent, saved_ns, worker_ns
from sim.study.runs.structures import read_by
from sim.study.uncertainty.distributions import calibration_of, latin_shares
from sim.study.uncertainty.intervals import Gain, Rate, interval_of, measured_interval

#: Standard deviations of logarithms (published-measurements.md: the seed's base read seven times, its ratios eleven
#: times, another rig's base eleven days apart): ratios and rates of one rig, rates of a rig that nobody has seen.
REPEATS_OF_A_RATIO, REPEATS_OF_A_RATE, RATES_ACROSS_RIGS = 0.02, 0.033, 0.15
#: The calibration whose discrepancies stand in for those of a scenario that has none of its own.
REFERENCE = "seed-two-rates"
#: Fewer figures say nothing of a spread.
_FEWEST = 3
#: Errors that a measurement may have, in even shares: each draw has all of them, so that an interval does not depend on
#: which error met which draw. Those of rates stand so many apart from those of ratios.
_ERRORS, _STRIDE = 200, 39
_NORMAL = NormalDist()
#: A guess in here makes a path one by analogy: the counts of what the kernel executes.
_COUNTS = "kernel.steps."


def path_class(cases: Sequence[Case], plans: Sequence[Plan] | None = None) -> PathClass:
    """Return the class of the path that some cases run; `plans` are theirs, where known.

    It is by analogy as soon as nobody has executed the accessors of a variant, or a count of a step is a guess.
    """
    plans = plans or [read_by(case) for case in cases]
    pairs = zip(cases, plans, strict=True)
    return path_of("by analogy" if _by_analogy(case, plan) else "executed" for case, plan in pairs)


def path_of(classes: Iterable[PathClass]) -> PathClass:
    """Return the class of several paths that are compared: by analogy as soon as one is."""
    return "by analogy" if "by analogy" in classes else "executed"


def _by_analogy(case: Case, plan: Plan) -> bool:
    variant = case.scenario.access[0]
    if variant.changes and not variant.executed:
        return True
    read = plan.inputs.keys() - plan.ledger.only_for_setup()
    return any(key.startswith(_COUNTS) and plan.inputs[key].grade == "guess" for key in read)


@cache
def ratio_errors() -> Floats:
    """Return the scores of every error of a ratio, in even shares."""
    return _normal_scores((np.arange(_ERRORS) + 0.5) / _ERRORS)


@cache
def rate_errors() -> Floats:
    """Return the scores of every error of a rate, in an order that does not correlate with that of ratios."""
    return np.asarray(ratio_errors()[np.arange(_ERRORS) * _STRIDE % _ERRORS])


def _normal_scores(shares: Floats) -> Floats:
    return np.array([_NORMAL.inv_cdf(share) for share in shares.tolist()])


@dataclass(frozen=True)
class Spread:
    """Standard deviations of ln(measured / predicted) around the parameters' own: of a rate, of a ratio of two."""

    rate: float
    ratio: float
    path: PathClass


def scores(seed: int, kind: str, draws: int) -> Floats:
    """Return the standard normal scores of measured rates (`rate`), or of ratios (`ratio`): one for each draw."""
    return _normal_scores(latin_shares(seed, f"measured::{kind}", draws))


def rig_sigma(quantity: str, scenario: Scenario, calibration: Calibration | None) -> float:
    """Return the standard deviation between rigs and repeats: of a ratio, of a rate of the rig that was fitted to, of
    a rate of any other.
    """
    if quantity == "ratio":
        return REPEATS_OF_A_RATIO
    own = calibration is not None and scenario.cpu.name in calibration.fitted_on.get("cpus", [])
    return REPEATS_OF_A_RATE if own else RATES_ACROSS_RIGS


def model_sigma(quantity: str, path: PathClass, calibration: Calibration) -> float:
    """Return how far the model itself is off; a class with too few figures takes the largest of the others."""
    known = {
        (discrepancy.path, discrepancy.quantity): discrepancy.sigma
        for discrepancy in calibration.discrepancies
        if len(discrepancy.evidence) >= _FEWEST
    }
    for (of_path, of_quantity), sigma in known.items():
        if (of_path, of_quantity) == (path, quantity):
            return sigma
    return max(known.values(), default=0.0)


def spread_of(cases: Iterable[Case], configs: Path | None = None, path: PathClass | None = None) -> Spread:
    """Return how far a measurement of some cases, compared with each other, lies from what the parameters give.

    `path` is the class of the path that they run, where it is known.
    """
    asked = list(cases)
    calibration = calibration_of(asked[0].scenario, configs)
    known = calibration if calibration is not None and calibration.discrepancies else reference(configs)
    path = path or path_class(asked)
    rig = max(rig_sigma("pps", case.scenario, calibration) for case in asked)
    return Spread(
        rate=hypot(rig, model_sigma("pps", path, known)),
        ratio=hypot(REPEATS_OF_A_RATIO, model_sigma("ratio", path, known)),
        path=path,
    )


@lru_cache(maxsize=4)
def reference(configs: Path | None = None) -> Calibration:
    """Return the calibration that lends its discrepancies."""
    return load_of(Calibration, REFERENCE, configs)


@dataclass(frozen=True)
class MeasuredDraws:
    """Rates of the sides by draw; how far measurements lie from them: scores of rates and ratios, and what they scale.

    All sides share the scores of a draw: what is not the parameters' own is that of the model and of the rig.
    """

    sides: Sequence[Side]
    nominal: Floats
    table: Floats
    of_rates: Floats
    of_ratios: Floats
    spread: Callable[..., Spread]

    def rates(self, number: int) -> Floats:
        """Return the rates of a side as they would be measured."""
        rates = self.table[number] * np.exp(self.spread(number).rate * self.of_rates)
        return np.asarray(np.minimum(rates, self._full_pps(number)))

    def ratios(self, start: int, number: int) -> Floats:
        """Return the ratios of two sides as they would be measured on one rig."""
        around = np.exp(self.spread(start, number).ratio * self.of_ratios)
        ratios = self.table[number] / self.table[start] * around
        full_pps = self._full_pps(number)
        return np.asarray(ratios if full_pps == np.inf else np.minimum(ratios, full_pps / self.rates(start)))

    def every_rate(self, number: int) -> Floats:
        """Return the rates of a side with every error that model and rig may have, draw by draw."""
        rates = np.outer(self.table[number], np.exp(self.spread(number).rate * rate_errors())).ravel()
        return np.asarray(np.minimum(rates, self._full_pps(number)))

    def every_ratio(self, start: int, number: int) -> Floats:
        """Return the ratios of two sides with every error that model and rig may have, draw by draw."""
        drawn = self.table[number] / self.table[start]
        ratios = np.outer(drawn, np.exp(self.spread(start, number).ratio * ratio_errors())).ravel()
        full_pps = self._full_pps(number)
        return np.asarray(ratios if full_pps == np.inf else np.minimum(ratios, full_pps / self.every_rate(start)))

    def _full_pps(self, number: int) -> float:
        """Return the rate at which the link of a side is full, which no error of model or rig exceeds; inf: no link."""
        scenario = self.sides[number].case.scenario
        if not scenario.leaves_by_nic:
            return np.inf
        line = line_rate_pps(self.sides[number].packet_bytes, scenario.backend.line_gbps)
        return max(line, float(self.nominal[number]), float(self.table[number].max()))

    def rate(self, number: int) -> Rate:
        """Return the rate of a side with its intervals."""
        side, value = self.sides[number], float(self.nominal[number])
        parameters = interval_of(value, self.table[number])
        return Rate(side.label, side.packet_bytes, measured_interval(self.every_rate(number), parameters), parameters)

    def gain(self, start: int, number: int) -> Gain:
        """Compare one side with another, draw by draw."""
        before, after = self.sides[start], self.sides[number]
        before_pps, after_pps = float(self.nominal[start]), float(self.nominal[number])
        ratios, rates = self.ratios(start, number), self.rates(start)
        scenarios = before.case.scenario, after.case.scenario
        saves = saved_ns(rates, rates * ratios, *scenarios)
        gain, saved = gain_percent(before_pps, after_pps), saved_ns(before_pps, after_pps, *scenarios)
        every_ratio, every_rate = self.every_ratio(start, number), self.every_rate(start)
        gain_of_parameters = interval_of(gain, gain_percent(self.table[start], self.table[number]))
        saved_of_parameters = interval_of(saved, saved_ns(self.table[start], self.table[number], *scenarios))
        resolution_ns = scenarios[1].run.precision * worker_ns(after_pps, scenarios[1])
        return Gain(
            before=before.label,
            after=after.label,
            packet_bytes=after.packet_bytes,
            gain_percent=measured_interval(100 * (every_ratio - 1), gain_of_parameters),
            saved_ns=measured_interval(saved_ns(every_rate, every_rate * every_ratio, *scenarios), saved_of_parameters),
            gain_percent_of_parameters=gain_of_parameters,
            saved_ns_of_parameters=saved_of_parameters,
            same_sign=float(np.mean((np.sign(saves) == np.sign(saved)) & (np.abs(saves) > resolution_ns))),
            resolution_ns=resolution_ns,
            path=self.spread(start, number).path,
        )
