"""Causes of misses: read from the documentation, and none missing."""

from __future__ import annotations

import pytest

from sim.report.tables.validation import by_cause, causes, named_figures
from sim.study.evidence.figures import load_measurements
from sim.study.evidence.validate import validate


@pytest.fixture(scope="module")
def rows():
    files = [file.name for file in load_measurements() if not file.counts]
    return [row for row in validate(draws=0, only=files).rows if not row.figure.entry.is_count]


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
