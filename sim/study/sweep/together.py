"""Points of a sweep that differ in costs alone: one structure, built once, and each point run at its prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress

from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.engine import Point
from sim.study.runs.case import Case, one_point, value_of, variants_and_sizes
from sim.study.runs.drawn import parts, said_of
from sim.study.sweep.design import Assignment


def points_together(scenarios: Mapping[int, Scenario], points: Mapping[int, Assignment]) -> dict[int, list[Point]]:
    """Return what `run` would say of each scenario, by place; a place is missing where it has to be run alone.

    Parameters
    ----------
    scenarios, points
        The scenario of each place, and what a sweep sets there.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for place, scenario in scenarios.items():
        others = {key: value for key, value in points[place].items() if not _is_cost(scenario, key)}
        groups[repr(others)].append(place)
    answers: dict[int, list[Point]] = {}
    for places in groups.values():
        answers |= _of_group(
            places, scenarios, [key for key in points[places[0]] if _is_cost(scenarios[places[0]], key)]
        )
    return answers


def _is_cost(scenario: Scenario, key: str) -> bool:
    return isinstance(value_of(scenario, key), Quantity)


def _of_group(places: Sequence[int], scenarios: Mapping[int, Scenario], costs: Sequence[str]) -> dict[int, list[Point]]:
    """Run scenarios that differ in some costs alone; one that fails anywhere is left out."""
    first = scenarios[places[0]]
    drawn = [{key: float(getattr(value_of(scenarios[place], key), "value", 0.0)) for key in costs} for place in places]
    answers: dict[int, list[Point]] = {place: [] for place in places}
    asked = variants_and_sizes(first)
    for access, size in asked:
        for numbers, runs in parts(Case(one_point(first, access, size)), drawn, reading_alike=True):
            if runs is None:
                continue
            for number, place in enumerate(numbers):
                with suppress(Exception):  # what went wrong is worded by the run alone
                    answers[places[place]].append(said_of(runs.point(number), runs, scenarios[places[place]]))
    return {place: known for place, known in answers.items() if len(known) == len(asked)}
