"""Sweeps that are killed: SIGKILL of the whole command and --resume, a Dask worker lost in mid-sweep, a full disk."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from sim.study.runs import pool
from sim.study.runs.pool import dask_executor
from sim.study.sweep import run as sweeps

from .studies import Inline, sweep

COMMAND = Path(sys.executable).with_name("vhost-sim")
SMALL = {
    "schema": 1,
    "kind": "sweep",
    "name": "small",
    "scenario": "virtio-user-xdp1-tap",
    "set": {"run.packets": 200, "run.precision": 0, "traffic.packet_bytes": 64, "access": "vmap"},
    "design": "latin-hypercube",
    "points": 400,
    "axes": {"cpu.primitives.stac": {"low": 7.5, "high": 25}, "cpu.cpi": {"low": 0.3, "high": 0.5}},
}


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*")) if file.suffix != ".partial"}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("study") / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    return file


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    sweeps.run_sweep(sweeps.load_sweep(str(study)), Inline(), folder=folder)
    return contents(folder)


def listening() -> None:
    """Take SIGINT, which who runs these tests in the background of a script ignores, and so would the command."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(
    study: Path, out: Path, *options: str, command: tuple = (COMMAND,), preexec_fn=listening
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, "sweep", str(study), "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=preexec_fn,
    )


def left_by(process: subprocess.Popen[str], folder: Path) -> dict[str, bytes]:
    """What a command that nobody ends leaves in a folder: parts, the sweep's description, plots."""
    assert process.communicate(timeout=600)[0]
    assert process.returncode == 0
    return contents(folder)


def wait_for_another_part(out: Path, process: subprocess.Popen[str]) -> None:
    before, until = len(list(out.glob("part-*.parquet"))), time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until and len(list(out.glob("part-*.parquet"))) == before:
        time.sleep(0.05)


def alive(session: int) -> set[int]:
    """Processes of a session that run."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            words = stat.read_text().rpartition(")")[2].split()
            if int(words[3]) == session and words[0] != "Z":
                found.add(int(stat.parent.name))
    return found


def wait_until(holds) -> bool:
    until = time.monotonic() + 60
    while not holds() and time.monotonic() < until:
        time.sleep(0.05)
    return bool(holds())


#: The command with parts of few points, so that many of them are written in little time.
SMALL_PARTS = 32
COMMAND_OF_SMALL_PARTS = (
    sys.executable,
    "-c",
    f"import sys, sim.study.sweep.run as sweeps; sweeps.CHUNK_POINTS = {SMALL_PARTS}; "
    "from sim.cli import main; sys.exit(main())",
)


@pytest.fixture(scope="module")
def many_parts(tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    """A study of 45 small parts, and what an undisturbed run of it leaves."""
    study, folder = tmp_path_factory.mktemp("many") / "many.yaml", tmp_path_factory.mktemp("whole") / "out"
    study.write_text(yaml.safe_dump(SMALL | {"points": 45 * SMALL_PARTS}))
    return study, left_by(start(study, folder, command=COMMAND_OF_SMALL_PARTS), folder)


@pytest.mark.deep
def test_a_sweep_killed_again_and_again_ends_with_the_bytes_of_an_undisturbed_one(many_parts, tmp_path):
    (study, undisturbed), moments, out, parts = many_parts, random.Random(7), tmp_path / "out", set()
    for number in range(20):
        process = start(study, out, "--resume", "--jobs", "1", command=COMMAND_OF_SMALL_PARTS)
        if number % 5 == 1:  # on a busy machine too, some get as far as a new part
            wait_for_another_part(out, process)
        time.sleep(moments.uniform(0.5, 2))
        with suppress(ProcessLookupError):  # it may have reached the end
            os.killpg(process.pid, signal.SIGKILL)  # its worker too
        process.communicate(timeout=60)
        kept = contents(out)
        assert all(kept[name] == undisturbed[name] for name in kept)
        parts.add(sum(name.startswith("part-") for name in kept))
    assert len(parts) > 2  # it did go on from one killing to the next
    last = start(study, out, "--resume", "--jobs", "1", command=COMMAND_OF_SMALL_PARTS)
    assert left_by(last, out) == undisturbed
    assert not list(out.glob(".*"))


@pytest.mark.deep
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_twenty_ends_with_parts_on_disk_leave_the_bytes_of_an_undisturbed_sweep_and_no_process(
    number, many_parts, tmp_path
):
    """The command alone is ended, at any moment behind its first new part; its workers have to notice."""
    (study, undisturbed), out, moments, parts = many_parts, tmp_path / "out", random.Random(number), []
    for ends in range(20):
        jobs = str(1 + ends % 2)
        process = start(study, out, "--resume", "--jobs", jobs, command=COMMAND_OF_SMALL_PARTS)
        wait_for_another_part(out, process)
        time.sleep(moments.uniform(0, 0.3))
        os.kill(process.pid, number)
        told = process.communicate(timeout=60)[1]
        assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
        assert wait_until(lambda session=process.pid: not alive(session))
        if number != signal.SIGKILL:
            assert told.endswith("is kept, and --resume goes on\n")
        kept = contents(out)
        assert all(kept[name] == undisturbed[name] for name in kept)
        parts.append(sum(name.startswith("part-") for name in kept))
    assert min(parts) > 0  # there was something on the disk each time
    assert parts == sorted(parts)
    assert len(set(parts)) > 10  # on a busy machine too, most went on from the one before
    last = start(study, out, "--resume", "--jobs", "2", command=COMMAND_OF_SMALL_PARTS)
    assert left_by(last, out) == undisturbed


@pytest.mark.parametrize(
    ("send", "number"),
    [
        *((os.kill, number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)),  # the command alone
        (os.killpg, signal.SIGINT),  # Ctrl-C of a terminal: its workers hear it too
    ],
)
def test_no_process_outlives_a_sweep_that_is_ended(send, number, study, tmp_path):
    process = start(study, tmp_path / "out", "--jobs", "2")
    assert wait_until(lambda: len(alive(process.pid)) >= 4)  # two workers, and what keeps count of what they share
    send(process.pid, number)
    told = process.communicate(timeout=60)[1]  # nobody holds its pipes
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert wait_until(lambda: not alive(process.pid))
    if number != signal.SIGKILL:
        assert told == f"vhost-sim: stopped; what {tmp_path / 'out'} holds is kept, and --resume goes on\n"


def test_a_full_disk_is_one_line_and_keeps_what_was_written(tmp_path):
    study, out, whole = tmp_path / "few.yaml", tmp_path / "out", tmp_path / "whole"
    study.write_text(yaml.safe_dump(SMALL | {"points": 130}))  # three parts
    sweeps.run_sweep(sweeps.load_sweep(str(study)), Inline(), folder=whole)
    undisturbed = contents(whole)
    largest = max(len(data) for data in undisturbed.values())

    def no_room() -> None:  # a write beyond this size fails, as it does on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest // 2, largest // 2))

    process = start(study, out, "--jobs", "1", preexec_fn=no_room)
    told = process.communicate(timeout=120)[1].splitlines()
    assert process.returncode == 2
    assert len(told) == 1
    assert "cannot be written: File too large; the parts written before are kept" in told[0]
    assert set(contents(out)) <= set(undisturbed)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dask(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.deep
def test_a_dask_worker_lost_in_mid_sweep_does_not_show(study, undisturbed, tmp_path):
    pytest.importorskip("distributed")
    address, scratch = f"tcp://127.0.0.1:{free_port()}", str(tmp_path / "scratch")
    scheduler = dask("distributed.cli.dask_scheduler", "--host", address, "--no-dashboard")
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", scratch)
    workers = [dask("distributed.cli.dask_worker", address, *options) for _ in range(2)]
    try:
        from distributed import Client

        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        done: list[int] = []

        def kill_one(points: int, total: int) -> None:
            if not done:
                workers[0].kill()
            done.append(points)

        with dask_executor(address) as executor:
            outcome = sweeps.run_sweep(
                sweeps.load_sweep(str(study)), executor, folder=tmp_path / "out", progress=kill_one
            )
        assert workers[0].wait(timeout=10) == -signal.SIGKILL
        assert outcome.computed == SMALL["points"]
        assert contents(tmp_path / "out") == undisturbed
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait(timeout=10)


def test_an_unreachable_scheduler_is_one_line(study, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "DASK_TIMEOUT_SECONDS", 1)
    with (
        pytest.raises(sweeps.ConfigError, match=r"dask: no scheduler answers: .* \(got tcp://127.0.0.1:\d+\)"),
        dask_executor(f"tcp://127.0.0.1:{free_port()}"),
    ):
        pass


def test_a_folder_below_a_file_is_one_line(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    study = sweep({"access": {"values": ["vmap"]}})
    with pytest.raises(sweeps.ConfigError, match=r"folder: cannot be written: Not a directory \(got .*below\)"):
        sweeps.run_sweep(study, Inline(), folder=file / "below")
