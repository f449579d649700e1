"""kernel-accesses.md B.4, row by row: which accesses the worker makes on receive, and what they execute."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache

import pytest

from sim.config import load_scenario
from sim.config.tables.vocabulary import METADATA_ACCESSORS, PAYLOAD_ACCESSORS
from sim.datapath import Plan, build_plan
from sim.engine.fast import FastEngine
from sim.study.questions.explain import SCOPES, count_primitives

from .model import HARDENED, KERNELS, NEW, OLD

RECEIVE_ACCESSORS = tuple(name for name in PAYLOAD_ACCESSORS if name.startswith("rx_"))

SCENARIO = "virtio-user-receive-skb"
WINDOW = ("stac", "clac")

every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_access = pytest.mark.parametrize("access", ["copy_user", "vmap"])


@cache
def plan(kernel: str, access: str = "copy_user", overrides: tuple[str, ...] = (), packet_bytes: int = 64) -> Plan:
    settings = (f"kernel={kernel}", *HARDENED, *overrides)
    return build_plan(load_scenario(SCENARIO, overrides=settings), access, packet_bytes, apart=True)


def letters(built: Plan) -> dict[str, Counter[str]]:
    """Accesses that the worker makes, by scope: letter of A.2, or the copy by its name."""
    found: dict[str, Counter[str]] = {scope: Counter() for scope in SCOPES}
    for row in built.rows:
        if row.actor != "worker" or row.instead_of:
            continue
        for scope in row.scopes:
            if row.accessor in METADATA_ACCESSORS:
                found[scope][METADATA_ACCESSORS[row.accessor]] += 1
            elif row.accessor in RECEIVE_ACCESSORS:
                found[scope][row.accessor] += 1
            elif row.operation == "barrier":
                found[scope]["mb"] += 1
    return found


@every_kernel
@every_access
@pytest.mark.parametrize("event_idx", [False, True])
@pytest.mark.parametrize("descriptors", [1, 2])
def test_accesses_of_b4(kernel: str, access: str, event_idx: bool, descriptors: int) -> None:
    features = (f"virtqueue.event_idx={str(event_idx).lower()}", f"virtqueue.descriptors_per_packet={descriptors}")
    found = letters(plan(kernel, access, features))
    enable, check = ("V", "E") if event_idx else ("W", "F")
    copies = dict.fromkeys(RECEIVE_ACCESSORS, 1)  # header, body, num_buffers; v7.3 zeroes num_buffers before
    if kernel != "v7.3":
        del copies["rx_header_zero"]
    assert found["packet"] == Counter({"H": 1, "D": descriptors, **copies})  # of one buffer: k = 1
    assert found["refill"] == Counter(A=1)
    assert found["flush"] == Counter({"Un": 1, "X": 1, "mb": 1, check: 1})
    assert found["drain"] == Counter({"A": 1 + 1, enable: 1, "mb": 1})
    assert found["drain_found_work"] == Counter({} if event_idx else {"W": 1})
    assert found["wakeup"] == Counter({} if event_idx else {"W": 1})
    assert found["ring_batch"] == found["socket_empty"] == found["round"] == Counter()


@every_kernel
def test_without_mergeable_buffers_only_v7_3_writes_num_buffers(kernel: str) -> None:
    written = letters(plan(kernel, overrides=("receive.mergeable=false",)))["packet"]["rx_num_buffers_copy"]
    assert written == (1 if kernel == "v7.3" else 0)  # executed-counts.md: six windows, mergeable or not


@every_kernel
@every_access
def test_windows_and_fences_of_a_packet_and_a_flush(kernel: str, access: str) -> None:
    counts = count_primitives(plan(kernel, access))
    mapped = access == "vmap"
    for name in WINDOW:
        assert counts["metadata"]["per_packet"][name] == (0 if mapped else 2)  # H, D
        assert counts["metadata"]["per_flush"][name] == (0 if mapped else 3)  # Un, X, F
        assert counts["metadata"]["per_refill"][name] == (0 if mapped else 1)  # A
        # header, body, num_buffers: acceleration removes 2 of 5; v7.3 zeroes num_buffers before
        assert counts["payload"]["per_packet"][name] == (4 if kernel == "v7.3" else 3)
    per_packet = {**dict.fromkeys(OLD, 2), **dict.fromkeys(NEW, 1), "v7.3": 0}[kernel]  # H and D; H; none
    others = 0 if kernel == "v7.3" else 1  # F, A
    assert counts["metadata"]["per_packet"]["lfence"] == (0 if mapped else per_packet)
    assert counts["metadata"]["per_flush"]["lfence"] == (0 if mapped else others)
    assert counts["metadata"]["per_refill"]["lfence"] == (0 if mapped else others)
    assert counts["payload"]["per_packet"]["lfence"] == 0


@every_kernel
def test_checks_of_the_copies(kernel: str) -> None:
    payload = count_primitives(plan(kernel))["payload"]["per_packet"]
    assert payload["access_ok"] == (4 if kernel == "v7.3" else 3)  # one each
    assert payload["object_size_check"] == 1  # B.5: the body only; header and num_buffers have a constant size
    assert payload.get("object_size_check_stack", 0) == (1 if kernel == "v7.3" else 0)  # the header, on the stack


@every_kernel
@pytest.mark.parametrize(("packet_bytes", "buffers"), [(2048, 1), (2049, 2), (9000, 5), (64000, 32)])
def test_a_large_packet_takes_k_buffers_and_as_many_copies(kernel: str, packet_bytes: int, buffers: int) -> None:
    built = plan(kernel, packet_bytes=packet_bytes)
    assert buffers == -(-(packet_bytes + 12) // 2060)
    fragments = -(-packet_bytes // 32768)
    (body,) = (row for row in built.rows if row.label == "payload_copy")
    counts = {part.primitive: part.count for part in body.components}
    assert counts["stac"] == counts["object_size_check"] == buffers + fragments - 1  # one per segment
    engine = run(built, 2 * 256)
    heads = executions(engine, "head")
    # The worker may be at a later packet when the last one is used.
    assert heads / executions(engine, "packet_done") == pytest.approx(buffers, abs=buffers / 128)


def run(built: Plan, packets: int) -> FastEngine:
    engine = FastEngine(built, 10**9)
    engine.run(packets)
    return engine


def executions(engine: FastEngine, label: str) -> int:
    """How often the row has been run."""
    (segment,) = (one for one in engine.plan.segments if engine.plan.rows[one.rows[0]].label == label)
    return int(engine.machine.executions[segment.index])


#: A guest that takes everything at once and posts it back: no drain, whatever the worker does.
QUICK_GUEST = ("driver.packet_cost=1", "driver.burst=256", "virtqueue.size=1024", "receive.source.packet_cost=1")


@every_kernel
def test_totals_of_b4(kernel: str) -> None:
    """2 + 3/65 + 1/r windows on metadata per packet: a flush is due at 65 heads, and one ends a round of 256."""
    engine = run(plan(kernel, overrides=QUICK_GUEST), 8 * 256)
    rounds = 8
    flushes_of_a_round = 256 // 65 + 1
    assert [executions(engine, label) for label in ("used_index", "weight")] == [rounds * flushes_of_a_round, rounds]
    assert executions(engine, "enable") == 0
    first_rows = [(segment.index, engine.plan.rows[segment.rows[0]]) for segment in engine.plan.segments]
    times = engine.machine.executions.tolist()
    windows = sum(
        next(part.count for part in row.components if part.primitive == "stac") * times[segment]
        for segment, row in first_rows
        if row.actor == "worker" and row.family == "metadata" and row.operation != "barrier" and row.accessor
    )
    packets, refills = rounds * 256, executions(engine, "refill")
    wrapped, wakeups = executions(engine, "used_wrapped"), executions(engine, "disable")
    assert wakeups == 1
    flushed = 3 * rounds * flushes_of_a_round - 1  # the run ends with the last used index, before its F
    assert Fraction(windows) == 2 * packets + flushed + wrapped + refills + wakeups


@pytest.mark.parametrize(("batch", "packets"), [(64, 65), (1, 2), (16, 17)])
def test_a_flush_is_due_above_the_batch_not_at_it(batch: int, packets: int) -> None:
    engine = FastEngine(plan("v5.0", overrides=(*QUICK_GUEST, f"device.batch={batch}")), 10**9)
    engine.run(1)
    assert engine.machine.marked_used == packets


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_visits_to_the_ptr_ring(batch: int) -> None:
    engine = run(plan("v5.0", overrides=(*QUICK_GUEST, f"receive.ring_batch={batch}")), 1024)
    before = executions(engine, "ring_lock")  # the first visits find fewer: the source has just begun
    engine.run(2048)
    assert executions(engine, "ring_lock") - before == 1024 // batch
