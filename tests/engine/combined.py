"""Scenarios that combine features across kinds: any shipped scenario with any keys set anew, as far as it is accepted.

`python -m tests.engine.combined --first 0 --count 10000` runs each on both engines and compares everything; a number is
a scenario for ever, so that a run which was stopped goes on where it was, and one that failed can be looked at alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sim.config import ConfigError, Scenario, load_scenario
from sim.config.loading import paths
from tests.engine.scenarios import MOST_ACTORS, Case

Draw = Callable[[random.Random], object]

#: Refusals after which a number is given up; each drops a key, so that few are.
_TRIES = 60
_CHUNK = 50


def _any(*values: object) -> Draw:
    return lambda draw: draw.choice(values)


def _whole(least: int, most: int) -> Draw:
    """Small numbers as often as large ones."""
    return lambda draw: min(most, least + int((most - least + 1) ** draw.random()) - 1)


_flag = _any("true", "false")
_cost = _any(0, 1, 45, 250, 2000)


def _load(draw: random.Random) -> str:
    kind, pps = draw.choice(["constant", "poisson", "on-off", "saturate"]), draw.choice([2e5, 2e6, 1e7, 5e7])
    if kind == "saturate":
        return kind
    bursts = f", on_us: {draw.choice([5, 50])}, off_us: {draw.choice([0, 20, 300])}" if kind == "on-off" else ""
    return f"{{kind: {kind}, pps: {pps:.1f}, backlog: {draw.choice([1, 7, 512])}{bursts}}}"


def _mix(draw: random.Random) -> str:
    sizes = draw.sample([14, 60, 64, 65, 594, 700, 1514, 3000, 9000], draw.randint(1, 4))
    return f"{{bytes: {sizes}, weights: {[draw.choice([0.5, 1, 4, 7]) for _ in sizes]}}}"


#: Every key that changes which rows run, who waits for whom, or where a line lies.
FEATURES: dict[str, Draw] = {
    "kernel": lambda draw: draw.choice(sorted(paths.names("kernel"))),
    "cpu": lambda draw: draw.choice(sorted(paths.names("cpu"))),
    "access": lambda draw: draw.choice(sorted(paths.names("access"))),
    "cpu.next_line_prefetch": lambda draw: str(draw.choice([0, 0.5, 1])),
    "mitigations.smap": _flag,
    "mitigations.spectre_v1": _flag,
    "mitigations.hardened_usercopy": _flag,
    "mitigations.retpoline": _flag,
    "mitigations.pti": _flag,
    "mitigations.ibrs": _flag,
    "mitigations.bhi": _flag,
    "mitigations.mds": _flag,
    "mitigations.spec_rstack_overflow": _flag,
    "mitigations.retbleed": _flag,
    "virtqueue.layout": _any("split", "packed"),
    "virtqueue.size": lambda draw: draw.choice([1 << draw.randint(0, 11), draw.randint(1, 700)]),
    "virtqueue.event_idx": _flag,
    "virtqueue.indirect": _flag,
    "virtqueue.descriptors_per_packet": _whole(1, 16),
    "virtqueue.packed_access": _any("rfc", "ideal"),
    "virtqueue.in_order": _flag,
    "virtqueue.in_order_device": _any("full", "avail", "used"),
    "virtqueue.iotlb": _flag,
    "virtqueue.iotlb_cache": _flag,
    "virtqueue.iotlb_entries": _any(1, 64, 2048),
    "virtqueue.iotlb_updates_per_second": _any(0, 3e4, 1e6),
    "virtqueue.iotlb_misses_per_second": _any(0, 3e4, 1e6),
    "driver.kind": _any("virtio-user", "virtio-net", "lockstep", "xsk"),
    "driver.burst": _whole(1, 256),
    "driver.packet_cost": _cost,
    "driver.stack_cost": _cost,
    "driver.pktgen_cost": _cost,
    "driver.byte_cost": _any(0, 0.1),
    "driver.sender": _any("pktgen", "socket"),
    "driver.napi_tx": _flag,
    "driver.in_vm": _flag,
    "driver.scatter_bytes": _any(256, 4096),
    "driver.free_threshold": _any(0, 1, 32, 256),
    "device.kind": _any("vhost_net", "vhost_net", "qemu"),
    "device.element_instructions": _any(0, 800),
    "device.loop_instructions": _any(0, 1500),
    "device.direction": _any("tx", "rx"),
    "device.batch": _whole(1, 1024),
    "device.zerocopy_tx": _flag,
    "device.max_pending": _any(1, 5, 128),
    "device.xdp_batching": _flag,
    "device.sndbuf_limited": _flag,
    "device.busyloop_timeout_us": _any(0, 1, 30),
    "device.poll_pause": _any(0, 40, 500),
    "device.schedule_out": _flag,
    "device.reuse_bytes_per_packet": _any(64, 1024, 1e5),
    "backend.kind": _any(
        *("tap-xdp-drop", "tap-xdp-pass", "tap-xdp-redirect", "tap-skb", "tap-bridge", "tap-down"),
        *("tap-tc-drop", "tap-tc-redirect", "tap-ovs", "macvtap"),
    ),
    "backend.port": _any("nic", "veth", "dummy"),
    "backend.rx_frames": _any(0, 64),
    "backend.doorbell_cost": _cost,
    "backend.line_gbps": _any(1, 10, 400),
    "backend.mtu_bytes": _any(68, 1500, 9000),
    "backend.queue": _any(1, 3, 1024),
    "backend.stack_cost": _cost,
    "backend.receiver_cost": _cost,
    "backend.receiver_byte_cost": _any(0, 0.1),
    "receive.mergeable": _flag,
    "receive.buffer_bytes": _any(64, 256, 1526, 2048, 65550),
    "receive.ring_batch": _any(1, 5, 64),
    "receive.read_bytes": _any(0, 42, "full"),
    "receive.source.kind": _any("skb", "xdp_frame"),
    "receive.source.queue": _any(2, 31, 32, 500),
    "receive.source.burst": _any(1, 16),
    "receive.source.packet_cost": _any(0, 100, 3000),
    "placement.smt_siblings": _flag,
    "placement.same_socket": _flag,
    "placement.numa_rebalancing": _flag,
    "placement.idle_state": _any("poll", "c1", "c1e", "c6"),
    "placement": _any("{preempted_us: 3, preempted_every_us: 20}", "{preempted_us: 50, preempted_every_us: 60}"),
    "queues.pairs": _whole(1, 8),
    "queues.workers": _any("shared", "each"),
    "queues.cores": _any(1, 2),
    "memory.guest_pages": _any("4k", "2m", "1g"),
    "memory.invalidations_per_second": _any(0, 2e3, 1e5),
    "memory.invalidation_window": _any(0, 1, 20),
    "memory.locked_limit_kib": _any(0, 64, 8192),
    "traffic.packet_bytes": lambda draw: draw.choice(
        [14, 64, 65, 700, 1518, 3380, 9000, 65535, draw.randint(14, 4000)]
    ),
    "traffic.mix": _mix,
    "traffic.dirty_bytes": _any(0, 42, "full"),
    "traffic.load": _load,
    "driver.interrupts": _flag,
    "virtqueue.memory_regions": _any(1, 3, 64),
    "receive.source.when_full": _any("drop", "wait"),
    "receive.source.senders": _whole(1, 8),
    "driver.forwards": _flag,
    "driver.ports": _any(1, 2),
    "driver.route_cost": _cost,
    "traffic.application": _any("none", "tcp-stream", "tcp-rr", "udp"),
    "traffic.message_bytes": _any(40, 64, 700, 1448, 4000, 20000, 65536),
    "traffic.sessions": _whole(1, 8),
    "sockets.reads": _any("message", "packet"),
    "sockets.selects": _flag,
    "sockets.window": _any(130320, 1 << 20, 1 << 24),
    "sockets.asked": _any(1, 2, 3, 8),
    "kernel.behaviour.init_on_alloc": _flag,
    "kernel.behaviour.memory_cgroups": _flag,
}


@dataclass(frozen=True)
class Combined:
    """One scenario that was accepted: what it is made of, and the case for both engines."""

    base: str
    overrides: tuple[str, ...]
    case: Case


@cache
def _bases() -> tuple[str, ...]:
    return tuple(sorted(paths.names("scenario")))


def combined(number: int) -> Combined | None:
    """Return scenario `number`; None where nothing that it draws is accepted."""
    draw = random.Random(number)
    base = draw.choice(_bases())
    keys = draw.sample(list(FEATURES), draw.randint(3, 20))
    chosen = [f"{key}={FEATURES[key](draw)}" for key in keys]
    run = [f"run.packets={_whole(1, 600)(draw)}", f"run.seed={draw.getrandbits(63)}", "run.precision=0"]
    order = list(range(MOST_ACTORS))
    draw.shuffle(order)
    ties: dict[str, Any] = {"order": tuple(order), "fuzz": draw.choice([0, 0, draw.randint(1, 5)])}
    apart, latencies = draw.random() < 0.3, _latencies(draw)
    for _ in range(_TRIES):
        try:
            scenario = load_scenario(base, overrides=[*chosen, *run])
            case = Case(_smallest(scenario), scenario.access[0].name, apart, latencies=latencies, **ties)
            _ = case.plan
            return Combined(base, tuple(chosen), case)
        except ConfigError as refusal:
            if not chosen:
                return None
            chosen.remove(_culprit(refusal, chosen, draw))
    return None


def _latencies(draw: random.Random) -> dict[str, int]:
    """Latencies of no CPU in some cases: around hidden times and costs of rows, in any order."""
    if draw.random() < 0.7:
        return {}
    most = {
        "near_hit_ps": 20_000,
        "far_hit_ps": 20_000,
        "transfer_ps": 100_000,
        "clean_ps": 50_000,
        "prefetched_ps": 120_000,
    }
    drawn = {name: draw.randint(0, limit) for name, limit in (most | {"stream_ps": 30_000}).items()}
    return drawn | {"store_buffer": draw.randint(1, 60)}


def _smallest(scenario: Scenario) -> Scenario:
    """Return the scenario with one size: most shipped ones have many."""
    traffic = scenario.traffic.model_copy(update={"packet_bytes": scenario.traffic.packet_bytes[:1]})
    return scenario.model_copy(update={"traffic": traffic})


def _culprit(refusal: ConfigError, chosen: list[str], draw: random.Random) -> str:
    """Return the assignment that a refusal names, else any."""
    named = refusal.given or f"{refusal.key}="
    return next((assignment for assignment in chosen if assignment.startswith(named)), draw.choice(chosen))


# -- many of them -----------------------------------------------------------------------------------------------------


def run_numbers(numbers: range) -> dict[str, Any]:
    """Compare both engines on scenarios by number; return how many ran, and those that failed with the reason."""
    from tests.engine.test_same_trace import assert_same

    started, ran, features, failures = time.monotonic(), 0, 0, {}
    for number in numbers:
        try:
            scenario = combined(number)
            if scenario is None:
                continue
            ran, features = ran + 1, features + len(scenario.overrides)
            assert_same(scenario.case)
        except Exception:
            failures[number] = traceback.format_exc(limit=-3)
    seconds = round(time.monotonic() - started, 1)
    return {
        "first": numbers.start,
        "behind": numbers.stop,
        "ran": ran,
        "features": features,
        "seconds": seconds,
        "failures": failures,
    }


def _left(first: int, count: int, done: list[dict[str, Any]]) -> Iterator[range]:
    """Yield pieces of the numbers that no earlier run has finished."""
    finished = {number for piece in done for number in range(piece["first"], piece["behind"])}
    for start in range(first, first + count, _CHUNK):
        piece = range(start, min(start + _CHUNK, first + count))
        if not finished.issuperset(piece):
            yield piece


def main(arguments: list[str] | None = None) -> int:
    """Run scenarios by number and keep what came of them; return the exit code."""
    parser = argparse.ArgumentParser(description="Compare both engines on generated scenarios.")
    parser.add_argument("--first", type=int, default=0, help="number of the first scenario")
    parser.add_argument("--count", type=int, default=10_000, help="how many numbers")
    parser.add_argument(
        "--record", type=Path, default=Path("out/same-trace.jsonl"), help="what was done; it is gone on from"
    )
    chosen = parser.parse_args(arguments)
    chosen.record.parent.mkdir(parents=True, exist_ok=True)
    lines = chosen.record.read_text(encoding="utf-8").splitlines() if chosen.record.exists() else []
    done = [json.loads(line) for line in lines]
    for piece in _left(chosen.first, chosen.count, done):
        done.append(run_numbers(piece))
        with chosen.record.open("a", encoding="utf-8") as record:
            record.write(json.dumps(done[-1]) + "\n")
        if sys.stderr.isatty():
            print(f"\r{done[-1]['behind'] - chosen.first} of {chosen.count}", end="", file=sys.stderr)
    ran, seconds = sum(piece["ran"] for piece in done), sum(piece["seconds"] for piece in done)
    failures = {number: reason for piece in done for number, reason in piece["failures"].items()}
    mean = sum(piece["features"] for piece in done) / max(1, ran)
    print(
        f"{ran} scenarios with {mean:.1f} keys each, {seconds:.0f} s on {platform.machine()}: {len(failures)} differed"
    )
    for number, reason in failures.items():
        print(f"--- {number}\n{reason}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
