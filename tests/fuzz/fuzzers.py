"""Four ways to draw an input by number, and what becomes of it: structure, text, keys of `--set`, damaged parts."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from abc import ABC, abstractmethod
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import yaml

from sim.config import load_scenario
from sim.config.loading import paths
from sim.config.tables.quantity import Flag, Quantity
from sim.costs.audit import fields
from sim.datapath import build_plan
from sim.study.runs.case import nested, value_of, variants_and_sizes
from sim.study.sweep import run as sweeps
from sim.study.sweep.parts import Parts, ResultRow, row_schema
from tests.e2e.forked import Server
from tests.fuzz import inputs, mutations
from tests.fuzz.outcome import ANSWERED, FAILED, REFUSED, Outcome, judged, of_process
from tests.sweep.studies import Inline, sweep

#: A command takes a second at most, and the memory of a few of them.
COMMAND_SECONDS, COMMAND_BYTES = 20, 6 << 30


@dataclass(frozen=True)
class Input:
    """An input: what it is for people, and its bytes as the product gets them."""

    title: str
    content: bytes
    arguments: tuple[str, ...] = ()


class Fuzzer(ABC):
    """Draws inputs by seed and number; an input depends on nothing else, so that each can be tried again alone."""

    name: str

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.folder = Path(tempfile.mkdtemp(prefix="vhost-sim-fuzz-"))

    def random(self, number: int) -> Random:
        """Return the source of all draws of one input."""
        return Random(f"{self.name}/{self.seed}/{number}")

    @abstractmethod
    def draw(self, number: int) -> Input:
        """Return an input."""

    @abstractmethod
    def judge(self, given: Input) -> Outcome:
        """Give an input to the product and return what becomes of it."""

    def close(self) -> None:
        """Remove what the fuzzer has written."""
        for file in sorted(self.folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
        self.folder.rmdir()


class _Files(Fuzzer):
    """Writes a file and reads it as what it is."""

    kinds: tuple[str, ...]

    def judge(self, given: Input) -> Outcome:
        """Use the file as its kind is used."""
        kind = given.title.partition(" ")[0]
        file = self.folder / f"drawn{inputs.suffix(kind)}"
        file.write_bytes(given.content)
        os.utime(file, ns=(0, Random(given.content).getrandbits(60)))  # a table is parsed anew when it has changed
        return judged(lambda: inputs.USES[kind](file))


class Structured(_Files):
    """Changes the structure of documents: values, keys, items, nesting; most of them remain YAML or JSON."""

    name = "structured"

    def draw(self, number: int) -> Input:
        """Return a document of a drawn kind with a few changes."""
        random = self.random(number)
        kind = random.choice(inputs.DOCUMENTS)
        document = random.choice(inputs.documents(kind))
        if random.random() < 0.9:
            document = mutations.shortened(document, random)
        if kind == "scenario":
            document = _with_keys(document, random)
        if kind != "scenario" or random.random() < 0.5:
            document = mutations.changed(document, random, inputs.pools())
        if inputs.suffix(kind) == ".json":
            text = json.dumps(document)
        else:
            text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=random.random() < 0.5)
        return Input(kind, text.encode("utf-8", "surrogatepass"))


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes every value where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return that nothing is written as an alias."""
        return True


def _with_keys(document: dict[str, Any], random: Random) -> dict[str, Any]:
    """Return a scenario with some more keys, drawn from all that scenarios have, a whole entry where there is one."""
    keys = _keys(inputs.SEED)
    drawn: dict[str, Any] = {}
    for key in random.sample(sorted(keys), random.choice((1, 1, 2, 3, 5))):
        value = keys[key]
        if isinstance(value, dict) and "value" in value:
            number = mutations.number_near(value["value"], random)
            ends = {"low": number, "high": number} if random.random() < 0.8 else {}
            drawn[key] = {**value, "value": number, **ends}
        else:
            drawn[key] = mutations.replacement(value, random, inputs.pools().get(key.rpartition(".")[2], ()))
    named = {name: document[name] for name in ("extends", "cpu", "kernel") if isinstance(document.get(name), str)}
    return _merged(document, {key: value for key, value in nested(drawn).items() if key not in named})


def _merged(document: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(document)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


_KNOWN: dict[str, dict[str, Any]] = {}


def _keys(name: str) -> dict[str, Any]:
    """Return every key of a scenario with its value; a table entry is one key."""
    if name not in _KNOWN:
        scenario = load_scenario(name)
        _KNOWN[name] = {
            key: _plain(value_of(scenario, key)) for key, _, _ in fields(scenario) if not key.startswith("access")
        }
    return _KNOWN[name]


def _plain(value: Any) -> Any:
    if isinstance(value, Quantity | Flag):
        return value.model_dump(mode="json", exclude_none=True)
    return value


class Text(_Files):
    """Changes the characters and lines of files of every kind: many are no YAML, CSV or JSON any more."""

    name = "text"

    def draw(self, number: int) -> Input:
        """Return a text of a drawn kind with a few changes, some of them of its bytes."""
        random = self.random(number)
        kind = random.choice(tuple(inputs.USES))
        text = random.choice(inputs.texts(kind))
        if random.random() < 0.15:
            return Input(kind, mutations.damaged(text.encode(), random))
        return Input(kind, mutations.changed_text(text, random).encode("utf-8", "surrogatepass"))


class Settings(Fuzzer):
    """Gives the command `--set KEY=VALUE`, each in a process of its own, over every key of every shipped scenario."""

    name = "settings"
    #: `capacity` takes as long as ten of the others.
    _COMMANDS = (*("run",) * 24, *("explain",) * 8, *("compare",) * 7, "capacity")

    @cached_property
    def _server(self) -> Server:
        return Server(Path(sys.executable).parent / "vhost-sim")

    def draw(self, number: int) -> Input:
        """Return the arguments of a command that changes one or two keys."""
        random = self.random(number)
        name = random.choice(sorted(paths.names("scenario")))
        keys, read = _keys(name), _read(name)
        changes: list[str] = []
        for _ in range(random.choice((1, 1, 1, 2))):
            known = [key for key in keys if key in read] if random.random() < 0.9 else sorted(keys)
            key = random.choice(known)
            value = keys[key]
            if isinstance(value, dict) and "value" in value:
                part = random.choice(
                    ("", "", "", "", ".value", ".low", ".high", ".unit", ".distribution", ".grade", ".source")
                )
                value = value.get(part[1:] or "value")
                key += part
            pool = inputs.pools().get(key.rpartition(".")[2], ())
            changed = mutations.replacement(value, random, pool)
            changes += ["--set", f"{key}={_written(changed)}".replace("\0", "")]
        command = random.choice(self._COMMANDS)
        scenario = load_scenario(name)
        first = [] if command == "compare" else ["--access", scenario.access[0].name]
        if command == "compare":
            first = ["--access", ",".join(each.name for each in scenario.access[:2])]
        size = (
            []
            if scenario.traffic.mix
            else ["--size" if command == "explain" else "--sizes", str(scenario.traffic.sizes[0])]
        )
        short = ["--set", "run.packets=500"] if command != "explain" else []
        arguments = (command, name, *first, *size, *short, *changes, "--json")
        return Input(" ".join(arguments), b"", arguments)

    def judge(self, given: Input) -> Outcome:
        """Run the command in a fork of a process that has imported everything."""
        limits = (COMMAND_SECONDS, COMMAND_BYTES)
        return of_process(self._server.run(list(given.arguments), self.folder, self.folder, limits))

    def close(self) -> None:
        """End the server, too."""
        self._server.close()
        super().close()


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    return (
        yaml.dump(value, Dumper=_Dumper, default_flow_style=True)
        .removesuffix("\n")
        .removesuffix("\n...")
        .replace("\n", " ")
    )


_READ: dict[str, set[str]] = {}


def _read(name: str) -> set[str]:
    """Return the keys that the first point of a shipped scenario reads."""
    if name not in _READ:
        scenario = load_scenario(name)
        access, size = variants_and_sizes(scenario)[0]
        _READ[name] = build_plan(scenario, access, size).ledger.keys_read()
    return _READ[name]


class DamagedParts(Fuzzer):
    """Damages the parts that a sweep has written: what is read of one is what was written, or nothing."""

    name = "parts"
    _POINTS, _CHUNK = 24, 8

    @cached_property
    def _written(self) -> tuple[Path, Parts, list[bytes], list[dict[str, list[ResultRow]]]]:
        whole = sweep(
            {"driver.burst": {"values": list(range(1, self._POINTS + 1))}},
            set={"traffic.packet_bytes": 64, "access": "copy_user", "run.packets": 300},
        )
        folder = self.folder / "parts"
        self._sweep(whole, folder, resume=False)
        parts = Parts(folder, row_schema(whole))
        contents = [file.read_bytes() for file in parts.existing()]
        rows = [parts.read(number) for number in range(len(contents))]
        self._whole = whole
        return folder, parts, contents, [each for each in rows if each]

    def _sweep(self, whole: Any, folder: Path, resume: bool) -> None:
        before, sweeps.CHUNK_POINTS = sweeps.CHUNK_POINTS, self._CHUNK
        try:
            executor: Executor = Inline()
            sweeps.run_sweep(whole, executor, folder=folder, resume=resume)
        finally:
            sweeps.CHUNK_POINTS = before

    def draw(self, number: int) -> Input:
        """Return the bytes of a part that is damaged, or of another one in its place."""
        _, _, contents, _ = self._written
        random = self.random(number)
        place = random.randrange(len(contents))
        if random.random() < 0.02:
            return Input(f"{place} another part", contents[(place + 1) % len(contents)])
        resumed = " resumed" if random.random() < 0.02 else ""
        return Input(f"{place}{resumed}", mutations.damaged(contents[place], random))

    def judge(self, given: Input) -> Outcome:
        """Read the part; now and then go on with the sweep, which has to end with the bytes of the first time."""
        folder, parts, contents, rows = self._written
        place = int(given.title.partition(" ")[0])
        file = parts.file(place)
        try:
            file.write_bytes(given.content)

            held: list[Any] = []

            def use() -> None:
                held.append(parts.read(place))
                if held[0] is not None and held[0] not in rows:
                    raise AssertionError("rows that nobody has written are taken")
                if given.title.endswith(("resumed", "part")):
                    self._sweep(self._whole, folder, resume=True)
                    if parts.read(place) != rows[place] or (held[0] is None and file.read_bytes() != contents[place]):
                        raise AssertionError("the sweep ends with another part than the first time")

            outcome = judged(use)
            if outcome.kind == REFUSED:
                return Outcome(FAILED, f"the sweep is refused: {outcome.said}")
            return Outcome(REFUSED, "is computed anew") if outcome.kind == ANSWERED and held == [None] else outcome
        finally:
            file.write_bytes(contents[place])


FUZZERS: dict[str, type[Fuzzer]] = {each.name: each for each in (Structured, Text, Settings, DamagedParts)}
