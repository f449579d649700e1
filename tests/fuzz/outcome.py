"""What may become of an input: an answer of finite numbers, or one short line; all else is a failure."""

from __future__ import annotations

import json
import math
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import CompletedProcess
from types import FrameType
from typing import Any

from sim.config import ConfigError

#: Processor time that an input may take: many times what the slowest right one does.
LIMIT_S = 20.0
#: Longest message.
MOST_SIGNS = 400

ANSWERED, REFUSED, FAILED = "answered", "refused", "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of an input, and what was said."""

    kind: str
    said: str = ""


class TooLongError(Exception):
    """An input has taken more processor time than any may."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooLongError when what is inside takes more processor time than this."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLongError(f"more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def judged(use: Callable[[], Any], seconds: float = LIMIT_S) -> Outcome:
    """Return what becomes of an input that the library is given."""
    try:
        with limited(seconds):
            answer = use()
    except ConfigError as error:
        problem = unclean(str(error))
        return Outcome(FAILED, f"{problem}: {error!s}") if problem else Outcome(REFUSED, str(error))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = "".join(traceback.format_exception(error)[-6:])
        return Outcome(
            FAILED, f"{type(error).__name__} in {last.filename.rpartition('/sim/')[2]}:{last.lineno}\n{text}"
        )
    bad = not_finite(answer)
    return Outcome(FAILED, f"an answer holds {bad}") if bad else Outcome(ANSWERED)


def of_process(done: CompletedProcess[str]) -> Outcome:
    """Return what became of an input that the command was given, whose answer is JSON."""
    said = done.stderr
    if done.returncode == 0:
        try:
            bad = not_finite(json.loads(done.stdout))
        except ValueError as error:
            return Outcome(FAILED, f"no JSON: {error}")
        return Outcome(FAILED, f"an answer holds {bad}") if bad else Outcome(ANSWERED)
    if done.returncode != 2:
        return Outcome(FAILED, f"exit code {done.returncode}: {said[-2000:]}")
    line = said.removeprefix("vhost-sim: ").removesuffix("\n")
    problem = unclean(line) or ("something on stdout" if done.stdout else "")
    if not (said.startswith("vhost-sim: ") and said.endswith("\n")):
        problem = "no line of its own"
    return Outcome(FAILED, f"{problem}: {said}") if problem else Outcome(REFUSED, line)


def unclean(line: str) -> str:
    """Return what is wrong with a message, empty for nothing."""
    if not line.strip():
        return "says nothing"
    if len(line) > MOST_SIGNS:
        return f"{len(line)} signs"
    return "" if line.isprintable() else "signs that a terminal obeys"


def not_finite(answer: Any) -> str:
    """Return the first number of an answer that is none, with its place; empty where all are numbers."""
    if isinstance(answer, dict):
        return next((f"{key}: {bad}" for key, value in answer.items() if (bad := not_finite(value))), "")
    if isinstance(answer, list | tuple):
        return next((bad for value in answer if (bad := not_finite(value))), "")
    return str(answer) if isinstance(answer, float) and not math.isfinite(answer) else ""
