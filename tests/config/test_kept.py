"""What is kept on the disk between commands: it is what was written or nothing, and does not outlive what it is of."""

import os
import shutil

import pytest

from sim.config.loading import kept, paths, reading
from sim.config.loading.files import parsed_yaml, read_text
from sim.study.evidence.envelope import envelope, shipped_envelope
from tests.damage import changed, cut, emptied

CONTENT = b"\x7fELF\nmachine code\n" * 20


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of what is kept, for this process."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("damage", [emptied, cut, changed, lambda file: file.unlink()])
def test_what_is_kept_is_as_it_was_written_or_not_there(damage, folder):
    assert kept.kept("some.code") is None
    for _ in range(2):
        kept.keep("some.code", CONTENT)
        assert kept.kept("some.code") == CONTENT
        damage(folder / "some.code")
        assert kept.kept("some.code") is None


def test_it_goes_where_there_is_room_and_is_found_wherever_it_lies(tmp_path, monkeypatch):
    (tmp_path / "no folder").write_text("a file")
    folders = [tmp_path / "no folder", tmp_path / "new" / "folder", tmp_path / "last"]
    monkeypatch.setattr(kept, "folders", lambda: folders)
    kept.keep("some.code", CONTENT)
    assert [file.parent for file in tmp_path.rglob("some.code")] == [folders[1]]
    folders.reverse()
    assert kept.kept("some.code") == CONTENT
    del folders[:-1]
    kept.keep("some.code", CONTENT)  # nowhere: the next command works it out again
    assert kept.kept("some.code") is None


def test_the_last_few_versions_stay_and_nothing_of_others_goes(folder):
    others = [folder / "any.json", folder / "any.0.code", folder / "anybody.0.json", folder / "any.more.0.json"]
    for other in others:
        other.write_text("another's")
    for number in range(6):
        kept.keep(f"any.{number}.json", CONTENT)
        os.utime(folder / f"any.{number}.json", ns=(number, number))
    kept.keep("any.6.json", CONTENT)
    assert sorted(file.name for file in folder.glob("any.?.json")) == [f"any.{number}.json" for number in (3, 4, 5, 6)]
    assert all(other.exists() for other in others)


@pytest.mark.parametrize("touched", ["module.py", "inner/module.py", "configs/cpus/one.yaml"])
def test_what_is_installed_changes_with_every_module_and_table(touched, tmp_path, monkeypatch):
    for name in ("module.py", "inner/module.py", "configs/cpus/one.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    monkeypatch.setattr(kept, "_PACKAGE", tmp_path)
    monkeypatch.setattr(kept.paths, "shipped", lambda: tmp_path / "configs")
    before = kept.installed.__wrapped__()
    assert kept.installed.__wrapped__() == before
    os.utime(tmp_path / touched, ns=(1, 1))
    after = kept.installed.__wrapped__()
    assert after != before
    shutil.move(tmp_path / touched, tmp_path / touched.replace("one", "two").replace("module", "other"))
    assert kept.installed.__wrapped__() not in (before, after)


def test_the_kept_envelope_is_that_of_the_measurements(folder):
    first = shipped_envelope.__wrapped__()
    (file,) = folder.glob("envelope.*.json")
    begun = file.stat().st_mtime_ns
    assert shipped_envelope.__wrapped__() == first == envelope()
    assert file.stat().st_mtime_ns == begun
    changed(file)
    assert shipped_envelope.__wrapped__() == first


def every_shipped_table():
    return sorted(paths.shipped().rglob("*.yaml"))


def test_every_shipped_table_is_kept_as_it_is_parsed(folder):
    files = every_shipped_table()
    for _ in range(2):  # kept, then read again
        for file in files:
            assert repr(reading._kept_or_parsed(file.stem, read_text(file))) == repr(parsed_yaml(read_text(file)))
    assert len([*folder.glob("table.*.json")]) == len({read_text(file) for file in files})


def test_a_kept_table_is_read_and_not_parsed(folder, monkeypatch):
    file = every_shipped_table()[0]
    table = reading._kept_or_parsed(file.stem, read_text(file))
    monkeypatch.setattr(reading, "parsed_yaml", None)
    assert reading._kept_or_parsed(file.stem, read_text(file)) == table


def test_a_table_whose_text_or_reader_changes_is_parsed_anew(folder, monkeypatch):
    assert reading._kept_or_parsed("one", "value: 12\n") == {"value": 12}
    assert reading._kept_or_parsed("one", "value: 13\n") == {"value": 13}
    monkeypatch.setattr(reading, "_reader", lambda: "another")
    assert reading._kept_or_parsed("one", "value: 12\n") == {"value": 12}
    assert len([*folder.glob("table.one.*.json")]) == 3


@pytest.mark.parametrize("damage", [emptied, cut, changed])
def test_a_damaged_table_is_parsed_anew(damage, folder):
    text = "value: 12\ntexts: " + "long " * 50 + "\n"
    table = reading._kept_or_parsed("one", text)
    (file,) = folder.glob("table.one.*.json")
    damage(file)
    assert reading._kept_or_parsed("one", text) == table


@pytest.mark.parametrize("value", ["2026-11-30", ".nan"])
def test_a_table_that_json_would_change_is_not_kept(value, folder):
    text = f"value: {value}\n"
    assert repr(reading._kept_or_parsed("one", text)) == repr(parsed_yaml(text))
    assert [*folder.iterdir()] == []


def test_a_table_of_a_user_is_not_kept(folder, tmp_path):
    mine = tmp_path / "mine" / "table.yaml"
    mine.parent.mkdir()
    mine.write_text("value: 12\n")
    assert reading.read_yaml(mine) == {"value": 12}
    assert [*folder.glob("table.*")] == []
