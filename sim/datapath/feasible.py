"""What cannot be built is refused before anything is priced; and what the size of a packet does to its chain."""

from __future__ import annotations

from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario import Scenario
from sim.datapath.page_frag import largest_xdp_packet
from sim.datapath.rings import ring_of
from sim.datapath.storms import message_rates
from sim.datapath.worker.path import transmit_path


def check(scenario: Scenario) -> None:
    """Raise ConfigError for what the sections of a scenario cannot be combined to."""
    _check_queues(scenario)
    _check_fits(scenario)


def at_size(scenario: Scenario, packet_bytes: int) -> Scenario:
    """Return the scenario with the descriptors that packets of one size take.

    A large packet lies in further descriptors where the driver scatters it; virtio_net uses an indirect table only for
    more than one.
    """
    queue = scenario.virtqueue
    descriptors = queue.descriptors_per_packet + scenario.driver.further_descriptors(packet_bytes)
    indirect = queue.indirect and not (scenario.driver.kind == "virtio-net" and descriptors == 1)
    if not indirect and descriptors > queue.size:
        raise ConfigError(
            f"virtqueue.size: {packet_bytes} bytes scattered over pages take a chain of {descriptors} descriptors, "
            f"which does not fit a queue of {queue.size}"
        )
    changed = queue.model_copy(update={"descriptors_per_packet": descriptors, "indirect": indirect})
    return scenario.model_copy(update={"virtqueue": changed})


def _check_queues(scenario: Scenario) -> None:
    """Refuse what several queues on one core cannot be combined with."""
    if scenario.queues.per_core == 1:
        return
    if scenario.traffic.load.kind != "saturate" or scenario.traffic.mix is not None:
        raise ConfigError("queues: several queues on one core take a saturating load of one packet size")
    if any(message_rates(scenario)):
        raise ConfigError("queues: several queues on one core cannot be combined with invalidations or IOTLB messages")


def _check_fits(scenario: Scenario) -> None:
    mix = scenario.traffic.mix
    if mix is not None:
        paths = {replace(transmit_path(scenario, size), packet_bytes=0) for size in mix.bytes}
        if len(paths) > 1 or any(path.zerocopy or path.buffer == "alloc" for path in paths):
            raise ConfigError(
                f"traffic.mix: all sizes of a mix have to fit an XDP buffer (at most "
                f"{largest_xdp_packet(scenario.kernel.behaviour, scenario.backend.runs_xdp)} bytes on "
                f"{scenario.kernel.name}) and be copied; simulate the others one by one"
            )
        if scenario.driver.scatter_bytes is not None:
            raise ConfigError(
                "driver.scatter_bytes: not with traffic.mix; the sizes of a mix have chains of one length"
            )
    ring = ring_of(scenario.virtqueue)
    if scenario.driver.kind == "lockstep" and scenario.driver.burst > ring.packets:
        raise ConfigError(f"driver.burst: {scenario.driver.burst} packets do not fit a ring that holds {ring.packets}")
    if scenario.driver.kind == "lockstep" and scenario.traffic.load.kind != "saturate":
        raise ConfigError("traffic.load: the lockstep driver sets its own pace; only saturate is accepted")
