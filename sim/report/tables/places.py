"""What the places of a ring are called: a field or an array of one region, as the virtio specification names it."""

from __future__ import annotations

from sim.config.scenario.virtqueue import Virtqueue
from sim.datapath.memory.rings import PackedRing, SplitRing
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import LineAccess

Place = tuple[str, int, int]

_SPLIT, _PACKED, _ANY = SplitRing(Virtqueue()), PackedRing(Virtqueue()), Register.LAST_AVAIL_IDX

#: Titles of the regions of a plan; one that is not listed here is called what the plan calls it.
REGIONS = {
    "desc": "descriptors",
    "avail": "avail ring",
    "used": "used ring",
    "ring": "packed ring",
    "device_event": "device event",
    "driver_event": "driver event",
    "indirect": "indirect tables",
    "buf": "payload",
    "packet": "packets",
}


def place_of(access: LineAccess) -> Place:
    """Return what distinguishes one place from another: region, offset in bytes and stride."""
    return access.region, access.offset, access.stride


_FIELDS = {
    place_of(access): name
    for name, access in (
        ("flags", _SPLIT.avail_flags()),
        ("idx", _SPLIT.avail_index()),
        ("ring[i]", _SPLIT.avail_entry(_ANY)),
        ("desc[i]", _SPLIT.descriptor(_ANY, 0)),
        ("flags", _SPLIT.used_flags()),
        ("idx", _SPLIT.used_index()),
        ("ring[i]", _SPLIT.used_element(_ANY)),
        ("desc[i].flags", _PACKED.flags(_ANY)),
        ("desc[i]", _PACKED.descriptor(_ANY)),
    )
}
#: What lies behind the entries of a split ring's two rings, wherever they end.
_BEHIND = {"avail": "used_event", "used": "avail_event"}


def name_of(place: Place) -> str:
    """Return the name of a place inside its region; one without a name of its own is where it is: `[i] +16`."""
    region, offset, stride = place
    if place in _FIELDS:
        return _FIELDS[place]
    if region in _BEHIND and not stride:
        return _BEHIND[region]
    if region == "buf":
        return f"from byte {offset}"
    entry = "[i]" if stride else ""
    return f"{entry} +{offset}".strip() if offset else entry or "word"
