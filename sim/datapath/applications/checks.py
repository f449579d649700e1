"""What an application is not modelled with, said before anything is built."""

from __future__ import annotations

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath.applications.messages import is_application


def check_application(scenario: Scenario) -> None:
    """Raise ConfigError for what an application is not modelled with."""
    if not is_application(scenario):
        return
    device, queue, application = scenario.device, scenario.virtqueue, scenario.traffic.application
    receives = device.direction == "rx"
    if device.kind != "vhost_net" or scenario.driver.kind != "virtio-net":
        raise ConfigError("an application is modelled above virtio-net and vhost_net", key="traffic.application")
    odd = {
        "backend.kind": not receives and scenario.backend.kind != "tap-skb",
        "receive.source.kind": receives and scenario.receive.source.kind != "skb",
        "virtqueue.layout": queue.layout == "packed",
        "device.zerocopy_tx": device.zerocopy_tx,
        "queues": scenario.queues.per_core > 1,
        "memory.invalidations_per_second": scenario.memory.invalidations_per_second > 0,
        "traffic.sessions": receives and scenario.traffic.sessions > 1,
    }
    for key in (key for key, on in odd.items() if on):
        raise ConfigError(f"is not modelled with traffic.application {application}", key=key)
    if receives and application != "tcp-stream":
        raise ConfigError(f"{application} is modelled from guest to host only", key="traffic.application")
