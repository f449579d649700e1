"""Geometry of a virtqueue: regions in cache lines, and where each field lies (kernel-accesses.md, C)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sim.config.scenario.virtqueue import Virtqueue
from sim.datapath.plan.step import LINE_BYTES, LineAccess

DESCRIPTOR_BYTES = 16
USED_ELEMENT_BYTES = 8
#: Bytes of a packed descriptor before its flags: address, length, id.
PACKED_FLAGS = 14


def lines_of(n_bytes: int) -> int:
    """Cache lines that hold `n_bytes` from a line boundary."""
    return -(-n_bytes // LINE_BYTES)


@dataclass(frozen=True)
class Ring:
    """What both layouts share: `chain` ring descriptors, or one and an indirect table, belong to one packet."""

    queue: Virtqueue

    @property
    def chain(self) -> int:
        """Ring descriptors per packet."""
        return self.queue.ring_entries_per_packet

    @property
    def packets(self) -> int:
        """Packets that the ring holds at most."""
        return self.queue.size // self.chain

    @property
    def table_lines(self) -> int:
        """Lines of one packet's indirect table."""
        return lines_of(DESCRIPTOR_BYTES * self.queue.descriptors_per_packet)

    def tables(self) -> dict[str, int]:
        """Map the region of all indirect tables, if there are any, to its number of cache lines."""
        return {"indirect": self.queue.size * self.table_lines} if self.queue.indirect else {}

    def table_entry(self, position: int, number: int) -> LineAccess:
        """Entry `number` of a packet's indirect table, read."""
        stride = self.table_lines * LINE_BYTES
        return LineAccess("indirect", False, 16, 16 * number, index=position, modulo=self.queue.size, stride=stride)

    def table_write(self, position: int) -> LineAccess:
        """A packet's whole indirect table, written."""
        n_bytes = DESCRIPTOR_BYTES * self.queue.descriptors_per_packet
        stride = self.table_lines * LINE_BYTES
        return LineAccess("indirect", True, n_bytes, index=position, modulo=self.queue.size, stride=stride)


@dataclass(frozen=True)
class SplitRing(Ring):
    """A split ring: descriptor table, avail ring and used ring."""

    def regions(self) -> dict[str, int]:
        """Map each region to its number of cache lines."""
        size = self.queue.size
        regions = {
            "desc": lines_of(DESCRIPTOR_BYTES * size),
            "avail": lines_of(4 + 2 * size + 2),
            "used": lines_of(4 + USED_ELEMENT_BYTES * size + 2),
        }
        return regions | self.tables()

    def avail_index(self, write: bool = False) -> LineAccess:
        """avail->idx."""
        return LineAccess("avail", write, 2, offset=2)

    def avail_flags(self, write: bool = False) -> LineAccess:
        """avail->flags, on the line of the index."""
        return LineAccess("avail", write, 2, offset=0)

    def avail_entry(self, position: int, write: bool = False, plus: int = 0) -> LineAccess:
        """avail->ring[position + plus]."""
        return LineAccess("avail", write, 2, offset=4, index=position, plus=plus, modulo=self.queue.size, stride=2)

    def used_event(self, write: bool = False) -> LineAccess:
        """used_event, behind the avail ring."""
        return LineAccess("avail", write, 2, offset=4 + 2 * self.queue.size)

    def descriptor(self, position: int, number: int) -> LineAccess:
        """Descriptor `number` of the chain of the packet at `position`, read."""
        size = self.queue.size
        return LineAccess("desc", False, 16, index=position, times=self.chain, plus=number, modulo=size, stride=16)

    def chain_write(self, position: int) -> LineAccess:
        """All descriptors of a packet's chain, written."""
        return LineAccess(
            "desc", True, 16 * self.chain, index=position, times=self.chain, modulo=self.queue.size, stride=16
        )

    def used_flags(self, write: bool = False) -> LineAccess:
        """used->flags."""
        return LineAccess("used", write, 2, offset=0)

    def used_index(self, write: bool = False) -> LineAccess:
        """used->idx."""
        return LineAccess("used", write, 2, offset=2)

    def avail_event(self, write: bool = False) -> LineAccess:
        """avail_event, behind the used ring."""
        return LineAccess("used", write, 2, offset=4 + USED_ELEMENT_BYTES * self.queue.size)

    def used_element(self, position: int, write: bool = False) -> LineAccess:
        """used->ring[position]."""
        return LineAccess("used", write, 8, offset=4, index=position, modulo=self.queue.size, stride=8)

    def entries_before(self, end: int, count: int) -> LineAccess:
        """The `count` avail ring entries that end before position `end`, read."""
        return LineAccess("avail", False, 2, offset=4, index=end, modulo=self.queue.size, stride=2, count=count)

    def chains_before(self, end: int, count: int) -> LineAccess:
        """The descriptors of the `count` packets that end before position `end`, read."""
        return LineAccess(
            "desc", False, 16 * self.chain, index=end, times=self.chain, modulo=self.queue.size, stride=16, count=count
        )

    def used_elements(self, end: int, count: int) -> LineAccess:
        """The `count` used elements that end before position `end`, written."""
        return LineAccess("used", True, 8, offset=4, index=end, modulo=self.queue.size, stride=8, count=count)


@dataclass(frozen=True)
class PackedRing(Ring):
    """A packed ring: one table that both sides write, and an event suppression structure of each (B.6)."""

    def regions(self) -> dict[str, int]:
        """Map each region to its number of cache lines."""
        regions = {"ring": lines_of(DESCRIPTOR_BYTES * self.queue.size), "driver_event": 1, "device_event": 1}
        return regions | self.tables()

    def _slot(self, position: int | None, write: bool, n_bytes: int, offset: int = 0, number: int = 0) -> LineAccess:
        place = LineAccess("ring", write, n_bytes, offset, index=position, times=self.chain, plus=number)
        return replace(place, modulo=self.queue.size, stride=DESCRIPTOR_BYTES)

    def flags(self, position: int, number: int = 0, write: bool = False) -> LineAccess:
        """Flags of descriptor `number` of the packet at `position`."""
        return self._slot(position, write, 2, PACKED_FLAGS, number)

    def descriptor(self, position: int, number: int = 0, n_bytes: int = DESCRIPTOR_BYTES) -> LineAccess:
        """Descriptor `number` of the packet at `position`, read (14 bytes without its flags)."""
        return self._slot(position, False, n_bytes, number=number)

    def chain_write(self, position: int) -> LineAccess:
        """All descriptors of a packet's chain, written."""
        return self._slot(position, True, DESCRIPTOR_BYTES * self.chain)

    def used(self, end: int, count: int | None) -> LineAccess:
        """The used descriptors of the `count` packets that end before position `end` (of one without), written."""
        n_bytes = DESCRIPTOR_BYTES * self.chain
        return replace(self._slot(end, True, n_bytes), count=count)

    def event(self, owner: str, write: bool) -> LineAccess:
        """Event suppression structure of the driver or of the device."""
        return LineAccess(f"{owner}_event", write, 4)


def ring_of(queue: Virtqueue) -> SplitRing | PackedRing:
    """Return the geometry of a queue."""
    return PackedRing(queue) if queue.layout == "packed" else SplitRing(queue)
