"""What is kept on the disk between commands: it is what was written or nothing, and does not outlive what it is of."""

import os
import shutil

import pytest

from sim.config.loading import kept
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
