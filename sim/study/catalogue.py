"""Look over the shipped and the user's own tables: list them, and check them one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config import ConfigError, Scenario, load_scenario
from sim.config.answer import Answer, Record, counted
from sim.config.loading import paths
from sim.config.loading.load import load_table
from sim.config.loading.reading import read_yaml
from sim.config.tables.study import Sensitivity
from sim.costs.audit import Finding, audit, quantities
from sim.datapath import build_plan
from sim.study.questions.explain import explain
from sim.study.runs.case import variants_and_sizes


@dataclass(frozen=True)
class Listed:
    """One line of `vhost-sim list`: what the table is, and how much of it is guessed."""

    name: str
    title: str
    file: Path
    entries: int
    guesses: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "title": self.title, "entries": self.entries, "guesses": self.guesses}


def list_tables(kind: str, configs: Path | None = None) -> list[Listed]:
    """Return every table of a kind, in the order of names."""
    listed = []
    for name, file in sorted(paths.names(kind, configs).items()):
        table = load(kind, name, configs)
        grades = [quantity.grade for _, quantity in quantities(table)]
        listed.append(Listed(name, getattr(table, "title", ""), file, len(grades), grades.count("guess")))
    return listed


#: What can be listed, and the kinds of table that it is.
LISTED = {
    folder: tuple(sorted(kind for kind, place in paths.FOLDERS.items() if place == folder))
    for folder in paths.FOLDERS.values()
    if folder != "."
} | {"defaults": ("defaults",)}


@dataclass(frozen=True, repr=False)
class Listing(Answer):
    """Tables that can be named, by their kind."""

    of: str
    by_kind: dict[str, list[Listed]]

    def headline(self) -> str:
        """Return how many there are."""
        tables = sum(len(listed) for listed in self.by_kind.values())
        return f"{self.of}: {counted(tables, 'table')}"

    def records(self) -> list[Record]:
        """Return a row for each, kind by kind."""
        return [{"kind": kind, **table.to_dict()} for kind, listed in self.by_kind.items() for table in listed]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim list`, in the order of names."""
        named = sorted((table for tables in self.by_kind.values() for table in tables), key=lambda table: table.name)
        return {"schema": 1, self.of: [table.to_dict() for table in named]}


def listing(of: str, configs: Path | None = None) -> Listing:
    """List the tables of a plural: cpus, studies. ConfigError for an unknown one."""
    if of not in LISTED:
        raise ConfigError(f"unknown '{of}'", key="kind", got=of, expected=LISTED)
    return Listing(of, {kind: list_tables(kind, configs) for kind in LISTED[of]})


def load(kind: str, reference: str, configs: Path | None = None) -> Any:
    """Load one table of any kind."""
    return load_scenario(reference, configs=configs) if kind == "scenario" else load_table(kind, reference, configs)


#: Severities of findings, and what is counted.
_FOUND = {
    "error": ("error", "errors"),
    "warning": ("warning", "warnings"),
    "guess": ("guessed entry", "guessed entries"),
}


@dataclass(frozen=True, repr=False)
class Checked(Answer):
    """What the check of some tables found."""

    tables: int
    findings: tuple[Finding, ...]

    def of(self, severity: str) -> list[Finding]:
        """Return the findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    def headline(self) -> str:
        """Return how much was looked at, and what was found."""
        counts = [counted(len(self.of(kind)), *nouns) for kind, nouns in _FOUND.items()]
        return f"{counted(self.tables, 'table')}: {', '.join(counts)}"

    def records(self) -> list[Record]:
        """Return what was found, guesses too."""
        return [dict(finding.__dict__) for finding in self.findings]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim check`."""
        return {
            "schema": 1,
            "tables": self.tables,
            "findings": [dict(finding.__dict__) for finding in self.findings],
        }


def check(files: Sequence[str] = (), configs: Path | None = None) -> Checked:
    """Check the named tables (paths or names of any kind), or every table that can be found by name.

    A table that does not load is a finding of severity `error`, not an exception.
    """
    wanted = [_kind_of(file, configs) for file in files] or [
        (kind, name) for kind in paths.FOLDERS for name in sorted(paths.names(kind, configs))
    ]
    findings: list[Finding] = []
    for kind, reference in wanted:
        try:
            table = load(kind, reference, configs)
            findings += audit(table)
            if isinstance(table, Scenario):
                findings += _frequencies(table, run=bool(files))
            elif isinstance(table, Sensitivity):
                findings += _unread_inputs(table, configs)
        except ConfigError as error:
            findings.append(Finding("error", f"{kind} {Path(reference).stem}", "", str(error)))
    return Checked(len(wanted), tuple(findings))


def _kind_of(reference: str, configs: Path | None) -> tuple[str, str]:
    """Find out what kind of table a path or a name is."""
    if "/" in reference or reference.endswith((".yaml", ".yml")):
        declared = read_yaml(Path(reference)).get("kind", "")
        if declared in paths.FOLDERS:
            return str(declared), reference
        raise ConfigError(f"{reference}: key 'kind' is one of {', '.join(paths.FOLDERS)} (got {declared!r})")
    kinds = [kind for kind in paths.FOLDERS if reference in paths.names(kind, configs)]
    if not kinds:
        everything = [name for kind in paths.FOLDERS for name in paths.names(kind, configs)]
        raise ConfigError(f"unknown table '{reference}'", got=reference, expected=everything)
    return kinds[0], reference


def _frequencies(scenario: Scenario, run: bool) -> Iterator[Finding]:
    """Price every access variant and size, so that a cost that a table lacks shows here and not in a run.

    With `run`, each variant runs at its first size, and every step that does not run as often as it says is a finding.
    """
    for access, size in variants_and_sizes(scenario):
        build_plan(scenario, access, size)
    for variant in scenario.access if run else ():
        for step in explain(scenario, variant.name).misplaced:
            yield Finding("warning", f"scenario {scenario.name}", f"access.{variant.name}", str(step))


def _unread_inputs(study: Sensitivity, configs: Path | None) -> Iterator[Finding]:
    """Yield the inputs of a sensitivity study that no plan of its scenario reads: they cannot move the answer."""
    scenario = load_scenario(study.scenario, settings={**study.set, "access": study.access}, configs=configs)
    plans = [build_plan(scenario, access.name, scenario.traffic.sizes[0]) for access in scenario.access]
    entries = {key for key, _ in quantities(scenario)}
    for key in study.inputs:
        if key in entries and not any(key in plan.inputs for plan in plans):
            yield Finding("warning", f"sensitivity {study.name}", f"inputs.{key}", "no plan of the scenario reads it")
