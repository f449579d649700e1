"""How an access variant maps the ring (section `mapping` of an access table), and what the host's memory management
does to such a mapping (section `memory` of a scenario)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.config.tables.kernel import check_recipe
from sim.config.tables.quantity import Quantity, Strict, guess, require_unit

LEAST_PER_SECOND = 1e-3


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


class Memory(Strict):
    """What the host's memory management does, and what the ring's pages are."""

    guest_pages: Literal["4k", "2m", "1g"] = Field(
        "2m", description="pages that back the ring in the guest's memory (DPDK: huge pages)"
    )
    other_pages: Quantity = Field(
        default_factory=lambda: guess(
            40, "entries", 16, 128, "payload, page fragments, bookkeeping, stack: no figure; page sizes as they come"
        ),
        description="TLB entries that the worker uses besides those of the ring",
    )
    invalidations_per_second: float = Field(
        0.0, ge=0, le=1e6, description="invalidations that hit the ring (fork, KSM, THP, NUMA balancing, swap)"
    )
    invalidation_window: Quantity = Field(
        default_factory=lambda: guess(5, "us", 1, 50, "from range_start to range_end; no figure"),
        description="time in which the ring cannot be mapped again",
    )
    invalidation_stall: Quantity = Field(
        default_factory=lambda: guess(
            2, "us", 1, 6, "flush interrupt and the fault that follows: primitive-costs.md 2.13, 1 us each"
        ),
        description="what one invalidation costs the worker, mapped or not",
    )
    locked_limit_kib: int | None = Field(
        None, ge=0, description="RLIMIT_MEMLOCK: a variant that would pin more keeps to copy_user (default: no limit)"
    )

    @model_validator(mode="after")
    def _units(self) -> Memory:
        if 0 < self.invalidations_per_second < LEAST_PER_SECOND:
            raise ValueError(f"invalidations_per_second: 0 (none), or at least {LEAST_PER_SECOND:g}")
        if self.invalidations_per_second * self.invalidation_stall.value >= 0.9e6:
            raise ValueError(
                f"invalidations_per_second: {self.invalidations_per_second:g} stalls of "
                f"{self.invalidation_stall.value:g} us leave the worker no time"
            )
        require_unit("other_pages", self.other_pages, "entries")
        require_unit("invalidation_window", self.invalidation_window, "us")
        require_unit("invalidation_stall", self.invalidation_stall, "us")
        return self
