"""Plots of sweeps: the gain over two keys, lines along each; and the gain of each row over the first variant."""

from __future__ import annotations

import pandas as pd
import pytest

from sim.report.export.files import sweep_writers, write_all
from sim.report.plots.sweeps import sweep_figures
from sim.study.sweep.gains import GAIN, gains, with_gains
from sim.study.sweep.run import run_sweep
from tests.sweep.studies import Inline, sweep

RING = {"virtqueue.size": {"values": [64, 256]}, "driver.burst": {"values": [1, 8, 32]}}
PAIR = {"access": {"values": ["copy_user", "vmap"]}}


def swept(axes, **fields):
    study = sweep(axes, **fields)
    return study, run_sweep(study, Inline())


def test_a_gain_is_over_the_first_variant_of_the_same_point():
    study = sweep(RING | PAIR)
    place = {"virtqueue.size": 64, "driver.burst": 1, "packet_bytes": 64}
    rows = [
        {**place, "access": "copy_user", "pps": 4e6},
        {**place, "access": "vmap", "pps": 5e6},
        {**place, "driver.burst": 8, "access": "vmap", "pps": 9e6},
        {**place, "access": "ideal", "error": "refused"},
    ]
    assert gains(study, rows) == [None, pytest.approx(100 * (5 / 4 - 1)), None, None]
    assert list(with_gains(study, rows)[3])[-1] == "error"


def test_rows_without_a_pair_have_no_column_of_gains():
    study, outcome = swept(RING | {"access": {"values": ["vmap"]}})
    assert with_gains(study, outcome.rows) == outcome.rows
    assert GAIN not in outcome.to_frame()


def test_a_grid_of_two_keys_is_a_heat_map_of_gains_and_a_line_along_each():
    study, outcome = swept(RING | PAIR)
    frame = outcome.to_frame()
    figures = sweep_figures(study, frame)
    assert list(figures) == ["heat", "lines"]
    (heat, *_) = figures["heat"].axes
    assert (heat.get_xlabel(), heat.get_ylabel(), heat.get_title()) == ("driver.burst", "virtqueue.size", "vmap")
    written = {float(text.get_text()) for text in heat.texts}
    assert written == {float(f"{gain:.3g}") for gain in frame[GAIN].dropna()}
    assert [axes.get_xlabel() for axes in figures["lines"].axes if axes.get_visible()] == [*RING]
    (line,) = figures["lines"].axes[0].lines
    middle = frame.groupby("virtqueue.size")[GAIN].median()
    assert line.get_ydata().tolist() == pytest.approx(middle.tolist())


def test_a_sample_is_drawn_as_rates_along_each_key_in_the_order_of_the_variants():
    axes = {"cpu.primitives.stac": {"low": 6.0, "high": 12.0}, "cpu.cpi": {"low": 0.3, "high": 0.5}}
    study, outcome = swept(axes | PAIR, design="sobol", points=32)
    figures = sweep_figures(study, outcome.to_frame())
    assert list(figures) == ["lines"]
    drawn = figures["lines"].axes[0]
    assert drawn.get_ylabel() == "Mpps"
    assert [line.get_label() for line in drawn.lines] == ["copy_user", "vmap"]


@pytest.mark.parametrize(
    "axes",
    [PAIR, {"virtqueue.size": {"values": [100]}, **PAIR}],
    ids=["only variants vary", "every point is refused"],
)
def test_nothing_is_drawn_where_there_is_nothing_to_draw(axes):
    study, outcome = swept(axes)
    assert sweep_figures(study, outcome.to_frame()) == {}


def test_names_and_switches_are_places_without_a_scale():
    study, outcome = swept({"mitigations.smap": {"values": [True, False]}, **PAIR})
    (drawn,) = sweep_figures(study, outcome.to_frame())["lines"].axes
    assert [label.get_text() for label in drawn.get_xticklabels()] == ["True", "False"]


def test_plots_stand_beside_the_parts_and_are_no_part_of_the_table(tmp_path):
    study = sweep(RING | PAIR)
    outcome = run_sweep(study, Inline(), folder=tmp_path)
    written = write_all(tmp_path, sweep_writers(outcome))
    assert {file.name for file in written} == {"_heat.svg", "_heat.png", "_lines.svg", "_lines.png"}
    assert len(pd.read_parquet(tmp_path)) == 12
