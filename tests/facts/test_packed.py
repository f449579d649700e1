"""kernel-accesses.md B.6: accesses of the packed ring per descriptor, used buffer, flush and empty probe."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from sim.config.tables.vocabulary import METADATA_ACCESSORS, PRIMITIVES
from sim.study.questions.explain import SCOPES

from .model import HARDENED, OLD, WITHOUT_FSRM, counts, executed, lockstep, plan, queue

B = 64
RFC = (*WITHOUT_FSRM, *HARDENED, "virtqueue.layout=packed")
IDEAL = (*RFC, "virtqueue.packed_access=ideal")

per_layout = pytest.mark.parametrize("overrides", [RFC, IDEAL], ids=["rfc", "ideal"])


def per_packet(kernel: str, access: str, overrides: tuple[str, ...], family: str = "metadata") -> dict[str, float]:
    """Counts per packet in batches of B that find no empty ring."""
    found = counts(kernel, access, overrides)[family]
    names = set(found["per_packet"]) | set(found["per_flush"])
    return {name: found["per_packet"].get(name, 0) + found["per_flush"].get(name, 0) / B for name in names}


def letters(overrides: tuple[str, ...]) -> dict[str, Counter[str]]:
    """Metadata accesses of the worker by scope."""
    found: dict[str, Counter[str]] = {scope: Counter() for scope in SCOPES}
    for row in plan("v5.0", "copy_user", overrides).rows:
        if row.actor == "worker" and row.accessor in METADATA_ACCESSORS:
            for scope in row.scopes:
                found[scope][METADATA_ACCESSORS[row.accessor]] += 1
    return found


@pytest.mark.parametrize("kernel", OLD)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_rfc_without_mapping(kernel: str, d: int) -> None:
    found = per_packet(kernel, "copy_user", (*RFC, *queue(descriptors=d)))
    # Two reads per descriptor, one write per used buffer of which none is coalesced, one flags write per flush.
    assert found["stac"] == found["clac"] == 2 * d + 1 + 1 / B  # B.6: "3 + 1/64" for one descriptor
    assert found["lfence"] == d  # flags only; the 14 bytes are a copy
    assert found["call"] == d  # the copy of 14 bytes
    assert found["object_size_check"] == 0


def test_b6_a_used_buffer_is_one_window_each() -> None:
    run = executed("v5.0", "copy_user", (*RFC, *lockstep(B)), packets=4 * B, warmup=B)
    # 2 payload copies, 2 reads and 1 write per packet; per burst of one flush the flags of the first, a probe of the
    # empty ring and a recheck of two reads each, two writes of the event structure.
    assert run.per_packet("stac") == 2 + 3 + Fraction(1 + 2 + 2 + 2, B)
    assert run.per_packet("lfence") == 1 + Fraction(1 + 1, B)
    assert run.per_packet("spin_lock") == Fraction(1, B)  # always signals: the lock of an eventfd's wait queue
    assert run.per_packet("eventfd_signal") == 0  # nobody waits, nobody is woken up
    assert run.per_packet("lock_rmw") == Fraction(2, B)


@pytest.mark.parametrize(
    ("kernel", "instructions", "returns"),
    # Under emulation, 32 packets in a flush: eventfd_signal(_mask), lock and unlock of its wait queue, their caller.
    [
        ("v5.0", 44 + 15 + 8 + 2, 0),  # as v5.10
        ("v5.10", 44 + 15 + 8 + 2, 2),
        ("v6.1", 45 + 16 + 10 + 2, 2),
        ("v6.12", 35 + 17 + 11 + 2, 1),
        ("v6.18", 35 + 17 + 11 + 2, 1),
        ("v7.3", 35 + 17 + 11 + 2, 1),
    ],
)
def test_a_signal_that_nobody_waits_for_executes_what_was_counted(kernel: str, instructions: int, returns: int) -> None:
    mitigated = () if not returns else ("mitigations.retbleed=true", "cpu.features.retbleed=true")
    built = plan(kernel, "copy_user", (*RFC, *mitigated))
    (row,) = [row for row in built.rows if row.label == "unheard_signal"]
    counts = {part.primitive: part.count for part in row.components}
    executed = sum(count * PRIMITIVES[name].instructions for name, count in counts.items() if name != "return_thunk")
    assert (executed, counts["spin_lock"], counts.get("return_thunk", 0)) == (instructions, 1, returns)
    assert row.scopes == ("flush",)


def test_a_driver_that_wants_calls_gets_one_at_every_flush() -> None:
    rows = plan("v5.0", "copy_user", (*RFC, "driver.kind=virtio-net")).rows
    assert "unheard_signal" not in {row.label for row in rows}
    assert [row.label for row in rows if any(part.primitive == "eventfd_signal" for part in row.components)] == ["call"]


def test_rfc_with_mapping_reads_four_fields_and_writes_three() -> None:
    found = per_packet("v5.0", "vmap", RFC)
    assert (found["stac"], found["lfence"], found["call"]) == (0, 0, 0)  # B.6: 0, 0, 0
    (flags, rest), (used,) = (
        [row for row in plan("v5.0", "vmap", RFC).rows if row.label in labels]
        for labels in (("head", "head_rest"), ("used_elements",))
    )
    loads = [sum(part.count for part in row.components if part.primitive == "load") for row in (flags, rest)]
    assert loads == [1, 3]  # flags; address, length, id
    assert sum(part.count for part in used.unit_components if part.primitive == "store") == 3


def test_ideal_is_one_read_and_one_write_per_buffer_and_two_accesses_per_flush() -> None:
    run = executed("v5.0", "copy_user", (*IDEAL, *lockstep(B)), packets=4 * B, warmup=B)
    # Flags of the first used descriptor and the driver's event structure per flush; probe, recheck, two event writes.
    assert run.per_packet("stac") == 2 + 2 + Fraction(2 + 2 + 2, B)
    assert run.per_packet("lfence") == 1 + Fraction(1 + 2, B)
    assert run.per_packet("eventfd_signal") == 0


@per_layout
def test_an_empty_probe_reads_a_whole_descriptor(overrides: tuple[str, ...]) -> None:
    reads = Counter(PF=1, PD=1) if overrides == RFC else Counter(PW=1)
    found = letters(overrides)
    assert found["drain"] == reads + reads + Counter(PV=1)  # probe, recheck, event structure
    assert found["packet"] == reads + Counter(PU=1)
    check = Counter() if overrides == RFC else Counter(PE=1)
    assert found["flush"] == Counter(PX=1) + check
    assert found["refill"] == Counter()


@per_layout
@pytest.mark.parametrize("entries", [1, 2])
def test_indirect_tables_are_read_as_on_a_split_ring(overrides: tuple[str, ...], entries: int) -> None:
    table = (*overrides, *queue(indirect=True, descriptors=entries))
    split = counts("v5.0", "copy_user", (*WITHOUT_FSRM, *HARDENED, *queue(indirect=True, descriptors=entries)))
    direct = counts("v5.0", "copy_user", overrides)
    found = counts("v5.0", "copy_user", table)
    without = counts("v5.0", "copy_user", (*WITHOUT_FSRM, *HARDENED))
    for name in ("stac", "lfence", "call", "access_ok"):
        added = found["metadata"]["per_packet"][name] - direct["metadata"]["per_packet"][name]
        assert added == split["metadata"]["per_packet"][name] - without["metadata"]["per_packet"][name], name


@per_layout
@pytest.mark.parametrize("size", [1, 3, 100, 255, 257])
def test_any_size(overrides: tuple[str, ...], size: int) -> None:
    burst = min(size, 32)
    run = executed("v5.0", "copy_user", (*overrides, f"virtqueue.size={size}", *lockstep(burst)), packets=8 * burst)
    of_packet = 2 + 3 if overrides == RFC else 2 + 2
    assert run.per_packet("stac") > of_packet


def test_the_payload_is_copied_as_on_a_split_ring() -> None:
    split = counts("v6.12", "copy_user", (*WITHOUT_FSRM, *HARDENED))["payload"]
    assert counts("v6.12", "copy_user", RFC)["payload"] == counts("v6.12", "copy_user", IDEAL)["payload"] == split


def test_both_sides_write_the_same_lines() -> None:
    rows = plan("v5.0", "copy_user", RFC).rows
    writers = {row.actor for row in rows if row.access and row.access.write and row.access.region == "ring"}
    assert writers == {"worker", "driver"}
    assert not {row.access.region for row in rows if row.access} & {"desc", "avail", "used"}
