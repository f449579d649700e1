"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from sim.config import ConfigError, load_scenario
from sim.config.loading.provenance import made_by
from sim.report.export.files import check_folder, result_writers, write_all


def text(content):
    return lambda file: file.write_text(content)


def fail(error):
    def write(file):
        file.write_text("half")
        raise error

    return write


def test_all_files_of_a_result_are_written(result, tmp_path):
    written = write_all(tmp_path / "new" / "out", result_writers(result))
    assert [file.name for file in written] == [
        "results.csv",
        "results.parquet",
        "scenario.yaml",
        "pps.svg",
        "pps.png",
        "cycles.svg",
        "cycles.png",
    ]
    assert sorted(tmp_path.joinpath("new", "out").iterdir()) == sorted(written)
    assert all(file.stat().st_size for file in written)


def test_both_tables_say_the_same_as_the_result(result, tmp_path):
    import pandas as pd

    write_all(tmp_path, result_writers(result))
    frame = result.to_frame().assign(**{f"made_by.{name}": value for name, value in made_by().items()})
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "results.parquet"), frame)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "results.csv"), frame, check_dtype=False)


def test_the_written_scenario_is_that_of_the_result(result, tmp_path):
    write_all(tmp_path, result_writers(result))
    assert load_scenario(tmp_path / "scenario.yaml") == result.scenario


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("a bug")])
def test_a_writer_that_fails_leaves_the_folder_as_it_was(error, tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises((ConfigError, RuntimeError)):
        write_all(tmp_path, {"a": text("new"), "b": fail(error)})
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_full_disk_is_said_in_one_line(tmp_path):
    with pytest.raises(ConfigError) as raised:
        write_all(tmp_path, {"b": fail(OSError(28, "No space left on device"))})
    assert str(raised.value) == f"folder: cannot be written: No space left on device (got {tmp_path})"


def test_files_of_an_earlier_run_are_replaced_and_others_stay(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "notes").write_text("mine")
    write_all(tmp_path, {"a": text("new")})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "new", "notes": "mine"}


def test_a_file_in_the_way_is_found_before_anything_is_simulated(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError) as raised:
            check_folder(folder)
        assert str(raised.value) == f"folder: {tmp_path / 'file'} is not a folder (got {folder})"
    check_folder(tmp_path / "new" / "deeper")
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_too_long_is_refused_in_one_line(tmp_path):
    with pytest.raises(ConfigError):
        check_folder(tmp_path / ("x" * 300))
