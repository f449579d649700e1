"""What cannot be built is refused before anything is priced; and what the size of a packet does to its chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath.applications.placing import check_application
from sim.datapath.devices.qemu import check_emulates
from sim.datapath.devices.tap_write import check_writes
from sim.datapath.devices.vhost_user import check_polls
from sim.datapath.forwarding import Forwarding, check_forwards
from sim.datapath.host.behind import check_gathers
from sim.datapath.host.interference import message_rates
from sim.datapath.host.senders import check_senders
from sim.datapath.memory.receive_memory import check_receives
from sim.datapath.memory.rings import ring_of
from sim.datapath.memory.xsk_rings import check_sockets
from sim.datapath.vhost_net.path import largest_xdp_packet, transmit_path
from sim.datapath.vhost_net.zerocopy import keeps_pages


def check(scenario: Scenario, packet_bytes: int) -> None:
    """Raise ConfigError for sections of a scenario that do not go together, at one size or for the sizes of its mix."""
    device, mix = scenario.device, scenario.traffic.mix
    sizes = [packet_bytes] if mix is None else mix.bytes
    check_application(scenario)
    if scenario.driver.forwards:
        check_forwards(scenario, sizes)
        rings = Forwarding.of(scenario)
        check_receives(rings.receive.scenario, sizes)
        check_senders(scenario)
        _check_transmits(rings.transmit.scenario, sizes)
        return
    _check_queues(scenario)
    _check_interrupts(scenario)
    _check_zeroing(scenario)
    _check_variants(scenario)
    if device.kind != "vhost_net" or device.direction == "rx":
        _check_simple_ring(scenario)
    if device.kind == "tap_write":
        check_writes(scenario)
    elif device.kind == "qemu":
        check_emulates(scenario)
    elif device.kind == "vhost_user":
        check_polls(scenario)
    elif device.kind == "af_xdp":
        check_sockets(scenario)
    if scenario.backend.kind == "tap-down" and device.kind != "tap_write":
        raise ConfigError("goes with device.kind tap_write only", key="backend.kind")
    if device.direction == "rx" and device.kind != "af_xdp":
        check_receives(scenario, sizes)
        check_senders(scenario)
    elif device.kind == "vhost_net":
        _check_transmits(scenario, sizes)


def remarks(scenario: Scenario) -> tuple[str, ...]:
    """Say what of a scenario cannot be as it is written, and what is done in its place."""
    burst, ring = scenario.driver.burst, ring_of(scenario.virtqueue)
    if burst <= ring.packets or scenario.device.kind == "tap_write":
        return ()
    return (f"driver.burst: {burst} packets do not fit a ring of {ring.packets}: an index write publishes fewer",)


#: What the size of a packet changes in a scenario.
OF_SIZE = ("virtqueue.descriptors_per_packet", "virtqueue.indirect")


def at_size(scenario: Scenario, packet_bytes: int) -> Scenario:
    """Return the scenario with the descriptors that packets of one size take.

    A large packet lies in further descriptors where the driver scatters it; virtio_net uses an indirect table only for
    more than one.
    """
    queue = scenario.virtqueue
    if scenario.device.direction == "rx" or scenario.device.kind == "tap_write":
        return scenario
    descriptors = queue.descriptors_per_packet + scenario.driver.further_descriptors(packet_bytes)
    indirect = not (scenario.driver.kind == "virtio-net" and descriptors == 1) and queue.indirect
    if not indirect and descriptors > queue.size:
        raise ConfigError(
            f"{packet_bytes} bytes scattered over pages take a chain of {descriptors} descriptors, "
            f"which does not fit a queue of {queue.size}",
            key="virtqueue.size",
        )
    names = (key.removeprefix("virtqueue.") for key in OF_SIZE)
    changed = queue.model_copy(update=dict(zip(names, (descriptors, indirect), strict=True)))
    return scenario.model_copy(update={"virtqueue": changed})


def _check_queues(scenario: Scenario) -> None:
    """Refuse what several queues on one core cannot be combined with."""
    if scenario.queues.per_core == 1:
        return
    if scenario.traffic.load.kind != "saturate" or scenario.traffic.mix is not None:
        raise ConfigError("several queues on one core take a saturating load of one packet size", key="queues")
    if scenario.device.kind != "vhost_net" or scenario.device.direction == "rx":
        raise ConfigError("several queues on one core are modelled for vhost_net transmit only", key="queues")
    if scenario.device.busyloop_timeout_us:
        raise ConfigError("a worker that serves several queues is not modelled with busy polling", key="queues")
    if any(message_rates(scenario)):
        raise ConfigError("several queues on one core do not go with invalidations or IOTLB messages", key="queues")


def _check_interrupts(scenario: Scenario) -> None:
    """Refuse a call at every flush where another driver or ring decides about calls."""
    counted = (scenario.driver.kind, scenario.device.kind, scenario.device.direction, scenario.virtqueue.layout)
    if scenario.driver.interrupts and counted != ("lockstep", "vhost_net", "tx", "split"):
        raise ConfigError(
            "is modelled for driver.kind lockstep that transmits on a split ring of vhost_net", key="driver.interrupts"
        )


def _check_zeroing(scenario: Scenario) -> None:
    """Refuse zeroing by kernels that do not have it."""
    kernel = scenario.kernel
    if kernel.behaviour.init_on_alloc and "zeroing" not in kernel.accessors:
        raise ConfigError(
            f"{kernel.name} has no init_on_alloc (v5.3 and later do)", key="kernel.behaviour.init_on_alloc", got=True
        )


#: Devices that do not reach their ring by the accessors of a kernel: why, and the variant that they are.
_WITHOUT_ACCESSORS = {
    "qemu": ("QEMU is no kernel", "user_ring"),
    "vhost_user": ("rte_vhost is no kernel", "plain"),
    "af_xdp": ("the rings of an AF_XDP socket are the kernel's own memory", "plain"),
}


def _check_variants(scenario: Scenario) -> None:
    """Refuse variants of a kernel's accessors where none stands between a device and its ring."""
    why, own = _WITHOUT_ACCESSORS.get(scenario.device.kind, ("", ""))
    wrong = [variant.name for variant in scenario.access if variant.role == "variant"]
    if why and wrong:
        raise ConfigError(f"{why}, and needs none of it: access '{own}'", key="access", got=wrong[0])
    mapped = [variant.name for variant in scenario.access if variant.mapping.pages != "user"]
    if scenario.device.kind == "tap_write" and mapped:
        raise ConfigError("tap_write has no ring to map: access 'copy_user'", key="access", got=mapped[0])


def _check_simple_ring(scenario: Scenario) -> None:
    """Refuse what is modelled for vhost_net transmit only."""
    queue, device = scenario.virtqueue, scenario.device
    setting = f"device.kind {device.kind}" if device.kind != "vhost_net" else "device.direction rx"
    writes = device.kind == "tap_write"
    into_tap = writes or (device.kind == "qemu" and device.direction == "tx")
    odd = {
        "device.direction": writes and device.direction == "rx",
        "virtqueue.layout": queue.layout == "packed" and device.kind not in ("vhost_user", "qemu"),
        "virtqueue.in_order": queue.in_order and device.kind in ("af_xdp", "tap_write"),
        "device.zerocopy_tx": device.zerocopy_tx,
        "device.busyloop_timeout_us": device.busyloop_timeout_us > 0,
        "device.schedule_out": device.schedule_out,
        "device.sndbuf_limited": device.sndbuf_limited and not into_tap,
    }
    if device.kind != "vhost_net":
        odd["virtqueue.iotlb"] = queue.iotlb
        odd["virtqueue.memory_regions"] = queue.memory_regions > 1
        odd["memory.invalidations_per_second"] = scenario.memory.invalidations_per_second > 0
        odd["placement.preempted_us"] = scenario.placement.preempted_us > 0
    for key in (key for key, on in odd.items() if on):
        raise ConfigError(f"is not modelled with {setting}", key=key)


def _check_transmits(scenario: Scenario, sizes: Sequence[int]) -> None:
    mix = scenario.traffic.mix
    check_gathers(scenario, all(transmit_path(scenario, size).looks_ahead for size in sizes))
    if scenario.virtqueue.in_order and scenario.device.zerocopy_tx and keeps_pages(scenario):
        raise ConfigError(
            f"zero copy and {scenario.backend.kind} give buffers back out of order", key="virtqueue.in_order"
        )
    if mix is not None:
        paths = {replace(transmit_path(scenario, size), packet_bytes=0) for size in mix.bytes}
        if len(paths) > 1 or any(path.zerocopy or path.buffer == "alloc" for path in paths):
            raise ConfigError(
                f"all sizes of a mix have to fit an XDP buffer (at most "
                f"{largest_xdp_packet(scenario.kernel.behaviour, scenario.backend.runs_xdp)} bytes on "
                f"{scenario.kernel.name}) and be copied; simulate the others one by one",
                key="traffic.mix",
            )
        if scenario.driver.scatter_bytes is not None:
            raise ConfigError("not with traffic.mix, whose sizes have chains of one length", key="driver.scatter_bytes")
    fragments = (transmit_path(scenario, size).fragment(scenario) for size in sizes)
    small = next((fragment for fragment in fragments if fragment is not None and not fragment.buffers), None)
    if small is not None:
        raise ConfigError(
            f"a frame of {small.packet_bytes} bytes takes {small.buffer_bytes} bytes of a page fragment",
            key="kernel.behaviour.page_frag_bytes",
            got=scenario.kernel.behaviour.page_frag_bytes,
        )
    ring = ring_of(scenario.virtqueue)
    if scenario.driver.kind == "lockstep" and scenario.driver.burst > ring.packets:
        raise ConfigError(f"{scenario.driver.burst} packets do not fit a ring of {ring.packets}", key="driver.burst")
    if scenario.driver.kind == "lockstep" and scenario.traffic.load.kind != "saturate":
        raise ConfigError("the lockstep driver sets its own pace; only saturate is accepted", key="traffic.load")
