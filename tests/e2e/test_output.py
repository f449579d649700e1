"""Output that cannot be written: a reader that is gone, a full disk, an encoding that lacks signs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim import cli

from .conftest import COMMAND


class Gone:
    """A standard output that takes text, and finds when it is flushed that nobody reads it."""

    encoding = "utf-8"

    def __init__(self, file):
        self._file = file

    def write(self, text):
        return len(text)

    def flush(self):
        raise BrokenPipeError

    def fileno(self):
        return self._file.fileno()

    def isatty(self):
        return False


def test_a_reader_that_goes_before_the_last_bytes_are_written_is_no_error(monkeypatch, capsys, tmp_path):
    with open(tmp_path / "out", "w") as file:
        monkeypatch.setattr(sys, "stdout", Gone(file))
        monkeypatch.setattr(sys, "argv", ["vhost-sim", "--version"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 141
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [("--version",), ("list", "cpus"), ("list", "cpus", "--json")])
def test_a_full_disk_is_one_line(arguments, empty, compiled):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [COMMAND, *arguments], cwd=empty, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (
        2,
        "vhost-sim: standard output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1"])
def test_signs_that_an_encoding_lacks_have_stand_ins_and_other_texts_their_escapes(encoding, empty, compiled):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    (empty / "access").mkdir()
    (empty / "access" / "mine.yaml").write_text(
        "{schema: 1, kind: access, name: mine, title: '\u05d0', source: mine, extends: vmap}", encoding="utf-8"
    )
    arguments = ("virtio-user-xdp1-tap", "--configs", ".", "--access", "copy_user,mine", "--sizes", "64")
    done = subprocess.run([COMMAND, "run", *arguments], cwd=empty, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode("latin-1")
    assert ("\u00b1" if encoding == "latin-1" else "~") + "0." in shown
    assert "----" in shown
    listed = subprocess.run(
        [COMMAND, "list", "access", "--configs", "."], cwd=empty, env=environment, capture_output=True, check=False
    )
    assert b"\\u05d0" in listed.stdout
