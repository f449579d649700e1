"""A kernel's table made of counts: Linux 6.1.192 as recorded, from the nearest shipped table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sim.config.errors import ConfigError
from sim.config.loading.load import Scenarios
from sim.count.count import CountedKernel, read_recording
from sim.datapath import build_plan
from sim.study.evidence.counted import AS_COUNTED, SCENARIO, fit, overrides
from sim.study.runs.case import executed
from tests.facts.traces import FOLDER

RECORDING = FOLDER.parent / "counts" / "v6.1.192.json"
NAME = "v6.1-counted"


def only(recorded: CountedKernel, *beginnings: str) -> CountedKernel:
    """The recording with some configurations."""
    kept = (each for each in recorded.configurations if each.configuration.name.startswith(beginnings))
    return replace(recorded, configurations=tuple(kept))


@pytest.fixture(scope="module")
def recorded():
    return read_recording(RECORDING)


@pytest.fixture(scope="module")
def fitted(recorded):
    return fit(recorded, NAME, extends="v6.1")


@pytest.mark.deep
def test_the_nearest_table_is_that_of_the_same_version(recorded):
    assert fit(recorded, NAME).nearest == "v6.1"


@pytest.mark.deep
def test_another_version_s_table_is_moved_as_far(recorded):
    fitted = fit(only(recorded, "tx_xdp"), NAME, extends="v5.3")
    assert max(abs(each.error) for each in fitted.agreements) < 0.02
    assert not all(each.windows_agree for each in fitted.agreements)  # v5.3 fences the descriptor, v6.1 does not


def test_a_recording_is_written_as_it_was_read(recorded, tmp_path):
    (tmp_path / "again.json").write_text(recorded.to_json())
    assert read_recording(tmp_path / "again.json") == recorded


def test_the_table_opens_the_windows_that_were_counted(fitted):
    # Receive of a packet a kick depends on timing.
    assert [each.name for each in fitted.agreements if not each.windows_agree] == ["rx_ev0_mrg1_b1_s64"]


def test_the_table_executes_what_was_counted(fitted):
    errors = {each.name: abs(each.error) for each in fitted.agreements}
    assert max(errors.values()) < 0.015
    assert sorted(errors.values())[len(errors) // 2] < 0.003


def test_a_scenario_with_the_table_executes_it_too(fitted, recorded, tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / f"{NAME}.yaml").write_text(fitted.to_yaml(recorded.kernel))
    settings = {**AS_COUNTED, "kernel": NAME, "driver.kind": "lockstep", "driver.burst": 32, "traffic.packet_bytes": 64}
    scenario = Scenarios(SCENARIO, tmp_path).load(settings)
    found = executed(build_plan(scenario, "copy_user", 64), scenario)
    assert (found["stac"], found["lfence"]) == (4.25, 1.125)
    assert found["instructions"] == pytest.approx(959, rel=0.01)
    assert found["returns"] == pytest.approx(18.90, rel=0.01)
    assert scenario.kernel.title == "Linux 6.1-counted, counted"


def test_entries_say_where_they_come_from(fitted):
    table = yaml.safe_load(fitted.to_yaml("6.1.0-56-amd64"))
    entries = [entry for step in table["steps"].values() for entry in step.values()]
    assert {(entry["source"], entry["grade"]) for entry in entries} == {("counted under emulation", "derived")}
    assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in entries)


def test_what_was_not_counted_is_foreseen(recorded, tmp_path):
    few = fit(only(recorded, "tx_xdp"), NAME, extends="v6.1")
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / f"{NAME}.yaml").write_text(few.to_yaml(recorded.kernel))
    for each in only(recorded, "txb").configurations:
        settings = {**(overrides(each.configuration) or {}), "kernel": NAME}
        scenario = Scenarios(SCENARIO, tmp_path).load(settings)
        found = executed(build_plan(scenario, "copy_user", 64), scenario)
        assert found["instructions"] == pytest.approx(each.counts.instructions, rel=0.01), each.configuration.name


def test_a_count_with_something_else_in_it_does_not_pull(recorded):
    first, *others = recorded.configurations
    disturbed = replace(first, counts=replace(first.counts, functions={**first.counts.functions, "free_pages": 600.0}))
    again = fit(replace(recorded, configurations=(disturbed, *others)), NAME, extends="v6.1")
    errors = {each.name: each.error for each in again.agreements}
    assert errors.pop(first.configuration.name) < -0.2
    assert max(abs(error) for error in errors.values()) < 0.02


def test_nothing_that_the_model_has_is_no_table(recorded):
    with pytest.raises(ConfigError, match="no configuration was counted that a table can be made of"):
        fit(replace(recorded, configurations=()), NAME)


HEAD = '{"schema": 1, "kind": "count-recording", "kernel": "6.1", "refused": {}'


def recorded_as(loads):
    """The text of a recording of one configuration, with so many loads."""
    counts = f'"kinds": {{"load": {loads}}}, "functions": {{}}, "returns": {{}}, "user": [], "invocations": 1'
    return f'{HEAD}, "configurations": [{{"name": "tx", "packets": 1, {counts}, "outside_window": 0, "trace": ""}}]}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON file"),
        ("[]", "is no recording of counts"),
        ('{"kind": "count-recording"}', "keys 'schema', 'kernel', 'refused' and 'configurations' are missing"),
        (f'{HEAD}, "configurations": [{{"name": "tx"}}]}}', "keys 'configurations.0..packets', .* are missing"),
        (recorded_as(1), "unknown configuration 'tx'"),
        (recorded_as("NaN"), "should be a finite number"),
        (recorded_as("null"), "should be a valid number"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(text, said, tmp_path):
    (tmp_path / "counts.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_recording(tmp_path / "counts.json")


def test_a_recording_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read: No such file"):
        read_recording(Path("none.json"))
