"""HARDENED_USERCOPY by kernel version on transmit (kernel-accesses.md A.2, B.5; executed-counts.md for v7.3)."""

from __future__ import annotations

import pytest

from .model import HARDENED, KERNELS, WITH_FSRM, counts, plan, queue, scenario

BASE = (*WITH_FSRM, *HARDENED)
CHECKS = ("object_size_check", "object_size_check_stack")

#: Checks of a single used element: two __put_user up to v5.2, vhost_copy_to_user since v5.3 (A.2 U1).
OF_ONE_ELEMENT = {"v4.20": 0, "v5.0": 0, "v5.2": 0, "v5.3": 1, "v6.1": 1, "v6.12": 1, "v7.3": 1}
#: Checks of a packet's copies: the raw iterator up to v6.1, header and body on v6.12, one copy on v7.3 (B.5).
OF_PAYLOAD = {"v4.20": 0, "v5.0": 0, "v5.2": 0, "v5.3": 0, "v6.1": 0, "v6.12": 2, "v7.3": 1}

every_kernel = pytest.mark.parametrize("kernel", KERNELS)


@every_kernel
@pytest.mark.parametrize("descriptors", [1, 2])
def test_metadata_is_checked_once_per_flush_and_never_for_a_descriptor(kernel: str, descriptors: int) -> None:
    metadata = counts(kernel, "copy_user", (*BASE, *queue(descriptors=descriptors)))["metadata"]
    checks = {scope: table["object_size_check"] for scope, table in metadata.items()}
    assert checks == {**dict.fromkeys(checks, 0), "per_flush": 1}


@every_kernel
def test_a_batch_of_one_is_checked_where_it_is_a_copy(kernel: str) -> None:
    (row,) = (row for row in plan(kernel, "copy_user", BASE).rows if row.label == "used_element")
    found = {part.primitive: part.count for part in row.components}
    assert found.get("object_size_check", 0) == OF_ONE_ELEMENT[kernel]


@every_kernel
def test_payload_copies_are_checked_since_v6_12(kernel: str) -> None:
    payload = counts(kernel, "copy_user", BASE)["payload"]["per_packet"]
    assert payload["object_size_check"] == OF_PAYLOAD[kernel]


@every_kernel
@pytest.mark.parametrize("access", ["vmap", "direct_map_rcu"])
def test_a_mapping_spares_the_check_of_metadata_and_not_that_of_payload(kernel: str, access: str) -> None:
    found = counts(kernel, access, BASE)
    assert found["metadata"]["per_flush"]["object_size_check"] == 0
    assert found["payload"]["per_packet"]["object_size_check"] == OF_PAYLOAD[kernel]


@every_kernel
def test_off_takes_out_both_kinds_of_check(kernel: str) -> None:
    assert set(CHECKS) <= set(scenario(kernel, BASE).kernel.mitigations["hardened_usercopy"].removes)
    found = counts(kernel, "copy_user", (*WITH_FSRM, "mitigations.hardened_usercopy=false"))
    assert not any(table.get(check, 0) for scopes in found.values() for table in scopes.values() for check in CHECKS)


def test_the_used_elements_are_a_slab_object_only_where_8192_bytes_hold_them() -> None:
    # A.2: heads[] has 1024 entries of 8 bytes in v4.20, 1024 + 64 later: above KMALLOC_MAX_CACHE_SIZE of 8 KiB.
    assert 1024 * 8 <= 8192 < (1024 + 64) * 8
    v4_20, v5_0 = (scenario(kernel, BASE).kernel.object_size_check_instructions for kernel in ("v4.20", "v5.0"))
    assert (v4_20.grade, v5_0.grade) == ("guess", "derived")  # the slab lookup was never counted
    assert v4_20.low < v5_0.low
    assert v4_20.high > v5_0.high
