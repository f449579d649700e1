"""A guest that forwards: frames of its receive ring go into its transmit ring, served by one worker or by two.

Each ring is built as if it were alone, in a bank of registers and in regions of its own; the guest goes from one to the
other. `device.direction` says at which ring packets are counted: steps of the other one are marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import Load
from sim.config.tables.quantity import note_as_read
from sim.datapath.host.interference import message_rates
from sim.datapath.host.queues import KICKED, MARK, Place, serve
from sim.datapath.memory.receive_memory import buffers_of
from sim.datapath.plan.program import entry_of, link
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step, Target

#: The receive ring has the first bank: what arrives is counted there.
BANKS = 2
WOKEN = ((R.KICKS, R.KICKS_SEEN), (R.WAKES, R.WAKES_SEEN))


@dataclass(frozen=True)
class RingAlone:
    """One of the two rings: the scenario in which it is alone, and where its steps stand."""

    scenario: Scenario
    place: Place
    name: str


@dataclass(frozen=True)
class Forwarding:
    """Both rings of a scenario whose guest forwards."""

    scenario: Scenario
    receive: RingAlone
    transmit: RingAlone

    @classmethod
    def of(cls, scenario: Scenario) -> Forwarding:
        """Part a scenario; each ring has its own direction.

        What the guest sends was written by the worker that received it: another one finds it in that one's cache.
        """
        counted, traffic = scenario.device.direction, scenario.traffic
        sent = {"load": Load(kind="saturate", pps=0.0)} | ({"dirty_bytes": "full"} if scenario.driver.ports > 1 else {})
        rings = []
        for bank, (name, changed) in enumerate((("rx", traffic), ("tx", traffic.model_copy(update=sent)))):
            device = scenario.device.model_copy(update={"direction": name})
            alone = scenario.model_copy(update={"device": device, "traffic": changed})
            rings.append(
                RingAlone(alone, Place(bank, "" if name == counted else f"{MARK}{name}", name == counted), name)
            )
        return cls(scenario, *rings)

    @property
    def rings(self) -> tuple[RingAlone, RingAlone]:
        """Both rings, in the order of their banks."""
        return self.receive, self.transmit

    @property
    def counted(self) -> RingAlone:
        """The ring at which packets are counted."""
        return next(ring for ring in self.rings if ring.place.counted)

    @property
    def bounding(self) -> tuple[str, ...]:
        """Actors that may bound the rate, the last on the way first: packets are lost at the TAP and in the guest."""
        if self.counted is self.receive:
            return "worker", "driver", "source"
        return "nic", "receiver", "worker", "driver", "worker.rx", "source"

    @property
    def note(self) -> str:
        """What rates and latencies are those of."""
        where = "come into the guest" if self.counted is self.receive else "leave the guest"
        return f"packets are counted where they {where}: rate and latency are that ring's, `ring` has empty buffers"

    def note_reads(self) -> None:
        """Let what was read of a ring's scenario be read of the whole one's."""
        for ring in self.rings:
            note_as_read(self.scenario.device, ring.scenario.device)
            note_as_read(self.scenario.traffic, ring.scenario.traffic)

    def workers(self, receiving: Sequence[Step], transmitting: Sequence[Step]) -> list[Step]:
        """Return the steps of the worker that serves both rings, or of two, the one that is counted first."""
        handlers = {"rx": (self.receive, receiving), "tx": (self.transmit, transmitting)}
        if self.scenario.driver.ports == 1:
            return serve([(self.transmit.place, transmitting, KICKED), (self.receive.place, receiving, WOKEN)])
        first = self.counted.name
        return [
            replace(step, actor=step.actor if name == first else f"{step.actor}.{name}")
            for name in (first, "tx" if first == "rx" else "rx")
            for step in _moved(handlers[name][1], handlers[name][0].place)
        ]

    def link_guest(self, receiving: list[Step], transmitting: list[Step]) -> tuple[list[Step], list[Step]]:
        """Return both halves of the guest with labels for anchors: each leads into the other."""
        sends = _Elsewhere(self.transmit.place.named(entry_of(transmitting, Anchor.BURST)))
        receives = _Elsewhere(self.receive.place.named(entry_of(receiving, Anchor.RECEIVE)))
        return link(receiving, {Anchor.FORWARD: sends}), link(transmitting, {Anchor.RECEIVE: receives})

    def others(self, ring: RingAlone, steps: Sequence[Step]) -> list[Step]:
        """Return steps of another actor than the worker in the place of a ring, telling the worker of both."""
        moved = _moved(steps, ring.place)
        signals = WOKEN if ring is self.receive else KICKED
        return [ring.place.signalling(step, signals) for step in moved] if self.scenario.driver.ports == 1 else moved


class _Elsewhere(str):
    """A label that stands where it says, whatever ring the jump to it belongs to."""


def _moved(steps: Sequence[Step], place: Place) -> list[Step]:
    def renamed(target: Target) -> str:
        return str(target) if isinstance(target, _Elsewhere) else place.named(str(target))

    return [place.moved(step, renamed) for step in steps]


def check_forwards(scenario: Scenario, sizes: Sequence[int]) -> None:
    """Raise ConfigError for what a guest that forwards is not modelled with."""
    device, queue, driver = scenario.device, scenario.virtqueue, scenario.driver
    odd = {
        "device.kind": device.kind != "vhost_net",
        "driver.kind": driver.kind not in ("virtio-user", "virtio-net"),
        "virtqueue.layout": queue.layout == "packed",
        "virtqueue.in_order": queue.in_order,
        "virtqueue.indirect": queue.indirect,
        "driver.scatter_bytes": driver.scatter_bytes is not None,
        "device.busyloop_timeout_us": device.busyloop_timeout_us > 0,
        "device.schedule_out": device.schedule_out,
        "queues": scenario.queues.pairs > 1,
        "traffic.mix": scenario.traffic.mix is not None,
        "memory.invalidations_per_second": message_rates(scenario)[0] > 0,
        "virtqueue.iotlb_updates_per_second": message_rates(scenario)[1] > 0,
        "virtqueue.iotlb_misses_per_second": message_rates(scenario)[2] > 0,
        "placement.preempted_us": scenario.placement.preempted_us > 0,
    }
    for key in (key for key, on in odd.items() if on):
        raise ConfigError("is not modelled with driver.forwards", key=key)
    if any(buffers_of(scenario, size) > 1 for size in sizes):
        raise ConfigError(
            f"a guest that forwards has packets of one buffer each, and {max(sizes)} bytes do not fit one of "
            f"{scenario.receive.buffer_bytes}",
            key="receive.buffer_bytes",
        )
