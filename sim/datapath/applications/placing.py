"""Where the parts of an application stand: above the driver, around the worker's handler, and behind the worker.

And what it is not modelled with.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath.applications.answers import AnswerRing, with_answers
from sim.datapath.applications.inbound import read_in_guest, with_acknowledgements
from sim.datapath.applications.messages import is_answered, is_application, payload
from sim.datapath.applications.reader import first_packets, readers
from sim.datapath.applications.sender import host_session, sessions
from sim.datapath.host.source import source_steps
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.plan.lock import producer_lock, transmit_lock
from sim.datapath.plan.plan import Plan
from sim.datapath.plan.step import Step


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
        "receive.source.senders": receives and scenario.receive.source.senders > 1,
        "driver.forwards": scenario.driver.forwards,
        "virtqueue.layout": queue.layout == "packed",
        "device.zerocopy_tx": device.zerocopy_tx,
        "queues": scenario.queues.per_core > 1,
        "memory.invalidations_per_second": scenario.memory.invalidations_per_second > 0,
    }
    for key in (key for key, on in odd.items() if on):
        raise ConfigError(f"is not modelled with traffic.application {application}", key=key)
    if receives and application != "tcp-stream":
        raise ConfigError(f"{application} is modelled from guest to host only", key="traffic.application")
    if receives and scenario.traffic.sessions > 1:
        raise ConfigError("several sessions are modelled from guest to host only", key="traffic.sessions")


def above_driver(scenario: Scenario, packet_bytes: int, driver: list[Step]) -> list[Step]:
    """Return the steps of the guest's CPUs: those of the driver, and of the application above it if there is one."""
    if not is_application(scenario):
        return driver
    if scenario.device.direction == "rx":
        return read_in_guest(scenario, ReceiveMemory(scenario, packet_bytes), driver)
    return sessions(scenario, driver)


def around_handler(scenario: Scenario, worker: list[Step]) -> list[Step]:
    """Return the worker's steps: those of its handler, and what it carries the other way for an application."""
    receives = scenario.device.direction == "rx"
    if not is_answered(scenario):
        return worker
    return with_acknowledgements(scenario, worker) if receives else with_answers(scenario, worker)


def behind_worker(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the application's processes on the host."""
    if scenario.device.direction == "rx":
        return host_session(scenario, source_steps(scenario, packet_bytes, below_sockets=True))
    return readers(scenario)


def with_application(scenario: Scenario, plan: Plan) -> Plan:
    """Give each session its registers, and answers a ring of their own whose calls are on."""
    if not is_application(scenario):
        return plan
    sessions = scenario.traffic.sessions
    regions = AnswerRing(scenario).regions() if is_answered(scenario) else {}
    locks = {**producer_lock().regions(), **transmit_lock().regions()} if sessions > 1 else {}
    return replace(
        plan,
        regions={**plan.regions, **regions, **locks},
        initial={**plan.initial, **first_packets(scenario)},
        banks=max(plan.banks, sessions),
        payload_bytes=payload(scenario),
        transactions=sessions if scenario.traffic.application == "tcp-rr" else 0,
    )
