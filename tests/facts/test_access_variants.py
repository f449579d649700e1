"""kernel-accesses.md A.5, DESIGN.md 6b.13: variant by variant: what one access executes, and what runs add up to."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest

from sim.config.loading.load import load_table
from sim.config.tables.vocabulary import METADATA_ACCESSORS
from sim.study.questions.explain import SCOPES

from .model import HARDENED, KERNELS, WITH_FSRM, WITHOUT_FSRM, counts, executed, lockstep, plan, queue

BASE = (*WITHOUT_FSRM, *HARDENED)
USER_ACCESS = ("stac", "clac", "lfence", "mask", "object_size_check", "access_ok")

#: Locked operations of one access: none, one spin_lock (its unlock is a store), one smp_mb, an atomic set and clear.
LOCKS = {
    "vmap": {},
    "vmap_notifier": {},
    "direct_map_rcu": {},
    "direct_map_rcu_preempt": {},
    "direct_map_refcount": {},
    "direct_map_spinlock": {"spin_lock": 1},
    "direct_map_counter_mb": {"lock_rmw": 1},
    "direct_map_atomic_bitops": {"lock_rmw": 2},
}
#: Loads of the pointer: an address in the virtqueue, or two dependent loads (map, address).
POINTERS = {name: 1 if name.startswith("vmap") else 2 for name in LOCKS}
#: Calls of one access besides a copy: rcu_read_lock and unlock out of line, _raw_spin_lock.
CALLS = {"direct_map_rcu_preempt": 2, "direct_map_spinlock": 1}

#: Accesses of B.1 without EVENT_IDX: H and D; A; Un, X and F; A, W and A.
ACCESSES = {
    "per_packet": 2,
    "per_refill": 1,
    "per_flush": 3,
    "per_drain": 3,
    "per_wakeup": 1,
    "per_drain_found_work": 1,
}
BARRIERS = {"per_flush": 1, "per_drain": 1}

every_kernel = pytest.mark.parametrize("kernel", KERNELS)
mapped = pytest.mark.parametrize("access", LOCKS)


@every_kernel
@mapped
def test_a_mapped_access_takes_its_lock_and_its_pointers_and_nothing_of_user_access(kernel: str, access: str) -> None:
    metadata = counts(kernel, access, BASE)["metadata"]
    for scope, accesses in ACCESSES.items():
        found = metadata[scope]
        assert all(found[name] == 0 for name in USER_ACCESS), scope
        assert found["pointer_load"] == POINTERS[access] * accesses, scope
        locked = LOCKS[access].get("lock_rmw", 0) * accesses + BARRIERS.get(scope, 0)
        assert found["lock_rmw"] == locked, scope
        assert found.get("spin_lock", 0) == LOCKS[access].get("spin_lock", 0) * accesses, scope
        memcpy = 1 if scope == "per_flush" else 0
        assert found["call"] == CALLS.get(access, 0) * accesses + memcpy, scope


@every_kernel
@pytest.mark.parametrize("access", [*LOCKS, "copy_user_masked", "uaccess_batched", "vmap_index_nospec"])
def test_mapping_the_rings_or_batching_their_windows_leaves_the_payload_alone(kernel: str, access: str) -> None:
    for overrides in (BASE, (*BASE, *queue(descriptors=2))):
        assert counts(kernel, access, overrides)["payload"] == counts(kernel, "copy_user", overrides)["payload"]


@every_kernel
@mapped
def test_a_mapping_does_not_reach_indirect_tables(kernel: str, access: str) -> None:
    table = (*BASE, *queue(indirect=True, descriptors=2))
    assert counts(kernel, access, table)["metadata"]["per_packet"]["stac"] == 2  # B.2 "ACC/VMAP, indirect t=2"


def test_rows_with_a_lock_drain_the_store_buffer_and_a_lock_behind_a_write_has_a_row_of_its_own() -> None:
    rows = {row.label: row for row in plan("v5.3", "direct_map_atomic_bitops", BASE).rows if row.actor == "worker"}
    accesses = [row for row in rows.values() if row.accessor in METADATA_ACCESSORS]
    assert all(row.drains_stores for row in accesses)
    writes = {row.label for row in accesses if row.access is not None and row.access.write}
    assert {label for label in rows if label.endswith("_release")} == {f"{label}_release" for label in writes}
    assert all(rows[f"{label}_release"].drains_stores for label in writes)
    of_spinlock = {row.label: row for row in plan("v5.3", "direct_map_spinlock", BASE).rows}
    assert of_spinlock["head"].drains_stores
    assert not any(label.endswith("_release") for label in of_spinlock)  # unlocking is a plain store


@pytest.mark.parametrize("access", ["copy_user", "vmap", "direct_map_rcu", "direct_map_refcount"])
def test_rows_without_a_lock_do_not_drain(access: str) -> None:
    rows = [row for row in plan("v5.3", access, BASE).rows if row.accessor]
    assert not any(row.drains_stores for row in rows)


def test_f3_a_descriptor_path_through_the_direct_map_is_three_instructions_longer_than_through_vmap() -> None:
    # F.3: 108 against 105 for head and descriptor: one pointer load more each; the third is the compiler's.
    def head_and_descriptor(access: str) -> float:
        found = {row.label: row for row in plan("v5.3", access, WITHOUT_FSRM).rows}
        return found["head"].instructions + found["descriptor"].instructions

    assert head_and_descriptor("direct_map_rcu") - head_and_descriptor("vmap") == 2
    # Executed: 6.2 instructions per packet less than through copy_user (885.1 - 891.3).
    assert head_and_descriptor("copy_user") - head_and_descriptor("direct_map_rcu") == pytest.approx(6.2, abs=2.5)


@every_kernel
def test_masked_accessors_have_no_fence_and_every_window(kernel: str) -> None:
    plain, masked = (counts(kernel, access, BASE)["metadata"] for access in ("copy_user", "copy_user_masked"))
    for scope in SCOPES.values():
        assert masked[scope]["lfence"] == 0
        assert masked[scope]["stac"] == masked[scope]["clac"] == plain[scope]["stac"]
    fenced_descriptor = plain["per_packet"]["lfence"] == 2  # H and D, up to v5.3
    assert masked["per_packet"]["mask"] == (2 if fenced_descriptor else 1)
    assert masked["per_flush"]["mask"] == 2  # X and F; the used elements are a copy


def test_masking_a_kernel_that_masks_changes_nothing() -> None:
    assert counts("v7.3", "copy_user_masked", BASE) == counts("v7.3", "copy_user", BASE)


@every_kernel
def test_smap_off_for_the_worker_is_smap_off_but_for_one_pair_per_round(kernel: str) -> None:
    worker = counts(kernel, "smap_off_worker", BASE)
    machine = counts(kernel, "copy_user", (*BASE, "mitigations.smap=false"))
    for family, scope in product(worker, SCOPES.values()):
        pair = 1 if (family, scope) == ("work", "per_round") else 0
        assert worker[family][scope] == {**machine[family][scope], "stac": pair, "clac": pair}, (family, scope)


@every_kernel
def test_index_nospec_is_vmap_and_one_mask_per_packet(kernel: str) -> None:
    plain, nospec = (counts(kernel, access, BASE)["metadata"] for access in ("vmap", "vmap_index_nospec"))
    for scope in SCOPES.values():
        assert nospec[scope] == {**plain[scope], "mask": 1 if scope == "per_packet" else 0}


def test_a_notifier_marks_each_page_of_the_used_ring_dirty_once_per_round() -> None:
    for size, pages in ((256, 1), (1024, 3)):  # E: 3 used pages at num = 1024
        of_round = counts("v5.0", "vmap_notifier", (*BASE, f"virtqueue.size={size}"))["work"]["per_round"]
        assert of_round["lock_rmw"] == 2 * pages  # lock_page and unlock_page
        assert of_round["pointer_load"] == 3


# -- batched windows ---------------------------------------------------------------------------------------------------

CHAINS = load_table("access", "uaccess_batched").window.chains  # type: ignore[attr-defined]


@pytest.mark.parametrize("kernel", ["v5.0", "v6.12"])
@pytest.mark.parametrize("burst", [1, 10, 16, 24, 64])
def test_windows_of_a_batch(kernel: str, burst: int) -> None:
    # One burst per kick: A of the refill, at the empty ring and at the recheck; W twice; F per flush.
    run = executed(kernel, "uaccess_batched", (*BASE, *lockstep(burst)), packets=15 * burst, warmup=burst)
    reads = -(-burst // CHAINS)
    others = 3 + 2 + 1 + 1  # A, W, F, and the used elements with the index
    assert run.per_packet("stac") == run.per_packet("clac") == 2 + Fraction(reads + others, burst)
    assert run.per_packet("lfence") == Fraction(reads + 3 + 1 + 1, burst)


@pytest.mark.parametrize("descriptors", [1, 2, 4])
def test_a_window_reads_each_chain_once(descriptors: int) -> None:
    overrides = (*BASE, *queue(descriptors=descriptors), *lockstep(32))
    run = executed("v5.0", "uaccess_batched", overrides, packets=128, warmup=64)
    one = executed("v5.0", "copy_user", overrides, packets=128, warmup=64)
    # Two loads of each descriptor, one of each ring entry, inside the window, and one load of each from the array.
    assert run.per_packet("load") - one.per_packet("load") == 1 + descriptors


def test_without_fsrm_or_with_it_a_window_is_the_same() -> None:
    slow, fast = (counts("v6.12", "uaccess_batched", (*cpu, *HARDENED)) for cpu in (WITHOUT_FSRM, WITH_FSRM))
    assert slow["metadata"]["per_window"] == fast["metadata"]["per_window"]
