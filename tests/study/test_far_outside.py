"""Values far outside the range of their table are run and said in every form; impossible ones are refused."""

from __future__ import annotations

import csv
import io

import pytest

import sim
from sim.config import ConfigError, dump_scenario
from sim.config.tables.quantity import is_far
from sim.report.tables.rows import capacity_rows, comparison_rows, csv_text, result_rows
from sim.study.sweep.run import load_sweep, run_sweep

SHORT = ["access=copy_user,vmap", "traffic.packet_bytes=64", "run.packets=4000"]
SAID = "FAR OUTSIDE ITS RANGE: cpu.core_ghz is 2600 GHz, and its table has 2.8451 to 3.1541 GHz"


def load(*overrides):
    return sim.load_scenario("virtio-user-xdp1-tap", overrides=[*SHORT, *overrides])


@pytest.mark.parametrize(
    ("value", "far"), [(6.4, False), (6.41, True), (1.3, False), (1.29, True), (0, True), (2.7, False)]
)
def test_far_is_beyond_twice_the_high_end_and_below_half_of_the_low_one(value, far):
    assert is_far(value, 2.6, 3.2) is far


def test_what_may_be_nothing_is_not_far_at_nothing():
    assert not is_far(0, 0, 5)
    assert is_far(1e-3, 0, 0)


def test_it_is_said_in_tables_json_csv_and_on_the_page(capsys):
    from sim.report.page.page import page
    from sim.report.tables.results import result_tables
    from sim.report.tables.terminal import show
    from sim.study.review.ask import review

    scenario = load("cpu.core_ghz=2600")
    result = sim.run(scenario)
    show(result_tables(result))
    assert SAID in capsys.readouterr().out.replace("\n", " ")
    assert all(SAID in row["notes"] for row in result.to_dict()["results"])
    comparison, capacities = sim.compare(scenario), sim.capacity(scenario, resolution=0.5)
    assert comparison.to_dict()["notes"] == [SAID]
    assert all(row["notes"] == [SAID] for row in capacities.to_dict()["results"])
    for rows in (result_rows(result), comparison_rows(comparison), capacity_rows(capacities)):
        assert all(row["notes"] == SAID for row in csv.DictReader(io.StringIO(csv_text(rows))))
    assert SAID in page(review(scenario, 1), "vhost-sim report")


def test_a_sweep_says_it_once(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "{schema: 1, kind: sweep, name: mine, scenario: virtio-user-xdp1-tap,"
        " set: {access: vmap, traffic.packet_bytes: 64, run.packets: 1000},"
        " axes: {cpu.core_ghz: {values: [3, 2600]}}}"
    )
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        outcome = run_sweep(load_sweep(str(file)), executor)
    assert [row.get("notes") for row in outcome.rows] == [None, SAID]
    assert outcome.to_dict()["notes"] == [SAID]


@pytest.mark.parametrize("text", ["cpu.core_ghz=3.4", "cpu.core_ghz=2.2", "driver.packet_cost=60"])
def test_what_is_near_is_not_said_and_the_answer_is_no_longer_for_it(text):
    scenario = load(text)
    assert [point.notes for point in sim.run(scenario).points] == [(), ()]


def test_what_is_not_read_is_not_said_and_a_record_remembers(tmp_path):
    scenario = load("cpu.core_ghz=2600")
    file = tmp_path / "scenario.yaml"
    file.write_text(dump_scenario(scenario), encoding="utf-8")
    again = sim.load_scenario(file)
    assert again == scenario
    assert again.cpu.core_ghz.far_outside == "2600 GHz, and its table has 2.8451 to 3.1541 GHz"
    assert sim.load_scenario(file, overrides=["cpu.core_ghz=3"]).cpu.core_ghz.far_outside is None


@pytest.mark.parametrize(
    "text",
    [
        "cpu.core_ghz=0",
        "cpu.core_ghz=-1",
        "cpu.core_ghz=.inf",
        "cpu.core_ghz=.nan",
        "cpu.cpi=0",
        "cpu.overlap=1.5",
        "cpu.payload_exposed=2",
        "cpu.smt_slowdown=0.5",
        "cpu.store_buffer=0",
        "cpu.uncore_bandwidth=0",
        "cpu.primitives.copy_bytes=0",
    ],
)
def test_what_no_cpu_can_be_is_refused(text):
    with pytest.raises(ConfigError):
        load(text)
