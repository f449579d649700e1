"""Recordings: units, rounds that count, and files that are none."""

from __future__ import annotations

import json
import re

import pytest

from sim.config.errors import ConfigError
from sim.host.recording import Round, read_recording

from .conftest import RECORDINGS, recording_of
from .constructed import DATA, constructed


def test_ticks_become_cycles_by_the_ratio_beside_them_and_ns_by_the_counter(made_up):
    recording = made_up({"load 0": 10.0})
    assert recording.cycles("load 0") == [10.0 * 2] * 6
    assert recording.ns("load 0") == [10.0 / 2] * 6
    assert recording.core_ghz() == [2.0 * 2.0] * 6


def test_a_benchmark_that_was_not_possible_is_none(made_up):
    recording = made_up({"pin_pages 1": None})
    assert recording.cycles("pin_pages 1") == [None] * 6
    assert recording.ns("never recorded") == [None] * 6


def test_only_quiet_rounds_count_if_there_are_enough(made_up):
    recording = made_up({"load 0": [1.0, 2.0, 3.0, 4.0, 5.0, 90.0]})
    loud = Round(ticks_per_ns=2.0, idle=0.2, steal=0.0)
    assert recording.model_copy(update={"rounds": [*recording.rounds[:5], loud]}).used == [0, 1, 2, 3, 4]
    assert recording.model_copy(update={"rounds": [*recording.rounds[:4], loud, loud]}).used == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("idle", "steal", "quiet"), [(0.95, 0.0, True), (0.85, 0.0, False), (1.0, 0.05, False)])
def test_a_quiet_round_is_idle_before_and_not_stolen_from(idle, steal, quiet):
    assert Round(ticks_per_ns=1, idle=idle, steal=steal).quiet is quiet


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_reads_back_as_it_was_written(name, tmp_path):
    recording = recording_of(name)
    file = tmp_path / "again.json"
    file.write_text(recording.to_json(), encoding="utf-8")
    assert read_recording(file) == recording
    assert recording.origin


def test_the_constructed_recordings_are_what_their_construction_gives():
    for name, recording in constructed().items():
        assert (DATA / name).read_text(encoding="utf-8") == recording.to_json(), "run python -m tests.host.constructed"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is no JSON file"),
        ("[1]", "is not a recording of `vhost-sim measure`"),
        ('{"kind": "cpu"}', "is not a recording of `vhost-sim measure`"),
        ('{"kind": "host-recording", "schema": 1}', "origin: Field required"),
    ],
)
def test_a_file_that_is_no_recording_is_one_line(text, sentence, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_recording(file)
    assert str(caught.value).startswith(f"{file}: {sentence}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "number", "sentence"),
    [
        ("ticks", -1e308, "ticks.0: Input should be greater than or equal to -1000000000000000"),
        ("ticks", 1e308, "ticks.0: Input should be less than or equal to 1000000000000000"),
        ("ratio", 1e308, "ratio.0: Input should be less than or equal to 1000000"),
        ("ratio", -1, "ratio.0: Input should be greater than or equal to 0"),
    ],
)
def test_a_number_with_which_nothing_can_be_added_up_is_one_line(place, number, sentence, quiet, tmp_path):
    file, table = tmp_path / "mine.json", json.loads(quiet.to_json())
    table["series"]["load 0"][place][0] = number
    file.write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"series.load 0.{sentence}")):
        read_recording(file)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_recording(tmp_path / "none.json")


def test_every_series_has_a_value_for_every_round(quiet, tmp_path):
    data = json.loads(quiet.to_json())
    data["series"]["load 0"]["ticks"].pop()
    file = tmp_path / "short.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ConfigError, match="series 'load 0': a value for each of"):
        read_recording(file)
