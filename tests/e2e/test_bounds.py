"""Numbers beyond all bounds and loads without end: one line, exit code 2, before anything runs; memory stays flat."""

from __future__ import annotations

import pytest

SEED = ("run", "virtio-user-xdp1-tap", "--sizes", "64", "--access", "copy_user")
STREAM = ("run", "tcp-stream-guest-to-host")
FOUR_QUEUES = ("run", "four-queues-one-worker")

BEYOND = {
    "a barrier of minutes": (
        (*SEED, "--set", "cpu.primitives.lfence=1.2e12"),
        "cpu.primitives.lfence: 1.2e+12 cycles is",
    ),
    "a stack of minutes": (
        (*SEED, "--set", "backend.kind=tap-xdp-pass", "--set", "backend.stack_cost=1e12"),
        "backend.stack_cost: 1e+12 ns is beyond",
    ),
    "a driver of minutes": ((*SEED, "--set", "driver.packet_cost=1e12", "--json"), "driver.packet_cost: 1e+12 ns is"),
    "a barrier of seconds": (
        (*STREAM, "--set", "cpu.primitives.lfence=1e10"),
        "cpu.primitives.lfence: 1e+10 cycles is",
    ),
    "a lock of days": (
        (*FOUR_QUEUES, "--set", "cpu.primitives.lock_rmw=1e15"),
        "cpu.primitives.lock_rmw: 1e+15 cycles",
    ),
    "a clock beyond all clocks": ((*SEED, "--set", "cpu.core_ghz=1e300"), "cpu.core_ghz: 1e+300 GHz is beyond"),
    "the longest barrier in the longest run": (
        (*SEED, "--set", "cpu.primitives.lfence=1e9", "--set", "run.packets=1000000000"),
        "cpu.primitives.lfence: 1000000000 packets can take",
    ),
    "a packet per minute": (
        (*SEED, "--set", "traffic.load=0.02", "--set", "run.precision=0"),
        "traffic.load: 200000 packets can take 1e+07 s of simulated time",
    ),
    "a packet now and then": ((*SEED, "--set", "traffic.load=1e-12"), "a run has 4.61e+06 s"),
    "a packet by chance": (
        (*SEED, "--set", "traffic.load={kind: poisson, pps: 1e-3}", "--set", "run.precision=0"),
        "traffic.load: 200000 packets can take 2e+08 s",
    ),
    "all packets dropped": (
        (*SEED, "--set", "traffic.load=1e9", "--set", "driver.packet_cost=1e9"),
        "and a run takes 1e+10: a lower load or fewer run.packets fit",
    ),
}


@pytest.mark.parametrize(("arguments", "sentence"), BEYOND.values(), ids=BEYOND)
def test_what_cannot_be_is_refused_in_one_line(arguments, sentence, refused):
    line = refused(*arguments)
    assert sentence in line
    assert len(line) < 400
