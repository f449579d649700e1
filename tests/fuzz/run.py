"""`make fuzz`: give drawn inputs to the product for so long, say what was tried, keep what failed to try it again.

Workers are forked, one input after another: one that dies or hangs is a failure of the input that it had, and another
takes its place.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sim.config import load_scenario
from tests.fuzz import inputs
from tests.fuzz.fuzzers import FUZZERS, Fuzzer, Input
from tests.fuzz.outcome import FAILED, Outcome

OUT = Path(__file__).resolve().parents[2] / "out" / "fuzz"
#: A worker that says nothing for so long hangs in machine code, where no timer reaches it.
SILENCE_S = 300.0
#: Memory of a worker: what asks for more fails, and not the machine.
WORKER_BYTES = 6 << 30
#: Of the time of a run, what each fuzzer has.
SHARES = {"structured": 0.4, "text": 0.2, "settings": 0.3, "parts": 0.1}

#: Inputs of a run that is recorded in docs/testing.md.
RECORD = {"structured": 100_000, "text": 20_000, "settings": 10_000, "parts": 5_000}


@dataclass
class Tried:
    """What a fuzzer has tried, and what became of it."""

    fuzzer: str
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[int] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """Inputs that were tried."""
        return self.outcomes.total()


class Worker:
    """A process that tries every input whose number is `first`, `first + step` and so on."""

    def __init__(self, fuzzer: str, seed: int, first: int, step: int) -> None:
        self._arguments = (fuzzer, seed, step)
        self.number = first
        reading, writing = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(reading)
            _work(fuzzer, seed, first, step, writing)
        os.close(writing)
        self.stream = os.fdopen(reading, encoding="utf-8")
        self.heard = time.monotonic()

    def outcome(self) -> tuple[int, Outcome] | None:
        """Return the next outcome and its number; None where the worker has died."""
        line = self.stream.readline()
        self.heard = time.monotonic()
        if not line.endswith("\n"):
            return None
        number, kind, said = json.loads(line)
        self.number = number + self._arguments[2]
        return number, Outcome(kind, said)

    def end(self) -> int:
        """End the process and return its exit code."""
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        self.stream.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def next(self) -> Worker:
        """Return a worker that goes on behind the input of this one."""
        fuzzer, seed, step = self._arguments
        return Worker(fuzzer, seed, self.number + step, step)


def _work(name: str, seed: int, first: int, step: int, writing: int) -> None:
    """Try inputs until somebody ends this process."""
    inputs.memory_limit(WORKER_BYTES)
    parent = os.getppid()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    fuzzer = FUZZERS[name](seed)
    try:
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            number = first
            while os.getppid() == parent:
                outcome = tried(fuzzer, number)[1]
                stream.write(json.dumps([number, outcome.kind, outcome.said]) + "\n")
                stream.flush()
                number += step
    except (BrokenPipeError, KeyboardInterrupt):
        pass
    finally:
        os._exit(0)


def tried(fuzzer: Fuzzer, number: int) -> tuple[Input, Outcome]:
    """Draw an input and return it with what becomes of it."""
    given = fuzzer.draw(number)
    return given, fuzzer.judge(given)


def outcomes(name: str, seed: int, first: int, jobs: int, deadline: float) -> Iterator[tuple[int, Outcome]]:
    """Yield what becomes of inputs, in whatever order, until it is too late."""
    workers = [Worker(name, seed, first + place, jobs) for place in range(jobs)]
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([worker.stream for worker in workers], [], [], 1.0)
            for place, worker in enumerate(workers):
                silent = time.monotonic() - worker.heard > SILENCE_S
                if worker.stream not in ready and not silent:
                    continue
                heard = None if silent else worker.outcome()
                if heard is not None:
                    yield heard
                    continue
                code = worker.end()
                yield worker.number, Outcome(FAILED, "hangs" if silent else f"the process died ({code})")
                workers[place] = worker.next()
    finally:
        for worker in workers:
            worker.end()


def fuzz(name: str, seed: int, first: int, jobs: int, minutes: float, cases: int | None) -> Tried:
    """Try inputs of a fuzzer for so long, or so many; failures are kept as they come."""
    done, started = Tried(name), time.monotonic()
    with closing(outcomes(name, seed, first, jobs, started + minutes * 60)) as heard:
        for number, outcome in heard:
            done.outcomes[outcome.kind] += 1
            done.seconds = time.monotonic() - started
            if outcome.kind == FAILED:
                done.failures.append(number)
                _keep(name, seed, number, outcome)
            if sys.stderr.isatty() and done.cases % 50 == 0:
                print(
                    f"\r{name}: {done.cases} cases, {len(done.failures)} failed, {done.seconds:.0f} s",
                    end="",
                    file=sys.stderr,
                )
            if cases is not None and done.cases >= cases:
                break
    return done


def _keep(name: str, seed: int, number: int, outcome: Outcome) -> None:
    """Keep a failure: what was said, the command that tries it again, and the input itself."""
    OUT.mkdir(parents=True, exist_ok=True)
    fuzzer = FUZZERS[name](seed)
    given = fuzzer.draw(number)
    fuzzer.close()
    stem = f"{name}-{seed}-{number}"
    command = f"python -m tests.fuzz.run --again {name}/{seed}/{number}"
    shown = shlex.join(("vhost-sim", *given.arguments)) if given.arguments else given.title
    (OUT / f"{stem}.txt").write_text(
        f"{shown}\n{command}\n\n{outcome.said}\n", encoding="utf-8", errors="backslashreplace"
    )
    if given.content:
        (OUT / f"{stem}.input").write_bytes(given.content)


#: Head of the table of what was tried, in Markdown.
HEAD = ("| fuzzer | inputs | answers | clean refusals | failures | minutes |", "|---|--:|--:|--:|--:|--:|")


def row(tried: Tried) -> str:
    """Return what a fuzzer has tried as a row of the table."""
    counts = (tried.cases, tried.outcomes["answered"], tried.outcomes["refused"], len(tried.failures))
    return f"| {tried.fuzzer} | {' | '.join(map(str, counts))} | {tried.seconds / 60:.1f} |"


def main(arguments: list[str] | None = None) -> int:
    """Run the fuzzers and print the table as each ends; 1 where something failed."""
    options = _options(arguments)
    if options.again:
        return _again(options.again)
    wanted = options.only.split(",") if options.only else list(FUZZERS)
    whole = sum(SHARES[name] for name in wanted)
    print(f"seed {options.seed}, inputs from {options.first} on, {options.jobs} processes, {_machine()}\n")
    print("\n".join(HEAD), flush=True)
    inputs.answer(load_scenario(inputs.SEED))  # what compiles the engine; workers have it from here
    failures = 0
    for name in wanted:
        minutes = math.inf if options.record else options.minutes * SHARES[name] / whole
        cases = RECORD[name] if options.record else options.cases
        done = fuzz(name, options.seed, options.first, options.jobs, minutes, cases)
        print(row(done), flush=True)
        failures += len(done.failures)
    if failures:
        print(f"\n{failures} failures are kept in {OUT}")
    return int(failures > 0)


def _machine() -> str:
    """Return what the inputs are tried on: processor and commit."""
    model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return f"{model[1] if model else platform.machine()}, commit {commit or 'unknown'}"


def _again(place: str) -> int:
    """Try one input again and say what becomes of it."""
    name, seed, number = place.split("/")
    fuzzer = FUZZERS[name](int(seed))
    given = fuzzer.draw(int(number))
    print(shlex.join(("vhost-sim", *given.arguments)) if given.arguments else f"{given.title}:\n{given.content!r}")
    outcome = fuzzer.judge(given)
    fuzzer.close()
    print(f"{outcome.kind}: {outcome.said}")
    return int(outcome.kind == FAILED)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, all fuzzers together")
    parser.add_argument("--cases", type=int, help="inputs of each fuzzer at most")
    parser.add_argument("--record", action="store_true", help=f"as many as docs/testing.md records: {RECORD}")
    parser.add_argument("--only", metavar="NAME,NAME", help=f"fuzzers: {', '.join(FUZZERS)} (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the inputs")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--again", metavar="NAME/SEED/NUMBER", help="try one input again")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
