"""Output that cannot be written: a reader that is gone ends the command quietly, a full disk is one line."""

from __future__ import annotations

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
