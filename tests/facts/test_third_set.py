"""The third set of executed-counts.md: receive, the skb path, indirect tables, IOTLB and unbatched transmit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, lcm

import pytest

from sim.datapath.vhost_net.path import PageFragment

from .model import NEW, RECEIVE, Executed, as_counted, executed, lockstep, queue, scenario

#: "Instructions within 1 %": of what was counted, and the printed digit.
SHARE, PRINTED = 0.01, 0.5

SKB = ("backend.kind=tap-skb",)
LIMITED = (*SKB, "device.sndbuf_limited=true")
ZEROCOPY = ("device.zerocopy_tx=true",)
IOTLB = ("virtqueue.iotlb=true", "virtqueue.iotlb_entries=1")


def table(descriptors: int) -> tuple[str, ...]:
    """Overrides for packets in an indirect table."""
    return queue(indirect=True, descriptors=descriptors)


@dataclass(frozen=True)
class Counted:
    """One row of the tables on one kernel: STAC and LFENCE per packet as laws, instructions as counted."""

    name: str
    kernel: str
    overrides: tuple[str, ...]
    burst: int
    packet_bytes: int
    stac: float
    lfence: float
    instructions: tuple[int, ...]
    access: str = "copy_user"

    @property
    def run(self) -> Executed:
        """The model's run, over whole batches and whole page fragments."""
        overrides = (*as_counted(self.kernel), *lockstep(self.burst), *self.overrides)
        loaded = scenario(self.kernel, overrides)
        frames = PageFragment(loaded.kernel.behaviour, self.packet_bytes, loaded.backend.runs_xdp).buffers
        packets = lcm(1 if self.overrides == RECEIVE else frames, self.burst)
        return executed(self.kernel, self.access, overrides, packets, self.packet_bytes, 2 * self.burst)


def rows(name: str, overrides: tuple[str, ...], burst: int, packet_bytes: int, *counts: tuple) -> list[Counted]:
    """Rows of the three distribution kernels: (STAC, LFENCE, instructions) each, several counts of the same run."""
    found = zip(NEW, counts, strict=True)
    return [Counted(name, kernel, overrides, burst, packet_bytes, *c[:2], c[2:]) for kernel, c in found]


DISTRIBUTION = [
    *rows("tx_skb", SKB, 1, 64, (12, 5, 2639), (12, 5, 2912), (11, 0, 2952)),
    *rows("tx_skb", SKB, 1, 256, (12.072, 5, 2654), (12, 5, 2912), (11, 0, 2951)),
    *rows("tx_skb", SKB, 1, 1024, (12.238, 5, 2702), (12, 5, 2912), (11, 0, 2952)),
    *rows("tx_skb", SKB, 1, 1500, (12.375, 5, 2732), (12, 5, 2913), (11, 0, 2954)),
    *rows("tx_skb", SKB, 32, 64, (4.250, 1.125, 1766), (4.250, 1.125, 2029), (3.250, 0, 1957)),
    *rows("tx_skb", SKB, 32, 256, (4.321, 1.125, 1781), (4.250, 1.125, 2045), (3.250, 0, 1973)),
    *rows("tx_skb", SKB, 32, 1024, (4.488, 1.125, 1827), (4.250, 1.125, 2083), (3.250, 0, 2016)),
    *rows("tx_skb", SKB, 32, 1500, (4.625, 1.125, 1858), (4.250, 1.125, 2059), (3.250, 0, 1989)),
    *rows("tx_skb", SKB, 256, 64, (4.066, 1.027, 1748), (4.066, 1.027, 2014), (3.066, 0, 1940)),
    *rows("tx_skb", SKB, 256, 256, (4.138, 1.027, 1764), (4.066, 1.027, 2027), (3.066, 0, 1954)),
    *rows("tx_skb", SKB, 256, 1024, (4.304, 1.027, 1809), (4.066, 1.027, 2066), (3.066, 0, 1996)),
    *rows("tx_skb", SKB, 256, 1500, (4.441, 1.027, 1840), (4.066, 1.027, 2066), (3.066, 0, 1995)),
    *rows("txx_indirect2", table(2), 32, 64, (6.250, 1.125, 1436), (6.250, 1.125, 1636), (6.250, 0, 1498)),
    *rows("txx_iotlb", IOTLB, 32, 64, (4.250, 1.125, 989), (4.250, 1.125, 1214), (3.250, 0, 1046)),
    *rows("txx_nobatch_sndbuf", LIMITED, 32, 64, (4.281, 1.156, 2675), (4.281, 1.156, 2609), (4.281, 0, 2883)),
    # B = 1 depends on timing, by up to 0.4 windows; the law says 13.
    *rows("rx", RECEIVE, 1, 64, (13, 5, 2984), (13, 5, 3019), (14, 0, 3204)),
    *rows("rx", RECEIVE, 1, 1500, (13, 5, 2981), (13, 5, 3020), (14, 0, 3213)),
    *rows("rx", RECEIVE, 32, 64, (5.250, 1.125, 1735, 1737), (5.250, 1.125, 1738), (6.250, 0, 1768)),
    *rows("rx", RECEIVE, 32, 1500, (5.250, 1.125, 1735), (5.250, 1.125, 1740), (6.250, 0, 1776)),
    # Counted twice, the second time with the returns: 1.2 % apart on v6.12.
    *rows("rx", RECEIVE, 256, 64, (5.066, 1.027, 1728, 1733), (5.066, 1.027, 1681, 1702), (6.066, 0, 1731)),
    *rows("rx", RECEIVE, 256, 1500, (5.066, 1.027, 1734), (5.066, 1.027, 1773), (6.066, 0, 1795)),
]


def old(name: str, overrides: tuple[str, ...], packet_bytes: int, *counts: tuple[float, float, int]) -> list[Counted]:
    """Rows of v5.0, v5.2.1 and v5.2.1 with the direct map, B = 32."""
    kernels = (("v5.0", "copy_user"), ("v5.3", "copy_user"), ("v5.3", "direct_map_rcu"))
    return [
        Counted(f"{name}-{access}", kernel, overrides, 32, packet_bytes, stac, lfence, (instructions,), access)
        for (kernel, access), (stac, lfence, instructions) in zip(kernels, counts, strict=False)
    ]


SEED = [
    *old("tx_skb", SKB, 1500, (4.25, 2.125, 1444), (4.25, 2.125, 1478), (2, 0, 1472)),
    *old("txx_indirect2", table(2), 64, (6.25, 2.125, 1404), (6.25, 2.125, 1437)),
    *old("unbatched", ZEROCOPY, 64, (8.188, 3.125, 1269), (7.188, 3.125, 1300), (2, 0, 1276)),
    *old("rx", RECEIVE, 64, (5.25, 2.125, 1342), (5.25, 2.125, 1364), (3, 0, 1359)),
]
ALL = [
    pytest.param(row, id=f"{row.kernel}-{row.name}-b{row.burst}-s{row.packet_bytes}") for row in (*DISTRIBUTION, *SEED)
]


@pytest.mark.parametrize("row", ALL)
def test_user_windows_and_fences(row: Counted) -> None:
    # 6.1 splits copies at a page: its facts count a window that is no whole number of page fragments.
    assert float(row.run.per_packet("stac")) == pytest.approx(row.stac, abs=0.0015)
    assert row.run.per_packet("clac") == row.run.per_packet("stac")
    assert float(row.run.per_packet("lfence")) == pytest.approx(row.lfence, abs=0.0006)


#: Frames of 1500 B in slabs of 2 KiB, 256 of them under way: these kernels give slabs back to the page allocator, which
#: they do neither with 64 B nor with 32 frames (docs/mismatches.md, number 32). By how much the model is below.
SLABS_GIVEN_BACK = {("v6.12", 256, 1500): 0.04, ("v7.3", 256, 1500): 0.037}


@pytest.mark.parametrize("row", ALL)
def test_instructions(row: Counted) -> None:
    found, low, high = row.run.instructions_per_packet, min(row.instructions), max(row.instructions)
    missing = SLABS_GIVEN_BACK.get((row.kernel, row.burst, row.packet_bytes), 0.0) if row.name == "rx" else 0.0
    assert (1 - SHARE - missing) * low - PRINTED <= found <= (1 + SHARE) * high + PRINTED
    if missing:
        assert found < (1 - SHARE) * low, "agrees now: take it out of SLABS_GIVEN_BACK"


@pytest.mark.parametrize("burst", [1, 32, 64, 256])
@pytest.mark.parametrize("event_idx", [False, True])
@pytest.mark.parametrize(("kernel", "a", "l"), [("v5.0", 8, 3), ("v5.3", 7, 3)])
def test_law_of_unbatched_transmit(kernel: str, a: int, l: int, event_idx: bool, burst: int) -> None:  # noqa: E741
    """STAC 8 + 6/B on v5.0 and 7 + 6/B on v5.2.1 (EVENT_IDX: 5/B), LFENCE 3 + 4/B."""
    overrides = (*as_counted(kernel), *lockstep(burst), *queue(event_idx=event_idx), *ZEROCOPY)
    run = executed(kernel, "copy_user", overrides, 256)
    assert run.per_packet("stac") == a + Fraction(5 if event_idx else 6, burst)
    assert run.per_packet("lfence") == l + Fraction(4, burst)
    if kernel == "v5.3":
        mapped = executed(kernel, "direct_map_rcu", overrides, 256)
        assert (mapped.per_packet("stac"), mapped.per_packet("lfence")) == (2, 0)


#: Windows and fences per packet of receive: a and l; no EVENT_IDX and EVENT_IDX.
RECEIVE_LAWS = {"v5.0": (5, 2), "v5.3": (5, 2), "v6.1": (5, 1), "v6.12": (5, 1), "v7.3": (6, 0)}


@pytest.mark.parametrize("burst", [2, 32, 64, 256])
@pytest.mark.parametrize("event_idx", [False, True])
@pytest.mark.parametrize("kernel", RECEIVE_LAWS)
def test_law_of_receive(kernel: str, event_idx: bool, burst: int) -> None:
    """STAC = a + (k + 3c)/B, LFENCE = l + (3 + c)/B, as on transmit; a flush is due above 64 buffers, not at 64."""
    a, l = RECEIVE_LAWS[kernel]  # noqa: E741
    k, c = 4 if event_idx else 5, ceil(burst / 65)
    overrides = (*as_counted(kernel), *lockstep(burst), *queue(event_idx=event_idx), *RECEIVE)
    run = executed(kernel, "copy_user", overrides, 512)
    assert run.per_packet("stac") == a + Fraction(k + 3 * c, burst)
    assert run.per_packet("lfence") == l + (0 if kernel == "v7.3" else Fraction(3 + c, burst))


@pytest.mark.parametrize("kernel", ["v6.1", "v6.12", "v7.3"])
def test_the_handler_that_the_first_frame_wakes_finds_no_buffer(kernel: str) -> None:
    """handle_rx_kick: 5 per packet + 2 + 3c of a batch; handle_rx_net: 3, its looks at the empty ring."""
    from .traces import Setting, model_invocations

    name = {"v6.1": "v6.1.192", "v6.12": "v6.12.95", "v7.3": "v7.3.4"}[kernel]
    first = model_invocations(Setting(name, False, 1, 32, 64, "rx"), 96)[0]
    assert len(first.windows) == RECEIVE_LAWS[kernel][0] * 32 + 2 + 3
