"""Validation: statuses that follow from the model, signed errors, and the page of the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim
from sim.config import ConfigError
from sim.config.loading.load import load_table
from sim.report.tables.validation import count_groups, not_modelled_lines
from sim.study.evidence.figures import load_measurements, select
from sim.study.evidence.validate import Validated, validate

PAGE = Path(__file__).parents[2] / "docs" / "validation.md"


def by_name(validation):
    return {row.figure.name: row for row in validation.rows}


def test_every_figure_has_a_row_and_a_status(nominal):
    names = {f"{file.name}/{entry.id}" for file in load_measurements() for entry in file.figures()}
    assert {row.figure.name for row in nominal.rows} == names
    for row in nominal.rows:
        assert (row.status == "not modelled") == (row.predicted is None) == bool(row.problem)


def test_a_prediction_is_the_run_of_its_configuration(nominal):
    row = by_name(nominal)["batch-sweep/batch 16"]
    settings = {
        "cpu": "broadwell-ep-e5-2650v4",
        "kernel": "v5.3",
        "mitigations.hardened_usercopy": True,
        "virtqueue.size": 1024,
        "driver.burst": 512,
        "traffic.packet_bytes": 64,
        "device.batch": 16,
        "access": ["copy_user"],
    }
    (point,) = sim.run(sim.load_scenario("virtio-user-xdp1-tap", settings=settings)).points
    assert row.predicted == point.pps
    assert row.error == pytest.approx(point.pps / 3_396_058 - 1)


def test_a_ratio_is_that_of_its_two_sides(nominal):
    rows = by_name(nominal)
    ratio = rows["batch-sweep/batch 16 to 64"].predicted
    assert ratio == pytest.approx(rows["batch-sweep/batch 16"].predicted / rows["batch-sweep/batch 64"].predicted)


def test_every_rate_of_a_modelled_path_is_met_or_explained(nominal):
    causes = (PAGE.parent / "mismatches.md").read_text(encoding="utf-8")
    for row in nominal.of("off", counts=False):
        assert f"`{row.figure.entry.id}`" in causes, row.figure.name
    for row in nominal.rows:
        if row.figure.entry.quantity == "pps" and row.error is not None and abs(row.error) > 0.15:
            assert row.figure.name == "batch-sweep/batch 128" or row.figure.cases[0].scenario.driver.forwards


def test_what_was_fitted_is_marked(nominal):
    used = {row.figure.name for row in nominal.rows if row.used}
    assert used == {one.measurement for one in load_table("calibration", "seed-two-rates").residuals}


def test_the_counts_of_windows_and_fences_are_exact(nominal):
    for row in nominal.rows:
        if row.figure.entry.quantity in ("stac", "lfence") and row.error is not None:
            kernel = row.figure.cases[0].scenario.kernel.name
            if kernel not in ("v6.1", "v7.3"):  # docs/mismatches.md, 8 and validation
                assert row.status == "met", row.figure.name
            assert abs(row.error) < 1e-3


def test_a_reason_not_to_be_modelled_comes_from_the_model(nominal, tmp_path):
    folder = tmp_path / "measurements"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "schema: 1\nkind: measurement\nname: mine\ntitle: mine\nsource: me\nread: full\n"
        "set: {traffic.packet_bytes: 64}\nentries:\n"
        "  - {id: a, quantity: share, value: 0.1, low: 0.1, high: 0.1, functions: [__skb_flow_dissect]}\n"
    )
    (mine,) = validate(draws=0, only=["mine"], configs=tmp_path).rows
    assert mine.problem == "no row of the plan stands for __skb_flow_dissect"
    problems = {row.figure.name: row.problem for row in nominal.rows if row.problem}
    assert not any(str(Path.cwd()) in problem or "/configs/" in problem for problem in problems.values())


def test_a_setting_that_the_model_does_not_know_is_said_in_words(nominal):
    problems = {row.figure.name: row.problem for row in nominal.rows if row.problem}
    assert not any("unknown" in problem for problem in problems.values())
    assert "v4.7 and v4.8, have no table" in problems["rx-skb-array/B14 before"]
    assert not any(name.startswith(("tx-batching-tcp", "size-proxy-iperf")) for name in problems)
    for file in load_measurements():
        mine = {problem for name, problem in problems.items() if name.startswith(f"{file.name}/")}
        assert set(file.not_modelled.values()) <= mine, file.name  # words that nothing needs any more


def test_words_for_one_setting_do_not_hide_what_is_wrong_with_another(tmp_path):
    folder = tmp_path / "measurements"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "schema: 1\nkind: measurement\nname: mine\ntitle: mine\nsource: me\nread: full\n"
        "set: {traffic.packet_bytes: 64}\nnot_modelled: {driver.mood: drivers have no mood}\nentries:\n"
        "  - {id: a, quantity: pps, value: 5, low: 5, high: 5, set: {driver.mood: calm}}\n"
        "  - {id: b, quantity: pps, value: 5, low: 5, high: 5, set: {driver.burts: 1, driver.mood: calm}}\n"
    )
    said = {row.figure.entry.id: row.problem for row in validate(draws=0, only=["mine"], configs=tmp_path).rows}
    assert said["a"] == "drivers have no mood"
    assert "unknown key 'driver.burts'; did you mean 'burst'" in said["b"]


def test_tolerances():
    (before,) = select(load_measurements(), ["seed-vmap/A1 before"])
    assert Validated(before, False, 5.0e6 * 1.149).status == "met"  # spread of the source: 15 %
    assert Validated(before, False, 5.0e6 * 1.151).status == "off"
    (share,) = select(load_measurements(), ["profile-tx/TX user copies"])
    assert Validated(share, False, 0.49 * 1.11).status == "off"
    (count,) = select(load_measurements(), ["counts-seed-kernels/v5.0 d1_b32_s64 stac"])
    assert Validated(count, False, 4.2549).status == "met"  # two digits
    assert Validated(count, False, 4.2551).status == "off"


def test_intervals_hold_the_prediction_and_widen_with_the_tables():
    narrow, wide = (validate(name, 60, only=["batch-baseline"]).rows[0] for name in ("seed-two-rates", "none"))
    for row in (narrow, wide):
        assert row.low < row.predicted < row.high
    assert wide.high / wide.low > narrow.high / narrow.low
    assert validate("none", 60, only=["batch-baseline"]).rows[0] == wide


def test_unknown_names_are_said():
    with pytest.raises(ConfigError, match="unknown measurement file 'batch-swep'; did you mean 'batch-sweep'"):
        validate(only=["batch-swep"])
    with pytest.raises(ConfigError, match="unknown calibration 'nope'"):
        validate("nope")


def test_the_page_of_the_documentation_is_current(nominal):
    text = PAGE.read_text(encoding="utf-8")
    shown = {
        cells[1]: cells
        for line in text.splitlines()
        if len(cells := [cell.strip() for cell in line.split("|")]) == 10 and cells[1] not in ("figure", "---")
    }
    rows = [row for row in nominal.rows if row.error is not None and not row.figure.entry.is_count]
    assert set(shown) == {row.figure.name for row in rows}
    for row in rows:
        cells = shown[row.figure.name]
        assert cells[8] == row.status, row.figure.name
        assert float(cells[5].rstrip("%")) == pytest.approx(100 * row.error, abs=0.3), row.figure.name
    for line in not_modelled_lines(nominal):
        assert f"- {line}" in text
    for name, group in count_groups(nominal).items():
        off = sum(row.status == "off" for row in group)
        assert f"| {name} | {len(group)} | {len(group) - off} | {off} |" in text


@pytest.mark.deep
def test_the_90_percent_intervals_hold_what_they_say():
    validation = validate(draws=100)
    for name, summary in validation.summaries().items():
        if name.startswith("rates and ratios"):
            assert 0.85 <= summary.coverage <= 0.97, name
    rates = [row for row in validation.rows if row.figure.entry.quantity in ("pps", "ratio") and row.inside is not None]
    assert {row.figure.entry.quantity for row in rates} == {"pps", "ratio"}
    assert len(rates) > 40
