"""Run a sweep: chunks of points on any executor, rows streamed to parts, the same bytes whoever computed them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sim.config import ConfigError, Scenario
from sim.config.answer import Answer, counted
from sim.config.errors import one_line
from sim.config.loading import paths
from sim.config.loading.files import replacing
from sim.config.loading.load import Scenarios, load_of, load_scenario
from sim.config.loading.paths import package_folder
from sim.config.progress import Counted
from sim.config.tables.study import Sweep
from sim.engine import Point
from sim.study.questions.columns import columns, row_of
from sim.study.questions.run import run
from sim.study.runs.asked import refuse_unread_axes
from sim.study.sweep.design import Assignment, Design, extremes
from sim.study.sweep.gains import frame_with_gains, with_gains
from sim.study.sweep.parts import Parts, ResultRow, held_by_one, parts_in, row_schema
from sim.study.sweep.together import points_together

if TYPE_CHECKING:
    import pandas as pd

#: Points whose scenarios are held at a time.
_TOGETHER = 64
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

    A point that is refused or fails gives one row with its error. A refusal is final; what failed may have been of the
    moment (no memory, no room for machine code), so its row has no key and is computed anew by the next run.
    """
    scenarios = Scenarios(sweep.scenario, configs)
    results: list[tuple[str, list[ResultRow] | None]] = []
    for start in range(0, len(points), _TOGETHER):
        results += _run_some(sweep, scenarios, first + start, points[start : start + _TOGETHER], known)
    return results


def _run_some(
    sweep: Sweep, scenarios: Scenarios, first: int, points: list[Assignment], known: Collection[str]
) -> list[tuple[str, list[ResultRow] | None]]:
    loaded = [_load(sweep, scenarios, point) for point in points]
    wanted = {
        place: scenario
        for place, (key, scenario) in enumerate(loaded)
        if isinstance(scenario, Scenario) and key not in known
    }
    together = points_together(wanted, {place: points[place] for place in wanted})
    results: list[tuple[str, list[ResultRow] | None]] = []
    for place, (key, scenario) in enumerate(loaded):
        common: ResultRow = {"point": first + place, **points[place]}
        results.append((key, None if key in known else _rows(key, common, scenario, together.get(place))))
    return results


def _load(sweep: Sweep, scenarios: Scenarios, point: Assignment) -> tuple[str, Scenario | str]:
    """Return the key of a point and its scenario, or the text that it is refused with."""
    try:
        scenario = scenarios.load({**sweep.set, **point})
        return content_key(scenario), scenario
    except ConfigError as error:
        text = json.dumps([sweep.model_dump(mode="json"), point, str(error)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32], str(error)


def _rows(key: str, common: ResultRow, scenario: Scenario | str, known: list[Point] | None) -> list[ResultRow]:
    """Return the rows of a point, run alone where it has not been run together with others."""
    if isinstance(scenario, str):
        return [{"key": key, **common, "error": scenario}]
    try:
        results = run(scenario).points if known is None else known
        values = [{**row_of(result, columns(result.utilisation)), **_notes(result)} for result in results]
        return [{"key": key, **common, **row} for row in values]
    except ConfigError as error:
        return [{"key": key, **common, "error": str(error)}]
    except Exception as error:  # whatever a point dies of is its own row, and must not end the sweep
        return [{"key": None, **common, "error": one_line(f"{type(error).__name__}: {error}")}]


def _notes(point: Point) -> ResultRow:
    return {"notes": "; ".join(point.notes)} if point.notes else {}


#: Points per part. Part of the format: the same sweep gives the same parts whatever computes them.
CHUNK_POINTS = 256
_QUEUES, _SESSIONS = "queues.pairs", "traffic.sessions"
_DESCRIPTION = "_sweep.yaml"  # the underscore hides it from readers of Parquet folders

#: Told something that the user should know and that does not end the sweep.
Notice = Callable[[str], None]


@dataclass(repr=False)
class Outcome(Answer):
    """What a sweep did; `rows` only when it was not written to a folder.

    The configuration of a refused point is none that the model knows; a failed one may succeed when it is tried again.
    `first_error` is that of the first point that failed, or else was refused.
    """

    sweep: Sweep
    points: int
    computed: int = 0
    reused: int = 0
    refused: int = 0
    failed: int = 0
    first_error: str | None = None
    folder: Path | None = None
    rows: list[ResultRow] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    _place_of_error: tuple[bool, int] | None = None

    def headline(self) -> str:
        """Return how many points there are, and what became of them."""
        counts = ("computed", "reused", "refused", "failed")
        said = ", ".join(f"{getattr(self, name)} {name}" for name in counts)
        return f"{self.sweep.name}, {counted(self.points, 'point')}: {said}"

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each access variant and size of each point, read from the parts where they were written.

        In a grid with several variants, `gain_percent` is what a row gains over the first of the same point.
        """
        import pandas as pd
        import pyarrow.parquet as pq

        if self.folder is None:
            return pd.DataFrame(with_gains(self.sweep, self.rows))
        return frame_with_gains(self.sweep, pq.read_table(parts_in(self.folder)).to_pandas())

    def count(self, point: int, rows: list[ResultRow], computed: bool) -> None:
        """Count a point that has these rows."""
        self.computed += computed
        self.reused += not computed
        self.notes |= dict.fromkeys(row["notes"] for row in rows if row.get("notes"))
        error = next((row for row in rows if row.get("error")), None)
        if error is None:
            return
        refused = error["key"] is not None
        self.refused += refused
        self.failed += not refused
        if self._place_of_error is None or (refused, point) < self._place_of_error:
            self._place_of_error, self.first_error = (refused, point), error["error"]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim sweep`."""
        names = ("points", "computed", "reused", "refused", "failed", "first_error")
        counts = {name: getattr(self, name) for name in names}
        kept = {"folder": str(self.folder)} if self.folder else {"rows": with_gains(self.sweep, self.rows)}
        return {"schema": 1, **counts, "notes": list(self.notes), **kept}


def load_sweep(reference: str, configs: Path | None = None) -> Sweep:
    """Load a sweep by name or path, and its base scenario once, so that a bad one ends here.

    ConfigError for a key of a sweep of your own that none of its points reads.
    """
    sweep = load_of(Sweep, reference, configs)
    first = Design(sweep).points(0, 1)[0]
    load_scenario(sweep.scenario, settings={**sweep.set, **first}, configs=configs)
    file = paths.find("sweep", reference, configs)
    if not paths.is_shipped(file):
        axes = {key: extremes(axis) for key, axis in sweep.axes.items()}
        refuse_unread_axes(file, sweep.scenario, sweep.set, axes, configs)
    return sweep


def run_sweep(
    sweep: Sweep,
    executor: Executor,
    *,
    folder: Path | None = None,
    resume: bool = False,
    configs: Path | None = None,
    jobs: int = 2,
    progress: Counted | None = None,
    notice: Notice | None = None,
) -> Outcome:
    """Run every point of a sweep; write parts to `folder`, or keep the rows when there is none.

    At most a few chunks are under way at a time, so memory does not grow with the number of points. Raises ConfigError
    for a folder that holds another sweep, or parts without `resume`, or that another sweep is writing, and for what
    cannot be written.
    """
    design = Design(sweep)
    outcome = Outcome(sweep, len(design), folder=folder)
    with nullcontext() if folder is None else held_by_one(folder):
        parts = None if folder is None else _open(folder, sweep, resume, configs)
        job = _Job(sweep, design, parts, str(configs) if configs else None, outcome, notice or (lambda text: None))
        outcome.rows = job.run(executor, jobs, progress)
    return outcome


@dataclass
class _Job:
    """One sweep under way: sends chunks out, takes their rows in."""

    sweep: Sweep
    design: Design
    parts: Parts | None
    configs: str | None
    outcome: Outcome
    notice: Notice
    known: dict[int, dict[str, list[ResultRow]]] = field(default_factory=dict)

    def run(self, executor: Executor, jobs: int, progress: Counted | None) -> list[ResultRow]:
        """Run every chunk, a few at a time; return the rows in the order of points, none where they are in parts."""
        waiting: dict[Future[Any], int] = {}
        numbers = iter(range(-(-len(self.design) // CHUNK_POINTS)))
        done_points, finished = 0, False
        held: dict[int, list[ResultRow]] = {}
        try:
            while not finished or waiting:
                while not finished and len(waiting) < 2 * jobs + 1:
                    number = next(numbers, None)
                    if number is None:
                        finished = True
                    else:
                        waiting[self.submit(executor, number)] = number
                ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ready:
                    number = waiting.pop(future)
                    rows = self.settle(number, future.result())
                    if self.parts is None:
                        held[number] = rows
                    done_points += self.size(number)
                    if progress is not None:
                        progress(done_points, len(self.design))
        except BrokenProcessPool:
            hint = "; the parts written before are kept, the sweep can be resumed" if self.parts else ""
            raise ConfigError(f"sweep {self.sweep.name}: a worker process died{hint}") from None
        finally:
            for future in waiting:
                future.cancel()
        return [row for number in sorted(held) for row in held[number]]

    def span(self, number: int) -> tuple[int, int]:
        """First point of a chunk, and the point behind it."""
        first = number * CHUNK_POINTS
        return first, min(first + CHUNK_POINTS, len(self.design))

    def size(self, number: int) -> int:
        """Points of a chunk."""
        first, last = self.span(number)
        return last - first

    def submit(self, executor: Executor, number: int) -> Future[Any]:
        """Send a chunk out, with the keys of the rows that its part holds already."""
        if self.parts is not None:
            rows = self.parts.read(number)
            if rows is None:
                self.notice(f"{self.parts.file(number)}: is damaged, or no part of this sweep; computed anew")
            self.known[number] = rows or {}
        first, last = self.span(number)
        known = frozenset(self.known.get(number, ()))
        return executor.submit(run_points, self.sweep, self.configs, first, self.design.points(first, last), known)

    def settle(self, number: int, results: list[tuple[str, list[ResultRow] | None]]) -> list[ResultRow]:
        """Put a chunk's rows together, computed and known ones in the order of points, and write them."""
        known = self.known.pop(number, {})
        first, _ = self.span(number)
        rows: list[ResultRow] = []
        for point, (key, computed) in enumerate(results, first):
            mine = [{**row, "point": point} for row in known[key]] if computed is None else computed
            rows += mine
            self.outcome.count(point, mine, computed is not None)
        if self.parts is not None and any(computed is not None for _, computed in results):
            self.parts.write(number, rows)
        return rows


def _most(sweep: Sweep, configs: Path | None) -> list[int]:
    """Return the largest numbers of queue pairs and of sessions that a point of a sweep can have."""
    settings = {**sweep.set, **Design(sweep).points(0, 1)[0]}
    try:
        first = load_scenario(sweep.scenario, settings=settings, configs=configs)
        numbers = {_QUEUES: first.queues.pairs, _SESSIONS: first.traffic.sessions}
    except ConfigError:  # the row of the first point will say so
        numbers = {_QUEUES: 1, _SESSIONS: 1}
    return [max([least, *_values(sweep, key)]) for key, least in numbers.items()]


def _values(sweep: Sweep, key: str) -> list[int]:
    """Return the numbers that an axis of a sweep has, or its end."""
    axis = sweep.axes.get(key)
    given = () if axis is None else (*(axis.values or ()), axis.high)
    return [int(value) for value in given if isinstance(value, (int, float))]


def _open(folder: Path, sweep: Sweep, resume: bool, configs: Path | None) -> Parts:
    """Prepare the folder: a new one gets the sweep's description, an old one must hold the same sweep."""
    parts = Parts(folder, row_schema(sweep, *_most(sweep, configs)))
    description = folder / _DESCRIPTION
    text = yaml.safe_dump(sweep.model_dump(mode="json", exclude={"title"}), sort_keys=False, width=120)
    try:
        if parts.existing() and not resume:
            held = f"holds {counted(len(parts.existing()), 'part')} already; resume the sweep, or choose another folder"
            raise ConfigError(held, key="folder", got=folder)
        if resume and description.exists() and description.read_text(encoding="utf-8") != text:
            other = f"holds another sweep (see {description}); choose another folder"
            raise ConfigError(other, key="folder", got=folder)
        parts.refuse_other_columns()
        for partial in folder.glob(".*.partial"):  # of a sweep that was killed while it wrote a part, or its plots
            if partial.is_dir() and not partial.is_symlink():
                shutil.rmtree(partial)
            else:
                partial.unlink()
        if not description.exists():
            with replacing(description) as stream:
                stream.write(text.encode())
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", key="folder", got=folder) from None
    return parts
