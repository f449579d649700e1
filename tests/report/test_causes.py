"""Causes of misses: read from the documentation, and none missing."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.engine import simulate
from sim.report.tables.validation import by_cause, causes, named_figures
from sim.study.evidence.figures import load_measurements
from sim.study.runs.functions import instructions_of, worker_rows


@pytest.fixture(scope="module")
def rows(nominal):
    return [row for row in nominal.rows if not row.figure.entry.is_count]


def test_a_text_names_figures_of_the_file_before_them():
    text = "batch-sweep/`batch 128`, and met closely: `batch 128 to 64`; in-order/`B1 ratio`"
    assert named_figures(text) == ("batch-sweep/batch 128", "batch-sweep/batch 128 to 64", "in-order/B1 ratio")
    assert named_figures("counts of `v6.12`, instructions") == ()


def test_every_figure_that_a_cause_names_is_published():
    published = {f"{file.name}/{entry.id}" for file in load_measurements() for entry in file.figures()}
    named = [name for cause in causes() for name in cause.figures]
    assert set(named) <= published
    assert len(named) == len(set(named)), "two causes for one figure"


def test_causes_are_whole_rows():
    for cause in causes():
        assert cause.about
        assert (
            len(cause.text) > 20
            or cause.text == "as above, the other side of it"
            or cause.about.startswith("everything")
        )
        assert cause.changed


def test_every_figure_stands_once_and_what_is_off_has_a_cause(rows):
    groups, unnamed = by_cause(rows)
    together = [row for _, found in groups for row in found] + unnamed
    assert sorted(row.figure.name for row in together) == sorted(
        row.figure.name for row in rows if row.error is not None
    )
    assert [row.figure.name for row in unnamed if row.status == "off"] == []
    for cause, found in groups:
        assert {row.figure.name for row in found} <= set(cause.figures)


def instructions_by_function(scenario):
    """What a worker executes per packet, by kernel function."""
    plan = build_plan(scenario, "copy_user", 64, apart=True, functions=True)
    point = simulate(plan, scenario.run)
    counts: Counter[str] = Counter()
    for row in worker_rows(plan):
        name = f"{row.actor}.{row.label}"
        rate = point.row_rates[name]
        of_units = point.row_times_ps[name] - point.row_waits_ps[name] - rate * row.cost_ps
        units = of_units / row.unit_ps if row.unit_ps else 0
        for function, once, per_unit in instructions_of(row):
            counts[function] += rate * once + units * per_unit
    return counts


@pytest.mark.parametrize("name", ["profile-tx", "profile-rx"])
def test_a_function_that_is_off_by_a_third_is_explained_by_what_it_executes(name, rows):
    """More than 5 % of the samples, more than a third off: the cause has the instructions of the counted tables."""
    large = [
        row
        for row in rows
        if row.figure.name.startswith(f"{name}/") and row.figure.entry.value > 0.05 and abs(row.error) > 1 / 3
    ]
    assert large
    (measurement,) = (file for file in load_measurements() if file.name == name)
    executed = instructions_by_function(load_scenario(measurement.scenario, settings=dict(measurement.set)))
    for row in large:
        (cause,) = (cause for cause in causes() if row.figure.name in cause.figures)
        assert re.search(rf"\b{round(sum(executed[each] for each in row.figure.entry.functions))}\b", cause.text)
