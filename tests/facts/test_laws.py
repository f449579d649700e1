"""The laws of executed-counts.md hold in runs, exactly; instruction counts within a tolerance.

v5.3 is held against "v5.2.1 base" (the same helpers), with `direct_map_rcu` against "v5.2.1 direct map".
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, lcm

import pytest

from .model import as_counted, executed, lockstep, queue, worker_rows
from .tolerance import agrees

RING = 256
BATCH = 64
COUNTED = ("v5.0", "v5.3", "v6.1", "v6.12", "v7.3")

#: a and l of the laws, by kernel: one descriptor, chain of two, indirect table of one.
ONE, CHAIN, TABLE = (1, False), (2, False), (1, True)
A = {
    "v5.0": {ONE: 4, CHAIN: 5, TABLE: 5},
    "v5.3": {ONE: 4, CHAIN: 5, TABLE: 5},
    "v6.1": {ONE: 4, CHAIN: 5, TABLE: 5},
    "v6.12": {ONE: 4, CHAIN: 5, TABLE: 5},
    "v7.3": {ONE: 3, CHAIN: 5, TABLE: 4},
}
L = {
    "v5.0": {ONE: 2, CHAIN: 3, TABLE: 2},
    "v5.3": {ONE: 2, CHAIN: 3, TABLE: 2},
    "v6.1": {ONE: 1, CHAIN: 1, TABLE: 1},
    "v6.12": {ONE: 1, CHAIN: 1, TABLE: 1},
}
DIRECT_MAP_A = {ONE: 2, CHAIN: 2, TABLE: 3}

every_kernel = pytest.mark.parametrize("kernel", COUNTED)
NAMES = {ONE: "one", CHAIN: "chain", TABLE: "table"}
every_chain = pytest.mark.parametrize("chain", NAMES, ids=NAMES.values())
event_idx_off_and_on = pytest.mark.parametrize("event_idx", [False, True])


def stac_law(kernel: str, chain: tuple[int, bool], event_idx: bool, burst: int) -> Fraction:
    """STAC per packet = a + (k + 3c + e s)/B."""
    c = ceil(burst / BATCH)
    k = 4 if event_idx else 5
    e = 1 if kernel == "v5.0" else 0
    s = 1 if burst % BATCH == 1 else 0
    return A[kernel][chain] + Fraction(k + 3 * c + e * s, burst)


def lfence_law(kernel: str, chain: tuple[int, bool], burst: int) -> Fraction:
    """LFENCE per packet = l + (3 + c)/B; none on v7.3."""
    if kernel == "v7.3":
        return Fraction(0)
    return L[kernel][chain] + Fraction(3 + ceil(burst / BATCH), burst)


def chain_and_burst(chain: tuple[int, bool], event_idx: bool, burst: int) -> tuple[str, ...]:
    descriptors, indirect = chain
    return (*queue(event_idx=event_idx, indirect=indirect, descriptors=descriptors), *lockstep(burst))


@every_kernel
@every_chain
@event_idx_off_and_on
@pytest.mark.parametrize("burst", [1, 32, 64, 256])
def test_user_windows_and_fences(kernel: str, chain: tuple[int, bool], event_idx: bool, burst: int) -> None:
    if chain == CHAIN:
        burst = min(burst, RING // 2)  # a chain of two: the facts have B = 128
    overrides = (*as_counted(kernel), *chain_and_burst(chain, event_idx, burst))
    run = executed(kernel, "copy_user", overrides, packets=RING)
    assert run.per_packet("stac") == stac_law(kernel, chain, event_idx, burst)
    assert run.per_packet("clac") == run.per_packet("stac")
    assert run.per_packet("lfence") == lfence_law(kernel, chain, burst)


@every_chain
@event_idx_off_and_on
@pytest.mark.parametrize("burst", [1, 32, 64, 256])
def test_direct_map_is_constant_for_every_batch(chain: tuple[int, bool], event_idx: bool, burst: int) -> None:
    if chain == CHAIN:
        burst = min(burst, RING // 2)
    overrides = (*as_counted("v5.3"), *chain_and_burst(chain, event_idx, burst))
    run = executed("v5.3", "direct_map_rcu", overrides, packets=RING)
    assert run.per_packet("stac") == run.per_packet("clac") == DIRECT_MAP_A[chain]
    assert run.per_packet("lfence") == 0


def wraps(burst: int, packets: int) -> int:
    """Flushes that contain the end of the ring strictly inside, over `packets` packets from its start."""
    flushes = []
    for start in range(0, packets, burst):
        flushes += [(first, min(first + BATCH, start + burst)) for first in range(start, start + burst, BATCH)]
    return sum(any(first < end < last for end in range(RING, packets, RING)) for first, last in flushes)


def test_wraps_are_counted_inside_flushes_only() -> None:
    assert wraps(64, 512) == 0
    # Flushes of 48 cross 256 (240..288) and 512 (480..528); 768 is the end of one.
    assert wraps(48, 768) == 2


@every_kernel
@pytest.mark.parametrize("burst", [48, 65, 100, 200])
def test_a_wrap_inside_a_flush_adds_one_pair(kernel: str, burst: int) -> None:
    packets = 16 * burst
    overrides = (*as_counted(kernel), *chain_and_burst(ONE, False, burst))
    run = executed(kernel, "copy_user", overrides, packets=packets, warmup=burst)
    # The run is counted from the second batch on.
    extra = Fraction(wraps(burst, burst + packets) - wraps(burst, burst), packets)
    assert extra > 0
    assert run.per_packet("stac") == stac_law(kernel, ONE, False, burst) + extra
    assert run.per_packet("lfence") == lfence_law(kernel, ONE, burst)


@every_kernel
def test_without_smap_no_stac_and_the_same_fences(kernel: str) -> None:
    overrides = (*as_counted(kernel), "mitigations.smap=false", *chain_and_burst(ONE, False, 32))
    run = executed(kernel, "copy_user", overrides, packets=RING)
    assert run.per_packet("stac") == run.per_packet("clac") == 0
    assert run.per_packet("lfence") == lfence_law(kernel, ONE, 32)


#: Frames per page fragment and STAC per packet that page crossings add on v6.1 (executed-counts.md).
CROSSINGS = {64: (39, 0.0), 256: (32, 0.0), 1024: (18, 0.223), 1500: (14, 0.359)}


@pytest.mark.parametrize("packet_bytes", CROSSINGS)
def test_copies_split_at_a_page_on_v6_1_only(packet_bytes: int) -> None:
    frames, added = CROSSINGS[packet_bytes]
    overrides = (*as_counted("v6.1"), *chain_and_burst(ONE, False, 32))
    run = executed("v6.1", "copy_user", overrides, lcm(frames, 32), packet_bytes, warmup=32)
    found = run.per_packet("stac") - stac_law("v6.1", ONE, False, 32)
    # The facts count a window that is no whole number of page fragments, and print three digits.
    assert float(found) == pytest.approx(added, abs=0.002)
    overrides = (*as_counted("v6.12"), *chain_and_burst(ONE, False, 32))
    assert executed("v6.12", "copy_user", overrides, RING, packet_bytes).per_packet("stac") == stac_law(
        "v6.12", ONE, False, 32
    )


# -- instructions ------------------------------------------------------------------------------------------------------

#: Instructions per packet inside the handler, from the tables of executed-counts.md (XDP_DROP, no EVENT_IDX):
#: (chain, B, bytes) -> kernel -> instructions.
TABLE_OF_INSTRUCTIONS = {
    (ONE, 1, 64): {"v5.0": 1487, "v5.3": 1551, "v6.1": 1840, "v6.12": 2057, "v7.3": 2003},
    (ONE, 32, 64): {"v5.0": 888, "v5.3": 913, "v6.1": 959, "v6.12": 1185, "v7.3": 1021},
    (ONE, 32, 256): {"v6.1": 965, "v6.12": 1144, "v7.3": 975},
    (ONE, 32, 1024): {"v6.1": 1017, "v6.12": 1229, "v7.3": 1067},
    (ONE, 32, 1500): {"v6.1": 1053, "v6.12": 1255, "v7.3": 1096},
    (ONE, 64, 64): {"v5.0": 878, "v5.3": 904},
    (ONE, 256, 64): {"v5.0": 877, "v5.3": 897, "v6.1": 941, "v6.12": 1168, "v7.3": 1000},
    (ONE, 256, 256): {"v6.1": 947, "v6.12": 1151, "v7.3": 982},
    (ONE, 256, 1024): {"v6.1": 999, "v6.12": 1214, "v7.3": 1050},
    (ONE, 256, 1500): {"v5.0": 922, "v5.3": 946, "v6.1": 1034, "v6.12": 1240, "v7.3": 1078},
    (CHAIN, 32, 64): {"v6.1": 1105, "v6.12": 1329, "v7.3": 1194},
    (CHAIN, 128, 64): {"v6.1": 1088, "v6.12": 1312, "v7.3": 1174},
    (TABLE, 32, 64): {"v5.0": 1156, "v5.3": 1183, "v6.1": 1207, "v6.12": 1421, "v7.3": 1257},
}
EXECUTED = [
    pytest.param(kernel, *key, counted, id=f"{kernel}-{NAMES[key[0]]}-b{key[1]}-s{key[2]}")
    for key, by_kernel in TABLE_OF_INSTRUCTIONS.items()
    for kernel, counted in by_kernel.items()
]


def instructions(kernel: str, access: str, chain: tuple[int, bool], burst: int, packet_bytes: int) -> float:
    """Instructions per packet of a run over whole page fragments."""
    frames, _ = CROSSINGS[packet_bytes]
    overrides = (*as_counted(kernel), *chain_and_burst(chain, False, burst))
    return executed(kernel, access, overrides, lcm(frames, burst), packet_bytes, burst).instructions_per_packet


@pytest.mark.parametrize(("kernel", "chain", "burst", "packet_bytes", "counted"), EXECUTED)
def test_instructions(kernel: str, chain: tuple[int, bool], burst: int, packet_bytes: int, counted: int) -> None:
    found = instructions(kernel, "copy_user", chain, burst, packet_bytes)
    assert agrees(found, counted), f"{found:.1f}, counted {counted}"


@pytest.mark.parametrize("kernel", ["v6.12", "v7.3"])
def test_these_kernels_take_a_page_fragment_again_whose_frames_have_been_freed(kernel: str) -> None:
    # 32 frames of 256 bytes fill a fragment: it ends with a flush at B = 32 and at every second one of B = 256.
    for burst, allocated in {1: 0, 32: 0, 256: Fraction(1, 2)}.items():
        rows = worker_rows(kernel, "copy_user", (*as_counted(kernel), *chain_and_burst(ONE, False, burst)), 1024, 256)
        used_up = 1024 // 32 - 1
        assert rows.count("page_look") == used_up
        assert Fraction(rows.count("page_refill"), used_up + 1) == allocated


#: "direct map" column of the same table, where no batch is of one packet and no table is read.
DIRECT_MAP = {(32, 64): 909, (64, 64): 896, (256, 64): 892, (256, 1500): 940}


@pytest.mark.parametrize(("burst", "packet_bytes"), DIRECT_MAP)
def test_instructions_through_the_direct_map(burst: int, packet_bytes: int) -> None:
    found = instructions("v5.3", "direct_map_rcu", ONE, burst, packet_bytes)
    assert agrees(found, DIRECT_MAP[burst, packet_bytes]), found


@pytest.mark.parametrize(("chain", "burst", "counted"), [(ONE, 1, 1567), (TABLE, 32, 1183)])
def test_instructions_through_the_direct_map_in_small_batches_and_with_tables(
    chain: tuple[int, bool], burst: int, counted: int
) -> None:
    # Within 1 % only, and below: docs/mismatches.md.
    found = instructions("v5.3", "direct_map_rcu", chain, burst, 64)
    assert counted * 0.99 < found < counted


def test_the_mapped_path_executes_about_as_many_instructions() -> None:
    # executed-counts.md: 892 against 897 at B = 256, so mapping saves serialisation, not instructions.
    base, direct, mapped = (
        instructions("v5.3", access, ONE, 256, 64) for access in ("copy_user", "direct_map_rcu", "vmap")
    )
    assert mapped < direct < base
    assert base - direct == pytest.approx(897 - 892, abs=2.5)


def test_tolerance_is_the_printed_digit_and_four_per_mille() -> None:
    assert agrees(1000 + 0.5 + 4, 1000)
    assert agrees(1000 - 0.5 - 4, 1000)
    assert not agrees(1000 + 0.5 + 4.1, 1000)
    assert not agrees(1000 - 0.5 - 4.1, 1000)
    assert not agrees(0, 1000)
    assert not agrees(2000, 1000)
