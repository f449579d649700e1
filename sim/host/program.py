"""Talk to the compiled `bench` program: one process per round, one line per benchmark."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.config.errors import ConfigError


@dataclass(frozen=True)
class Answer:
    """What one benchmark gave: ticks per operation (None: not possible), core cycles per tick, disturbed batches."""

    ticks: float | None
    ratio: float
    disturbed: int


def parse_answer(line: str) -> Answer:
    """Read one line of the program: ticks, the clock ratio before and after, disturbed batches."""
    try:
        ticks, before, after, disturbed = line.split()
        value, ratio = float(ticks), (float(before) + float(after)) / 2
        count = int(disturbed)
    except ValueError:
        raise ConfigError(f"measure: the benchmark program answered {line.strip()!r}") from None
    return Answer(value if math.isfinite(value) else None, ratio, count)


def run_round(
    program: Path, pair: tuple[int, int | None], wanted: Sequence[str], limit_s: float = 60.0
) -> tuple[float, list[Answer]]:
    """Run all benchmarks once in a fresh process; return ticks per ns and the answers in order."""
    other = -1 if pair[1] is None else pair[1]
    command = [str(program), str(pair[0]), str(other)]
    try:
        done = subprocess.run(
            command, input="\n".join(wanted) + "\n", capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"measure: a round of benchmarks did not end within {limit_s:g} s") from None
    except OSError as error:
        raise ConfigError(f"measure: {program} does not run: {error.strerror}") from None
    lines = done.stdout.splitlines()
    if done.returncode or not lines or not lines[0].startswith("ready "):
        reason = done.stderr.strip().splitlines()
        raise ConfigError(f"measure: the benchmark program failed: {reason[-1] if reason else done.returncode}")
    answers = [parse_answer(line) for line in lines[1:]]
    if len(answers) != len(wanted):
        raise ConfigError(f"measure: {len(wanted)} benchmarks were asked for, {len(answers)} answered")
    return float(lines[0].removeprefix("ready ")), answers
