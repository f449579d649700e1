"""A kernel's table from what it executes: the steps of the nearest table, moved until they add up to the counts.

Counts say how many instructions and returns each configuration executes per packet, and in which functions; a table
says how they are dealt out to steps. How a step's function is cut into steps is taken from the nearest shipped kernel;
how many instructions there are is what was counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from statistics import median
from textwrap import wrap
from typing import Any

import numpy as np
import yaml

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import Scenarios, load_of
from sim.config.progress import Progress
from sim.config.scenario.scenario import Scenario
from sim.config.tables.kernel import Kernel
from sim.config.tables.quantity import Quantity
from sim.count.configurations import FORWARDERS, PORTS, Configuration
from sim.count.count import CountedConfiguration, CountedKernel
from sim.datapath import build_plan
from sim.host.experiments.symbols import source_name
from sim.host.experiments.taps import WAYS
from sim.study.questions.host_tap import SCENARIO as WRITES
from sim.study.questions.host_tap import WAYS as TAP_WAYS
from sim.study.runs.case import Floats, executions
from sim.study.runs.functions import instructions_of

SCENARIO = "virtio-user-xdp1-tap"
#: As kernels are counted: plain returns and calls, object size checks, a CPU with SMAP, ERMS and FSRM, a bare XDP_DROP.
AS_COUNTED: Mapping[str, Any] = {
    "calibration": None,
    "cpu": "sapphire-rapids",
    "mitigations.hardened_usercopy": True,
    "mitigations.retpoline": False,
    "backend.program_instructions": 0,
    "access": ["copy_user"],
}
_DRIVEN = {"driver.kind": "lockstep", "virtqueue.size": 256}
_RECEIVE = {"device.direction": "rx", "receive.source.packet_cost": 10000}
_LIMITED = {"backend.kind": "tap-skb", "device.sndbuf_limited": True}
#: Keys of the program's settings that the model has too, and what it calls them.
_SAME = {
    "burst": "driver.burst",
    "size": "traffic.packet_bytes",
    "descriptors": "virtqueue.descriptors_per_packet",
    "regions": "virtqueue.memory_regions",
}
_SWITCHES = {
    "event_idx": "virtqueue.event_idx",
    "indirect": "virtqueue.indirect",
    "interrupts": "driver.interrupts",
}
_BACKENDS = {0: "tap-skb", 1: "tap-xdp-drop", 2: "tap-xdp-pass"}
_FORWARDING = {
    "bridge": "tap-bridge",
    "tcdrop": "tap-tc-drop",
    "tc": "tap-tc-redirect",
    "ovs": "tap-ovs",
    "macvtap": "macvtap",
    "redirect": "tap-xdp-redirect",
}
_KINDS_BEHIND = {FORWARDERS[name]: kind for name, kind in _FORWARDING.items()}
_PORTS = {number: name for name, number in PORTS.items()}
#: Settings that the model does not have: a configuration with one of them says nothing about a table.
_NOT_MODELLED = ("in_order", "packets")

#: Ways of a written frame that the model has; what a shipped program executes is a guess there.
_WRITE_STEP = "write_tap"
_WRITTEN = ("native", "generic", "skb", "down")

#: How far a step may be from the nearest table's, relatively, before it counts as much as an error of a count.
STEP_SIGMA = 0.2
#: Counts are exact but for what the allocators do now and then.
COUNT_SIGMA = 0.001
#: How far a function may be: a table gives some of its smaller callees' work to it.
FUNCTION_SIGMA = 0.1
#: A function whose counts are within this share of the nearest table's is the same function there.
SAME_FUNCTION = 0.4
#: Errors above this many sigmas count linearly.
OUTLIER_SIGMAS = 3.0
#: Instructions that a count may be off besides.
_ROUNDING = 0.2
_LEAST, _MOST = 0.05, 6.0
#: Windows and fences that are no difference: a batch that was cut in two.
_SAME_WINDOWS = 0.06
#: About as many configurations say which table is the nearest, and how functions share in a packet.
_COMPARED = 12
#: An error of a count that a reader is told of.
FAR = 0.02
SOURCE = "counted under emulation"


@dataclass(frozen=True)
class Agreement:
    """One configuration, counted and as a table has it."""

    name: str
    counted: Mapping[str, float]
    table: Mapping[str, float]

    @property
    def windows_agree(self) -> bool:
        """Whether the table opens as many windows and runs as many fences as were counted."""
        return all(abs(self.counted[name] - self.table[name]) < _SAME_WINDOWS for name in ("stac", "lfence"))

    @property
    def error(self) -> float:
        """Instructions of the table over those counted, less one."""
        return self.table["instructions"] / self.counted["instructions"] - 1

    def to_dict(self) -> dict[str, Any]:
        """Return both sides for JSON."""
        return {"configuration": self.name, "counted": dict(self.counted), "table": dict(self.table)}


@dataclass(frozen=True)
class FittedTable:
    """A kernel's table made of counts.

    Attributes
    ----------
    name
        Its name.
    nearest
        The shipped table that it extends.
    table
        What the file holds.
    agreements
        Every configuration that the model has, with what the new table gives.
    """

    name: str
    nearest: str
    table: Mapping[str, Any]
    agreements: tuple[Agreement, ...]

    def to_yaml(self, kernel: str) -> str:
        """Return the text of the file.

        Parameters
        ----------
        kernel
            What the kernel says that it is.
        """
        disagreeing = [agreement.name for agreement in self.agreements if not agreement.windows_agree]
        errors = sorted(abs(agreement.error) for agreement in self.agreements)
        far = [agreement.name for agreement in self.agreements if abs(agreement.error) > FAR]
        head = [
            f"# {kernel}",
            f"# Counted in {len(errors)} configurations under emulation: SMAP, ERMS and FSRM, mitigations off.",
            f"# Steps are those of {self.nearest}, moved to add up to the counts (half within {median(errors):.1%}).",
        ]
        if far:
            head += _comment(f"More than {FAR:.0%} off in {', '.join(far)}.")
        if disagreeing:
            head += _comment(f"STAC or LFENCE differ from the recipes of {self.nearest} in {', '.join(disagreeing)}.")
        body = yaml.safe_dump(dict(self.table), sort_keys=False, width=120, default_flow_style=None, allow_unicode=True)
        return "\n".join(head) + "\n" + body


def _comment(sentence: str) -> list[str]:
    return wrap(sentence, width=120, initial_indent="# ", subsequent_indent="# ")


def scenario_of(configuration: Configuration) -> str:
    """Return the shipped scenario that a configuration is a form of."""
    return SCENARIO if configuration.program == "vhost" else WRITES


def overrides(configuration: Configuration) -> dict[str, Any] | None:
    """Return what that scenario sets to be a configuration; None for one that the model does not have."""
    settings = configuration.settings
    if configuration.program == "messages":  # what sockets execute is no kernel's table: section `sockets` has it
        return None
    if configuration.program != "vhost":
        way = WAYS[settings["way"]]
        written = {**TAP_WAYS[way], "traffic.packet_bytes": settings["size"]} if way in _WRITTEN else None
        return written and {**AS_COUNTED, **written}
    if any(settings.get(key) for key in _NOT_MODELLED):
        return None
    given: dict[str, Any] = {**AS_COUNTED, **_DRIVEN}
    given |= {key: settings[name] for name, key in _SAME.items() if name in settings}
    given |= {key: bool(settings[name]) for name, key in _SWITCHES.items() if name in settings}
    if settings.get("iotlb"):
        given |= {"virtqueue.iotlb": True, "virtqueue.iotlb_entries": 1}
    if configuration.receives:
        return given | _RECEIVE | {"receive.mergeable": bool(settings.get("mergeable", 1))}
    if settings.get("sndbuf"):
        given |= _LIMITED
    else:
        given |= {"backend.kind": _BACKENDS[settings["xdp"]]}
    if settings.get("rx_frames"):
        given |= {"backend.rx_frames": settings["rx_frames"]}
    return given | _behind(settings)


def _behind(settings: Mapping[str, int]) -> dict[str, Any]:
    """Return what a scenario sets to have something behind its TAP."""
    if not settings.get("behind"):
        return {}
    kind = _KINDS_BEHIND[settings["behind"]]
    ported = kind not in ("tap-tc-drop", "tap-xdp-redirect")
    return {"backend.kind": kind} | ({"backend.port": _PORTS[settings["port"]]} if ported else {})


class _Model:
    """What a table executes per packet in each configuration, by step and function.

    `amounts` are instructions of one execution of a step in a function, `returns` those of a step.
    """

    def __init__(self, kernel: str, counted: Sequence[CountedConfiguration], configs: Path | None) -> None:
        scenarios = {name: Scenarios(name, configs) for name in {scenario_of(each.configuration) for each in counted}}
        self.kernel = load_of(Kernel, kernel, configs)
        self.counted = list(counted)
        self.windows: list[dict[str, float]] = []
        self.amounts: dict[tuple[str, str], float] = {}
        self._instructions: list[dict[tuple[str, str], float]] = []
        self._returns: list[dict[str, float]] = []
        for each in counted:
            settings = overrides(each.configuration) or {}
            self._add(scenarios[scenario_of(each.configuration)].load({**settings, "kernel": kernel}))

    def _add(self, scenario: Scenario) -> None:
        plan = build_plan(scenario, "copy_user", scenario.traffic.sizes[0], functions=True)
        packets, runs = executions(plan, scenario)
        instructions: defaultdict[tuple[str, str], float] = defaultdict(float)
        returns: defaultdict[str, float] = defaultdict(float)
        windows = dict.fromkeys(("stac", "lfence"), 0.0)
        for row, times, units in runs:
            for parts, factor in ((row.components, times), (row.unit_components, units)):
                for part in parts:
                    if part.primitive in windows:
                        windows[part.primitive] += part.count * factor / packets
            step = row.counted_as
            if step is None or step not in self.kernel.steps or not times + units:
                continue
            returns[step] += row.returns * (units if row.per_unit else times) / packets
            once: defaultdict[tuple[str, str], float] = defaultdict(float)
            for function, fixed, per_unit in instructions_of(row):
                place = (step, source_name(function))
                once[place] += fixed + per_unit
                instructions[place] += (fixed * times + per_unit * units) / packets
            for place, amount in once.items():  # a batch that wraps executes it twice
                self.amounts[place] = min(self.amounts.get(place, amount), amount)
        self._instructions.append(instructions)
        self._returns.append(returns)
        self.windows.append(windows)

    def instructions(self) -> Floats:
        """Return instructions per packet (configuration, place in `amounts`)."""
        return np.array([[row.get(place, 0.0) for place in self.amounts] for row in self._instructions])

    def returns(self) -> tuple[list[str], Floats]:
        """Return the steps, and their returns per packet (configuration, step)."""
        steps = sorted({step for row in self._returns for step in row})
        return steps, np.array([[row.get(step, 0.0) for step in steps] for row in self._returns])

    def agreements(self, instructions: Floats) -> tuple[Agreement, ...]:
        """Return every configuration beside what was counted."""
        return tuple(
            Agreement(
                each.configuration.name,
                {
                    **{name: each.counts.kinds.get(name, 0.0) for name in windows},
                    "instructions": each.counts.instructions,
                },
                {**windows, "instructions": float(count)},
            )
            for each, windows, count in zip(self.counted, self.windows, instructions, strict=True)
        )


def fit(
    counted: CountedKernel,
    name: str,
    configs: Path | None = None,
    report: Progress = lambda share, doing: None,
    extends: str | None = None,
) -> FittedTable:
    """Make a kernel's table of counts.

    Parameters
    ----------
    counted
        What the kernel executes.
    name
        Name of the table.
    configs
        Folder with further tables.
    report
        Told how far it is.
    extends
        The table to start from (default: the nearest).

    Returns
    -------
    FittedTable
        The table: the one it starts from with the steps that differ.

    Raises
    ------
    ConfigError
        No configuration was counted that the model has, or there is no such table to start from.
    """
    modelled = [each for each in counted.configurations if overrides(each.configuration) is not None]
    driven = [each for each in modelled if scenario_of(each.configuration) == SCENARIO]
    if not driven:
        raise ConfigError("no configuration was counted that a table can be made of", key="only")
    known = [extends] if extends else [each for each in sorted(paths.names("kernel", configs)) if each != name]
    distances = {}
    for number, kernel in enumerate(known[1:] and known):
        report(number / len(known), f"comparing with {kernel}")
        distances[kernel] = _distance(_Model(kernel, driven[:: max(1, len(driven) // _COMPARED)], configs))
    report(0.99, "dealing counts out to steps")
    nearest = min(distances, key=lambda kernel: distances[kernel]) if distances else known[0]
    with_writes = _WRITE_STEP in load_of(Kernel, nearest, configs).steps
    start = _Model(nearest, modelled if with_writes else driven, configs)
    changes = _changes(start)
    table = _table(name, start, changes, _changed_returns(start))
    return FittedTable(name, start.kernel.name, table, start.agreements(start.instructions() @ (1 + changes)))


def _distance(model: _Model) -> tuple[float, float, float]:
    """How far a table is from counts: in windows first, then in fences, then in instructions."""
    agreements = model.agreements(model.instructions().sum(axis=1))
    windows, fences = (
        sum(far for each in agreements if (far := abs(each.counted[name] - each.table[name])) >= _SAME_WINDOWS)
        for name in ("stac", "lfence")
    )
    return windows, fences, sum(abs(each.error) for each in agreements)


def _changes(model: _Model) -> Floats:
    """Return the relative change of each place in `amounts`, the least with which they add up to the counts."""
    table = model.instructions()
    rows = [(row, each.counts.instructions, COUNT_SIGMA) for row, each in zip(table, model.counted, strict=True)]
    rows += [(row, count, FUNCTION_SIGMA) for row, count in _same_functions(model, table)]
    system = np.array([row for row, _, _ in rows])
    counts, sigmas = np.array([row[1:] for row in rows]).T
    return _nearest_change(system, counts, sigmas * counts + _ROUNDING)


def _same_functions(model: _Model, table: Floats) -> Iterator[tuple[Floats, float]]:
    """Yield a row and a count for each function that is the same in the table, of some configurations."""
    functions = {function for _, function in model.amounts}
    masks = {name: np.array([place[1] == name for place in model.amounts]) for name in functions}
    few = max(1, len(table) // _COMPARED)
    for row, each in zip(table[::few], model.counted[::few], strict=True):
        counts: defaultdict[str, float] = defaultdict(float)
        for function, count in each.counts.functions.items():
            counts[source_name(function)] += count
        for name, mask in masks.items():
            count = counts.get(name, 0.0)
            if count and abs(float(row @ mask) - count) <= SAME_FUNCTION * count:
                yield row * mask, count


def _changed_returns(model: _Model) -> dict[str, float]:
    """Return the relative change of each step's returns."""
    steps, table = model.returns()
    counts = np.array([each.counts.kinds.get("return", 0.0) for each in model.counted])
    changes = _nearest_change(table, counts, COUNT_SIGMA * counts + _ROUNDING / 4)
    return dict(zip(steps, changes.tolist(), strict=True))


def _nearest_change(table: Floats, counts: Floats, sigmas: Floats) -> Floats:
    """Return the least relative changes of a table's columns with which its rows add up to counts."""
    from scipy.optimize import least_squares  # it takes longer to import than a short run does

    n = table.shape[1]
    stacked = np.vstack([table / sigmas[:, None], np.eye(n) / STEP_SIGMA])
    target = np.concatenate([(counts - table.sum(axis=1)) / sigmas, np.zeros(n)])

    def errors(change: Floats) -> Floats:
        return np.asarray(stacked @ change - target)

    def derivative(_: Floats) -> Floats:
        return stacked

    # A count with something else in it, once in a hundred, does not pull: its error counts linearly.
    fitted = least_squares(
        errors,
        np.zeros(n),
        jac=derivative,
        bounds=(_LEAST - 1, _MOST - 1),
        loss="soft_l1",
        f_scale=OUTLIER_SIGMAS,
    )
    return np.asarray(fitted.x)


def _table(name: str, model: _Model, changes: Floats, returns: Mapping[str, float]) -> dict[str, Any]:
    """Return the new table: what differs from the nearest."""
    nearest = model.kernel
    more: defaultdict[str, float] = defaultdict(float)
    functions: dict[str, dict[str, float]] = {}
    for ((step, function), amount), change in zip(model.amounts.items(), changes.tolist(), strict=True):
        more[step] += amount * change
        listed = nearest.functions.get(step, {})
        key = next((each for each in listed if source_name(each) == function), None)
        if key is not None:
            functions.setdefault(step, dict(listed))[key] = max(
                0.0, floor(100 * (listed[key] + amount * change) - 0.5) / 100
            )
    steps = {step: _step(nearest, step, more[step], returns.get(step, 0.0)) for step in sorted(more)}
    return {
        "schema": 1,
        "kind": "kernel",
        "name": name,
        "extends": nearest.name,
        "title": f"Linux {name.removeprefix('v')}, counted",
        "steps": steps,
        "functions": dict(sorted(functions.items())),
    }


def _step(nearest: Kernel, step: str, more: float, returns: float) -> dict[str, Any]:
    before = nearest.steps[step]
    entry: dict[str, Any] = {"instructions": _quantity(before.instructions, before.instructions.value + more)}
    if before.returns is not None:
        entry["returns"] = _quantity(before.returns, before.returns.value * (1 + returns))
    return entry


def _quantity(before: Quantity, value: float) -> dict[str, Any]:
    """Return an entry with another value, its range as wide relatively as before."""
    value = round(max(0.0, value), 2)
    low, high = (end / before.value * value if before.value else end for end in (before.low, before.high))
    return {
        "value": value,
        "unit": before.unit,
        "low": min(value, round(low, 2)),
        "high": max(value, round(high, 2)),
        "source": SOURCE,
        "grade": "derived",
    }
