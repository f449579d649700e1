"""Debian's archive as it changes: lists that grow old, and tools that fail."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import pytest

from sim.config.errors import ConfigError
from sim.count import emulator, packages
from sim.count.packages import Archive, KernelPackage

TARGETS = """Origin: Debian
Repo-URI: http://archive.example/debian
Release: trixie

Origin: Debian
Repo-URI: http://archive.example/security
Release: trixie-security
"""


class Tools:
    """Tools in front of the PATH: each writes its arguments down, and answers or fails as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.log}\n{text}\n')
        file.chmod(0o755)

    def called(self, words: str) -> int:
        return sum(words in line for line in self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """An apt that knows an archive, whose lists can be fetched, and that has no package."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "targets").write_text(TARGETS)
    tools = Tools(tmp_path / "bin")
    tools.write("apt-get", f'case "$*" in *indextargets*) cat {tmp_path / "targets"};; esac')
    tools.write("apt-cache", "")
    tools.write("dpkg-deb", "")
    monkeypatch.setenv("PATH", f"{tools.folder}:{os.environ['PATH']}")
    return tools


def grow_old(archive: Archive, days: float) -> None:
    """Let the lists of kernels be as old as that."""
    then = time.time() - days * 24 * 3600
    os.utime(archive.folder / "kernels-of" / "sources.list", (then, then))


def look(archive: Archive) -> None:
    with pytest.raises(ConfigError, match=r"the archive has no kernel 6\.6"):
        archive.kernel("6.6")


def test_lists_are_fetched_once_and_again_when_they_are_old(tools, tmp_path):
    archive = Archive(tmp_path / "debian")
    look(archive)
    look(archive)
    grow_old(archive, 0.9)
    look(archive)
    assert tools.called("update -q") == 1
    grow_old(archive, 1.1)
    look(archive)
    look(archive)
    assert tools.called("update -q") == 2
    assert "deb http://archive.example/debian bullseye main" in (
        (archive.folder / "kernels-of" / "sources.list").read_text().replace(packages._signature(), "")
    )


def test_old_lists_are_better_than_none(tools, tmp_path):
    archive = Archive(tmp_path / "debian")
    look(archive)
    grow_old(archive, 30)
    tools.write("apt-get", "echo 'E: no route to host' >&2; exit 100")
    look(archive)
    assert tools.called("indextargets") == 2  # it was tried


def test_lists_that_cannot_be_fetched_are_one_line(tools, tmp_path):
    tools.write(
        "apt-get", f'case "$*" in *indextargets*) cat {tmp_path / "targets"};; *) echo "E: gone" >&2; exit 100;; esac'
    )
    with pytest.raises(ConfigError, match=r"^apt-get update failed: gone$"):
        Archive(tmp_path / "debian").kernel("6.1")


def test_a_package_that_is_gone_is_said_with_the_age_of_the_lists_which_are_fetched_anew(tools, tmp_path):
    archive = Archive(tmp_path / "debian")
    look(archive)
    grow_old(archive, 0.5)
    answers = f'*indextargets*) cat {tmp_path / "targets"};; *download*) echo "E: 404 Not Found" >&2; exit 100;;'
    tools.write("apt-get", f'case "$*" in {answers} esac')
    with pytest.raises(ConfigError) as error:
        archive.fetch_kernel(KernelPackage("6.1.1-amd64", "6.1.1"))
    said = str(error.value)
    assert said.startswith("apt-get download failed: 404 Not Found; the archive's lists are of ")
    assert said.endswith(" and will be fetched anew: run it again")
    look(archive)
    assert tools.called("update -q") == 2


def test_a_package_that_cannot_be_unpacked_is_one_line_and_leaves_no_tree(tools, tmp_path):
    tools.write("dpkg-deb", "echo 'dpkg-deb: error: archive is no package' >&2; exit 2")
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched" / "one.deb").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"^dpkg-deb failed: dpkg-deb: error: archive is no package$"):
        Archive(tmp_path)._unpack(tmp_path / "fetched", tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_a_memory_disk_that_cannot_be_written_is_one_line(tools, tmp_path):
    tools.write("cpio", "echo 'cpio: no room' >&2; exit 1")
    with pytest.raises(ConfigError, match=r"^cpio failed: cpio: no room$"):
        emulator._write_initrd(tmp_path / "initrd", {}, [])


@pytest.mark.parametrize(
    ("name", "content"),
    [("tun.ko.xz", b"x"), ("tun.ko.gz", b"x"), ("tun.ko.gz", gzip.compress(b"tun", mtime=0)[:-4])],
    ids=["xz", "gz", "cut"],
)
def test_a_module_that_is_broken_is_named(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{name}: cannot be unpacked: "):
        emulator._unpacked(tmp_path / name)


def test_a_module_that_zstd_does_not_read_is_one_line(tools, tmp_path):
    tools.write("zstd", "echo 'zstd: unsupported format' >&2; exit 1")
    (tmp_path / "tun.ko.zst").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"^zstd failed: zstd: unsupported format$"):
        emulator._unpacked(tmp_path / "tun.ko.zst")


def test_a_tool_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^none failed: No such file or directory$"):
        packages.run_tool([tmp_path / "none"])


def test_an_emulator_that_does_not_run_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^the emulator does not run: No such file or directory$"):
        emulator._watch([str(tmp_path / "none")], tmp_path / "console", lambda done, line: None)
