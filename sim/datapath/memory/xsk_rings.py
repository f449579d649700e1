"""The rings of an AF_XDP socket in shared memory: descriptors or addresses, and each index on a line of its own."""

from __future__ import annotations

from dataclasses import dataclass

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.scenario.virtqueue import Virtqueue
from sim.datapath.memory.rings import lines_of
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import LINE_BYTES, LineAccess

#: struct xdp_desc (addr, len, options) of the tx and rx rings; the fill and completion rings hold addresses.
XDP_DESCRIPTOR_BYTES = 16
ADDRESS_BYTES = 8
#: struct xdp_ring: producer, consumer and flags, each on a line of its own.
_PRODUCER, _CONSUMER, _FLAGS = 0, LINE_BYTES, 2 * LINE_BYTES
_INDEX_BYTES = 4


@dataclass(frozen=True)
class XskRings:
    """Rings of `queue.size` entries."""

    queue: Virtqueue

    def regions(self) -> dict[str, int]:
        """Map each region to its number of cache lines."""
        descriptors, addresses = (lines_of(n * self.queue.size) for n in (XDP_DESCRIPTOR_BYTES, ADDRESS_BYTES))
        rings = {"tx": descriptors, "completion": addresses, "rx": descriptors, "fill": addresses}
        return {**rings, **{f"{name}_index": 3 for name in rings}}

    def descriptor(self, ring: str, position: Register, write: bool = False) -> LineAccess:
        """One descriptor of the `tx` or `rx` ring."""
        stride = XDP_DESCRIPTOR_BYTES
        return LineAccess(ring, write, stride, index=position, modulo=self.queue.size, stride=stride)

    def address(self, ring: str, position: Register, write: bool = False) -> LineAccess:
        """One address of the `completion` or `fill` ring."""
        return LineAccess(ring, write, ADDRESS_BYTES, index=position, modulo=self.queue.size, stride=ADDRESS_BYTES)

    def addresses(self, end: Register, count: Register) -> LineAccess:
        """The `count` addresses of the completion ring before position `end`, written."""
        return LineAccess(
            "completion", True, ADDRESS_BYTES, index=end, modulo=self.queue.size, stride=ADDRESS_BYTES, count=count
        )

    @staticmethod
    def producer(ring: str, write: bool = False) -> LineAccess:
        """The producer's index of a ring."""
        return LineAccess(f"{ring}_index", write, _INDEX_BYTES, offset=_PRODUCER)

    @staticmethod
    def consumer(ring: str, write: bool = False) -> LineAccess:
        """The consumer's index of a ring."""
        return LineAccess(f"{ring}_index", write, _INDEX_BYTES, offset=_CONSUMER)

    @staticmethod
    def flags(ring: str, write: bool = False) -> LineAccess:
        """Flags of the `tx` or `fill` ring (XDP_RING_NEED_WAKEUP)."""
        return LineAccess(f"{ring}_index", write, _INDEX_BYTES, offset=_FLAGS)


def check_sockets(scenario: Scenario) -> None:
    """Raise ConfigError for what an AF_XDP socket is not modelled with."""
    queue, kind = scenario.virtqueue, scenario.device.kind
    odd = {
        "virtqueue.event_idx": queue.event_idx,
        "virtqueue.indirect": queue.indirect,
        "driver.scatter_bytes": scenario.driver.scatter_bytes is not None,
        "virtqueue.descriptors_per_packet": queue.descriptors_per_packet > 1,
    }
    for key in (key for key, on in odd.items() if on):
        raise ConfigError(f"{kind} has direct descriptors, one per packet, and no event index", key=key)
