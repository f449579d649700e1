"""What is particular to the compiled engine: when it compiles, what it refuses, how it fails."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sim.config.scenario.scenario import Driver
from sim.datapath import build_plan
from sim.datapath.plan.registers import Condition, Register
from sim.datapath.traffic import BLOCK
from sim.engine import loop, machine_code
from sim.engine.histogram import bucket
from sim.engine.order import TieOrder
from sim.engine.packed import pack
from sim.engine.record import DeadlockError
from tests.damage import changed, cut, emptied
from tests.engine.scenarios import ENGINES, base

RUN = """
import sys, sim.engine
from sim.datapath import build_plan
assert "numba" not in sys.modules
import sim
from sim.config import load_scenario
scenario = load_scenario("virtio-user-xdp1-tap")
plan = build_plan(scenario, "vmap", 64)
sim.engine.simulate(plan, scenario.run.model_copy(update={"packets": 100, "engine": sys.argv[1]}))
print("numba" in sys.modules)
"""


def run_in_a_new_process(engine, cache):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", RUN, engine]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.deep
def test_says_once_that_it_compiles(tmp_path):
    first, second = (run_in_a_new_process("fast", tmp_path) for _ in range(2))
    assert first.stderr.startswith("compiling the fast engine (once, about ")
    assert first.stderr.count("\n") == 1
    assert second.stderr == ""


@pytest.mark.deep
@pytest.mark.parametrize("damage", [emptied, cut, changed])
def test_damaged_machine_code_is_compiled_anew(damage, tmp_path):
    right = run_in_a_new_process("fast", tmp_path).stdout
    (file,) = tmp_path.glob("simulate_run.*.code")
    damage(file)
    again, third = (run_in_a_new_process("fast", tmp_path) for _ in range(2))
    assert (again.stdout, third.stdout) == (right, "False\n")
    assert again.stderr.startswith("compiling the fast engine")
    assert third.stderr == ""


CODE = b"\x7fELF\nmachine code\n" * 20


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of machine code, for this process."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_machine_code_made_of_other_numbers_or_for_another_processor_is_not_used(folder, monkeypatch):
    machine_code._keep("simulate", "symbol", CODE)
    for name, other in (("LAYOUT", machine_code.LAYOUT + 1), ("version", lambda package: "0")):
        with monkeypatch.context() as patch:
            patch.setattr(machine_code, name, other)
            machine_code._key.cache_clear()
            assert machine_code._kept("simulate") is None
    machine_code._key.cache_clear()
    assert machine_code._kept("simulate") == ("symbol", CODE)


def test_the_loop_is_compiled_for_what_it_is_given():
    """Addresses, sizes and strides are passed by position: the arrays must have the types of the examples."""
    plan = build_plan(base("v5.0"), "vmap", 64)
    arrays, examples = pack(plan, TieOrder.stated(2)), machine_code._examples()
    for name, given, example in zip(arrays._fields, arrays, examples["simulate_run"][0], strict=True):
        assert (given.dtype, given.ndim) == (example.dtype, example.ndim), name
        assert given.flags.c_contiguous, name
    for name, function in machine_code._examples().items():
        assert len(inspect.signature(getattr(loop, name)).parameters) == len(function), name


def test_without_a_compiler_the_fast_engine_refuses(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    command = [Path(sys.executable).with_name("vhost-sim"), "run", "virtio-user-xdp1-tap", "--sizes", "64"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    message = "NUMBA_DISABLE_JIT is set, and the fast engine is compiled: unset it, or set run.engine=reference"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"vhost-sim: {message}\n")


def test_reference_engine_needs_no_numba(tmp_path):
    assert run_in_a_new_process("reference", tmp_path).stdout == "False\n"


@pytest.mark.parametrize("kind", ENGINES)
def test_a_deadlock_says_who_waits_where(kind):
    plan = build_plan(base("v5.0"), "vmap", 64)
    never = Condition(Register.RING_AVAIL_IDX, "<", 0)
    stuck = tuple(replace(segment, first=replace(segment.first, condition=never)) for segment in plan.segments)
    engine = kind(replace(plan, segments=stuck), 10)
    with pytest.raises(DeadlockError) as caught:
        engine.run(1)
    assert str(caught.value) == "deadlock: nothing can happen any more (worker at 'idle', driver at 'burst')"


@pytest.mark.parametrize("kind", ENGINES)
def test_arrival_times_are_made_as_far_as_a_run_needs_them(kind):
    scenario = base("v5.0")
    load = scenario.traffic.load.model_copy(update={"kind": "constant", "pps": 40e6})
    traffic = scenario.traffic.model_copy(update={"load": load})
    plan = build_plan(scenario.model_copy(update={"traffic": traffic}), "vmap", 64)
    engine = kind(plan, 100)
    engine.run(2000)  # some seven times as many arrive and are dropped
    assert engine.machine.registers[Register.ARRIVED] > 2 * BLOCK
    assert engine.machine.registers[Register.ARRIVED] <= plan.arrivals.until(engine.now_ps)
    lost = engine.machine.registers[Register.DROPPED]
    assert engine.machine.registers[Register.TAKEN] == engine.machine.registers[Register.AVAIL_IDX_SHADOW] + lost


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 257, 50_000_000, 2**40 + 12345, 2**55, 2**62])
def test_buckets_are_those_of_the_histogram(value):
    assert loop._bucket(value) == bucket(value)


@pytest.mark.parametrize(
    ("driver", "waking"),
    [
        ("virtio-user", {"worker.used_index", "driver.kick"}),
        ("lockstep", {"worker.used_index", "worker.disable", "worker.enable", "worker.found", "driver.kick"}),
    ],
)
def test_only_rows_that_change_what_another_actor_waits_for_look_for_sleepers(driver, waking):
    plan = build_plan(base("v5.0").model_copy(update={"driver": Driver(kind=driver, burst=1)}), "vmap", 64)
    wakes = pack(plan, TieOrder.stated(2)).segments["wakes"]
    last = [plan.rows[segment.rows[-1]] for segment in plan.segments]
    assert {f"{row.actor}.{row.label}" for row, woke in zip(last, wakes, strict=True) if woke} == waking
