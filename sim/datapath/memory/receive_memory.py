"""Memory of the receive path besides the virtqueue: the TAP's ptr_ring, the packets in it, the guest's buffers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import index

from sim.config.errors import ConfigError
from sim.config.scenario.endpoints import Source
from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.datapath.memory.rings import SplitRing, lines_of
from sim.datapath.plan.lock import producer_lock
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import LINE_BYTES, LineAccess

R = Register

POINTER_BYTES = 8
#: Slots of the ptr_ring that the consumer clears at once: two cache lines (__ptr_ring_discard_one).
CLEARED_AT_ONCE = 16
#: Pages that the source fills for packets too large for one buffer (skb_page_frag_refill, order 3).
FRAGMENT_BYTES = 32768
#: Lines of a packet's description: sk_buff (4; the length is in the second) and skb_shared_info, or xdp_frame and the
#: struct page that its return touches.
PACKET_LINES = {"skb": 5, "xdp_frame": 2}


@dataclass(frozen=True)
class ReceiveMemory:
    """Where a packet of `packet_bytes` lies on its way into the guest, and how many buffers it takes."""

    scenario: Scenario
    packet_bytes: int

    @property
    def heads(self) -> int:
        """Buffers of one packet: k of kernel-accesses.md B.4; the same for all sizes of a mix."""
        return buffers_of(self.scenario, self._largest)

    @property
    def _largest(self) -> int:
        mix = self.scenario.traffic.mix
        return self.packet_bytes if mix is None else max(mix.bytes)

    @property
    def pieces(self) -> int:
        """Copies of a packet's bytes: one per buffer, and one more for each further fragment of the source's packet."""
        return self.heads + -(-self.packet_bytes // FRAGMENT_BYTES) - 1

    @property
    def cleared_at_once(self) -> int:
        """Slots that the consumer clears at once; one by one in a short ring."""
        return CLEARED_AT_ONCE if self.scenario.receive.source.queue >= 2 * CLEARED_AT_ONCE else 1

    @property
    def in_flight(self) -> int:
        """Most packets between ptr_ring and used ring; QEMU has taken one."""
        receive, device = self.scenario.receive, self.scenario.device
        taken = 1 if device.kind == "qemu" else receive.ring_batch + device.batch + 1
        return receive.source.queue + taken + self.cleared_at_once

    @property
    def _pool(self) -> int:
        """Packets that the source's allocator goes round."""
        return 1 << self.in_flight.bit_length()

    @property
    def _stride(self) -> int:
        return LINE_BYTES * lines_of(min(self.scenario.receive.buffer_bytes, VNET_HEADER_BYTES + self._largest))

    @property
    def _buffers(self) -> int:
        return SplitRing(self.scenario.virtqueue).packets

    def regions(self) -> dict[str, int]:
        """Map each region to its number of cache lines."""
        source = self.scenario.receive.source
        lock = producer_lock().regions() if source.senders > 1 else {}
        return {
            **lock,
            "ptr_ring": lines_of(POINTER_BYTES * source.queue),
            "packet": self._pool * PACKET_LINES[source.kind],
            "buffers": self._buffers * lines_of(self._stride),
        }

    def slot(self, position: Register, write: bool = False) -> LineAccess:
        """One slot of the ptr_ring."""
        queue = self.scenario.receive.source.queue
        return LineAccess("ptr_ring", write, POINTER_BYTES, index=position, modulo=queue, stride=POINTER_BYTES)

    def slots(self, end: Register, count: Register) -> LineAccess:
        """The `count` slots before position `end`, written."""
        queue = self.scenario.receive.source.queue
        return LineAccess("ptr_ring", True, POINTER_BYTES, index=end, modulo=queue, stride=POINTER_BYTES, count=count)

    def packet(self, position: Register, first: int, lines: int, write: bool = False) -> LineAccess:
        """Lines of the description of the packet at `position`, from line `first` on."""
        stride = LINE_BYTES * PACKET_LINES[self.scenario.receive.source.kind]
        return LineAccess(
            "packet", write, LINE_BYTES * lines, LINE_BYTES * first, index=position, modulo=self._pool, stride=stride
        )

    def filled(self, offset: int, n_bytes: int) -> LineAccess:
        """Bytes of the buffers that the worker has just fetched for a packet, written."""
        buffers = LineAccess("buffers", True, n_bytes, offset, index=R.LAST_AVAIL_IDX, plus=-self.heads)
        return replace(buffers, modulo=self._buffers, stride=self._stride)

    @property
    def span(self) -> int:
        """Bytes from the start of a packet's first buffer to its end, as the buffers lie behind each other."""
        rest = VNET_HEADER_BYTES + self.packet_bytes - (self.heads - 1) * self.scenario.receive.buffer_bytes
        return (self.heads - 1) * self._stride + max(VNET_HEADER_BYTES, min(rest, self._stride))

    def read_back(self) -> LineAccess:
        """What the guest reads of the buffer that it has just got back."""
        read, whole = self.scenario.receive.read_bytes, self.packet_bytes // self.heads
        n_bytes = VNET_HEADER_BYTES + (whole if read == "full" else min(read, whole))
        buffer = LineAccess("buffers", False, min(n_bytes, self._stride), index=R.LAST_USED_IDX)
        return replace(buffer, modulo=self._buffers, stride=self._stride)


def without_source(scenario: Scenario) -> Scenario:
    """Return the scenario of a device that takes its frames from no TAP: what it says of one is not read."""
    receive = scenario.receive.model_copy(update={"source": Source.model_construct(), "ring_batch": 64})
    return scenario.model_copy(update={"receive": receive})


def buffers_of(scenario: Scenario, packet_bytes: int) -> int:
    """Return how many buffers a packet takes, its vnet header included."""
    return index(-(-(packet_bytes + VNET_HEADER_BYTES) // scenario.receive.buffer_bytes))


def _check_lockstep(scenario: Scenario) -> None:
    """Raise ConfigError for a lockstep receive whose batches do not fit, or whose source is not its own."""
    receive, burst = scenario.receive, scenario.driver.burst
    most = min(receive.source.queue, SplitRing(scenario.virtqueue).packets)
    if burst > most:
        raise ConfigError(f"{burst} packets do not fit the ring of buffers and the ptr_ring", key="driver.burst")
    if scenario.traffic.load.kind != "saturate":
        raise ConfigError("the lockstep driver sets its own pace; only saturate is accepted", key="traffic.load")
    if receive.source.kind != "skb" or buffers_of(scenario, max(scenario.traffic.sizes)) > 1:
        raise ConfigError("lockstep receives skbs of one buffer each", key="driver.kind")


def check_receives(scenario: Scenario, packet_bytes: list[int]) -> None:
    """Raise ConfigError for what the receive path cannot do."""
    ring, queue = SplitRing(scenario.virtqueue), scenario.virtqueue
    if scenario.driver.kind == "lockstep":
        _check_lockstep(scenario)
    if scenario.receive.source.when_full == "wait" and (
        scenario.receive.source.kind != "skb" or scenario.driver.kind == "lockstep"
    ):
        raise ConfigError(
            "a queue is stopped for skbs only, and not beside the lockstep driver", key="receive.source.when_full"
        )
    if queue.indirect:
        raise ConfigError("receive buffers are direct chains; only false goes with rx", key="virtqueue.indirect")
    heads = {buffers_of(scenario, size) for size in packet_bytes}
    if len(heads) > 1:
        raise ConfigError(
            f"its sizes take {min(heads)} to {max(heads)} buffers of {scenario.receive.buffer_bytes} "
            "bytes each; sizes of a mix must take the same number",
            key="traffic.mix",
        )
    (needed,) = heads
    if needed > 1 and not scenario.receive.mergeable:
        raise ConfigError(
            f"{packet_bytes[0]} bytes do not fit one buffer of {scenario.receive.buffer_bytes} "
            "bytes; packets of several buffers need true",
            key="receive.mergeable",
        )
    most = max(1, ring.packets // 2)
    if needed > most:
        raise ConfigError(
            f"a packet of {packet_bytes[0]} bytes takes {needed} buffers, more than half of a "
            f"ring that holds {ring.packets}",
            key="receive.buffer_bytes",
        )
