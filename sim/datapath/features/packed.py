"""The packed ring (kernel-accesses.md B.6): the same handlers and drivers, other accesses.

Rows are written for the split ring. Here stands, access by access, what takes the place of each on a packed ring: the
step keeps its work (its count less the split accessor that is in it, `Draft.spared`) and executes packed accessors.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import PACKED_FLAGS, PackedRing
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, copy

R = Register

_SPLIT_REGIONS = ("desc", "avail", "used")
_EVENT_WRITES = ("used_flags_write", "avail_event_write")
_CHECKS = ("avail_flags_read", "used_event_read")
_USED = ("used_elements_write", "used_element_write", "used_head_write")


def packed_rows(scenario: Scenario, ring: PackedRing, drafts: list[Draft]) -> list[Draft]:
    """Return the rows of handlers and drivers on a packed ring; ConfigError for a device without one."""
    refills = [row for row in drafts if row.label == "refill"]
    calls = any(row.label == "call" and row.actor == "worker" for row in drafts)
    rfc = scenario.virtqueue.packed_access == "rfc"
    device = _Device(ring, rfc, refills[0].jumps if refills else (), calls)
    packed = [
        one for row in drafts for one in (device.rows(row) if row.actor == "worker" else [_driver_row(ring, row)])
    ]  # fmt: skip
    if any(row.access is not None and row.access.region in _SPLIT_REGIONS for row in packed):
        raise ConfigError(f"virtqueue.layout: packed is not modelled for device.kind {scenario.device.kind}")
    return packed


class _Device:
    """The worker's rows on a packed ring; `rfc` as the RFC accessed it, else with as few accesses as possible.

    `empty` are the jumps of a fetch that finds no buffer; `calls` says that a row behind the check calls the driver.
    """

    def __init__(self, ring: PackedRing, rfc: bool, empty: tuple[Jump, ...], calls: bool) -> None:
        self.ring = ring
        self.rfc = rfc
        self.empty = empty
        self.calls = calls

    def rows(self, row: Draft) -> list[Draft]:
        """Return what takes the place of one row of the split ring."""
        accessor = row.accessor
        if accessor == "avail_index_read":
            return self._probe(row)
        if accessor == "avail_entry_read":
            return self._head(row)
        if accessor == "descriptor_read":
            return self._descriptor(row)
        if accessor in _USED:
            assert row.access is not None
            return [self._used(row)]
        if accessor == "used_index_write":
            flags = self.ring.flags(R.RING_USED_IDX, write=True)
            return [_instead(row, "packed_used_flags_write", step="flags of the first used descriptor", access=flags)]
        if accessor in _CHECKS:
            return [self._check(row)]
        if accessor in _EVENT_WRITES:
            event = self.ring.event("device", write=True)
            return [
                _instead(row, "packed_device_event_write", step=f"device event structure: {row.label}", access=event)
            ]
        return [row]

    def _probe(self, row: Draft) -> list[Draft]:
        """An index read: the fetch of a chain finds out by itself, a recheck reads a descriptor."""
        if row.label == "refill":
            return [Draft(row.label, row.actor, "next descriptor", ("packet",), function="vhost_get_vq_desc")]
        return self._read(row, R.LAST_AVAIL_IDX, 0, jumps=row.jumps)

    def _head(self, row: Draft) -> list[Draft]:
        """No avail ring: the descriptor says whether it is available, and the read of an empty ring ends here."""
        sampled = replace(row, sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), scopes=("packet", "drain"))
        return self._read(sampled, R.LAST_AVAIL_IDX, 0, jumps=self.empty)

    def _descriptor(self, row: Draft) -> list[Draft]:
        """The first descriptor of a chain has been read to see whether it is available; further ones are read here."""
        assert row.access is not None
        if row.access.plus == 0:
            return [replace(row, accessor=None, spared=row.accessor, access=None)]
        return self._read(row, R.LAST_AVAIL_IDX, row.access.plus, jumps=row.jumps)

    def _read(self, row: Draft, position: Register, number: int, jumps: tuple[Jump, ...]) -> list[Draft]:
        """Read one descriptor: flags first and then the rest, or all at once. Work of the step goes with the first."""
        if not self.rfc:
            whole = self.ring.descriptor(position, number)
            return [_instead(row, "packed_whole_read", step="packed descriptor", access=whole, jumps=jumps)]
        flags = _instead(
            row, "packed_flags_read", step="flags of a packed descriptor", access=self.ring.flags(position, number),
            jumps=(),
        )  # fmt: skip
        rest = Draft(
            f"{row.label}_rest", row.actor, "address, length and id of the descriptor", row.scopes,
            function="vhost_get_vq_desc", accessor="packed_descriptor_read",
            access=self.ring.descriptor(position, number, PACKED_FLAGS), jumps=jumps,
        )  # fmt: skip
        return [flags, rest]

    def _used(self, row: Draft) -> Draft:
        """One write per used buffer, not coalesced."""
        assert row.access is not None
        assert row.access.index is not None
        fields = {
            "kernel_step": "packed_used", "accessor": "packed_used_write", "bytes": 16, "times": 1,
            "access": self.ring.used(row.access.index, row.access.count), "step": "used descriptors, one by one",
        }  # fmt: skip
        if row.access.count is not None:
            fields |= {"unit": row.access.count, "per_unit": True, "scopes": ("packet",)}
        return replace(row, **fields)  # type: ignore[arg-type]

    def _check(self, row: Draft) -> Draft:
        """The RFC reads no event structure and signals at every flush."""
        if not self.rfc:
            event = self.ring.event("driver", write=False)
            return _instead(row, "packed_driver_event_read", step="driver event structure", access=event)
        unread = replace(
            row, step="signal, whether wanted or not", accessor=None, spared=row.accessor, access=None
        )  # fmt: skip
        if self.calls:  # the row of the call follows
            return replace(unread, sample=None, jumps=())
        return replace(unread, primitives=("eventfd_signal",))


def _instead(row: Draft, accessor: str, **fields: object) -> Draft:
    return replace(row, accessor=accessor, spared=row.accessor, **fields)  # type: ignore[arg-type]


def _driver_row(ring: PackedRing, row: Draft) -> Draft:
    """Return a row of the driver with its access on the packed ring."""
    access = row.access
    row = replace(row, jumps=tuple(_behind_last_check(jump) for jump in row.jumps))
    if access is None or access.region in ring.regions():
        return row
    if access.region == "desc":  # a chain is available as soon as its first flags are written
        published = (*row.effects, copy(R.RING_AVAIL_IDX, R.AVAIL_IDX_SHADOW))
        step = "write the descriptors, flags last"
        return replace(row, step=step, access=ring.chain_write(R.AVAIL_IDX_SHADOW), effects=published, marks="posted")
    if access.region == "avail":
        if row.marks == "posted":
            effects = tuple(effect for effect in row.effects if effect.target != R.RING_AVAIL_IDX)
            if (
                copy(R.OLD_AVAIL_IDX, R.RING_AVAIL_IDX) in effects
            ):  # new at a kick check is what came behind the last one
                effects = (copy(R.OLD_AVAIL_IDX, R.KICK_CHECKED_IDX), copy(R.KICK_CHECKED_IDX, R.RING_AVAIL_IDX))
            return replace(row, step="available already", access=None, effects=effects, marks=None)
        if access.stride:
            return replace(row, step="no avail ring", access=None)
        return replace(row, step="driver event structure", access=ring.event("driver", access.write))
    if row.sample is not None and row.sample[1] == R.RING_USED_IDX:
        return replace(row, step="flags of the oldest descriptor", access=ring.flags(R.LAST_USED_IDX))
    if access.stride:
        return replace(row, step="id of a used descriptor", access=ring.descriptor(R.LAST_USED_IDX))
    return replace(row, step="device event structure", access=ring.event("device", write=False))


def _behind_last_check(jump: Jump) -> Jump:
    """Whether anything is unpublished becomes: whether anything was published behind the last kick check."""
    if (jump.left, jump.right) == (R.AVAIL_IDX_SHADOW, R.RING_AVAIL_IDX):
        return replace(jump, right=R.KICK_CHECKED_IDX)
    return jump
