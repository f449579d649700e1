"""What is counted: configurations of ring, driver and backend, by the names that tables and traces have."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from sim.config.errors import ConfigError

#: Arguments of the program of the experiment (`KEY=NUMBER`).
Settings = dict[str, int]

SIZES = (64, 256, 1024, 1500)
#: A send buffer of this many bytes keeps the transmit handler from its batches.
LIMITED_SEND_BUFFER = 1 << 20
_PROGRAMS = {"xdp": 1, "skb": 0}


def configurations() -> dict[str, Settings]:
    """Return every configuration that is counted, by name.

    Names: `ev` EVENT_IDX, `d` descriptors of a packet, `b` packets of a kick, `s` bytes of a packet, `mrg` mergeable
    buffers. `tx_xdp` drops in XDP, `tx_skb` in the stack; `txx` has one more thing, `txb` further bursts, `txw` bursts
    that wrap the ring inside a flush, `txo` and `rxo` VIRTIO_F_IN_ORDER.
    """
    return dict(_all())


def chosen(prefixes: list[str]) -> dict[str, Settings]:
    """Return the configurations whose names begin with one of some words; ConfigError for a word that begins none."""
    every = configurations()
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in every):
            raise ConfigError(f"no configuration is named '{prefix}...'", got=prefix, expected=every)
    return {name: settings for name, settings in every.items() if not prefixes or name.startswith(tuple(prefixes))}


def _all() -> Iterator[tuple[str, Settings]]:
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


def arguments(settings: Settings) -> tuple[str, ...]:
    """Return the arguments that the program of the experiment is run with to be counted."""
    return tuple(f"{key}={value}" for key, value in {"lockstep": 1, "marks": 1, **settings}.items())
