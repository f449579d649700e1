"""Compiling on first use: the cache, and machines that cannot."""

from __future__ import annotations

import os
import stat

import pytest

from sim.config.errors import ConfigError
from sim.host import programs

#: A compiler that says its version, counts its runs and copies a word into what it "compiles".
FAKE = """#!/bin/sh
if [ "$1" = --version ]; then echo "fakecc 1.0"; exit 0; fi
echo run >> "{log}"
while [ "$1" != -o ]; do shift; done
echo "$@" > "$2"
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A PATH with nothing but a fake `cc`; returns its log."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    program = folder / "cc"
    program.write_text(FAKE.format(log=log))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(programs, "check_platform", lambda: None)
    return log


def test_a_program_is_compiled_once(fake):
    first = programs.compiled("bench")
    assert programs.compiled("bench") == first
    assert fake.read_text() == "run\n"
    assert os.access(first, os.X_OK)
    assert [file.name for file in first.parent.iterdir()] == [first.name]  # nothing half-written is left


def test_a_static_program_is_another_one(fake):
    dynamic, static = programs.compiled("vhost"), programs.compiled("vhost", static=True)
    assert dynamic != static


def test_it_lies_below_the_cache_folder_of_the_user(fake, tmp_path):
    assert programs.compiled("ring").parent == tmp_path / "cache" / "vhost-sim"


def test_another_source_or_another_compiler_compiles_again(fake, tmp_path, monkeypatch):
    sources = tmp_path / "sources"
    sources.mkdir()
    for file in programs.SOURCES.glob("*.[ch]"):
        (sources / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(programs, "SOURCES", sources)
    first = programs.compiled("bench")
    (sources / "bench.h").write_text("/* changed */")
    second = programs.compiled("bench")
    script = tmp_path / "bin" / "cc"
    script.write_text(script.read_text().replace("fakecc 1.0", "fakecc 1.1"))
    third = programs.compiled("bench")
    assert len({first, second, third}) == 3


def test_without_a_compiler_one_line_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(programs, "check_platform", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"^measure: a C compiler is needed \(none of cc, gcc, clang is on the PATH\)$"
    ):
        programs.compiled("bench")


def test_a_compiler_that_fails_is_quoted(fake, tmp_path):
    script = tmp_path / "bin" / "cc"
    script.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "bench.c:1: error: no such thing" >&2\nexit 1\n')
    with pytest.raises(ConfigError, match=r"cannot compile bench-\w+: bench.c:1: error: no such thing"):
        programs.compiled("bench")
    assert list((tmp_path / "cache" / "vhost-sim").iterdir()) == []


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "x86_64"), ("Linux", "aarch64")])
def test_another_platform_is_one_line(system, machine, monkeypatch):
    monkeypatch.setattr(programs.platform, "system", lambda: system)
    monkeypatch.setattr(programs.platform, "machine", lambda: machine)
    with pytest.raises(ConfigError, match=f"^measure: x86-64 Linux is needed \\(this is {system} on {machine}\\)$"):
        programs.compiled("bench")


def test_a_cache_folder_that_cannot_be_written_is_one_line(fake, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="cannot be written"):
        programs.compiled("bench")


def runs(fake):
    return fake.read_text().count("run")


def test_a_program_that_is_not_the_users_own_is_compiled_anew_and_not_run(fake, tmp_path):
    program = programs.compiled("bench")
    program.chmod(0o775)
    program.write_text("planted")
    assert programs.compiled("bench").read_text() != "planted"
    other = tmp_path / "planted"
    other.write_text("planted")
    program.unlink()
    program.symlink_to(other)
    assert programs.compiled("bench").read_text() != "planted"
    assert not program.is_symlink()
    assert other.read_text() == "planted"
    assert runs(fake) == 3
    if os.geteuid() == 0:
        os.chown(program, 12345, -1)
        assert programs.compiled("bench").stat().st_uid == 0
        assert runs(fake) == 4


def test_nobody_else_can_write_into_the_folder_of_programs(fake, tmp_path):
    folder = tmp_path / "cache" / "vhost-sim"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    programs.compiled("bench")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_one_line(fake, tmp_path):
    folder = tmp_path / "cache" / "vhost-sim"
    folder.mkdir(parents=True)
    os.chown(folder, 12345, -1)
    with pytest.raises(ConfigError, match=r"vhost-sim: belongs to another user, who could change .*XDG_CACHE_HOME"):
        programs.compiled("bench")
    assert list(folder.iterdir()) == []


def test_every_source_belongs_to_a_program():
    named = {name for names in programs.PROGRAMS.values() for name in names}
    assert {file.name for file in programs.SOURCES.glob("*.c")} == named
