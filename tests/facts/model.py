"""Plans and runs of the model in the configurations of the facts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from sim.config import Scenario, load_scenario
from sim.config.loading import paths
from sim.datapath import Plan, build_plan
from sim.engine.fast import FastEngine
from sim.engine.machine import Count
from sim.study.questions.explain import Counts, count_primitives

OLD = ("v4.20", "v5.0", "v5.2", "v5.3")
NEW = ("v6.1", "v6.12", "v7.3")
KERNELS = (*OLD, *NEW)

#: executed-counts.md: v5.0 and v5.2.1 were built with retpolines and without HARDENED_USERCOPY, distribution kernels
#: have HARDENED_USERCOPY and ran with mitigations off. FSRM was exposed to all of them: sapphire-rapids has it.
COUNTED_OLD = ("mitigations.hardened_usercopy=false", "mitigations.retpoline=true")
COUNTED_NEW = ("mitigations.hardened_usercopy=true", "mitigations.retpoline=false")

EVERY_ACCESS = f"access={','.join(sorted(paths.names('access')))}"

#: The receive scenario of the executed counts: frames come one by one and wait until buffers are posted.
RECEIVE = ("device.direction=rx", "receive.source.packet_cost=10000")

HARDENED = ("mitigations.hardened_usercopy=true",)
WITH_FSRM, WITHOUT_FSRM = ("cpu=sapphire-rapids",), ("cpu=broadwell-2.6ghz",)


def as_counted(kernel: str) -> tuple[str, ...]:
    """Overrides that give the configuration in which a kernel was counted, with a bare XDP_DROP."""
    counted = COUNTED_OLD if kernel in OLD else COUNTED_NEW
    return (*WITH_FSRM, *counted, "backend.program_instructions=0")


def queue(*, event_idx: bool = False, indirect: bool = False, descriptors: int = 1) -> tuple[str, ...]:
    """Overrides that set the virtqueue's features."""
    return (
        f"virtqueue.event_idx={str(event_idx).lower()}",
        f"virtqueue.indirect={str(indirect).lower()}",
        f"virtqueue.descriptors_per_packet={descriptors}",
    )


def lockstep(burst: int) -> tuple[str, ...]:
    """Overrides for the driver of the executed counts: publish a batch, kick once, wait until all are used."""
    return ("driver.kind=lockstep", f"driver.burst={burst}")


@cache
def scenario(kernel: str, overrides: tuple[str, ...]) -> Scenario:
    """Load the seed scenario on a kernel."""
    return load_scenario("virtio-user-xdp1-tap", overrides=(f"kernel={kernel}", EVERY_ACCESS, *overrides))


@cache
def plan(kernel: str, access: str, overrides: tuple[str, ...], packet_bytes: int = 64) -> Plan:
    """Build a plan in which every row is a segment of its own."""
    return build_plan(scenario(kernel, overrides), access, packet_bytes, apart=True)


@cache
def counts(kernel: str, access: str, overrides: tuple[str, ...]) -> Counts:
    """Count primitives by family and scope, as `explain` shows them."""
    return count_primitives(plan(kernel, access, overrides))


@dataclass(frozen=True)
class Executed:
    """What the worker executed over a number of packets of a run."""

    packets: int
    primitives: dict[str, float]
    instructions: float
    returns: float

    def per_packet(self, primitive: str) -> Fraction:
        """Executions of a primitive per packet, exactly."""
        return Fraction(self.primitives.get(primitive, 0)) / self.packets

    @property
    def instructions_per_packet(self) -> float:
        """Instructions inside the handler per packet."""
        return self.instructions / self.packets

    @property
    def returns_per_packet(self) -> float:
        """Returns inside the handler per packet."""
        return self.returns / self.packets


@cache
def executed(
    kernel: str, access: str, overrides: tuple[str, ...], packets: int, packet_bytes: int = 64, warmup: int = 256
) -> Executed:
    """Run and count over `packets` packets behind the warm-up.

    As in the facts, count(warmup + packets) - count(warmup), both taken at the flush that uses the last packet. Give
    whole laps of the ring and whole batches, and whole page fragments where instructions matter.
    """
    built = plan(kernel, access, overrides, packet_bytes)
    engine = FastEngine(built, checkpoint_packets=10**9)
    engine.run(warmup)
    before = engine.machine.counts.copy()
    engine.run(warmup + packets)
    counted = (engine.machine.counts - before)[:, [Count.EXECUTIONS, Count.UNITS]].tolist()
    primitives: dict[str, float] = {}
    instructions = returns = 0.0
    for segment in built.segments:
        (number,) = segment.rows
        row = built.rows[number]
        if row.actor != "worker":
            continue
        times, units = counted[segment.index]
        for components, factor in ((row.components, times), (row.unit_components, units)):
            for component in components:
                name = component.primitive
                primitives[name] = primitives.get(name, 0) + component.count * factor
        instructions += row.instructions * times + row.unit_instructions * units
        returns += row.returns * (units if row.per_unit else times)
    return Executed(packets, primitives, instructions, returns)


@cache
def worker_rows(
    kernel: str, access: str, overrides: tuple[str, ...], packets: int, packet_bytes: int = 64
) -> tuple[str, ...]:
    """Labels of the rows that the worker ends, in order, until `packets` packets are used."""
    built = plan(kernel, access, overrides, packet_bytes)
    engine = FastEngine(built, checkpoint_packets=10**9)
    engine.trace = []
    engine.run(packets)
    rows = (built.rows[built.segments[step.segment].rows[0]] for step in engine.trace)
    return tuple(row.label for row in rows if row.actor == "worker")
