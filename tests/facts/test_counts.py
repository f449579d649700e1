"""kernel-accesses.md B.1 and B.2, row by row: which accesses the worker makes, and what they execute.

Letters are those of kernel-accesses.md A.2. Counts of v7.3 are those of executed-counts.md. With HARDENED_USERCOPY on,
so that the object size checks are counted too.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import pytest

import sim
from sim.config.tables.vocabulary import METADATA_ACCESSORS, PAYLOAD_ACCESSORS
from sim.study.questions.explain import SCOPES, SHOWN, count_primitives

from .model import (
    HARDENED,
    KERNELS,
    OLD,
    WITH_FSRM,
    WITHOUT_FSRM,
    as_counted,
    counts,
    lockstep,
    plan,
    queue,
    scenario,
    worker_rows,
)

#: (descriptors, indirect): chains of one and two, and indirect tables of one and two.
CHAINS = ((1, False), (2, False), (1, True), (2, True))
VARIANTS = ("copy_user", "vmap", "ideal")
CHECKS_AND_BARRIERS = ("stac", "clac", "lfence", "access_ok", "mask", "object_size_check")
BASE = (*WITH_FSRM, *HARDENED)

every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_chain = pytest.mark.parametrize(("descriptors", "indirect"), CHAINS)
event_idx_off_and_on = pytest.mark.parametrize("event_idx", [False, True])


def table_entries(descriptors: int, indirect: bool) -> int:
    """t of B.1: entries of the indirect table, 0 if direct."""
    return descriptors if indirect else 0


def ring_descriptors(descriptors: int, indirect: bool) -> int:
    """d of B.1: descriptors read from the ring."""
    return 1 if indirect else descriptors


def copies(kernel: str, descriptors: int) -> int:
    """Payload copies of B.5: header and body; v7.3 copies them at once when they share a descriptor."""
    return 1 if kernel == "v7.3" and descriptors == 1 else 2


def letters(kernel: str, access: str, overrides: tuple[str, ...], rare: bool = False) -> dict[str, Counter[str]]:
    """Accesses that the worker makes, by scope: letter of A.2, `copy` for payload, `mb` for smp_mb."""
    found: dict[str, Counter[str]] = {scope: Counter() for scope in SCOPES}
    for row in plan(kernel, access, overrides).rows:
        if row.actor != "worker" or bool(row.instead_of) != rare:
            continue
        for scope in row.scopes:
            if row.accessor in METADATA_ACCESSORS:
                found[scope][METADATA_ACCESSORS[row.accessor]] += 1
            elif row.accessor in PAYLOAD_ACCESSORS:
                found[scope]["copy"] += 1
            elif row.operation == "barrier":
                found[scope]["mb"] += 1
    return found


@every_kernel
@every_chain
@event_idx_off_and_on
@pytest.mark.parametrize("access", VARIANTS)
def test_accesses_of_b1(kernel: str, descriptors: int, indirect: bool, event_idx: bool, access: str) -> None:
    found = letters(kernel, access, (*BASE, *queue(event_idx=event_idx, indirect=indirect, descriptors=descriptors)))
    d, t = ring_descriptors(descriptors, indirect), table_entries(descriptors, indirect)
    enable, check = ("V", "E") if event_idx else ("W", "F")
    disable = {} if event_idx else {"W": 1}
    assert found["packet"] == Counter(H=1, D=d, I=t, copy=copies(kernel, descriptors))
    assert found["refill"] == Counter(A=1)
    assert found["flush"] == Counter({"Un": 1, "X": 1, "mb": 1, check: 1})
    assert found["drain"] == Counter({"A": 1 + 1, enable: 1, "mb": 1})  # empty probe and recheck
    assert found["drain_found_work"] == Counter(disable)
    assert found["wakeup"] == Counter(disable)
    assert found["round"] == Counter()
    assert found["page_refill"] == Counter()  # at 64 bytes no copy crosses a page


@every_kernel
@pytest.mark.parametrize("access", VARIANTS)
def test_a_flush_hands_the_batch_over_with_one_indirect_call(kernel: str, access: str) -> None:
    on, off = (counts(kernel, access, (*BASE, f"mitigations.retpoline={switch}")) for switch in ("true", "false"))
    assert on["work"]["per_flush"]["retpoline"] == 1  # B.1 "sendmsg (indirect call)"
    assert off["work"]["per_flush"]["indirect_call"] == 1
    assert "retpoline" not in off["work"]["per_flush"]


@every_kernel
def test_a_wrapping_batch_copies_twice_and_a_batch_of_one_is_a_single_element(kernel: str) -> None:
    rare = {row.label: row for row in plan(kernel, "copy_user", BASE).rows if row.instead_of}
    pairs = {label: {part.primitive: part.count for part in row.components}["stac"] for label, row in rare.items()}
    assert rare["used_wrapped"].accessor == "used_elements_write"
    assert pairs["used_wrapped"] == 2  # B.1 "Un (1; 2 if the batch wraps the ring)"
    # A.2 U1: two __put_user up to v5.2, one copy of 8 bytes since.
    assert pairs["used_element"] == (2 if kernel in ("v4.20", "v5.0", "v5.2") else 1)


def expected_pairs(descriptors: int, indirect: bool, event_idx: bool) -> dict[str, int]:
    """STAC/CLAC pairs of each scope: one per access of B.1."""
    d, t = ring_descriptors(descriptors, indirect), table_entries(descriptors, indirect)
    disable = 0 if event_idx else 1
    return {
        **dict.fromkeys(SCOPES.values(), 0),
        "per_packet": 1 + d + t,  # H, D, I
        "per_refill": 1,  # A
        "per_flush": 3,  # Un, X, F or E
        "per_drain": 3,  # A, W or V, A
        "per_drain_found_work": disable,  # W
        "per_wakeup": disable,  # W
    }


def expected_lfence(kernel: str, descriptors: int, indirect: bool) -> dict[str, int]:
    """LFENCE of each scope: each getter up to v6.12, the descriptor up to v5.3, an indirect entry never."""
    nothing = dict.fromkeys(SCOPES.values(), 0)
    if kernel == "v7.3":  # A.2, last column: checked get_user, 0
        return nothing
    of_descriptors = ring_descriptors(descriptors, indirect) if kernel in OLD else 0
    return {**nothing, "per_packet": 1 + of_descriptors, "per_refill": 1, "per_flush": 1, "per_drain": 2}


def expected_calls(kernel: str, fsrm: bool, descriptors: int, indirect: bool, event_idx: bool) -> dict[str, int]:
    """Direct calls of metadata accessors: out of line since v6.1, copies inline since v6.12 on a CPU with FSRM."""
    pairs = expected_pairs(descriptors, indirect, event_idx)
    d, t = ring_descriptors(descriptors, indirect), table_entries(descriptors, indirect)
    if kernel in OLD:  # only copy_user: Un once per flush, and the copies of an indirect table
        return {**dict.fromkeys(SCOPES.values(), 0), "per_packet": t, "per_flush": 1}
    if kernel in ("v6.12", "v7.3") and fsrm:
        return {**pairs, "per_packet": pairs["per_packet"] - d - t, "per_flush": pairs["per_flush"] - 1}
    return pairs


def expected_masks(kernel: str, descriptors: int, indirect: bool, event_idx: bool) -> dict[str, int]:
    """Address masks: every get_user and put_user of v7.3, none of its copies."""
    pairs = expected_pairs(descriptors, indirect, event_idx)
    if kernel != "v7.3":
        return dict.fromkeys(SCOPES.values(), 0)
    return {**pairs, "per_packet": 1, "per_flush": 2}  # H; X and F or E


@every_kernel
@every_chain
@event_idx_off_and_on
@pytest.mark.parametrize("cpu", [WITH_FSRM, WITHOUT_FSRM], ids=["fsrm", "no-fsrm"])
def test_primitives_of_copy_user(
    kernel: str, descriptors: int, indirect: bool, event_idx: bool, cpu: tuple[str, ...]
) -> None:
    features = queue(event_idx=event_idx, indirect=indirect, descriptors=descriptors)
    metadata = counts(kernel, "copy_user", (*cpu, *HARDENED, *features))["metadata"]
    pairs = expected_pairs(descriptors, indirect, event_idx)
    expected = {
        "stac": pairs,
        "clac": pairs,
        "lfence": expected_lfence(kernel, descriptors, indirect),
        "call": expected_calls(kernel, cpu == WITH_FSRM, descriptors, indirect, event_idx),
        "mask": expected_masks(kernel, descriptors, indirect, event_idx),
        # A.1: ring areas are validated once, only the copies of an indirect table check their range.
        "access_ok": {"per_packet": table_entries(descriptors, indirect)},
        # A.2 Un: __check_object_size once per flush.
        "object_size_check": {"per_flush": 1},
        # A.6: smp_mb in vhost_notify and in vhost_enable_notify.
        "lock_rmw": {"per_flush": 1, "per_drain": 1},
    }
    for primitive, by_scope in expected.items():
        found = {scope: table[primitive] for scope, table in metadata.items()}
        assert found == {**dict.fromkeys(SCOPES.values(), 0), **by_scope}, primitive


@every_kernel
@every_chain
@event_idx_off_and_on
def test_vmap_leaves_only_the_indirect_table(kernel: str, descriptors: int, indirect: bool, event_idx: bool) -> None:
    features = queue(event_idx=event_idx, indirect=indirect, descriptors=descriptors)
    metadata = counts(kernel, "vmap", (*WITHOUT_FSRM, *HARDENED, *features))["metadata"]
    t = table_entries(descriptors, indirect)
    expected = {
        "stac": {"per_packet": t},  # B.2 "ACC/VMAP, direct" 0, "indirect t=2" 2
        "clac": {"per_packet": t},
        "lfence": {},
        "access_ok": {"per_packet": t},
        "mask": {},
        "object_size_check": {},
        "call": {"per_packet": t, "per_flush": 1},  # memcpy of the used elements
        "lock_rmw": {"per_flush": 1, "per_drain": 1},
    }
    for primitive, by_scope in expected.items():
        found = {scope: table[primitive] for scope, table in metadata.items()}
        assert found == {**dict.fromkeys(SCOPES.values(), 0), **by_scope}, primitive


@every_kernel
@every_chain
@event_idx_off_and_on
def test_ideal_has_no_check_or_barrier_anywhere(kernel: str, descriptors: int, indirect: bool, event_idx: bool) -> None:
    features = queue(event_idx=event_idx, indirect=indirect, descriptors=descriptors)
    found = counts(kernel, "ideal", (*BASE, *features))
    for family, scope, primitive in product(found, SCOPES.values(), CHECKS_AND_BARRIERS):
        assert found[family][scope][primitive] == 0, (family, scope, primitive)
    of_barriers = {scope: table["lock_rmw"] for scope, table in found["metadata"].items()}
    assert of_barriers == {**dict.fromkeys(SCOPES.values(), 0), "per_flush": 1, "per_drain": 1}  # DESIGN 6b.11


@every_kernel
@every_chain
@pytest.mark.parametrize("access", ["copy_user", "vmap"])
def test_payload_copies_keep_their_pairs(kernel: str, descriptors: int, indirect: bool, access: str) -> None:
    features = queue(indirect=indirect, descriptors=descriptors)
    payload = counts(kernel, access, (*BASE, *features))["payload"]
    n = copies(kernel, descriptors)
    # B.5: HARDENED_USERCOPY checks no payload up to v6.1, both copies on v6.12; v7.3 checks once per packet.
    checks = {"v6.12": 2, "v7.3": 1}.get(kernel, 0)
    calls = 0 if kernel in ("v6.12", "v7.3") else n  # inline with FSRM
    counted = {name: payload["per_packet"][name] for name in (*CHECKS_AND_BARRIERS, "call")}
    toggles_and_barriers = {"stac": n, "clac": n, "lfence": 0, "access_ok": n, "mask": 0}
    assert counted == {**toggles_and_barriers, "object_size_check": checks, "call": calls}
    for scope in set(SCOPES.values()) - {"per_packet"}:
        assert not any(payload[scope].values()), scope


# -- B.2, row by row: per packet at B = 64 -----------------------------------------------------------------------------

B, R = 64, 64


def per_packet(kernel: str, access: str, overrides: tuple[str, ...], family: str = "metadata") -> dict[str, float]:
    """Counts per packet where every flush holds B packets, every refill finds R, and nothing drains."""
    found = counts(kernel, access, overrides)[family]
    return {
        name: found["per_packet"][name] + found["per_flush"][name] / B + found["per_refill"][name] / R for name in SHOWN
    }


@pytest.mark.parametrize("kernel", OLD)
def test_b2_inline_accessors_one_descriptor(kernel: str) -> None:
    found = per_packet(kernel, "copy_user", (*WITHOUT_FSRM, *HARDENED))
    assert found["stac"] == found["clac"] == 2 + 3 / B + 1 / R
    assert found["lfence"] == 2 + 1 / B + 1 / R
    assert found["call"] == 1 / B
    assert found["object_size_check"] == 1 / B


@pytest.mark.parametrize("kernel", OLD)
def test_b2_inline_accessors_two_descriptors(kernel: str) -> None:
    found = per_packet(kernel, "copy_user", (*WITHOUT_FSRM, *HARDENED, *queue(descriptors=2)))
    assert found["stac"] == found["clac"] == 3 + 3 / B + 1 / R
    assert found["lfence"] == 3 + 1 / B + 1 / R
    assert found["call"] == 1 / B
    assert found["object_size_check"] == 1 / B


@pytest.mark.parametrize("kernel", ["v6.1", "v6.12"])
def test_b2_accessors_out_of_line(kernel: str) -> None:
    found = per_packet(kernel, "copy_user", (*WITHOUT_FSRM, *HARDENED))
    assert found["stac"] == found["clac"] == 2 + 3 / B + 1 / R
    assert found["lfence"] == 1 + 1 / B + 1 / R
    assert found["call"] == 2 + 3 / B + 1 / R
    assert found["object_size_check"] == 1 / B
    payload = per_packet(kernel, "copy_user", (*WITHOUT_FSRM, *HARDENED), "payload")
    assert payload["object_size_check"] == {"v6.1": 0, "v6.12": 2}[kernel]


def test_b2_copies_of_v6_12_are_inline_with_fsrm() -> None:
    found = per_packet("v6.12", "copy_user", BASE)
    assert found["call"] == 1 + 2 / B + 1 / R


def test_b2_checked_get_user() -> None:
    found = per_packet("v7.3", "copy_user", (*WITHOUT_FSRM, *HARDENED))
    assert found["stac"] == found["clac"] == 2 + 3 / B + 1 / R
    assert found["lfence"] == 0
    assert found["call"] == 2 + 3 / B + 1 / R
    assert found["object_size_check"] == 1 / B


def test_b2_indirect_table_of_two() -> None:
    found = per_packet("v5.0", "copy_user", (*WITHOUT_FSRM, *HARDENED, *queue(indirect=True, descriptors=2)))
    assert found["stac"] == found["clac"] == 2 + 2 + 3 / B + 1 / R
    assert found["lfence"] == 2 + 1 / B + 1 / R
    assert found["call"] == 2 + 1 / B


@pytest.mark.parametrize("kernel", OLD)
def test_b2_mapped_metadata(kernel: str) -> None:
    direct = per_packet(kernel, "vmap", (*WITHOUT_FSRM, *HARDENED))
    assert (direct["stac"], direct["clac"], direct["lfence"], direct["object_size_check"]) == (0, 0, 0, 0)
    assert direct["call"] == 1 / B
    indirect = per_packet(kernel, "vmap", (*WITHOUT_FSRM, *HARDENED, *queue(indirect=True, descriptors=2)))
    assert (indirect["stac"], indirect["clac"], indirect["lfence"]) == (2, 2, 0)


@pytest.mark.parametrize("kernel", [*OLD, "v6.1", "v6.12"])
def test_b2_total_pairs_before_and_after(kernel: str) -> None:
    def total(access: str) -> float:
        return sum(per_packet(kernel, access, BASE, family)["stac"] for family in ("metadata", "payload"))

    assert total("copy_user") == 4 + 3 / B + 1 / R  # "4.06 before"
    assert total("vmap") == 2  # "2.00 after"


# -- switches ----------------------------------------------------------------------------------------------------------


@every_kernel
@every_chain
@pytest.mark.parametrize("access", VARIANTS)
def test_without_smap_only_stac_and_clac_go(kernel: str, descriptors: int, indirect: bool, access: str) -> None:
    features = queue(indirect=indirect, descriptors=descriptors)
    on = counts(kernel, access, (*BASE, *features))
    off = counts(kernel, access, (*BASE, *features, "mitigations.smap=false"))
    for family, scope in product(on, SCOPES.values()):
        assert off[family][scope] == {**on[family][scope], "stac": 0, "clac": 0}, (family, scope)


@every_kernel
def test_a_cpu_without_smap_executes_no_stac(kernel: str) -> None:
    haswell = counts(kernel, "copy_user", ("cpu=haswell-ep", *HARDENED))
    off = counts(kernel, "copy_user", (*WITHOUT_FSRM, *HARDENED, "mitigations.smap=false"))
    assert haswell == off


@every_kernel
@pytest.mark.parametrize(("switch", "gone"), [("spectre_v1", "lfence"), ("hardened_usercopy", "object_size_check")])
def test_other_switches_remove_what_they_name(kernel: str, switch: str, gone: str) -> None:
    on = counts(kernel, "copy_user", BASE)
    off = counts(kernel, "copy_user", (*BASE, f"mitigations.{switch}=false"))
    for family, scope in product(on, SCOPES.values()):
        assert off[family][scope] == {**on[family][scope], gone: 0}, (family, scope)


# -- what a count alone does not say -----------------------------------------------------------------------------------


@every_kernel
@event_idx_off_and_on
def test_what_follows_a_recheck_that_finds_work(kernel: str, event_idx: bool) -> None:
    # A driver slower than the worker, so that drains are frequent and some rechecks find a new burst.
    slow = (*as_counted(kernel), *queue(event_idx=event_idx), "driver.burst=4", "driver.packet_cost=400")
    rows = worker_rows(kernel, "copy_user", slow, packets=2048)
    after = {second for first, second in pairwise(rows) if first == "found"}
    # B.1 "then next get_vq_desc re-reads A: v5.0/v5.3.1: 1 (cache not updated); v6.1/v6.12: 0 (helper updates cache)".
    assert after == {"refill" if kernel in OLD else "head"}
    before = {first for first, second in pairwise(rows) if second == "found"}
    assert before == {"recheck" if event_idx else "found_work"}


@every_kernel
def test_explain_shows_the_counts_of_its_plan(kernel: str) -> None:
    overrides = (*BASE, *lockstep(64), "run.packets=640")
    shown = sim.explain(scenario(kernel, overrides), "copy_user", 64)
    assert shown.counts() == count_primitives(shown.plan) == counts(kernel, "copy_user", overrides)
