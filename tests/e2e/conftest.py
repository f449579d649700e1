"""The installed command, run in a process of its own, or in a fork, from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .forked import Server

COMMAND = Path(sys.executable).parent / "vhost-sim"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty folder to call the command from."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def compiled() -> None:
    """Compile the fast engine once: the command says so on stderr the first time it runs on a machine."""
    arguments = ["run", "virtio-user-xdp1-tap", "--sizes", "64", "--access", "vmap", "--set", "run.packets=1"]
    subprocess.run([COMMAND, *arguments], capture_output=True, check=True)


@pytest.fixture
def installed(empty: Path, compiled: None) -> Run:
    """Run the installed `vhost-sim ARGUMENTS` from the empty folder and return what it printed and its exit code."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(COMMAND), *(str(argument) for argument in arguments)]
        environment = {**os.environ, "COLUMNS": "132", "NO_COLOR": "1"}
        return subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.fixture(scope="session")
def server(compiled: None) -> Iterator[Server]:
    """What forks into the command, call by call."""
    server = Server(COMMAND)
    yield server
    server.close()


@pytest.fixture
def vhost_sim(empty: Path, server: Server, tmp_path: Path) -> Run:
    """As `installed`, in a fork of a process that has imported everything."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return server.run([str(argument) for argument in arguments], empty, tmp_path)

    return run


@pytest.fixture
def refused(vhost_sim: Run) -> Callable[..., str]:
    """Run the command with bad input; return its one line on stderr."""

    def run(*arguments: object) -> str:
        done = vhost_sim(*arguments)
        assert "Traceback" not in done.stderr, done.stderr[-500:]
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("vhost-sim: ")
        assert done.stderr.endswith("\n")
        said = done.stderr.removeprefix("vhost-sim: ").removesuffix("\n")
        assert said.isprintable()
        assert len(said) <= 400
        return said

    return run
