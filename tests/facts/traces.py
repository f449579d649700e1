"""Executed traces, and the model's own, as windows of user accesses that can be compared."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.costs import Recipes
from sim.costs.recipes import Item
from sim.datapath.plan.plan import Segment
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import LINE_BYTES, Row
from sim.engine.machine import Machine
from sim.engine.reference import ReferenceEngine

from .model import RECEIVE, as_counted, lockstep, plan, queue, scenario

FOLDER = Path(__file__).parent.parent / "data" / "traces"

PathTaken = Literal["tx_xdp", "tx_skb", "txi_xdp", "rx"]

#: Kernel and access variant of the model for each kernel that was traced.
MODELS = {
    "v5.0": ("v5.0", "copy_user"),
    "v5.0-zcopytx": ("v5.0", "copy_user"),
    "v5.2.1": ("v5.3", "copy_user"),
    "v5.2.1-direct-map": ("v5.3", "direct_map_rcu"),
    "v5.10.262": ("v5.10", "copy_user"),
    "v6.1.192": ("v6.1", "copy_user"),
    "v6.12.95": ("v6.12", "copy_user"),
    "v6.18.15": ("v6.18", "copy_user"),
    "v7.3.4": ("v7.3", "copy_user"),
}
BASES = {"desc": 0x0000, "avail": 0x4000, "used": 0x6000, "ind": 0x8000, "buf": 0x10000}
BUFFER_BYTES = 0x1000
DESCRIPTOR_BYTES = 16
#: Bytes that a traced driver sets aside for the indirect table of one packet: two entries.
TABLE_BYTES = 32


@dataclass(frozen=True)
class Access:
    """Bytes of a region that were read, written or copied from a packet's buffer (`buffer`: its first descriptor)."""

    kind: str
    region: str
    offset: int
    bytes: int
    buffer: int | None = None


@dataclass(frozen=True)
class Window:
    """One STAC..CLAC window: what it reaches, and the order of barriers and access in it."""

    access: Access
    order: tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """What a trace's file name says."""

    kernel: str
    event_idx: bool
    descriptors: int
    burst: int
    packet_bytes: int
    path: PathTaken = "tx_xdp"

    @property
    def overrides(self) -> tuple[str, ...]:
        """Overrides of the scenario that was traced."""
        kernel, _ = MODELS[self.kernel]
        features = queue(event_idx=self.event_idx, descriptors=self.descriptors, indirect=self.path == "txi_xdp")
        return (*as_counted(kernel), *features, *lockstep(self.burst), *self._path)

    @property
    def _path(self) -> tuple[str, ...]:
        unbatched = ("device.zerocopy_tx=true",) if self.kernel.endswith("-zcopytx") else ()
        return (*unbatched, *{"tx_skb": ("backend.kind=tap-skb",), "rx": RECEIVE}.get(self.path, ()))

    @property
    def receives(self) -> bool:
        """Whether the handler of receive was traced."""
        return self.path == "rx"

    @property
    def buffers(self) -> int:
        """Buffers of one packet: descriptors of a chain; a table's entries are not numbered like the ring's."""
        return 1 if self.path == "txi_xdp" else self.descriptors


def names() -> list[str]:
    """Names of all traces."""
    return sorted(file.stem for file in FOLDER.glob("*.csv"))


def setting(name: str) -> Setting:
    """Read a trace's configuration from its name."""
    found = re.fullmatch(r"(.+)\.(tx_xdp|tx_skb|txi_xdp|rx)_ev([01])_(?:d|ind|mrg)(\d+)_b(\d+)_s(\d+)", name)
    assert found, name
    kernel, path, event_idx, *numbers = found.groups()
    return Setting(kernel, event_idx == "1", *(int(number) for number in numbers), path=cast(PathTaken, path))


# -- executed ----------------------------------------------------------------------------------------------------------


def executed_windows(name: str) -> list[Window]:
    """Read a trace's windows; adjacent loads or stores within one are one access."""
    windows: list[Window] = []
    order: list[str] = []
    accesses: list[Access] = []
    for line in _lines(name):
        event = line["event"]
        if event == "stac":
            order, accesses = [], []
        if event in ("stac", "lfence", "clac"):
            order.append(event)
        else:
            if order[-1] != "access":
                order.append("access")
            accesses.append(_access(event, line["region"], int(line["offset"], 16), int(line["bytes"])))
        if event == "clac":
            windows.append(Window(_joined(accesses), tuple(order)))
    return windows


def executed_instructions(name: str) -> int:
    """Instructions of a traced invocation: its last line."""
    return int((FOLDER / f"{name}.csv").read_text(encoding="utf-8").rstrip().rpartition("=")[2])


def _lines(name: str) -> Iterator[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(line for line in file if not line.startswith("#"))


def _access(event: str, region: str, offset: int, n_bytes: int) -> Access:
    place = offset - BASES[region]
    if region == "buf":
        return Access("copy", region, place % BUFFER_BYTES, n_bytes, place // BUFFER_BYTES)
    if region == "ind":  # the model begins a table with a cache line
        return Access("read", "indirect", place // TABLE_BYTES * LINE_BYTES + place % TABLE_BYTES, n_bytes)
    return Access("read" if event in ("load", "copy_from") else "write", region, place, n_bytes)


def _joined(accesses: list[Access]) -> Access:
    first, total = accesses[0], 0
    for access in accesses:
        expected = Access(first.kind, first.region, first.offset + total, access.bytes, first.buffer)
        assert access == expected, f"{access} does not continue {first}"
        total += access.bytes
    return Access(first.kind, first.region, first.offset, total, first.buffer)


def first_packet(windows: list[Window]) -> int:
    """Return the ring position of the first packet copied, in packets of one descriptor chain each."""
    return next(window.access.buffer for window in windows if window.access.buffer is not None)


# -- model -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Invocation:
    """One invocation of the model's handler, from the wake-up by a kick to the next sleep."""

    windows: tuple[Window, ...]
    instructions: float
    first_packet: int


@cache
def model_invocations(wanted: Setting, packets: int) -> tuple[Invocation, ...]:
    """Run the model as a trace was taken, until `packets` packets are used; return its complete invocations.

    Of receive: the handler that a kick wakes, not the one that the first frame wakes and that finds no buffer.
    """
    kernel, variant = MODELS[wanted.kernel]
    built = plan(kernel, variant, wanted.overrides, wanted.packet_bytes)
    loaded = scenario(kernel, wanted.overrides)
    recipes = Recipes(loaded.kernel, loaded.variant(variant), loaded.cpu, loaded.mitigations)
    rounds: list[list[tuple[list[Window], float, int]]] = []
    asleep = [wanted.receives]

    def observe(machine: Machine, segment: Segment) -> None:
        (number,) = segment.rows
        row = built.rows[number]
        if row.actor != "worker":
            return
        if row.label == "idle":
            rounds.append([])
            asleep[0] = False
        asleep[0] |= row.label in ("idle_socket", "woken")  # of receive: what follows is another handler's work
        if asleep[0]:
            return
        packet = machine.registers[Register.LAST_AVAIL_IDX] * wanted.buffers
        units = 0 if row.unit is None else machine.registers[row.unit]
        windows = list(_model_windows(machine, row, recipes, packet)) if row.accessor else []
        rounds[-1].append((windows, row.instructions + units * row.unit_instructions, packet))

    ReferenceEngine(built, checkpoint_packets=10**9, before_row=observe).run(packets)
    return tuple(
        Invocation(
            tuple(window for windows, _, _ in rows for window in windows), sum(n for _, n, _ in rows), rows[0][2]
        )
        for rows in rounds[:-1]
    )


def _model_windows(machine: Machine, row: Row, recipes: Recipes, packet: int) -> Iterator[Window]:
    """Yield the user windows of a row: none where the variant reads the ring directly."""
    assert row.accessor is not None
    orders = list(_orders(recipes.accessor(row.accessor, row.bytes)))
    if row.access is not None and row.access.region == "buffers":  # of receive: one that was fetched before
        yield _filled(row, orders, packet - 1)
        return
    if row.payload_access is not None:
        place, n_bytes = row.payload_access.offset, row.payload_access.bytes
        accesses = [Access("copy", "buf", place, n_bytes, packet)]
    else:
        assert row.access is not None
        place, n_bytes = machine.extent(row.access)
        kind = "write" if row.access.write else "read"
        parts = max(1, len(orders))
        share = n_bytes // parts
        accesses = [Access(kind, row.access.region, place + part * share, share) for part in range(parts)]
    for access, order in zip(accesses, orders, strict=bool(orders)):
        yield Window(access, order)


def _filled(row: Row, orders: list[tuple[str, ...]], packet: int) -> Window:
    """Return the window of a copy into a receive buffer."""
    assert row.access is not None
    offset = VNET_HEADER_BYTES if row.accessor == "rx_payload_copy" else row.access.offset
    (order,) = orders
    return Window(Access("copy", "buf", offset, row.bytes, packet), order)


def _orders(items: Iterable[Item]) -> Iterator[tuple[str, ...]]:
    """Yield the order of barriers and access within each window of a recipe."""
    order: list[str] = []
    for item in items:
        word = item.primitive
        if word in ("stac", "lfence", "clac"):
            order.append(word)
        elif order and order[-1] != "access" and (word in ("load", "store") or word.startswith("copy_")):
            order.append("access")
        if word == "clac":
            yield tuple(order)
            order = []
