"""What a calibration has to say in words: what the data fixes, what stays open, what is strained, what contradicts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations as pairs
from math import hypot, log

from sim.config.tables.calibration import Combination, Fitted
from sim.config.tables.study import CalibrationStudy
from sim.study.evidence.figures import Figure
from sim.study.evidence.posterior import CONTRADICTION, Fit

_FAR = 3.0


def calibration_findings(
    study: CalibrationStudy,
    used: Sequence[Figure],
    fit: Fit,
    parameters: Sequence[Fitted],
    known: Sequence[Combination],
) -> list[str]:
    """Return the sentences, the general ones first."""
    return [
        _identified(used, parameters, known),
        *_fixed(parameters),
        *_edges(parameters),
        *_contradictions(study, used, fit),
        *_thin(study, fit),
    ]


def _identified(used: Sequence[Figure], parameters: Sequence[Fitted], known: Sequence[Combination]) -> str:
    free = sum(parameter.prior.drawn_from != "fixed" for parameter in parameters)
    plural = "s" if len(known) != 1 else ""
    said = f"{len(used)} measurements identify {len(known)} combination{plural} of {free} values"
    if not known:
        return f"{said}: they say less than the priors"
    parts = "; ".join(
        " ".join(f"{value:+.2f} {name}" for name, value in list(combination.weights.items())[:4])
        for combination in known
    )
    return f"{said} (in scores of the priors: {parts}); along every other direction the priors stand"


def _fixed(parameters: Sequence[Fitted]) -> list[str]:
    names = [parameter.key for parameter in parameters if parameter.prior.drawn_from == "fixed"]
    return [f"low = high in the table, so nothing is fitted: {', '.join(names)}"] if names else []


def _edges(parameters: Sequence[Fitted]) -> list[str]:
    return [
        f"{fitted.key} is at the edge of its range: {fitted.value:g} in "
        f"[{fitted.prior.low:g}, {fitted.prior.high:g}] {fitted.unit}, "
        f"pulled {fitted.pull:+.1f} from the table's {fitted.prior.value:g}"
        for fitted in parameters
        if fitted.at_edge
    ]


def _contradictions(study: CalibrationStudy, used: Sequence[Figure], fit: Fit) -> list[str]:
    """Say when the data cannot all hold, and name the pairs that measured the same thing differently."""
    said = []
    for a, b in pairs(range(len(used)), 2):
        if used[a].cases == used[b].cases:
            first, second = used[a].entry.value, used[b].entry.value
            apart = abs(log(first / second)) / hypot(used[a].sigma, used[b].sigma)
            if apart > _FAR:
                names = f"{used[a].name} and {used[b].name}"
                shifted = study.reference is not None and used[a].file.name != used[b].file.name
                way_out = ", only shifts of their sessions" if shifted else ""
                said.append(
                    f"{names} measured the same configuration {first / second - 1:+.1%} apart "
                    f"({apart:.0f} times their errors): no parameter can meet both{way_out}"
                )
    if fit.consistency < CONTRADICTION:
        worst = max(range(len(used)), key=lambda number: abs(fit.residuals[number]))
        said.append(
            f"the measurements contradict each other or the model: chi-square {fit.chi_square:.1f} for {len(used)}; "
            f"furthest off is {used[worst].name} at {fit.residuals[worst]:+.1f} times its error"
        )
    return said


def _thin(study: CalibrationStudy, fit: Fit) -> list[str]:
    if fit.effective >= 0.1 * study.trials or fit.effective >= study.draws:
        return []
    return [
        f"the posterior sample rests on {fit.effective:.0f} effective of {study.trials} trials: "
        "intervals are rough, more trials make them finer"
    ]
