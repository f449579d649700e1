"""Texts from files that are markup elsewhere, from right to left or far too long: tables and CSV show them as text."""

from __future__ import annotations

import csv
import io
import re

import pytest
from rich.cells import cell_len

import sim
from sim.report.tables import results
from sim.report.tables.markdown import markdown, text_of
from sim.report.tables.rows import csv_text, result_rows
from sim.report.tables.terminal import plain_lines

from .conftest import HOSTILE


@pytest.fixture(scope="module")
def tables(hostile_review):
    review = hostile_review
    both = results.comparison_tables(sim.compare(review.result.scenario))
    shown = results.together(both, review.limits, review.sure, review.outside)
    return [results.result_tables(review.result), shown]


@pytest.mark.parametrize("width", [pytest.param(20, marks=pytest.mark.deep), 80, 132])
def test_a_terminal_shows_every_sign_within_its_width(width, tables):
    for content in tables:
        lines = list(plain_lines(content, width))
        assert max(map(cell_len, lines)) <= width
        shown = "".join("".join(lines).split())
        if width >= 80:  # below, a name stands beside numbers, a piece on each line
            assert "</script><script>alarm=1</script>" in shown
        assert shown.count("x") >= HOSTILE.count("x")


def test_markdown_shows_them_as_text(tables):
    for content in tables:
        shown = re.sub(r"```text\n.*?\n```", "", markdown(content), flags=re.DOTALL)
        assert text_of(HOSTILE) in shown
        assert not re.search(r"(?<!\\)<", shown)
        rows = [line for line in shown.split("\n") if line.startswith("|")]
        assert rows
        assert all(line.endswith("|") for line in rows)


def test_csv_holds_them_unchanged(hostile_review):
    names, first, *_ = csv.reader(io.StringIO(csv_text(result_rows(hostile_review.result)), newline=""))
    assert dict(zip(names, first, strict=True))["access"] == HOSTILE
