"""The packed ring (kernel-accesses.md B.6): the same handlers and drivers, other accesses.

Steps are written for the split ring. Here stands, access by access, what takes the place of each on a packed ring: the
step keeps its work (its count less the split accessor that is in it, `Step.counted_accessor`) and executes packed
accessors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import PACKED_FLAGS, PackedRing
from sim.datapath.plan.registers import Condition, R
from sim.datapath.plan.step import Anchor, Jump, Step

_SPLIT_REGIONS = ("desc", "avail", "used")
_EVENT_WRITES = ("used_flags_write", "avail_event_write")
_CHECKS = ("avail_flags_read", "used_event_read")
_USED = ("used_elements_write", "used_element_write", "used_head_write")
#: In the kernels' tables, too.
_SIGNAL = "unheard_signal"
#: A fetch that finds its chain not available ends there.
_NONE_AVAILABLE = Jump(Anchor.RING_EMPTY, R.AVAIL_IDX.equals(R.LAST_AVAIL_IDX))
#: Anything unpublished? On a packed ring: was anything published behind the last kick check?
_UNPUBLISHED = R.AVAIL_IDX_SHADOW.equals(R.RING_AVAIL_IDX)
_BEHIND_LAST_CHECK = R.AVAIL_IDX_SHADOW.equals(R.KICK_CHECKED_IDX)


def packed_steps(scenario: Scenario, ring: PackedRing, steps: list[Step]) -> list[Step]:
    """Return the steps of handlers and drivers on a packed ring.

    Raises ConfigError for a step with an access that is not translated here.
    """
    as_rfc = scenario.device.kind == "vhost_net" and scenario.virtqueue.packed_access == "rfc"
    device = _Device(ring, as_rfc)
    packed: list[Step] = []
    for step in steps:
        packed += device.steps(step) if step.actor == "worker" else [_driver_step(ring, step)]
    for step in packed:
        if step.access is not None and step.access.region in _SPLIT_REGIONS:
            raise ConfigError(
                f"step '{step.label}' accesses the area '{step.access.region}', which a packed ring "
                "does not have, and nothing says what takes its place",
                key="virtqueue.layout",
            )
    return packed


class _Device:
    """The worker's steps on a packed ring; `rfc` as vhost's RFC accessed it, else with as few accesses as possible."""

    def __init__(self, ring: PackedRing, rfc: bool) -> None:
        self.ring = ring
        self.rfc = rfc

    def steps(self, step: Step) -> list[Step]:
        """Return what takes the place of one step of the split ring."""
        accessor = step.accessor
        if accessor == "avail_index_read":
            return self._probe(step)
        if accessor == "avail_entry_read":
            return self._head(step)
        if accessor == "descriptor_read" and step.access and step.access.region not in ("avail", "used"):
            return self._descriptor(step)
        if accessor in _USED:
            return [self._used(step)]
        if accessor == "used_index_write":
            flags = self.ring.flags(R.RING_USED_IDX, write=True)
            return [_instead(step, "packed_used_flags_write", title="flags of the first used descriptor", access=flags)]
        if accessor in _CHECKS:
            return self._check(step)
        if accessor in _EVENT_WRITES:
            event, title = self.ring.event("device", write=True), f"device event structure: {step.label}"
            return [_instead(step, "packed_device_event_write", title=title, access=event)]
        return [step]

    def _probe(self, step: Step) -> list[Step]:
        """An index read: the fetch of a chain finds out by itself, a recheck reads a descriptor."""
        if Anchor.REFILL in step.anchors:
            refill = Step(step.label, step.actor, "next descriptor", ("packet",), anchors=step.anchors)
            function = step.function or "vhost_get_vq_desc"
            return [replace(refill, function=function, sometimes="no chain is known of")]
        return self._read(step, R.LAST_AVAIL_IDX, 0, jumps=step.jumps)

    def _head(self, step: Step) -> list[Step]:
        """No avail ring: the descriptor says whether it is available, and the read of an empty ring ends here."""
        sampled = replace(step, sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), scopes=("packet", "drain"))
        return self._read(sampled, R.LAST_AVAIL_IDX, 0, jumps=(_NONE_AVAILABLE,))

    def _descriptor(self, step: Step) -> list[Step]:
        """The first descriptor of a chain has been read to see whether it is available; further ones are read here."""
        assert step.access is not None
        if step.access.plus == 0:
            return [replace(step, accessor=None, counted_accessor=step.accessor, access=None)]
        return self._read(step, R.LAST_AVAIL_IDX, step.access.plus, jumps=step.jumps)

    def _read(self, step: Step, position: R, number: int, jumps: tuple[Jump, ...]) -> list[Step]:
        """Read one descriptor: flags first and then the rest, or all at once. Work of the step goes with the first."""
        if not self.rfc:
            whole = self.ring.descriptor(position, number)
            return [_instead(step, "packed_whole_read", title="packed descriptor", access=whole, jumps=jumps)]
        access = self.ring.flags(position, number)
        flags = _instead(step, "packed_flags_read", title="flags of a packed descriptor", access=access, jumps=())
        rest = Step(f"{step.label}_rest", step.actor, "address, length and id of the descriptor", step.scopes)
        rest = replace(rest, function="vhost_get_vq_desc", accessor="packed_descriptor_read", jumps=jumps)
        return [flags, replace(rest, access=self.ring.descriptor(position, number, PACKED_FLAGS))]

    def _used(self, step: Step) -> Step:
        """One write per used buffer, not coalesced."""
        assert step.access is not None
        assert step.access.index is not None
        access = self.ring.used(step.access.index, step.access.count)
        counted = "packed_used" if step.counted_as else None  # a step without a count has none here either
        used = replace(step, counted_as=counted, accessor="packed_used_write", bytes=16, times=1)
        used = replace(used, title="used descriptors, one by one", access=access)
        if access.count is None:
            return used
        return replace(used, unit=step.unit if step.per_unit else access.count, per_unit=True, scopes=("packet",))

    def _check(self, step: Step) -> list[Step]:
        """The RFC reads no event structure and signals at every flush, a driver that waits for no call, too."""
        if not self.rfc:
            event = self.ring.event("driver", write=False)
            return [_instead(step, "packed_driver_event_read", title="driver event structure", access=event)]
        unread = replace(step, title="no look whether a call is wanted", accessor=None, access=None)
        unread = replace(unread, counted_accessor=step.accessor)
        if step.sample is not None:  # it decided about a call, whose step follows
            return [replace(unread, sample=None, jumps=())]
        signal = Step(_SIGNAL, step.actor, "signal an eventfd that nobody waits for", step.scopes, jumps=step.jumps)
        signal = replace(signal, function="eventfd_signal", counted_as=_SIGNAL)
        return [replace(unread, jumps=()), signal]


def _instead(step: Step, accessor: str, **fields: Any) -> Step:
    return replace(step, accessor=accessor, counted_accessor=step.accessor, **fields)


def _driver_step(ring: PackedRing, step: Step) -> Step:
    """Return a step of the driver with its access on the packed ring."""
    access = step.access
    step = replace(step, jumps=tuple(Jump(jump.target, _behind_last_check(jump.test)) for jump in step.jumps))
    if access is None or access.region in ring.regions():
        return step
    if access.region == "desc":  # a chain is available as soon as its first flags are written
        effects = (*step.effects, R.RING_AVAIL_IDX.copy(R.AVAIL_IDX_SHADOW))
        step = replace(step, title="write the descriptors, flags last", effects=effects)
        step = replace(step, marks="posted" if R.TAKEN.add() in effects else None)  # on receive it is an empty buffer
        return replace(step, access=ring.chain_write(R.AVAIL_IDX_SHADOW))
    if access.region == "avail":
        if any(effect.target == R.RING_AVAIL_IDX for effect in step.effects):
            return _published(step)
        if access.stride:
            return replace(step, title="no avail ring", access=None)
        return replace(step, title="driver event structure", access=ring.event("driver", access.write))
    if step.sample is not None and step.sample[1] == R.RING_USED_IDX:
        return replace(step, title="flags of the oldest descriptor", access=ring.flags(R.LAST_USED_IDX))
    if access.stride:
        return replace(step, title="id of a used descriptor", access=ring.descriptor(R.LAST_USED_IDX))
    return replace(step, title="device event structure", access=ring.event("device", write=False))


def _published(step: Step) -> Step:
    """Chains are available already; what is new at a kick check is what came behind the last one."""
    effects = tuple(effect for effect in step.effects if effect.target != R.RING_AVAIL_IDX)
    if R.OLD_AVAIL_IDX.copy(R.RING_AVAIL_IDX) in effects:
        effects = (R.OLD_AVAIL_IDX.copy(R.KICK_CHECKED_IDX), R.KICK_CHECKED_IDX.copy(R.RING_AVAIL_IDX))
    return replace(step, title="available already", access=None, effects=effects, marks=None)


def _behind_last_check(test: Condition | None) -> Condition | None:
    return _BEHIND_LAST_CHECK if test == _UNPUBLISHED else test
