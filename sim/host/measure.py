"""Measure this host, or read a recording, and derive the CPU profile that it gives."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.host.experiments.privilege import check_devices, one_at_a_time
from sim.host.experiments.taps import check_taps, sample_writes, tap_benchmarks
from sim.host.experiments.vhost import check_vhost, run_vhost
from sim.host.machine import choose_pair, read_machine, read_times, wait_until_idle
from sim.host.nearest import check_x86
from sim.host.profile import Profile, build_profile
from sim.host.programs import Reading, benchmarks, check_platform, compiled, run_round
from sim.host.recording import FEWEST_ROUNDS, QUIET_IDLE, Recording, Round, Series, read_recording

ROUNDS = 11
#: After this no round is started, so that a session ends well within a minute.
BUDGET_S = 40.0
#: Writes to TAPs are short and differ from one another by little: a round holds several passes through them.
PASSES_OF_WRITES = 5
#: Patience for other programs before each round, while there is time.
PATIENCE_S = 2.0


def record(progress: Progress | None = None, taps: bool = False, vhost: Sequence[Mapping[str, int]] = ()) -> Recording:
    """Measure this machine; writes to TAPs too if wanted, and a driver of its vhost worker in these configurations.

    Raises ConfigError where it cannot be measured (platform, CPU, compiler, no free CPU; for TAPs no root, no bpf()).
    """
    check_host(taps, bool(vhost))
    with one_at_a_time():
        return _record(progress, taps, vhost)


def check_host(taps: bool = False, vhost: bool = False) -> None:
    """Raise ConfigError where one sees at once that this machine cannot be measured, or not by this user."""
    check_platform()
    if taps or vhost:
        check_devices(*(["/dev/vhost-net"] if vhost else []), "/dev/net/tun")


def _record(progress: Progress | None, taps: bool, vhost: Sequence[Mapping[str, int]]) -> Recording:
    if taps:
        check_taps()
    machine = read_machine(sorted(os.sched_getaffinity(0)))
    check_x86(machine)
    pair = choose_pair(machine)
    if vhost:
        check_vhost(vhost[0], pair)
    program = compiled("bench")
    started = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    names, writes = benchmarks(machine), tap_benchmarks() if taps else []
    rounds, readings = _rounds(program, names + PASSES_OF_WRITES * writes, pair, progress)
    readings = [of_round[: len(names)] + middle_pass(of_round[len(names) :], len(writes)) for of_round in readings]
    names += writes
    return Recording(
        schema=1,
        kind="host-recording",
        origin="vhost-sim measure",
        started=started,
        machine=machine,
        pair=pair,
        rounds=rounds,
        series={name: series_of([of_round[number] for of_round in readings]) for number, name in enumerate(names)},
        samples=sample_writes(pair[0], progress) if taps else {},
        vhost=run_vhost(vhost, pair, progress) if vhost else [],
    )


def _rounds(
    program: Path, wanted: Sequence[str], pair: tuple[int, int | None], progress: Progress | None
) -> tuple[list[Round], list[list[Reading]]]:
    cpus = [cpu for cpu in pair if cpu is not None]
    rounds: list[Round] = []
    readings: list[list[Reading]] = []
    begun = time.monotonic()
    while True:
        quiet = sum(made.quiet for made in rounds)
        spent = time.monotonic() - begun
        if quiet >= ROUNDS or (spent >= BUDGET_S and len(rounds) >= FEWEST_ROUNDS):
            return rounds, readings
        if progress is not None:
            progress(max(quiet / ROUNDS, min(spent / BUDGET_S, 0.99)), f"round {len(rounds) + 1}")
        idle = wait_until_idle(cpus, QUIET_IDLE, PATIENCE_S)
        before = read_times()
        ticks_per_ns, of_round = run_round(program, pair, wanted)
        steal = read_times().steal_since(before, cpus)
        rounds.append(Round(ticks_per_ns=ticks_per_ns, idle=idle, steal=steal))
        readings.append(of_round)


def middle_pass(readings: Sequence[Reading], count: int) -> list[Reading]:
    """Return each benchmark's middle reading of several passes through `count` of them, one without ticks first."""
    passes = [sorted(readings[number::count], key=lambda reading: reading.ticks or 0.0) for number in range(count)]
    return [of_one[0] if of_one[0].ticks is None else of_one[(len(of_one) - 1) // 2] for of_one in passes]


def series_of(readings: list[Reading]) -> Series:
    """Return the readings of one benchmark, round by round, as a recording keeps them."""
    return Series(
        ticks=[None if reading.ticks is None else round(reading.ticks, 4) for reading in readings],
        ratio=[round(reading.ratio, 5) for reading in readings],
        disturbed=[reading.disturbed for reading in readings],
    )


DEFAULT_NAME = "this-host"


def measure(
    recording_file: Path | None = None,
    name: str = DEFAULT_NAME,
    configs: Path | None = None,
    progress: Progress | None = None,
    taps: bool = False,
    vhost: Sequence[Mapping[str, int]] = (),
) -> tuple[Recording, Profile]:
    """Return a recording (read from `recording_file`, or made now, as `record` does) and its profile.

    Raises ConfigError where this machine cannot be measured, and for a file that is no recording.
    """
    recording = record(progress, taps, vhost) if recording_file is None else read_recording(recording_file)
    return recording, build_profile(recording, name, configs)


def check_same_machine(recording: Recording) -> None:
    """Raise ConfigError when a recording was made on another kind of machine than this one."""
    here = read_machine(sorted(os.sched_getaffinity(0)))
    there = recording.machine
    if (here.vendor, here.family, here.model) != (there.vendor, there.family, there.model):
        raise ConfigError(f"the recording is of another machine ({there.model_name})", key="ring")
