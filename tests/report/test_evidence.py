"""Tables and plots of evidence: every number that they print is one of the result."""

from __future__ import annotations

import pytest

import sim
from sim.report.plots.evidence import sensitivity_figure, validation_figure
from sim.report.plots.results import save
from sim.report.tables import evidence
from sim.report.tables.validation import validation_page, validation_tables
from sim.study.evidence.validate import validate
from sim.study.runs.case import sides_of
from sim.study.sensitivity.breakeven import Target, search
from sim.study.sensitivity.shapley import MECHANISMS, decompose
from sim.study.sensitivity.tornado import Index, Sensitivities
from sim.study.uncertainty.uncertainty import uncertainty

SEED = "virtio-user-xdp1-tap"


def load(*overrides):
    return sim.load_scenario(SEED, overrides=["access=copy_user,vmap", "traffic.packet_bytes=64", *overrides])


@pytest.fixture(scope="module")
def validation():
    return validate(draws=4, only=["batch-sweep", "counts-seed-kernels", "in-order", "profile-tx"])


BELOW_ZERO = "S1 is estimated below zero: 0 within its error"
INDICES = (
    Index("a", {"S1": 0.7, "ST": 0.8}, {"S1": 0.1, "ST": 0.1}),
    Index("b", {"S1": -0.01, "ST": 0.1}, {"S1": 0.02, "ST": 0.1}, BELOW_ZERO),
)
SOBOL = Sensitivities("study", "sobol", "gain", "%", 17.1, 100, INDICES, ("measure this next: a (89%)",))
SWINGS = (
    Index("a", {"low": 4e6, "high": 6e6, "swing": 2e6}, {}),
    Index("b", {"low": 5e6, "high": 4e6, "swing": 1e6}, {}),
)
TORNADO = Sensitivities("study", "tornado", "pps", "packets/s", 5e6, 5, SWINGS, ())


def test_uncertainty_shows_interval_and_sign(lines):
    found = uncertainty(sides_of(load()), 20, 1)
    shown = lines(evidence.uncertainty_tables(found))
    row = next(line for line in shown if line.strip().startswith("copy_user -> vmap"))
    gain = found.gains[0]
    assert f"[{gain.gain_percent.low:.1f}, {gain.gain_percent.high:.1f}]" in row
    assert "the sign is certain" in row


def test_validation_shows_each_rate_and_sums_up_counts(validation, lines):
    shown = lines(validation_tables(validation))
    row = next(line for line in shown if "batch-sweep/batch 128 " in line)
    assert "3.333M" in row
    assert "+18." in row
    counts = next(line for line in shown if line.strip().startswith("counts-seed-kernels v5.0 stac"))
    assert counts.split()[3:] == ["8", "8", "0"]
    missing = {row.figure.file.name for row in validation.of("not modelled", False)}
    assert missing
    assert all(any(f"not modelled: {name}" in line for line in shown) for name in missing)
    assert any(line.startswith("rates and ratios: ") for line in shown)


def test_every_count_is_listed_on_demand(validation, lines):
    shown = lines(validation_tables(validation, everything=True))
    assert any("counts-seed-kernels/v5.0 d1_b32_s64 stac" in line for line in shown)


def test_the_page_has_every_figure_once(validation):
    page = validation_page(validation)
    for row in validation.rows:
        if row.error is not None and not row.figure.entry.is_count:
            assert page.count(f"| {row.figure.name} |") == 1


def test_an_index_below_zero_is_not_printed_bare(lines):
    shown = lines(evidence.sensitivity_tables(SOBOL))
    row = next(line for line in shown if line.strip().startswith("b "))
    assert "~0" in row
    assert "-0.01" not in row
    assert "- b: S1 is estimated below zero: 0 within its error" in shown
    assert "- measure this next: a (89%)" in shown


def test_a_decomposition_prints_its_own_total(lines):
    found = decompose(load(), "copy_user", "vmap", 64)
    shown = [line.split() for line in lines(evidence.decomposition_table(found)) if line.strip()]
    numbers = {cells[0]: [cell for cell in cells if cell[0] in "+-"] for cells in shown}
    parts = [float(numbers[name][0]) for name in (*MECHANISMS, "rest") if name in numbers]
    assert sum(parts) == pytest.approx(float(numbers["total"][0]), abs=0.03)


def test_break_even_says_its_answer_first(lines):
    found = search(lambda x: 4 * x, "x", "cycles", Target.parse("saved_ns>=6"), 0, 3, 1e-3)
    assert lines(evidence.breakeven_tables(found))[0] == "saved_ns >= 6 holds from 1.5 cycles of x from 0 to 3 cycles"


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_plots_are_the_same_bytes_again(validation, suffix, tmp_path):
    for name, make in (
        ("sobol", lambda: sensitivity_figure(SOBOL)),
        ("tornado", lambda: sensitivity_figure(TORNADO)),
        ("validation", lambda: validation_figure(validation.rows, "title")),
    ):
        first, again = tmp_path / f"{name}{suffix}", tmp_path / f"{name}-again{suffix}"
        save(make(), first)
        save(make(), again)
        assert first.read_bytes() == again.read_bytes()
        assert first.stat().st_size > 5000


def test_an_empty_plot_is_drawn():
    assert sensitivity_figure(Sensitivities("s", "sobol", "gain", "%", 1.0, 1, (), ())).axes
    assert validation_figure([], "nothing").axes
