"""From a name or a file to a validated table: `extends`, names, calibration, errors that name the key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.files import NotYamlError, Table, written_yaml
from sim.config.loading.kept import keep_latest
from sim.config.loading.meaning import unknown_name
from sim.config.loading.overrides import Given, as_list, in_full, is_entry, keys_below, override, split_assignment
from sim.config.loading.reading import read_yaml, state_of
from sim.config.scenario.scenario import Scenario, switched
from sim.config.scenario.traffic import read_mix
from sim.config.tables.access import Access
from sim.config.tables.calibration import Calibration
from sim.config.tables.cpu import Cpu
from sim.config.tables.documents import Assumptions, Mismatches, Sources
from sim.config.tables.kernel import Kernel
from sim.config.tables.measurement import Measurements
from sim.config.tables.quantity import Defaults, needed_evidence
from sim.config.tables.study import CalibrationStudy, Sensitivity, Sweep

Model = TypeVar("Model", bound=BaseModel)

_NAMED = ("cpu", "kernel")
#: What a table states of itself: a CPU that extends another's table is not that one, and a variant that extends what
#: was executed was not.
_NOT_INHERITED = ("signatures", "known_as", "executed")
#: The parts of a key, its value, and the text `KEY=VALUE` that it was read from, if any.
Assignment = tuple[list[str], Any, str | None]
MODELS: dict[str, type[BaseModel]] = {
    "cpu": Cpu,
    "kernel": Kernel,
    "implementation": Kernel,
    "access": Access,
    "calibration": Calibration,
    "calibration-study": CalibrationStudy,
    "sweep": Sweep,
    "measurement": Measurements,
    "defaults": Defaults,
    "assumptions": Assumptions,
    "sources": Sources,
    "mismatches": Mismatches,
    "sensitivity": Sensitivity,
}


def merge(base: Table, over: Table) -> Table:
    """Merge two tables deeply; a table entry (value with its grade) is replaced whole, lists too.

    So is the split of one step into `functions`: what is left over of the base's would belong to no count.
    """
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and key in merged:
            merged[key] = in_full(key, merged[key])
        if key == "functions" and isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merged[key] | value
        elif isinstance(value, dict) and isinstance(merged.get(key), dict) and not is_entry(value):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _layers(
    kind: str, reference: str, configs: Path | None = None, beside: Path | None = None
) -> Iterator[tuple[Path, Table]]:
    """Yield a file with its table, then what it extends; a circle of `extends` is an error."""
    unknown = unknown_name(kind, reference, configs)
    if unknown is not None:
        raise unknown
    file = paths.find(kind, reference, configs, beside)
    chain: list[Path] = []
    while True:
        if file.resolve() in chain:
            raise ConfigError("extends itself in a circle", file=file)
        chain.append(file.resolve())
        layer = read_yaml(file)
        declared = layer.get("kind", kind)
        if declared != kind:
            raise ConfigError(f"is a {declared} table; a {kind} is needed here", file=file)
        parent = layer.pop("extends", None)
        yield file, layer
        if parent is None:
            return
        if not isinstance(parent, str):
            raise ConfigError("extends: a name or a path is needed", file=file)
        # A user's table may extend the shipped one of the same name.
        file = paths.find(kind, parent, *(() if parent == file.stem else (configs, file.parent)))


def read_table(
    kind: str, reference: str, configs: Path | None = None, beside: Path | None = None
) -> tuple[Table, Path]:
    """Read a table and what it extends, deepest first."""
    layers = list(_layers(kind, reference, configs, beside))
    return _merged(layers), layers[0][0]


def _merged(layers: Sequence[tuple[Path, Table]]) -> Table:
    table: Table = {}
    for _, layer in reversed(layers):
        table = merge({key: value for key, value in table.items() if key not in _NOT_INHERITED}, layer)
    return table


def _key_path(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        name = _spelled(str(part))
        text += f"[{part}]" if isinstance(part, int) else (f".{name}" if text else name)
    return text


def _spelled(name: str) -> str:
    """Return a field's name as files spell it."""
    return "schema" if name == "schema_" else name


def _valid_keys(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the key names that the schema has at the place of an unknown key."""
    current: Any = model
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = current.model_fields[part].annotation if part in getattr(current, "model_fields", {}) else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        models = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
        if not models:
            continue
        current = models[0]
    return [_spelled(name) for name in current.model_fields]


def validate(model: type[Model], table: Table, where: str, given: Sequence[str] = ()) -> Model:
    """Validate a table; the first problem becomes one line that names file, key and nearest valid name.

    `given` are the assignments `KEY=VALUE` that the table was changed by: a problem of such a key names it instead of
    the file.
    """
    try:
        return model.model_validate(_rename_schema(table))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        missing = [_key_path(problem["loc"]) for problem in problems if problem["type"] == "missing"]
        if missing:
            raise _all_missing(missing, where, given) from None
        first = problems[0]
        key = _key_path(first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        if first["type"] == "model_type":
            text = needed_evidence(str(first["ctx"]["class_name"]), first["input"]) or text
        blamed = _blamed(_place(key, text), given)
        place: dict[str, Any] = {"given": blamed} if blamed else {"file": where}
        if first["type"] == "extra_forbidden":
            name = str(first["loc"][-1])
            raise ConfigError(
                f"unknown key '{key}'", got=name, expected=_valid_keys(model, first["loc"]), **place
            ) from None
        value = first.get("input")
        got = repr(value) if isinstance(value, str | int | float | bool) else None
        raise ConfigError(text[0].lower() + text[1:], key=key or None, got=got, **place) from None


def _all_missing(keys: list[str], where: str, given: Sequence[str]) -> ConfigError:
    """Return the error for keys that a table lacks, all of them."""
    blamed = _blamed(keys[0], given)
    names = " and ".join(filter(None, (", ".join(f"'{key}'" for key in keys[:-1]), f"'{keys[-1]}'")))
    hint = " (write 'schema: 1')" if "schema" in keys else ""
    said = f"key{'s' if len(keys) > 1 else ''} {names} {'are' if len(keys) > 1 else 'is'} missing{hint}"
    return ConfigError(said, given=blamed, file=None if blamed else where)


def _place(key: str, problem: str) -> str:
    """Return the key that a problem is about: a check of a whole table names the key within it first."""
    inner = re.match(r"([\w.]+): ", problem)
    if inner is None or key.endswith(inner[1]):
        return key
    return f"{key}.{inner[1]}" if key else inner[1]


def _blamed(key: str, given: Sequence[str]) -> str | None:
    """Return the last assignment of a key, of what it is in or of what is in it; None when there is none."""
    for assignment in reversed(given):
        name = assignment.partition("=")[0].strip()
        if key == name or key.startswith((f"{name}.", f"{name}[")) or (key and name.startswith(f"{key}.")):
            return assignment
    return None


def _rename_schema(table: Table) -> Table:
    """Return a table whose version, and those of the tables inside, is spelled `schema_` as in Python."""

    def renamed(inner: Any) -> Any:
        if not isinstance(inner, dict):
            return inner
        return {("schema_" if key == "schema" else key): value for key, value in inner.items()}

    inside = {key: renamed(table[key]) for key in _NAMED if key in table}
    if isinstance(table.get("access"), list):
        inside["access"] = [renamed(variant) for variant in table["access"]]
    return dict(renamed(table | inside))


def load_table(kind: str, reference: str, configs: Path | None = None) -> BaseModel:
    """Load and validate one CPU, kernel or access table by name or path."""
    return _validated(MODELS[kind], list(_layers(kind, reference, configs)))


def load_of(model: type[Model], reference: str | None = None, configs: Path | None = None) -> Model:
    """Load the table of a schema by name or path; without one, the table that is the only one of its kind."""
    kind = str(model.model_fields["kind"].default)
    return _validated(model, list(_layers(kind, kind if reference is None else reference, configs)))


#: Tables that have been validated, by schema and by the state of the files that they came from.
_VALIDATED: dict[Any, Any] = {}
_MOST_VALIDATED = 256


def _validated(model: type[Model], layers: Sequence[tuple[Path, Table]]) -> Model:
    """Validate a table and what it extends once, as long as their files do not change: tables are frozen."""
    key = (model, *((file, state_of(file)) for file, _ in layers))
    known: Model | None = _VALIDATED.get(key)
    if known is None:
        known = validate(model, _merged(layers), str(layers[0][0]))
        keep_latest(_VALIDATED, key, known, _MOST_VALIDATED)
    return known


def _kind_named(key: str, reference: str, configs: Path | None, beside: Path | None) -> str:
    """Return the kind of table that a name or a path in a scenario means: some keys take more than one."""
    kinds = paths.ALTERNATIVES.get(key, (key,))
    if reference.endswith((".yaml", ".yml")) or "/" in reference:
        declared = read_yaml(paths.find(key, reference, configs, beside)).get("kind", key)
        return str(declared) if declared in kinds else key
    return next((kind for kind in kinds if reference in paths.names(kind, configs)), key)


def _read_named(
    kind: str, name: str, configs: Path | None, beside: Path | None, given: Sequence[str]
) -> tuple[Table, Path]:
    """Read the table that a key of a scenario names; the key is called as its kind."""
    try:
        return read_table(_kind_named(kind, name, configs, beside), name, configs, beside)
    except ConfigError as error:
        raise error.replace(given=_blamed(kind, given)) from None


def _resolve_names(table: Table, configs: Path | None, beside: Path | None, where: str, given: Sequence[str]) -> None:
    for key in _NAMED:
        if isinstance(table.get(key), int | float):
            text = "a name is needed, written as text: 5.10 is the number 5.1"
            raise ConfigError(text, key=key, got=table[key], file=where)
        if isinstance(table.get(key), str):
            table[key], _ = _read_named(key, table[key], configs, beside, given)
    named = table.get("access")
    variants = [named] if isinstance(named, str) else named
    if isinstance(variants, list):
        table["access"] = [
            _read_named("access", item, configs, beside, given)[0] if isinstance(item, str) else item
            for item in variants
        ]
    elif variants is not None:
        blamed = _blamed("access", given)
        raise ConfigError("a list of names is needed", key="access", given=blamed, file=None if blamed else where)


def _apply_calibration(
    table: Table, configs: Path | None, beside: Path | None, only: set[str] | None, given: Sequence[str]
) -> None:
    """Put the fitted values of the named calibration (only those below the keys `only`) in the place of the table's.

    A parameter that was fitted for some CPUs or kernels is left alone on others.
    """
    name = table.get("calibration")
    if not isinstance(name, str) or only == set():
        return
    try:
        layers = list(_layers("calibration", name, configs, beside))
    except ConfigError as error:
        raise error.replace(given=_blamed("calibration", given)) from None
    cpu, kernel = (str(table[key].get("name", "")) if isinstance(table.get(key), dict) else "" for key in _NAMED)
    for fitted in _validated(Calibration, layers).parameters:
        if (only is not None and fitted.key.partition(".")[0] not in only) or not fitted.concerns(cpu, kernel):
            continue
        entry = fitted.model_dump(include={"value", "unit", "low", "high", "source", "grade"})
        try:
            override(table, fitted.key.split("."), entry, Scenario)
        except ConfigError as error:
            raise error.replace(file=layers[0][0]) from None


class Scenarios:
    """The scenarios that one file gives under different settings: what its names stand for is read once.

    `reference` is a name or path. Raises ConfigError for a folder of tables that is none.
    """

    def __init__(self, reference: str | Path, configs: str | Path | None = None) -> None:
        self._reference = str(reference)
        self._root = Path(configs) if configs is not None else None
        if self._root is not None and not os.path.isdir(self._root):  # unlike Path.is_dir, False for a name too long
            raise ConfigError("no such folder", key="configs", got=self._root)
        self._named: dict[str, tuple[Table, Path]] = {}

    def layers(self) -> list[tuple[Path, Table]]:
        """Return the file with its table, then what it extends."""
        return list(_layers("scenario", self._reference, self._root))

    def load(self, settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> Scenario:
        """Return the scenario under settings, then overrides; ConfigError, one line, for anything that is wrong."""
        assignments: list[Assignment] = [_setting(key, value) for key, value in settings.items()]
        assignments += [(*split_assignment(text), text) for text in overrides]
        whole = [assignment for assignment in assignments if len(assignment[0]) == 1]
        name = repr(whole)
        if name not in self._named:
            self._named[name] = self._resolve(whole, overrides)
        resolved, file = self._named[name]
        table = dict(resolved)
        for keys, value, given in assignments:
            if len(keys) > 1:
                override(table, keys, value, Scenario, given)
        if isinstance(table.get("traffic"), dict) and "mix" in table["traffic"]:
            table["traffic"] = {**table["traffic"], "mix": read_mix(table["traffic"]["mix"], file.parent)}
        return validate(Scenario, table, str(file), overrides)

    def given(self, settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> dict[str, Given]:
        """Return the keys that a user has set, each with where: in a file that is not shipped, a setting, an override.

        A file that states every section is the record of a run that the tool has written: its keys count as inherited.
        """
        given: dict[str, Given] = {}
        for file, layer in reversed(self.layers()):
            is_record = {_spelled(name) for name in Scenario.model_fields} <= layer.keys()
            if not is_record and not paths.is_shipped(file):
                given |= {key: Given(key, file=str(file)) for key in keys_below(layer)}
        given |= {key: Given(key) for name, value in settings.items() for key in keys_below({name: value})}
        for text in overrides:
            keys, value = split_assignment(text)
            given |= {key: Given(key, text=text) for key in keys_below({".".join(keys): value})}
        return given

    def _resolve(self, whole: list[Assignment], overrides: Sequence[str]) -> tuple[Table, Path]:
        """Read the file, set whole keys, put tables in the place of names, and the calibration into them."""
        layers = self.layers()
        table, file = _merged(layers), layers[0][0]
        was_resolved = isinstance(table.get("kernel"), dict)
        for keys, value, given in whole:
            if keys == ["mitigations"]:
                value = switched(value, table.get("mitigations"), given)
            override(table, keys, value, Scenario, given)
        table["mitigations"] = switched(table.get("mitigations"), {})
        named = {key for key in _NAMED if isinstance(table.get(key), str)}
        _resolve_names(table, self._root, file.parent, str(file), overrides)
        # A resolved table holds the fitted values already; only what a name has replaced lacks them.
        everything = not was_resolved or any(keys == ["calibration"] for keys, _, _ in whole)
        _apply_calibration(table, self._root, file.parent, None if everything else named, overrides)
        return table, file


def _setting(key: str, value: Any) -> Assignment:
    """Return the assignment of a value that a table or the library gives. ConfigError for a list that is none."""
    keys = key.split(".")
    plain = value.item() if isinstance(value, np.generic) else value
    try:
        return keys, as_list(keys, plain), None
    except NotYamlError as error:
        raise ConfigError(f"'{value}' is not readable as YAML: {error.problem}", key=key) from None


def load_scenario(
    reference: str | Path,
    *,
    overrides: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    configs: str | Path | None = None,
) -> Scenario:
    """Load a scenario as `sim.load_scenario` does, but take keys that the model does not read in it, too.

    ConfigError for anything else that is wrong.
    """
    return Scenarios(reference, configs).load(settings or {}, overrides)


def as_table(scenario: Scenario) -> Table:
    """Return the resolved scenario as the table that its file holds."""
    return dict(_plain(scenario.model_dump(mode="json")))


def dump_scenario(scenario: Scenario) -> str:
    """Return the resolved scenario as YAML text that loads to the same scenario."""
    return written_yaml(as_table(scenario))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if item is not None or "grade" not in value}
        return {("schema" if key == "schema_" else key): _plain(item) for key, item in kept.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
