"""What is counted: configurations of ring, driver and backend, by the names that tables and traces have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from sim.config.errors import ConfigError
from sim.host.experiments.taps import WAYS

Settings = dict[str, int]


@dataclass(frozen=True)
class Configuration:
    """One configuration.

    Attributes
    ----------
    name
        Its name in tables.
    program
        The program that runs: `vhost`, a driver of the kernel's worker, `writes`, a process that writes to a TAP, or
        `messages`, one that sends and reads through the socket layer above a TAP.
    settings
        What the program is told (`KEY=NUMBER`).
    """

    name: str
    program: str
    settings: Settings

    @property
    def command(self) -> tuple[str, ...]:
        """The program and its arguments, counted."""
        ever = {"marks": 1, **({"lockstep": 1, "check": 0} if self.program == "vhost" else {"cpu": COUNTED_CPU})}
        return (self.program, *(f"{key}={value}" for key, value in {**ever, **self.settings}.items()))

    @property
    def receives(self) -> bool:
        """Whether packets go to the guest."""
        return bool(self.settings.get("receive"))


#: The CPU whose instructions are counted.
COUNTED_CPU = 1
#: Frames written to a TAP that are counted.
WRITES = 1000
SIZES = (64, 256, 1024, 1500)
#: What is counted of sockets, in the order of messages.c, and with messages of how many bytes.
OPERATIONS = ("send", "ack", "arrive", "read", "datagram_send", "datagram_arrives", "datagram_read", "select")
MESSAGE_BYTES = (64, 1448, 4096, 16384, 65160)
DATAGRAM_BYTES = (64, 1024, 1472)
MESSAGES = 400
#: Calls of 64 bytes between two acknowledgements: all but the first gather.
GATHERED_CALLS = 17
#: Calls of 64 bytes that read one segment, and sockets that a call asks, all but the last idle.
READING_CALLS, ASKED = 22, 3
#: A send buffer of this many bytes keeps the transmit handler from its batches.
LIMITED_SEND_BUFFER = 1 << 20
_PROGRAMS = {"xdp": 1, "skb": 0}
#: What forwards behind the TAP and where to, by the numbers that vhost.c has for them (network.h).
FORWARDERS = {"bridge": 1, "tcdrop": 2, "tc": 3, "ovs": 4, "macvtap": 5, "redirect": 6}
PORTS = {"dummy": 0, "veth": 1, "nic": 2}
#: Which ports are counted behind some forwarders; behind the others, all.
_PORTS_OF = {"tcdrop": ("dummy",), "ovs": ("dummy", "veth"), "redirect": ("nic",)}
#: skbs that a TAP gathers at most (NAPI_POLL_WEIGHT).
RX_FRAMES = 64


def configurations() -> dict[str, Configuration]:
    """Return every configuration that is counted, by name.

    Names: `ev` EVENT_IDX, `d` descriptors of a packet, `b` packets of a kick, `s` bytes of a packet, `mrg` mergeable
    buffers. `tx_xdp` drops in XDP, `tx_skb` in the stack; `txx` has one more thing, `txb` further bursts, `txw` bursts
    that wrap the ring inside a flush, `txo` and `rxo` VIRTIO_F_IN_ORDER. `write` is a process that writes to a TAP,
    `sock` one operation of a socket above one, with messages of `s` bytes; `sock_gather` sends while data is
    unacknowledged, `sock_pieces` reads a segment by several calls, `sock_select3` asks two idle sockets first. `txn`
    has something behind its TAP, and a port of some kind behind that; `txn_frames` gathers skbs, and `txn_macvtapone`
    sends them one by one through macvtap.
    """
    driven = {name: Configuration(name, "vhost", settings) for name, settings in _driven()}
    written = {
        name: Configuration(name, "writes", {"way": way, "size": size, "writes": WRITES})
        for way, size in product(range(len(WAYS)), (64, 1024, 1514))
        for name in (f"write_{WAYS[way]}_s{size}",)
    }
    sockets = {name: Configuration(name, "messages", settings) for name, settings in _of_sockets()}
    behind = {name: Configuration(name, "vhost", settings) for name, settings in _behind()}
    return driven | written | sockets | behind


def _of_sockets() -> Iterator[tuple[str, Settings]]:
    for number, operation in enumerate(OPERATIONS):
        for size in DATAGRAM_BYTES if "datagram" in operation else MESSAGE_BYTES:
            yield f"sock_{operation}_s{size}", {"operation": number, "size": size, "count": MESSAGES}
    gather = {"operation": 0, "size": 64, "each": GATHERED_CALLS, "count": MESSAGES}
    yield f"sock_gather{GATHERED_CALLS}_s64", gather
    segment = {"operation": OPERATIONS.index("read"), "size": 64 * READING_CALLS, "count": MESSAGES}
    yield f"sock_read_s{64 * READING_CALLS}", segment
    yield f"sock_pieces{READING_CALLS}_s64", {**segment, "each": READING_CALLS}
    asked = {"operation": OPERATIONS.index("select"), "size": 64, "each": ASKED, "count": MESSAGES}
    yield f"sock_select{ASKED}_s64", asked


def _behind() -> Iterator[tuple[str, Settings]]:
    for forwarder, port, burst in product(FORWARDERS, PORTS, (1, 32)):
        if port not in _PORTS_OF.get(forwarder, PORTS):
            continue
        ports = {"behind": FORWARDERS[forwarder], "port": PORTS[port]}
        yield f"txn_{forwarder}_{port}_b{burst}_s64", {"xdp": 0, **ports, "burst": burst, "size": 64}
    gathers = {"xdp": 0, "sndbuf": LIMITED_SEND_BUFFER, "rx_frames": RX_FRAMES}
    for burst in (1, 32):
        yield f"txn_frames{RX_FRAMES}_b{burst}_s64", {**gathers, "burst": burst, "size": 64}
    for burst in (1, 32):
        one_by_one = {"xdp": 0, "behind": FORWARDERS["macvtap"], "port": PORTS["dummy"], "sndbuf": LIMITED_SEND_BUFFER}
        yield f"txn_macvtapone_dummy_b{burst}_s64", {**one_by_one, "burst": burst, "size": 64}
    yield "txn_nobatch_b1_s64", {"xdp": 0, "sndbuf": LIMITED_SEND_BUFFER, "burst": 1, "size": 64}


def chosen(prefixes: Sequence[str]) -> list[Configuration]:
    """Return the configurations whose names begin with one of some words, all without any.

    ConfigError for a word that begins none.
    """
    every = configurations()
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in every):
            raise ConfigError("no configuration begins so", key="only", got=prefix)
    return [each for name, each in every.items() if not prefixes or name.startswith(tuple(prefixes))]


def _driven() -> Iterator[tuple[str, Settings]]:
    for (path, program), event_idx, descriptors in product(_PROGRAMS.items(), (0, 1), (1, 2)):
        for burst, size in product((1, 32, 256 // descriptors), SIZES):
            name = f"tx_{path}_ev{event_idx}_d{descriptors}_b{burst}_s{size}"
            ring = {"event_idx": event_idx, "descriptors": descriptors}
            yield name, {"xdp": program, **ring, "burst": burst, "size": size}
    for size in (64, 1500):
        for name, settings in _further():
            yield f"txx_{name}_b32_s{size}", {"xdp": 1, **settings, "burst": 32, "size": size}
    for burst in (2, 4, 8, 16, 64, 128):
        yield f"txb_xdp_ev0_d1_b{burst}_s64", {"xdp": 1, "burst": burst, "size": 64}
    for burst in (48, 65, 100, 200):
        yield f"txw_xdp_ev0_d1_b{burst}_s64", {"xdp": 1, "burst": burst, "size": 64, "packets": 64 * burst}
    for event_idx, mergeable, burst, size in product((0, 1), (1, 0), (1, 32, 256), (64, 1500)):
        settings = {"event_idx": event_idx, "mergeable": mergeable, "burst": burst, "size": size}
        yield f"rx_ev{event_idx}_mrg{mergeable}_b{burst}_s{size}", {"receive": 1, "xdp": 0, **settings}
    for burst, size in product((1, 32, 256), (64, 1500)):
        settings = {"in_order": 1, "burst": burst, "size": size}
        yield f"txo_inorder_xdp_b{burst}_s{size}", {"xdp": 1, **settings}
        yield f"rxo_inorder_mrg1_b{burst}_s{size}", {"receive": 1, "xdp": 0, **settings}


def _further() -> Iterator[tuple[str, Settings]]:
    """Yield what else may differ on transmit."""
    yield "intr_ev0", {"interrupts": 1}
    yield "intr_ev1", {"interrupts": 1, "event_idx": 1}
    yield "indirect1", {"indirect": 1}
    yield "indirect2", {"indirect": 1, "descriptors": 2}
    yield "regions4", {"regions": 4}
    yield "iotlb", {"iotlb": 1}
    yield "nobatch_sndbuf_skb", {"sndbuf": LIMITED_SEND_BUFFER, "xdp": 0}
    yield "xdppass", {"xdp": 2}
