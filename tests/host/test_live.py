"""A live smoke test: the programs compile and answer here, whatever they measure. Skipped where they cannot."""

from __future__ import annotations

import os
from datetime import datetime

import pytest

from sim.config.errors import ConfigError
from sim.costs.audit import audit
from sim.host.machine import choose_pair, read_machine
from sim.host.measure import series_of
from sim.host.profile import build_profile
from sim.host.programs import benchmarks, compiled, run_round
from sim.host.recording import Recording, Round
from sim.host.ring import RingSettings, run_window


@pytest.fixture(scope="module")
def programs():
    """The two programs and this machine, or the reason why there are none."""
    try:
        programs = compiled("bench"), compiled("ring")
    except ConfigError as error:
        pytest.skip(str(error))
    return (*programs, read_machine(sorted(os.sched_getaffinity(0))))


def test_one_round_of_every_benchmark_gives_a_profile(programs):
    bench, _, machine = programs
    pair, names = choose_pair(machine), benchmarks(machine)
    ticks_per_ns, answers = run_round(bench, pair, names)
    assert all(answer.ticks is None or answer.ticks > 0 for answer in answers)
    assert all(answer.ratio > 0 for answer in answers)
    recording = Recording(
        schema=1,
        kind="host-recording",
        origin="smoke test",
        started=str(datetime.now()),
        machine=machine,
        pair=pair,
        rounds=[Round(ticks_per_ns=ticks_per_ns, idle=1, steal=0)],
        series={name: series_of([answer]) for name, answer in zip(names, answers, strict=True)},
    )
    profile = build_profile(recording, "smoke")
    assert [finding for finding in audit(profile.cpu) if finding.severity == "error"] == []
    assert set(profile.unstable) == set(profile.summaries)  # a single repeat is never stable


def test_an_unknown_benchmark_is_refused(programs):
    bench, _, machine = programs
    with pytest.raises(ConfigError, match="unknown benchmark nonsense"):
        run_round(bench, (machine.cpus[0].cpu, None), ["nonsense 0"])


def test_the_ring_moves_packets(programs):
    _, ring, machine = programs
    first, other = choose_pair(machine)
    if other is None:
        pytest.skip("one core only: no ring between two")
    settings = RingSettings(size=256, burst=32, batch=64, packet_bytes=64, free_threshold=32, fenced=True)
    window = run_window(ring, settings, (first, other))
    # Every flush hands back at most a batch of 64.
    assert window.events_per_packet["flushes"] >= 1 / 64
    assert min(window.before.line_transfer, window.after.line_transfer) > 1
