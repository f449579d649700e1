"""A column that is stated in one place stands in every form of a result, as docs/howto/column.md says."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

import sim
from sim.report.export.files import comparison_writers, result_writers
from sim.report.tables import results
from sim.report.tables.markdown import markdown
from sim.report.tables.rows import comparison_rows, csv_text, result_rows
from sim.report.tables.terminal import plain_lines
from sim.study.questions import columns as stated
from sim.study.questions import compare
from sim.study.questions.columns import Column
from sim.study.sweep import parts
from sim.study.sweep import run as sweeps
from sim.study.sweep.run import load_sweep

NAME, HEADING = "ns_per_kib", "ns/KiB"
SETTINGS = {
    "run.packets": 3000,
    "run.precision": 0,
    "traffic.packet_bytes": [64, 1518],
    "access": ["copy_user", "vmap"],
}
SCENARIO = sim.load_scenario("virtio-user-xdp1-tap", settings=SETTINGS)


def per_kib(point):
    return 1024 * point.ns_per_packet / point.packet_bytes


def per_kib_saved(difference):
    return per_kib(difference.before) - per_kib(difference.after)


@pytest.fixture(scope="module")
def compared():
    return sim.compare(SCENARIO)


@pytest.fixture
def added(monkeypatch):
    """State one more column of a point, and one more of a comparison."""
    of_point = Column(NAME, float, NAME, per_kib, HEADING, lambda point: f"{per_kib(point):.2f}")
    shipped = stated.columns
    for module in (stated, parts, sweeps):
        monkeypatch.setattr(module, "columns", lambda *families: [*shipped(*families), of_point])
    of_pair = Column(NAME, float, NAME, per_kib_saved, HEADING, lambda pair: f"{per_kib_saved(pair):.2f}")
    for module in (compare, results):
        monkeypatch.setattr(module, "DIFFERENCE_COLUMNS", (*compare.DIFFERENCE_COLUMNS, of_pair))


def printed(tables):
    return "\n".join(plain_lines(tables, 200))


def csv_columns(text):
    return next(csv.reader(io.StringIO(text)))


def file_columns(writers, name, tmp_path):
    writers[name](tmp_path / name)
    read = pd.read_csv if name.endswith(".csv") else pd.read_parquet
    return list(read(tmp_path / name).columns)


RUN_FORMS = {
    "table": lambda result, tmp_path: printed(results.result_tables(result)),
    "Markdown": lambda result, tmp_path: markdown(results.result_tables(result)),
    "CSV": lambda result, tmp_path: csv_columns(csv_text(result_rows(result))),
    "JSON": lambda result, tmp_path: result.to_dict()["results"][0],
    "data frame": lambda result, tmp_path: list(result.to_frame().columns),
    "CSV file": lambda result, tmp_path: file_columns(result_writers(result), "results.csv", tmp_path),
    "Parquet file": lambda result, tmp_path: file_columns(result_writers(result), "results.parquet", tmp_path),
}
COMPARE_FORMS = {
    "table": lambda pair, tmp_path: printed(results.comparison_tables(pair)),
    "Markdown": lambda pair, tmp_path: markdown(results.comparison_tables(pair)),
    "CSV": lambda pair, tmp_path: csv_columns(csv_text(comparison_rows(pair))),
    "JSON": lambda pair, tmp_path: pair.to_dict()["results"][0],
    "data frame": lambda pair, tmp_path: list(pair.to_frame().columns),
    "CSV file": lambda pair, tmp_path: file_columns(comparison_writers(pair, [SCENARIO]), "comparison.csv", tmp_path),
}


def shown_as(form):
    return HEADING if form in ("table", "Markdown") else NAME


@pytest.mark.parametrize("form", RUN_FORMS)
def test_a_column_of_a_run_is_in_every_form(form, result, added, tmp_path):
    assert shown_as(form) in RUN_FORMS[form](result, tmp_path)


@pytest.mark.parametrize("form", RUN_FORMS)
def test_no_form_has_a_column_that_is_not_stated(form, result, tmp_path):
    assert shown_as(form) not in RUN_FORMS[form](result, tmp_path)


@pytest.mark.parametrize("form", COMPARE_FORMS)
def test_a_column_of_a_comparison_is_in_every_form(form, compared, added, tmp_path):
    assert shown_as(form) in COMPARE_FORMS[form](compared, tmp_path)


def test_a_sweep_keeps_the_column(added):
    sweep = load_sweep("cost-ranges")
    assert NAME in parts.row_schema(sweep).names


def test_the_cells_are_those_of_each_record(result, compared, added):
    point = result.points[0]
    assert result.to_frame()[NAME][0] == 1024 * point.elapsed_ps / point.packets / 1e3 / point.packet_bytes
    assert f"{per_kib(point):.2f}" in printed(results.result_tables(result))
    first = compared.differences[0]
    assert compared.to_frame()[NAME][0] == pytest.approx(first.saved_ns * 1024 / first.packet_bytes)
