"""Points per second of a sweep to +/-0.5 % each, on one core and on all; cost and memory at three sizes."""

from __future__ import annotations

import os
from concurrent.futures import wait
from contextlib import nullcontext

import pandas as pd
import pytest

from sim.study.runs.pool import local_executor
from sim.study.sweep import run as sweeps
from sim.study.sweep.run import run_points
from tests.bench.commands import usage
from tests.sweep.studies import Inline, sweep

RANGES = {
    "cpu.primitives.stac": {"low": 7.5, "high": 25},
    "cpu.primitives.clac": {"low": 7.5, "high": 25},
    "cpu.primitives.lfence": {"low": 4, "high": 28},
    "cpu.primitives.line_transfer": {"low": 19, "high": 44},
    "cpu.cpi": {"low": 0.28, "high": 0.6},
    "access": {"values": ["copy_user", "vmap"]},
}
PRECISION = 0.005
SIZES = (512, 1024, 2048)
CORES = sorted({1, os.cpu_count() or 1})


def study(points):
    settings = {"run.precision": PRECISION, "traffic.packet_bytes": 64}
    return sweep(RANGES, design="sobol", points=points, set=settings)


@pytest.mark.parametrize("points", SIZES)
@pytest.mark.parametrize("jobs", CORES)
def test_points_per_second(benchmark, measuring, figures, tmp_path, jobs, points):
    if not measuring and points > SIZES[0]:
        pytest.skip("one size shows that it runs")
    points = points if measuring else points // 64
    with local_executor(jobs) if measuring else nullcontext(Inline()) as pool:
        warm = [pool.submit(run_points, study(1), None, 0, [{}], frozenset()) for _ in range(4 * jobs)]
        wait(warm)  # the processes have started and loaded the machine code

        def run():
            return sweeps.run_sweep(study(points), pool, folder=tmp_path / "out", jobs=jobs)

        outcome = benchmark.pedantic(run, rounds=1)
    assert (outcome.computed, outcome.failed) == (points, 0)
    rows = pd.read_parquet(tmp_path / "out")
    assert len(rows) == points
    assert ((rows["pps_high"] - rows["pps_low"]) / 2 <= 1.001 * PRECISION * rows["pps"]).all()
    if measuring:
        figures.sweeps[jobs, points] = benchmark.stats.stats.min


@pytest.mark.parametrize("points", SIZES)
def test_memory_of_a_sweep(measuring, figures, tmp_path, points):
    if not measuring and points > SIZES[0]:
        pytest.skip("one size shows that it runs")
    points = points if measuring else points // 64
    file, out = tmp_path / "study.json", tmp_path / "out"  # JSON is YAML
    file.write_text(study(points).model_dump_json(exclude_none=True).replace('"schema_"', '"schema"'))
    figures.memory[f"sweep, {points:,} points"] = usage(tmp_path / "usage", "sweep", str(file), "--out", str(out))
    assert len(pd.read_parquet(out)) == points
