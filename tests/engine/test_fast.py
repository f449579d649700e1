"""What is particular to the compiled engine: when it compiles, what it refuses, how it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sim.config.scenario.scenario import Driver
from sim.datapath import build_plan
from sim.datapath.plan.registers import Condition, Register
from sim.datapath.traffic import BLOCK
from sim.engine.histogram import bucket
from sim.engine.loop import Stop, simulate_events
from sim.engine.machine_code import KeptCode
from sim.engine.order import TieOrder
from sim.engine.packed import pack
from sim.engine.record import DeadlockError
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


def emptied(file):
    file.write_bytes(b"")


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


def changed(file):
    code = bytearray(file.read_bytes())
    code[len(code) // 2] ^= 1
    file.write_bytes(code)


@pytest.mark.deep
@pytest.mark.parametrize(("damage", "kind"), [(emptied, "nbi"), (cut, "nbi"), (cut, "nbc"), (changed, "nbc")])
def test_damaged_machine_code_is_compiled_anew(damage, kind, tmp_path):
    right = run_in_a_new_process("fast", tmp_path).stdout
    (file,) = tmp_path.glob(f"*/*.{kind}")
    damage(file)
    again, third = (run_in_a_new_process("fast", tmp_path) for _ in range(2))
    assert (again.stdout, third.stdout) == (right, right)
    assert again.stderr.startswith("compiling the fast engine")
    assert third.stderr == ""


class Compiled:
    """What numba makes of a function, with its machine code in a folder: a file for each compilation."""

    def __init__(self, folder):
        self.stats = SimpleNamespace(cache_path=str(folder), cache_misses={})
        self.py_func = emptied
        line = emptied.__code__.co_firstlineno
        self.files = [folder / f"test_fast.emptied-{line}.py311.{end}" for end in ("nbi", "1.nbc")]

    def __call__(self):
        if not all(file.exists() for file in self.files):
            self.stats.cache_misses = {"signature": 1}
            for file in self.files:
                file.write_bytes(b"machine code")
        return len(self.stats.cache_misses)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "damage", [emptied, lambda file: file.write_bytes(b"machine kode"), lambda file: file.unlink()]
)
def test_machine_code_is_used_as_it_was_written_or_not_at_all(damage, place, tmp_path):
    compilations = [KeptCode(Compiled(tmp_path))() for _ in range(3)]
    assert compilations == [1, 0, 0]
    damage(Compiled(tmp_path).files[place])
    assert [KeptCode(Compiled(tmp_path))() for _ in range(2)] == [1, 0]
    (tmp_path / "emptied.digests.json").write_text("{")
    assert [KeptCode(Compiled(tmp_path))() for _ in range(2)] == [1, 0]


def test_without_a_compiler_the_fast_engine_refuses(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "1"}
    command = [Path(sys.executable).with_name("vhost-sim"), "run", "virtio-user-xdp1-tap", "--sizes", "64"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    message = "NUMBA_DISABLE_JIT is set, and the fast engine is compiled: unset it, or set run.engine=reference"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"vhost-sim: {message}\n")


def test_reference_engine_needs_no_numba(tmp_path):
    assert run_in_a_new_process("reference", tmp_path).stdout == "False\n"


def test_machine_code_of_another_layout_refuses_to_run():
    arrays = pack(build_plan(base("v5.0"), "vmap", 64), TieOrder.stated(2))
    arrays.fixed["layout"] += 1
    before = arrays.registers.copy()
    assert simulate_events(arrays, np.empty((0, 5), dtype=np.int64), 1, 1, 1) == Stop.STALE
    assert np.array_equal(arrays.registers, before)
    assert not arrays.totals["started"][0]


def test_scenarios_differ_only_in_arrays():
    for kernel, access in (("v5.0", "vmap"), ("v7.3", "copy_user")):
        simulate_events(
            pack(build_plan(base(kernel), access, 64), TieOrder.stated(2)), np.empty((0, 5), dtype=np.int64), 9, 9, 9
        )
    assert len(simulate_events.signatures) == 1


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
    from sim.engine import loop

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
