"""Schema of `configs/defaults.yaml`: the table entries that a scenario's file may leave out."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import Field, ValidationError

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.yaml_file import read_yaml
from sim.config.tables.quantity import Quantity, Strict


class Defaults(Strict):
    """Default entries of a scenario, by key: numbers with their evidence, as in every table."""

    schema_: Literal[1]
    kind: Literal["defaults"] = "defaults"
    name: str = Field(description="name of the table")
    title: str = Field("", description="what tables and reports call it")
    entries: dict[str, Quantity] = Field(description="KEY: entry that a scenario takes when its file has none")


def default_entry(key: str, description: str) -> Any:
    """Return the field of a scenario's key whose default stands in the shipped table of defaults."""
    return Field(default_factory=lambda: shipped_default(key), validate_default=True, description=description)


@cache
def shipped_default(key: str) -> Quantity:
    """Return the default of one key; ConfigError when the table of defaults has no valid entry for it."""
    file = paths.shipped() / "defaults.yaml"
    entries = read_yaml(file).get("entries")
    if not isinstance(entries, dict) or key not in entries:
        raise ConfigError(f"{file}: entries: no entry for '{key}'; an unknown cost is an error")
    try:
        return Quantity.model_validate(entries[key])
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{file}: entries.{key}: {problem}") from None
