"""Schema of `configs/access/*.yaml`: what an access variant changes in the accessors of a kernel."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.config.errors import nearest
from sim.config.tables.accessors import ACCESSORS, OPTIONAL_ACCESSORS
from sim.config.tables.kernel import check_recipe
from sim.config.tables.mapping import Mapping
from sim.config.tables.quantity import Strict


class AccessRules(Strict):
    """Changes to the accessors of one family: whole recipes by class or by name, then single primitives."""

    read: list[str] | None = Field(None, description="recipe of every accessor that reads")
    write: list[str] | None = Field(None, description="recipe of every accessor that writes")
    recipes: dict[str, list[str]] = Field(default_factory=dict, description="recipes of single accessors, by name")
    replace: dict[str, list[str]] = Field(
        default_factory=dict, description="primitives put in the place of one, in recipes that are not given whole"
    )
    remove: list[str] = Field(default_factory=list, description="primitives taken out of every recipe")

    @field_validator("read", "write", "remove")
    @classmethod
    def _items(cls, recipe: list[str] | None) -> list[str] | None:
        return None if recipe is None else check_recipe(recipe)

    @field_validator("recipes")
    @classmethod
    def _named(cls, recipes: dict[str, list[str]]) -> dict[str, list[str]]:
        known = (*ACCESSORS, *OPTIONAL_ACCESSORS)
        for name in recipes:
            if name not in known:
                raise ValueError(f"unknown accessor '{name}'{nearest(name, known)}")
        return {name: check_recipe(recipe) for name, recipe in recipes.items()}

    @field_validator("replace")
    @classmethod
    def _replaced(cls, replaced: dict[str, list[str]]) -> dict[str, list[str]]:
        check_recipe(list(replaced))
        return {name: check_recipe(recipe) for name, recipe in replaced.items()}


class Window(Strict):
    """One user access window (`user_access_begin`/`end`) around a batch of ring accesses."""

    chains: int = Field(16, ge=1, le=1024, description="avail ring entries and descriptors read in one window at most")
    open: list[str] = Field(description="primitives that open the window")
    close: list[str] = Field(description="primitives that close it")
    entry: list[str] = Field(description="primitives of one avail ring entry inside the window")
    descriptor: list[str] = Field(description="primitives of one descriptor inside the window")

    _recipes = field_validator("open", "close", "entry", "descriptor")(check_recipe)


class Access(Strict):
    """An access variant: how ring metadata (and payload) is reached instead of the kernel's own accessors."""

    schema_: Literal[1]
    kind: Literal["access"] = "access"
    name: str = Field(description="name by which scenarios and --access refer to it")
    title: str = Field(description="what tables and reports call it")
    source: str = Field(min_length=1, description="where the variant was read, or who has thought of it")
    mapping: Mapping = Field(
        default_factory=Mapping, description="kernel mapping of the rings; not used with a device IOTLB"
    )
    metadata: AccessRules = Field(default_factory=AccessRules, description="changes to the accessors of ring metadata")
    payload: AccessRules = Field(default_factory=AccessRules, description="changes to the accessors of packet bytes")
    round: list[str] = Field(default_factory=list, description="primitives executed once per round of the handler")
    used_page: list[str] = Field(
        default_factory=list, description="primitives executed once per round for each page of the used ring"
    )
    window: Window | None = Field(None, description="batches of ring accesses in one user access window each")

    _recipes = field_validator("round", "used_page")(check_recipe)

    @model_validator(mode="after")
    def _window_or_mapping(self) -> Access:
        if self.window is not None and self.mapping.maps:
            raise ValueError("window: a mapped ring is not reached through user access windows")
        return self
