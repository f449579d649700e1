"""Changes of single keys, `KEY=VALUE`: read as YAML, checked against the schema, set in a table that is shared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from sim.config.errors import ConfigError
from sim.config.loading.files import NotYamlError, Table, parsed_yaml
from sim.config.scenario.traffic import load_in_full

#: Tables that a scenario names or holds whole: what stands in them describes a machine or a kernel, and no question.
TABLES = ("cpu", "kernel", "access")


#: Keys whose value is a name, which YAML may read as a number or a truth value.
NAMES = ("cpu", "kernel", "calibration", "mitigations")


@dataclass(frozen=True)
class Given:
    """A key that a user has set: with the text `KEY=VALUE`, in a file, or by the library (neither)."""

    key: str
    text: str | None = None
    file: str | None = None


def is_entry(value: object) -> bool:
    """Return whether a value is a table entry: a number or a flag with its grade."""
    return isinstance(value, dict) and "grade" in value and "value" in value


def keys_below(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys that a table sets; an entry is one key, and so is a table that a scenario holds whole."""
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and key not in TABLES and not is_entry(value):
            yield from keys_below(value, f"{key}.")
        else:
            yield key


def split_assignment(assignment: str) -> tuple[list[str], Any]:
    """Split `KEY=VALUE` into the parts of the key and the value read as YAML. ConfigError when it is not that."""
    key, separator, text = assignment.partition("=")
    if not separator or not key.strip() or any(not part for part in key.strip().split(".")):
        raise ConfigError("KEY=VALUE is needed, as in cpu.core_ghz=3.2", given=assignment)
    keys = key.strip().split(".")
    try:
        value = as_list(keys, parsed_yaml(text))
    except NotYamlError as error:
        raise ConfigError(f"the value is not readable as YAML: {error.problem}", given=assignment) from None
    is_name = key.strip() in NAMES and isinstance(value, bool | int | float)  # kernel=5.10, mitigations=off
    return keys, text.strip() if is_name else value


def assigned(overrides: Iterable[str]) -> dict[str, Any]:
    """Return the values of `KEY=VALUE` texts by dotted key."""
    return {".".join(keys): value for keys, value in map(split_assignment, overrides)}


def as_assignments(overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Return overrides as `KEY=VALUE` texts; a mapping may hold others, lists, numbers, names and paths.

    Examples
    --------
    >>> as_assignments({"cpu.core_ghz": 3.2, "mitigations": {"smap": False}, "access": ["copy_user", "vmap"]})
    ['cpu.core_ghz=3.2', 'mitigations.smap=false', 'access=["copy_user", "vmap"]']
    """
    if not isinstance(overrides, Mapping):
        return list(overrides)
    return [f"{key}={json.dumps(value, default=_plain)}" for key, value in _leaves(overrides)]


def _plain(value: Any) -> Any:
    """Return a number of NumPy as Python's own, and anything else as text: a path."""
    return value.item() if hasattr(value, "item") else str(value)


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a mapping by dotted key; an entry with its evidence is one value."""
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and not is_entry(value):
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def as_list(keys: list[str], value: Any) -> Any:
    """Return a value, a list of the key that takes one: `access=copy_user,vmap`, `traffic.packet_bytes=64,128`.

    NotYamlError for an item of a list that is no YAML.
    """
    if keys not in (["access"], ["traffic", "packet_bytes"]):
        return value
    if isinstance(value, str):
        return [parsed_yaml(item) for item in value.split(",") if item.strip()]
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def override(table: Table, keys: list[str], value: Any, model: type[BaseModel], given: str | None = None) -> None:
    """Set one key; a bare number on a table entry replaces value, low and high, and says where it came from.

    Tables below `table` are not changed but replaced, so that others may share them. An error names the assignment
    that is `given`.
    """
    place: Any = table
    fields: Any = model
    each: Any = None
    for depth, key in enumerate(keys):
        known = list(getattr(fields, "model_fields", {})) or list(place)
        name = "schema_" if key == "schema" else key
        if name not in known and key not in place:
            raise ConfigError(f"unknown key '{'.'.join(keys[: depth + 1])}'", got=key, expected=known, given=given)
        fields, each = _below(fields, each, name)
        if depth == len(keys) - 1:
            break
        if fields is not None and place.get(key) is None:
            place[key] = model_default(model, keys[: depth + 1]) if "grade" in fields.model_fields else {}
        place[key] = in_full(key, place.get(key))
        if not isinstance(place[key], dict):
            raise ConfigError(f"'{'.'.join(keys[: depth + 1])}' has no keys below it", given=given)
        place[key] = dict(place[key])
        place = place[key]
    old = place.get(keys[-1])
    if old is None and fields is not None and "grade" in fields.model_fields:
        old = model_default(model, keys)
    if isinstance(old, dict) and "grade" in old and not isinstance(value, dict):
        entry: Table = {**old, "value": value, "source": "set by the user", "grade": "guess"}
        if "unit" in old:
            known = old.get("table_range") or [old["low"], old["high"]]
            entry |= {"low": value, "high": value, "table_range": known}
        elif "doubt" in old:
            entry["doubt"] = 0.0
        value = entry
    place[keys[-1]] = value


def in_full(key: str, value: Any) -> Any:
    """Return what stands under a key, an offered load as a mapping: what is set or merged below it changes a part."""
    with suppress(ValueError):  # the schema says what is wrong with it
        return load_in_full(value) if key == "load" else value
    return value


def _below(fields: Any, each: Any, name: str) -> tuple[Any, Any]:
    """Return the schema of what stands under a name, and that of each value there if it is a table by name."""
    if fields is None:
        return each, None
    field = fields.model_fields.get(name)
    annotation = None if field is None else field.annotation
    if get_origin(annotation) is dict:
        return None, _model(get_args(annotation)[1])
    return _model(annotation), None


def _model(annotation: Any) -> Any:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def model_default(model: type[BaseModel], keys: Sequence[str]) -> Any:
    """Return the default of a nested key as plain data."""
    current: Any = model
    for key in keys[:-1]:
        current = current.model_fields[key].annotation
    default = current.model_fields[keys[-1]].get_default(call_default_factory=True)
    return default.model_dump() if isinstance(default, BaseModel) else default
