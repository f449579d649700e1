"""Whole pieces of work here and in another checkout, in turn on one machine: medians and their ratios.

`git worktree add ../before 296e1c1 && make -C ../before .venv/.ready`, then `python -m tests.bench.against ../before`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parents[2]

SEED = "virtio-user-xdp1-tap"
#: Commands by what they are; the same words are understood by both.
COMMANDS = {
    "`run` of the seed": ["run", SEED],
    "`compare --uncertainty 200`, one size": ["compare", SEED, "--sizes", "64", "--uncertainty", "200"],
    "`report` of the seed": ["report", SEED, "--out", "OUT"],
    "`validate`": ["validate"],
    "Sobol, 7 170 runs": ["sensitivity", "seed-gain", "--method", "sobol", "--samples", "256"],
    "sweep of 1 024 costs": ["sweep", "cost-ranges", "--out", "OUT"],
}
#: A further answer of a running process: its fastest of four, in seconds.
ANSWER = """
import json, time
import sim
try:
    from sim.study.runs.case import sides_of
    from sim.study.runs.pool import pool_for
except ImportError:
    from sim.study.batch import pool_for
    from sim.study.uncertainty import sides_of
try:
    from sim.study.uncertainty.uncertainty import uncertainty
except ImportError:
    try:
        from sim.study.uncertainty.intervals import uncertainty
    except ImportError:
        from sim.study.uncertainty import uncertainty
wall, busy = [], []
for cost in range(5):
    changed = ["access=copy_user,vmap", "traffic.packet_bytes=64", f"cpu.primitives.lfence={4 + cost / 10}"]
    begin, processor = time.perf_counter(), time.process_time()
    scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=changed)
    with pool_for(400) as executor:
        uncertainty(sides_of(scenario), 200, 1, executor=executor)
    wall.append(time.perf_counter() - begin)
    busy.append(time.process_time() - processor)
print(json.dumps([min(wall[1:]), min(busy[1:])]))
"""
FURTHER = "one further answer (2 variants, 200 draws)"


def timed(checkout: Path, arguments: list[str]) -> tuple[float, float]:
    """Return seconds of wall and of processor time of one command, its children's too."""
    with tempfile.TemporaryDirectory() as out:
        words = [word if word != "OUT" else str(Path(out, "new")) for word in arguments]
        before, begin = os.times(), time.perf_counter()
        subprocess.run([checkout / ".venv/bin/vhost-sim", *words], cwd=checkout, check=True, capture_output=True)
        wall, after = time.perf_counter() - begin, os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, busy


def answered(checkout: Path) -> tuple[float, float]:
    """Return seconds of wall and of processor time of a further answer."""
    command = [checkout / ".venv/bin/python", "-c", ANSWER]
    done = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True)
    wall, busy = json.loads(done.stdout)
    return wall, busy


def main() -> None:
    """Time everything in turn, and print one row for each piece of work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="another checkout, installed (make .venv/.ready)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only work whose name has this in it")
    chosen = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is kept, as a user's is
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {chosen.rounds}")
    print("| work | before, s (processor) | here, s (processor) | times faster (processor) |\n|---|--:|--:|--:|")
    for name, arguments in {**COMMANDS, FURTHER: None}.items():
        if chosen.only not in name:
            continue
        times: dict[Path, list[tuple[float, float]]] = {chosen.checkout.resolve(): [], HERE: []}
        for turn in range(chosen.rounds + 1):  # the first one fills the caches
            for checkout, seconds in times.items():
                measured = answered(checkout) if arguments is None else timed(checkout, arguments)
                seconds += [measured] if turn else []
        rows = [[statistics.median(column) for column in zip(*seconds, strict=True)] for seconds in times.values()]
        cells = [f"{wall:.2f} ({busy:.2f})" for wall, busy in rows]
        (wall, busy), (wall_here, busy_here) = rows
        print(f"| {name} | {' | '.join(cells)} | {wall / wall_here:.1f} ({busy / busy_here:.1f}) |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
