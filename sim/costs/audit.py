"""Entries of the tables: what is missing, guessed or implausible beyond the schema, and which an answer has read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Access
from sim.config.tables.cpu import Cpu
from sim.config.tables.kernel import Kernel
from sim.config.tables.quantity import Flag, Quantity, Reads
from sim.config.tables.vocabulary import PRICED_BY_CPI, PRIMITIVES
from sim.costs.draws import Traced

Wrapped = TypeVar("Wrapped")
Severity = Literal["error", "warning", "guess"]

#: Entries of one CPU that rise from left to right; a table that breaks this order is suspect.
RISING = (
    ("l1_hit", "l2_hit", "l3_hit", "memory_local", "memory_remote"),
    ("line_transfer_smt", "line_transfer", "line_transfer_cross_socket"),
    ("l3_hit", "line_transfer"),
    ("clean_line", "line_stream_copy", "line_stream", "line_transfer"),
    ("lfence", "mfence"),
    ("lock_rmw", "spin_lock"),
    ("access_ok", "object_size_check_stack", "object_size_check"),
    ("call", "retpoline"),
    ("indirect_call", "retpoline"),
    ("copy_startup_short", "copy_startup"),
    ("stlb_hit", "page_walk"),
    ("syscall", "vm_exit_kick"),
    ("eventfd_signal", "worker_wakeup"),
    ("idle_exit_c1", "idle_exit_c1e", "idle_exit_c6"),
    ("vmap_page", "vmap_fixed"),
)
RISING_SIZES = ("l1_bytes", "l2_bytes", "l3_bytes"), ("l1_dtlb_entries", "stlb_entries")


@dataclass(frozen=True)
class Finding:
    """One thing to know about a table."""

    severity: Severity
    table: str
    key: str
    message: str


def audit(table: BaseModel) -> Iterator[Finding]:
    """Yield what is wrong or unsure in one CPU, kernel or access table (other kinds: only their guesses)."""
    name = f"{getattr(table, 'kind', '')} {getattr(table, 'name', '')}".strip()
    if isinstance(table, Cpu):
        yield from _audit_cpu(table, name)
    elif isinstance(table, Kernel):
        yield from _audit_kernel(table, name)
    elif isinstance(table, Access):
        yield from _audit_access(table, name)
    for key, quantity in quantities(table):
        if quantity.grade == "guess":
            yield Finding("guess", name, key, f"{quantity.value:g} {quantity.unit}: {quantity.source}")


@dataclass(frozen=True, eq=False)
class Itself(Generic[Wrapped]):
    """A table, case or Plan that equals itself only: to compare two by values takes as long as to look through one."""

    wrapped: Wrapped

    def __hash__(self) -> int:
        return id(self.wrapped)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self.wrapped is other.wrapped


def quantities(table: BaseModel, prefix: str = "") -> Iterator[tuple[str, Quantity]]:
    """Yield every table entry below a table, with its key, depth first."""
    large = isinstance(table, Cpu | Kernel | Scenario)
    yield from ((f"{prefix}{key}", entry) for key, entry in (_listed(Itself(table)) if large else _below(table)))


@lru_cache(maxsize=64)
def _listed(same: Itself[Cpu | Kernel | Scenario]) -> list[tuple[str, Quantity]]:
    """List the hundreds of entries of a table once: tables do not change, and are shared by the sides of a question."""
    return list(_below(same.wrapped))


def _below(table: BaseModel, prefix: str = "") -> Iterator[tuple[str, Quantity]]:
    for attribute in type(table).model_fields:
        value = getattr(table, attribute)
        key = f"{prefix}{attribute}"
        if isinstance(value, Quantity):
            yield key, value
        elif isinstance(value, BaseModel):
            yield from quantities(value, f"{key}.")
        elif isinstance(value, dict):
            for name, entry in value.items():
                if isinstance(entry, Quantity):
                    yield f"{key}.{name}", entry
                elif isinstance(entry, BaseModel):
                    yield from quantities(entry, f"{key}.{name}.")


def in_ns(cpu: Cpu, primitive: str) -> float:
    """Return what one costs in ns, so that entries in different units can be compared."""
    entry, unit = cpu.primitives[primitive], PRIMITIVES[primitive].unit
    if unit == "cycles":
        return entry.value / cpu.core_ghz.value
    if unit == "instructions":
        return entry.value * cpu.cpi.value / cpu.core_ghz.value
    return entry.value * {"ns": 1.0, "us": 1e3}[unit]


def _audit_cpu(cpu: Cpu, name: str) -> Iterator[Finding]:
    for primitive in PRIMITIVES:
        if primitive not in cpu.primitives and primitive not in PRICED_BY_CPI:
            yield Finding("error", name, f"primitives.{primitive}", "no entry; an unknown cost is an error once used")
    for order in RISING:
        known = [primitive for primitive in order if primitive in cpu.primitives]
        for less, more in pairwise(known):
            if in_ns(cpu, less) > in_ns(cpu, more):
                text = f"{less} ({in_ns(cpu, less):.3g} ns) costs more than {more} ({in_ns(cpu, more):.3g} ns)"
                yield Finding("warning", name, f"primitives.{less}", text)
    for less, more in (pair for order in RISING_SIZES for pair in pairwise(order)):
        if getattr(cpu, less).value > getattr(cpu, more).value:
            yield Finding("warning", name, less, f"larger than {more}")
    toggles = cpu.primitives.get("stac"), cpu.primitives.get("clac")
    for side, entry in zip(("stac", "clac"), toggles, strict=True):
        if entry is not None and bool(entry.value) != cpu.features.smap.value:
            text = "costs something on a CPU without SMAP" if entry.value else "costs nothing on a CPU with SMAP"
            yield Finding("warning", name, f"primitives.{side}", text)


def _audit_kernel(kernel: Kernel, name: str) -> Iterator[Finding]:
    for accessor, entry in kernel.accessors.items():
        opened, closed = entry.recipe.count("stac"), entry.recipe.count("clac")
        if opened != closed:
            text = f"{opened} stac but {closed} clac in its recipe"
            yield Finding("warning", name, f"accessors.{accessor}", text)
        if "lfence" in entry.recipe and "mask" in entry.recipe:
            yield Finding("warning", name, f"accessors.{accessor}", "both lfence and mask: one of them is enough")


def _audit_access(access: Access, name: str) -> Iterator[Finding]:
    for key, recipe in _whole_accesses(access):
        if recipe.count("stac") != recipe.count("clac"):
            yield Finding("warning", name, key, "stac and clac do not pair")


def _whole_accesses(access: Access) -> Iterator[tuple[str, list[str]]]:
    """Yield the recipes that stand for themselves: a window opens in one accessor and closes in another."""
    for family in ("metadata", "payload"):
        rules = getattr(access, family)
        recipes = {"read": rules.read or [], "write": rules.write or [], **rules.recipes}
        if access.window is not None:
            closing = recipes.pop("used_index_write", [])
            for key in ("used_element_write", "used_elements_write", "used_head_write") if closing else ():
                recipes[key] = [*recipes.get(key, []), *closing]
        yield from ((f"{family}.{key}", recipe) for key, recipe in recipes.items())
    if access.window is not None:
        yield "window", [*access.window.open, *access.window.close]
    yield "round", access.round


def fields(table: BaseModel, prefix: str = "", near: str = "") -> Iterator[tuple[str, BaseModel, str]]:
    """Yield every key below a table with the table that holds it and the name that it has there, depth first.

    An entry with its evidence is one key, and so are a list and a dict of plain values. With a key that they shall be
    `near`, only it, those below it and the one that it is in.
    """
    for attribute in type(table).model_fields:
        key = f"{prefix}{attribute}"
        if not is_near(key, near):
            continue
        value = getattr(table, attribute)
        below = value if isinstance(value, dict) else {"": value}
        if not below or not all(isinstance(entry, BaseModel) for entry in below.values()):
            yield key, table, attribute
            continue
        for name, entry in below.items():
            inner = f"{key}.{name}" if name else key
            if not is_near(inner, near):
                continue
            if isinstance(entry, Quantity | Flag):
                yield inner, entry, "value"
            else:
                yield from fields(entry, f"{inner}.", near)


def is_near(key: str, near: str) -> bool:
    """Return whether a key is another, or below it, or the one that it is in; every key is near the empty one."""
    return not near or f"{key}.".startswith(f"{near}.") or f"{near}.".startswith(f"{key}.")


_FAR = "FAR OUTSIDE ITS RANGE: "


def _is_far(entry: Quantity) -> bool:
    """Return whether a value is far outside the range of its table; of several draws each is looked at by itself."""
    is_set = entry.table_range is not None  # asked first: few are
    return is_set and not isinstance(entry.value, Traced) and entry.far_outside is not None


def far_outside(entries: Mapping[str, Quantity]) -> tuple[str, ...]:
    """Say which entries have a value far outside the range of their table."""
    return tuple(f"{_FAR}{key} is {entry.far_outside}" for key, entry in entries.items() if _is_far(entry))


def with_far_outside(notes: Iterable[str], entries: Mapping[str, Quantity]) -> tuple[str, ...]:
    """Return the notes of a Plan for draws as those of one that has these entries."""
    return (*(note for note in notes if not note.startswith(_FAR)), *far_outside(entries))


@dataclass(frozen=True)
class Ledger:
    """What was read of `scenario` while its Plan was built: `read` and `read_for_setup` come from `noting_reads`.

    `sized` is the same scenario but for the keys `of_size`, which the size of a packet changes.
    """

    scenario: Scenario | None = None
    sized: Scenario | None = None
    of_size: tuple[str, ...] = ()
    read: Reads = field(default_factory=dict)
    read_for_setup: Reads = field(default_factory=dict)

    def entries(self) -> dict[str, Quantity]:
        """Return the entries that were read by their keys in the scenario, in the order of its tables."""
        return dict(self._entries)

    @cached_property
    def _entries(self) -> dict[str, Quantity]:
        if self.scenario is None:
            return {}
        read = self.read.keys() | self.read_for_setup.keys()
        return {key: entry for key, entry in quantities(self.scenario) if (id(entry), "value") in read}

    def far_outside(self) -> tuple[str, ...]:
        """Say which entries that were read have a value far outside the range of their table: the user has set it."""
        tables = {id(table): table for table in (*self.read.values(), *self.read_for_setup.values())}
        if not any(isinstance(table, Quantity) and _is_far(table) for table in tables.values()):
            return ()
        return far_outside(self._entries)

    def only_for_setup(self) -> set[str]:
        """Return the keys of entries that nothing but the set-up of the rings has read: no rate depends on them."""
        only = self.read_for_setup.keys() - self.read.keys()
        return {key for key, entry in self._entries.items() if (id(entry), "value") in only}

    def keys_read(self, near: str = "") -> set[str]:
        """Return every key of the scenario that was read, entries or not; with `near` a key, only those near it."""
        read = self.read.keys() | self.read_for_setup.keys()
        if self.scenario is None or self.sized is None:
            return set()
        own, sized = (
            {key for key, table, name in fields(scenario, near=near) if (id(table), name) in read}
            for scenario in (self.scenario, self.sized)
        )
        return own | (sized - set(self.of_size))
