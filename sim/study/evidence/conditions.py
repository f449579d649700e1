"""What was asked: the conditions under which an answer holds, and what the grades of its inputs are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.config.tables.calibration import Calibration
from sim.costs.recipes import without_effect, without_retpolines
from sim.study.evidence.envelope import way_of
from sim.study.runs.asked import first_point, unread
from sim.study.runs.case import value_of
from sim.study.uncertainty.distributions import calibration_of


@dataclass(frozen=True)
class Premise:
    """One condition: what it is called, how it reads, and its values by key."""

    name: str
    text: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Conditions:
    """Everything that a question fixes, of one scenario."""

    scenario: str
    rows: tuple[Premise, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"scenario": self.scenario, **{key: value for row in self.rows for key, value in row.values.items()}}


def conditions(scenario: Scenario, configs: Path | None = None) -> Conditions:
    """State what a scenario asks: CPU, kernel, mitigations, datapath, queues, sockets, traffic, calibration."""
    rows = (
        Premise("question", scenario.title or scenario.name, {"title": scenario.title}),
        _cpu(scenario),
        _kernel(scenario),
        _mitigations(scenario),
        _datapath(scenario),
        _queues(scenario),
        _sockets(scenario),
        _traffic(scenario),
        _load(scenario),
        _variants(scenario),
        _calibration(scenario, calibration_of(scenario, configs)),
    )
    return Conditions(scenario.name, rows)


def _titled(title: str, name: str) -> str:
    return title if not title or name in title.split() else f"{title} ({name})"


def _cpu(scenario: Scenario) -> Premise:
    clock = scenario.cpu.core_ghz
    text = (
        f"{_titled(scenario.cpu.title, scenario.cpu.name) or scenario.cpu.name} at {clock.value:g} GHz ({clock.grade})"
    )
    return Premise("CPU", text, {"cpu": scenario.cpu.name, "core_ghz": clock.value, "core_ghz_grade": clock.grade})


def _kernel(scenario: Scenario) -> Premise:
    kernel = scenario.kernel
    switched_on = {name: True for name in ("init_on_alloc", "memory_cgroups") if getattr(kernel.behaviour, name)}
    text = ", ".join([_titled(kernel.title, kernel.name), *switched_on])
    return Premise("kernel", text, {"kernel": kernel.name, **switched_on})


def _mitigations(scenario: Scenario) -> Premise:
    """Name what is on and off, and what of it neither CPU nor kernel has."""
    states = {name: bool(on) for name, on in scenario.mitigations}
    without = without_effect(scenario.kernel, scenario.cpu)
    idle = [name for name in states if name in without]
    idle += [] if scenario.cpu.features.smap.value else ["smap"]
    idle += ["retpoline"] if without_retpolines(scenario.kernel, scenario.cpu, scenario.mitigations) else []
    said = {
        "on": [name for name, on in states.items() if on and name not in idle],
        "off": [name for name, on in states.items() if not on and name not in idle],
        "without effect on this CPU and kernel": idle,
    }
    text = "; ".join(f"{state}: {', '.join(names)}" for state, names in said.items() if names)
    return Premise("mitigations", text, {"mitigations": states, "mitigations_without_effect": idle})


def _datapath(scenario: Scenario) -> Premise:
    queue, way = scenario.virtqueue, way_of(scenario)
    kinds = {"in order": queue.in_order, "device IOTLB": queue.iotlb, "indirect": queue.indirect}
    layout = f"packed ({queue.packed_access})" if queue.layout == "packed" else queue.layout
    ring = ", ".join([f"{layout} ring of {queue.size}", *(name for name, is_on in kinds.items() if is_on)])
    batches = ring_and_batches(scenario)
    size = batches.pop("ring", None)
    together = ", ".join(f"{name} {packets}" for name, packets in batches.items())
    parts = [way, *([ring] if size else []), *([together] if together else [])]
    if scenario.leaves_by_nic:
        parts.append(f"NIC of {scenario.backend.line_gbps:g} Gbit/s")
    elif scenario.reaches_backend and scenario.backend.forwards:
        parts.append({"veth": "veth pair", "dummy": "dummy device"}[scenario.backend.port])
    values = {"ring": queue.layout, "ring_size": size, "iotlb": queue.iotlb} if size else {}
    return Premise("datapath", "; ".join(parts), {"datapath": way, **values, **batches})


def ring_and_batches(scenario: Scenario) -> dict[str, int]:
    """Return the size of the ring, and how many packets are published and given back at once, where they are read.

    A process that writes has no ring, QEMU gives buffers back one by one, an application sends at its own pace.
    """
    sizes = {"virtqueue.size": "ring", "driver.burst": "burst", "device.batch": "batch"}
    idle = unread(sizes, first_point(scenario))
    values = {"ring": scenario.virtqueue.size, "burst": scenario.driver.burst, "batch": scenario.device.batch}
    return {name: values[name] for key, name in sizes.items() if key not in idle}


def _queues(scenario: Scenario) -> Premise:
    queues = scenario.queues
    workers, cores = queues.pairs if queues.workers == "each" else 1, queues.lanes
    pairs = counted(queues.pairs, "queue pair")
    if scenario.driver.forwards:
        workers = cores = scenario.driver.ports
        pairs = f"1 receive queue and 1 transmit queue; packets are counted at {scenario.device.direction}"
    text = f"{pairs}, {counted(workers, 'worker')} on {counted(cores, 'core')}"
    values = {"queue_pairs": queues.pairs, "workers": workers, "worker_cores": cores}
    return Premise("queues", text, values)


def counted(number: int, noun: str) -> str:
    """Spell a number of something."""
    return f"{number} {noun if number == 1 else f'{noun}s'}"


def _sockets(scenario: Scenario) -> Premise:
    placement = scenario.placement
    text = "driver and worker on one socket" if placement.same_socket else "driver and worker on two sockets"
    if placement.smt_siblings:
        text = "driver and worker on two threads of one core"
    if placement.numa_rebalancing:
        text += ", brought together by NUMA balancing"
    return Premise(
        "placement", text, {"sockets": 1 if placement.same_socket else 2, "smt_siblings": placement.smt_siblings}
    )


def _traffic(scenario: Scenario) -> Premise:
    traffic = scenario.traffic
    sizes = ", ".join(map(str, traffic.sizes))
    text = f"{sizes} B without FCS"
    if traffic.mix is not None:
        shares = zip(traffic.mix.bytes, traffic.mix.shares, strict=True)
        text = f"a mix of mean {sizes} B without FCS: " + ", ".join(f"{share:.0%} {size} B" for size, share in shares)
    return Premise("sizes", text, {"packet_bytes": list(traffic.sizes), "mixed": traffic.mix is not None})


def _load(scenario: Scenario) -> Premise:
    load = scenario.traffic.load
    text = "saturate: who sends never runs dry" if load.kind == "saturate" else f"{load.kind}, {load.pps / 1e6:g} Mpps"
    if load.kind == "on-off":
        text += f" for {load.on_us:g} us, none for {load.off_us:g} us"
    return Premise("load", text, {"load": load.kind, "offered_pps": load.pps or None})


def _variants(scenario: Scenario) -> Premise:
    names = [variant.name for variant in scenario.access]
    return Premise("access", ", ".join(names), {"access": names})


def _calibration(scenario: Scenario, calibration: Calibration | None) -> Premise:
    """Say which fitted entries the scenario carries: fitted on its CPU and kernel, on others, or none."""
    if calibration is None:
        text = "none" if scenario.calibration is None else f"{scenario.calibration}, which cannot be read"
        return Premise("calibration", text, {"calibration": scenario.calibration, "calibrated": []})
    applied = applying(scenario, calibration)
    total = len(calibration.parameters)
    known = [name for key in ("cpus", "kernels") for name in calibration.fitted_on.get(key, [])]
    text = f"{calibration.name}, fitted on {', '.join(known)}"
    if {scenario.cpu.name, scenario.kernel.name} <= set(known) and len(applied) == total:
        text += f": all of its fitted values apply ({total})"
    else:
        text += f": {len(applied)} of its {counted(total, 'fitted value')} apply here ({', '.join(applied) or 'none'})"
    return Premise("calibration", text, {"calibration": calibration.name, "calibrated": applied})


def applying(scenario: Scenario, calibration: Calibration) -> list[str]:
    """Return the keys whose fitted values stand in the tables of a scenario: its CPU's or kernel's, not set anew."""
    concerned = [fit for fit in calibration.parameters if fit.concerns(scenario.cpu.name, scenario.kernel.name)]
    return [fit.key for fit in concerned if getattr(value_of(scenario, fit.key), "source", None) == fit.source]


def merged(both: Sequence[Conditions]) -> list[tuple[str, str]]:
    """Return the rows of one scenario, or of two: what they share once, what differs as an arrow."""
    rows = []
    for same in zip(*(asked.rows for asked in both), strict=True):
        texts = dict.fromkeys(row.text for row in same)
        rows.append((same[0].name, " -> ".join(texts)))
    return rows


def worth(shares: Mapping[str, float], grades: Mapping[str, str]) -> dict[str, float]:
    """Add up shares of the width of an answer, by key, to shares by grade, the largest first; they add up to 1.

    Of entries that are measured together (`KEY + name`) the grade is that of the first.
    """
    total = sum(share for share in shares.values() if share > 0)
    summed: dict[str, float] = {}
    for key, share in shares.items():
        if share > 0:
            grade = grades.get(key.split(" + ")[0], "a setting")
            summed[grade] = summed.get(grade, 0.0) + share / total
    return dict(sorted(summed.items(), key=lambda item: (-item[1], item[0])))


def worth_text(shares: Mapping[str, float]) -> str:
    """Say what the evidence is worth: how much of the width of the answer each grade of input makes up."""
    first, *others = ((grade, f"{share:.0%}") for grade, share in shares.items())
    plural = {"guess": "guesses"}
    said = [f"{first[1]} of the width is {plural.get(first[0], first[0])}"]
    return ", ".join([*said, *(f"{share} {plural.get(grade, grade)}" for grade, share in others)])
