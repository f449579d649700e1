"""What stands above an answer, in every form: what was asked, what bounds it, and which variant is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.engine import Point
from sim.study.evidence.conditions import Conditions, applying, conditions, worth, worth_text
from sim.study.questions.bounds import Bound, bounds, sentences
from sim.study.questions.limits import Limit
from sim.study.review.ranking import Ranking
from sim.study.runs.case import value_of
from sim.study.sensitivity.tornado import Sensitivities
from sim.study.uncertainty.distributions import calibration_of

#: Names of the fields of the first scenario, and of a second one that it is compared with.
_ASKED = ("asked", "asked_of_second")


@dataclass(frozen=True)
class Preface:
    """What was asked, of one scenario or two; what bounds the answer, in sentences; the variants that compete.

    `worth` are the shares of the width of the answer by the grade of the inputs that make it, where there are draws.
    """

    asked: tuple[Conditions, ...]
    bounds: tuple[Bound, ...] = ()
    bounded: tuple[str, ...] = ()
    ranking: Ranking | None = None
    worth: dict[str, float] | None = None

    @property
    def sentences(self) -> list[str]:
        """What is to be read first: a guess that bounds the answer, the better variant, what else bounds it."""
        guessed = sum(bool(bound.guessed) for bound in self.bounds)
        better = [self.ranking.sentence()] if self.ranking else []
        worth = [worth_text(self.worth)] if self.worth else []
        return [*self.bounded[:guessed], *better, *worth, *self.bounded[guessed:]]

    def asked_fields(self) -> dict[str, Any]:
        """Return what was asked as fields of JSON."""
        return {name: asked.to_dict() for name, asked in zip(_ASKED, self.asked, strict=False)}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that it adds to the JSON form of an answer."""
        fields: dict[str, Any] = {
            **self.asked_fields(),
            "sentences": self.sentences,
            "bounds": [bound.to_dict() for bound in self.bounds],
        }
        fields |= {"ranking": self.ranking.to_dict()} if self.ranking else {}
        return fields | ({"width_by_grade": self.worth} if self.worth else {})


def preface(
    scenario: Scenario,
    points: Sequence[Point],
    limits: Sequence[Limit] = (),
    *,
    second: tuple[Scenario, Sequence[Point]] | None = None,
    configs: Path | None = None,
) -> Preface:
    """Say what was asked and what bounds its points; `second` is another scenario with its own points."""
    scenarios = [scenario, *([second[0]] if second else [])]
    parts = [*bounds(scenario, points), *(bounds(*second) if second else ())]
    parts.sort(key=lambda bound: not bound.guessed)
    every = [*points, *(second[1] if second else ())]
    said = sentences(scenario, every, limits, parts, second[0] if second else None)
    return Preface(tuple(conditions(each, configs) for each in scenarios), tuple(parts), tuple(said))


def with_worth(before: Preface, scenario: Scenario, tornado: Sensitivities, configs: Path | None = None) -> Preface:
    """Add what the evidence is worth to an answer: widths of its inputs alone, by their grades."""
    widths = {index.key: index.values["swing"] ** 2 for index in tornado.indices}
    return replace(before, worth=worth(widths, _grades(scenario, widths, configs)) or None)


def _grades(scenario: Scenario, keys: Iterable[str], configs: Path | None) -> dict[str, str]:
    """Return the grade of each entry by its key; `fitted` where the calibration's value stands in the scenario."""
    calibration = calibration_of(scenario, configs)
    fitted = applying(scenario, calibration) if calibration else []
    known = {key: value_of(scenario, key) for key in (key.split(" + ")[0] for key in keys)}
    return {
        key: "fitted" if key in fitted else entry.grade for key, entry in known.items() if isinstance(entry, Quantity)
    }
