"""The driver program of the experiment: what it refuses before it touches the kernel."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from sim.config.errors import ConfigError
from sim.host.programs import compiled


@pytest.fixture(scope="module")
def vhost():
    """The program, or the reason why there is none."""
    try:
        return compiled("vhost")
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("size", "vhost: size: unknown, no number, or out of range\n"),
        ("size=", "vhost: size=: unknown, no number, or out of range\n"),
        ("size=64B", "vhost: size=64B: unknown, no number, or out of range\n"),
        ("size=13", "vhost: size=13: unknown, no number, or out of range\n"),
        ("sizes=64", "vhost: sizes=64: unknown, no number, or out of range\n"),
        ("ring=100", "vhost: ring is no power of two, or burst or free_threshold does not fit it\n"),
        ("burst=512", "vhost: ring is no power of two, or burst or free_threshold does not fit it\n"),
    ],
)
def test_bad_settings_are_one_line(vhost, argument, sentence):
    done = subprocess.run([vhost, argument], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)


def test_it_is_built_without_shared_libraries(vhost):
    assert interpreters(compiled("vhost", static=True)) == 0
    assert interpreters(vhost) == 1


def interpreters(executable: Path) -> int:
    """Return how many program headers of an ELF file name a dynamic loader (PT_INTERP)."""
    data = executable.read_bytes()
    start, size, count = (struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54))
    return [struct.unpack_from("<I", data, start + number * size)[0] for number in range(count)].count(3)
