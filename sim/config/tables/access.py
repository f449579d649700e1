"""Schema of `configs/access/*.yaml`: what an access variant changes in the accessors of a kernel."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.config.errors import nearest
from sim.config.tables.kernel import check_recipe
from sim.config.tables.quantity import Headed, Strict
from sim.config.tables.vocabulary import ACCESSORS, OPTIONAL_ACCESSORS


class Mapping(Strict):
    """What a variant does besides its accesses: set-up, per round, and when the host invalidates the ring's pages.

    Lists are primitives: `_area` once per ring area (descriptors, avail, used), `_page` once per page of the ring.
    """

    pages: Literal["user", "vmap", "direct"] = Field(
        "user", description="whose TLB entries an access uses: the user mapping's, 4 KiB ones of vmap, the direct map's"
    )
    pinned: bool = Field(False, description="pages are pinned as long as the ring is set up, and count as locked")
    torn_down: Literal["never", "at once", "between rounds"] = Field(
        "never", description="by MMU notifiers: not at all, at once, or when the round in progress ends (vq mutex)"
    )
    setup: list[str] = Field(default_factory=list, description="once, when the ring is set up")
    setup_area: list[str] = Field(default_factory=list, description="per area, at set-up and when mapped again")
    setup_page: list[str] = Field(default_factory=list, description="per page, at set-up and when mapped again")
    teardown: list[str] = Field(default_factory=list, description="by the invalidating thread")
    teardown_area: list[str] = Field(default_factory=list, description="by the invalidating thread, per area")

    _recipes = field_validator("setup", "setup_area", "setup_page", "teardown", "teardown_area")(check_recipe)

    @model_validator(mode="after")
    def _coherent(self) -> Mapping:
        if self.pinned and self.torn_down != "never":
            raise ValueError("torn_down: pinned pages are not invalidated, so nothing tears their mapping down")
        others = self.model_dump(exclude={"pages", "torn_down"}).values()
        if self.pages == "user" and (any(others) or self.torn_down != "never"):
            raise ValueError("pages: the other keys go with a mapping (vmap or direct)")
        return self

    @property
    def maps(self) -> bool:
        """Whether the kernel maps the ring at all."""
        return self.pages != "user"


class AccessRules(Strict):
    """Changes to the accessors of one family: whole recipes by class or by name, then single primitives."""

    read: list[str] | None = Field(None, description="recipe of every mapped accessor that reads (metadata only)")
    write: list[str] | None = Field(None, description="recipe of every mapped accessor that writes (metadata only)")
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


#: Keys of an access table that say what it is and not what it does.
_NO_CHANGE = {"schema_", "kind", "name", "title", "source", "role", "executed", "objections"}


class Access(Headed):
    """An access variant: how ring metadata (and payload) is reached instead of the kernel's own accessors."""

    kind: Literal["access"] = "access"
    name: str = Field(description="name by which scenarios refer to it")
    source: str = Field(min_length=1, description="where the variant was read, or who has thought of it")
    role: Literal["variant", "bound", "userspace"] = Field(
        "variant",
        description="variant: a kernel could have it; bound: no kernel can; userspace: a device that is no kernel's",
    )
    executed: str = Field(
        "",
        description="who has executed these accessors: a published rate or a count (default: nobody, they are by "
        "analogy; the kernel's own were executed where its counts were)",
    )
    objections: list[str] = Field(
        default_factory=list, description="what a reviewer holds against it, each with the argument's source"
    )
    mapping: Mapping = Field(
        default_factory=Mapping, description="kernel mapping of the rings (none with a device IOTLB)"
    )
    metadata: AccessRules = Field(default_factory=AccessRules, description="changes to the accessors of ring metadata")
    payload: AccessRules = Field(default_factory=AccessRules, description="changes to the accessors of packet bytes")
    round: list[str] = Field(default_factory=list, description="primitives executed once per round of the handler")
    used_page: list[str] = Field(
        default_factory=list, description="primitives executed per round and page of the used ring"
    )
    window: Window | None = Field(None, description="batches of ring accesses in one user access window each")

    _recipes = field_validator("round", "used_page")(check_recipe)

    @property
    def changes(self) -> bool:
        """Whether the variant executes anything else than the kernel as it is."""
        return bool(self.model_dump(exclude_defaults=True, exclude=_NO_CHANGE))

    @model_validator(mode="after")
    def _window_or_mapping(self) -> Access:
        for direction in ("read", "write"):
            if getattr(self.payload, direction) is not None:
                raise ValueError(f"payload.{direction}: reaches mapped accessors only, and packet bytes are not mapped")
        if self.window is not None and self.mapping.maps:
            raise ValueError("window: a mapped ring is not reached through user access windows")
        return self
