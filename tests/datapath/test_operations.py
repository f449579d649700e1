"""What each row of the seed does and how many bytes it moves, on every layout of the ring."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan

SEED = "virtio-user-xdp1-tap"
DRIVER = dict.fromkeys(("burst", "bulk", "reclaim", "reclaim_one", "kick_check"), "read")
DRIVER |= {"write": "work", "write_chain": "write", "kick": "work", "wait": "poll"}
EVERY_RING = {
    "idle": ("hold", 0),
    "translate": ("work", 0),
    "header_copy": ("copy", 12),
    "payload_copy": ("copy", 64),
    "used_index": ("write", 2),
    "notify_barrier": ("barrier", 0),
    "enable_barrier": ("barrier", 0),
}
#: Avail entries and indices have 2 bytes, descriptors 16, used elements 8; a batch is 64 packets.
SPLIT = {
    "disable": ("write", 2),
    "refill": ("read", 2),
    "head": ("read", 2),
    "descriptor": ("read", 16),
    "used_elements": ("write", 64 * 8),
    "used_wrapped": ("write", 64 * 8),
    "used_element": ("write", 8),
    "notify_check": ("read", 2),
    "recheck": ("read", 2),
}
#: Flags have 2 of the 16 bytes of a packed descriptor, an event structure 4.
PACKED = {"disable": ("write", 4), "enable": ("write", 4), "used_elements": ("write", 16)}
BY_PARTS = {
    "head": ("read", 2),
    "head_rest": ("read", 16 - 2),
    "recheck": ("read", 2),
    "recheck_rest": ("read", 16 - 2),
}
AT_ONCE = {"head": ("read", 16), "recheck": ("read", 16), "notify_check": ("read", 4)}


@pytest.mark.parametrize(
    ("overrides", "rows"),
    [
        ([], SPLIT),
        (["virtqueue.layout=packed", "virtqueue.packed_access=rfc"], PACKED | BY_PARTS),
        (["virtqueue.layout=packed", "virtqueue.packed_access=ideal"], PACKED | AT_ONCE),
    ],
    ids=["split", "packed as the RFC reads it", "packed with as few reads as possible"],
)
def test_a_row_does_what_it_says(overrides, rows):
    bare = ["access=copy_user", "traffic.packet_bytes=64", *overrides]
    plan = build_plan(load_scenario(SEED, overrides=bare), "copy_user", 64)
    does = {(row.actor, row.label): (row.operation, row.bytes) for row in plan.rows}
    for label, expected in (EVERY_RING | rows).items():
        assert does["worker", label] == expected, label
    assert {label: does["driver", label][0] for label in DRIVER} == DRIVER
