"""Rows as CSV: every value is read back as it was, with the csv module and with pandas."""

from __future__ import annotations

import csv
import io
import math

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.config.answer import flat
from sim.report.export.files import frame_writers
from sim.report.tables.rows import csv_text, result_rows, with_origin

HOSTILE = ("<script>", 'a "quoted", cell', "two\nlines", "old\rmac", "dos\r\n", "=1+1", "\u202e\u05d0", "x" * 10_000)


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_a_row_lacks_what_another_has_and_numbers_keep_every_digit():
    rows = [{"name": "a", "pps": 0.1 + 0.2, "met": True}, {"name": "b", "worst": float("inf"), "pps": None}]
    assert csv_text(rows) == "name,pps,met,worst\na,0.30000000000000004,True,\nb,,,inf\n"


def test_undefined_numbers_are_empty_and_pandas_reads_them_as_missing():
    text = csv_text([{"x": float("nan"), "y": -math.inf, "z": 10**20}])
    assert text == "x,y,z\n,-inf,100000000000000000000\n"
    frame = pd.read_csv(io.StringIO(text))
    assert math.isnan(frame["x"][0])
    assert frame["y"][0] == -math.inf


def test_no_rows_are_no_text():
    assert csv_text([]) == ""


def test_nested_values_are_flattened_by_name():
    nested = {"a": 1, "b": {"c": 2.5, "d": {"e": "x"}}, "f": ["g", "h"], "empty": {}}
    assert flat(nested) == {"a": 1, "b.c": 2.5, "b.d.e": "x", "f": "g h"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_read_back_as_they_were(text):
    assert read(csv_text([{"name": text, "pps": 1.5}])) == [["name", "pps"], [text, "1.5"]]
    assert list(pd.read_csv(io.StringIO(csv_text([{"name": text, "n": 1}]), newline=""))["name"]) == [text]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=3, max_size=3)))
@example([["\r", "\n", '"'], [",", "", "'"]])
def test_any_text_is_read_back_by_the_csv_module(rows):
    names = ["a", "b", "c"]
    text = csv_text([dict(zip(names, row, strict=True)) for row in rows])
    assert read(text) == ([names, *rows] if rows else [])


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_any_number_is_read_back_to_its_last_bit(values):
    cells = [row[0] for row in read(csv_text([{"x": value} for value in values]))[1:]]
    assert [float(cell) for cell in cells] == values


def test_the_rows_of_a_result_are_the_bytes_of_its_file(result, tmp_path):
    frame_writers("results", result.to_frame())["results.csv"](tmp_path / "results.csv")
    assert csv_text(with_origin(result_rows(result))) == (tmp_path / "results.csv").read_text(encoding="utf-8")
