"""Runs of the driver program that were recorded under emulation, and a quiet host made of them by arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.host.experiments.privilege import parse_records
from sim.host.experiments.vhost import VhostRun, WorkerWindow, read_run
from sim.host.recording import Recording

DATA = Path(__file__).parents[1] / "data" / "vhost"
#: Keys of the program that a run does not keep: where it ran, and for how long.
PLACES = ("worker_cpu", "driver_cpu", "check", "windows", "window_ms")


def recorded(name: str) -> list[VhostRun]:
    """Return the runs of one file: a line of settings, then its records."""
    return [read_run(settings, parse_records("\n".join(lines))) for settings, lines in _runs(name)]


def _runs(name: str) -> Iterator[tuple[dict[str, int], list[str]]]:
    settings: dict[str, int] = {}
    lines: list[str] = []
    for line in (DATA / f"{name}.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("{"):
            lines.append(line)
            continue
        if lines:
            yield settings, lines
        pairs = dict(pair.split("=") for pair in line.split())
        settings, lines = {key: int(value) for key, value in pairs.items() if key not in PLACES}, []
    yield settings, lines


def quiet_ns(size: int) -> int:
    """Return the made-up time of a packet: 500 ns and a tenth of a nanosecond for each byte."""
    return 500 + size // 10


def quiet() -> list[VhostRun]:
    """Return the runs of `noisy` with made-up windows: 1000 packets, one in a thousand slower from round to round."""
    runs = []
    for number, run in enumerate(recorded("noisy")):
        ns = 1000 * quiet_ns(run.settings["size"]) + number // 6
        made = WorkerWindow(
            packets=1000,
            ns=ns,
            worker_ns=ns * 99 // 100,
            cycles=3 * ns,
            instructions=1_200_000,
            kicks=0,
            core_ghz=3.0,
        )
        runs.append(run.model_copy(update={"windows": [made]}))
    return runs


def with_runs(base: Recording, runs: list[VhostRun], kernel: str = "6.1.0-56-amd64") -> Recording:
    """Return a recording of a host whose kernel was the emulated one."""
    machine = base.machine.model_copy(update={"kernel": kernel})
    return base.model_copy(update={"machine": machine, "vhost": runs})
