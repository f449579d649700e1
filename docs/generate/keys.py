"""A page for each kind of table: every key that it takes, from the schema that checks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from generate.markdown import code, page, plain, said, table
from sim.config.loading.load import MODELS
from sim.config.loading.paths import FOLDERS
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import BOUNDS, Flag, Quantity

KINDS: dict[str, type[BaseModel]] = {"scenario": Scenario, **MODELS}
#: What a file names instead of holding: a table of its own kind, or an entry with its evidence.
_NAMED = {model: kind for kind, model in reversed(KINDS.items())}
_ENTRIES = {Quantity: "entry", Flag: "entry, true or false"}
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def key_pages() -> dict[str, str]:
    """Return a page for each kind of table, by its place below `reference`."""
    pages = {f"keys/{kind}.md": _page(kind, model) for kind, model in KINDS.items()}
    return pages | {"keys/entry.md": _entry_page()}


def _page(kind: str, model: type[BaseModel]) -> str:
    summary = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    about = (
        f"Every key of a table of kind {code(kind)} ({_home(kind)}). "
        f"{said(summary)} Where a key belongs to a scenario, its CPU or its kernel, {code('--set KEY=VALUE')} changes "
        "it for one run. An *entry* is a number with its [evidence](entry.md)."
    )
    return page(f"Keys: {kind}", about, _table(model))


def _entry_page() -> str:
    example = "{value: 12, unit: cycles, low: 10, high: 30, source: ..., grade: guess}"
    about = f"A number in a table stands with its evidence: {code(example)}."
    switch = f"An entry that is true or false has no unit and no range.\n\n{_table(Flag)}"
    bounds = table(
        ("unit", "least", "most"), [(code(unit), f"{low:g}", f"{high:g}") for unit, (low, high) in BOUNDS.items()]
    )
    room = f"No number is outside what is conceivable of its unit; one that is, is refused with its key.\n\n{bounds}"
    return page("Keys: entry", about, _table(Quantity), "## Bounds\n", room, "## Switches\n", switch)


def _table(model: type[BaseModel]) -> str:
    rows = (
        (code(key), said(field.description or ""), f"{_kind(field)}{_default(field)}") for key, field in keys(model)
    )
    return table(("key", "what it is", "type and default"), rows)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key of a table with its field, sections written out: `traffic.load.kind`, `steps.NAME.function`."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name.rstrip('_')}"
        inner = _section(field.annotation)
        yield key, field
        if inner is not None:
            section, path = inner
            yield from keys(section, f"{key}{path}.")


def _section(annotation: Any) -> tuple[type[BaseModel], str] | None:
    """Return the model that a key holds, and what stands between the key and those of the model."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return None if annotation in _ENTRIES or annotation in _NAMED else (annotation, "")
    for part in get_args(annotation):
        found = _section(part)
        if found is not None:
            path = {dict: ".NAME", list: "[]"}.get(get_origin(annotation) or type, "")
            return found[0], f"{path}{found[1]}"
    return None


def _kind(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(limit, name)}"
        for limit in field.metadata
        for name, sign in _SIGNS.items()
        if hasattr(limit, name)
    ]
    return plain(", ".join([_type(field.annotation), *bounds]))


def _type(annotation: Any) -> str:
    """Name a type in words of the file: `text`, `number`, a choice, a list, an entry."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in _ENTRIES:
        return _ENTRIES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"{_NAMED[annotation]} table, by name" if annotation in _NAMED else "section"
    if origin is Annotated:
        return _type(parts[0])
    if origin is Literal:
        return " or ".join(json.dumps(part) if isinstance(part, bool) else str(part) for part in parts)
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in parts if part is not type(None))
    if origin in (list, tuple):
        return f"list of {_type(parts[0])}" if parts else "list"
    if origin is dict:
        return f"{_type(parts[1])} by name"
    words = {str: "text", float: "number", int: "whole number", bool: "true or false", Any: "anything"}
    return words[annotation]


def _default(field: FieldInfo) -> str:
    """Spell a default behind the type; an entry's with its unit and range. A section's is that of its keys."""
    if field.is_required():
        return ", required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Quantity):
        return plain(f": {value.value:g} {value.unit} [{value.low:g}, {value.high:g}], {value.grade}")
    if value is None or isinstance(value, BaseModel):
        return ""
    return f": {code(value if isinstance(value, str) and value else json.dumps(value))}"


def _home(kind: str) -> str:
    folder = FOLDERS[kind]
    return f"file {code(f'configs/{kind}.yaml')}" if folder == "." else f"folder {code(f'configs/{folder}')}"
