"""One point of a sweep: resolve it, give it the key of its content, run it, return its rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from functools import lru_cache

from sim.config import ConfigError, Scenario
from sim.config.loading.load import Scenarios
from sim.config.loading.paths import package_folder
from sim.config.tables.study import Sweep
from sim.study.questions.columns import columns, row_of
from sim.study.questions.run import run
from sim.study.sweep.design import Assignment
from sim.study.sweep.parts import ResultRow

#: Rooms whose code decides a result; their text is part of every key.
_ROOMS = ("config", "costs", "datapath", "engine")


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return a hash of the code that decides a result, so that an edited model invalidates what it made before."""
    package = package_folder()
    digest = hashlib.sha256()
    for room in _ROOMS:
        for file in sorted((package / room).glob("**/*.py")):
            digest.update(f"{file.relative_to(package)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def content_key(scenario: Scenario) -> str:
    """Return the hash of all that a point depends on: resolved scenario with its tables and seed, and the code."""
    text = json.dumps([scenario.model_dump(mode="json"), code_version()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def run_points(
    sweep: Sweep, configs: str | None, first: int, points: list[Assignment], known: Collection[str]
) -> list[tuple[str, list[ResultRow] | None]]:
    """Run consecutive points of a sweep; each gives its key and its rows, None where the key is already known.

    A point that fails gives one row with its error.
    """
    scenarios = Scenarios(sweep.scenario, configs)
    return [_run_point(sweep, scenarios, number, point, known) for number, point in enumerate(points, first)]


def _run_point(
    sweep: Sweep, scenarios: Scenarios, number: int, point: Assignment, known: Collection[str]
) -> tuple[str, list[ResultRow] | None]:
    common: ResultRow = {"point": number, **point}
    try:
        scenario = scenarios.load({**sweep.set, **point})
        key = content_key(scenario)
    except ConfigError as error:
        text = json.dumps([sweep.model_dump(mode="json"), point, str(error)], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:32]
        return key, None if key in known else [{"key": key, **common, "error": str(error)}]
    if key in known:
        return key, None
    try:
        rows = [
            {"key": key, **common, **row_of(result, columns(result.utilisation))} for result in run(scenario).points
        ]
    except Exception as error:  # whatever a point dies of is its own row, and must not end the sweep
        text = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        rows = [{"key": key, **common, "error": text}]
    return key, rows
