"""A kernel's table from what it executes: the steps of the nearest table, moved until they add up to the counts.

Counts say how many instructions and returns each configuration executes per packet, and in which functions; a table
says how they are dealt out to steps. How a step's function is cut into steps is taken from the nearest shipped kernel;
how many instructions there are is what was counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml
from scipy.optimize import least_squares

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import Scenarios, load_of
from sim.config.progress import Progress
from sim.config.scenario.scenario import Scenario
from sim.config.tables.kernel import Kernel
from sim.config.tables.quantity import Quantity
from sim.count.code import source_name
from sim.count.configurations import Configuration
from sim.count.count import CountedConfiguration, CountedKernel
from sim.datapath import build_plan
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
    "driver.kind": "lockstep",
    "virtqueue.size": 256,
    "access": ["copy_user"],
}
_RECEIVE = {"device.direction": "rx", "receive.source.packet_cost": 10000}
_LIMITED = {"backend.kind": "tap-skb", "device.sndbuf_limited": True}
#: Keys of the program's settings that the model has too, and what it calls them.
_SAME = {"burst": "driver.burst", "size": "traffic.packet_bytes", "descriptors": "virtqueue.descriptors_per_packet"}
_SWITCHES = {"event_idx": "virtqueue.event_idx", "indirect": "virtqueue.indirect"}
_BACKENDS = {0: "tap-skb", 1: "tap-xdp-drop", 2: "tap-xdp-pass"}
#: Settings that the model does not have: a configuration with one of them says nothing about a table.
_NOT_MODELLED = ("interrupts", "regions", "in_order", "packets")

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
#: Configurations by which the nearest table is chosen.
_COMPARED = 12
#: An error of a count that a reader is told of.
FAR = 0.02
SOURCE = "counted under emulation"


@dataclass(frozen=True)
class Residual:
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
        """Return the residual for JSON."""
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
    residuals
        Every configuration that the model has, with what the new table gives.
    """

    name: str
    nearest: str
    table: Mapping[str, Any]
    residuals: tuple[Residual, ...]

    def to_yaml(self, kernel: str) -> str:
        """Return the text of the file.

        Parameters
        ----------
        kernel
            What the kernel says that it is.
        """
        disagreeing = [residual.name for residual in self.residuals if not residual.windows_agree]
        errors = sorted(abs(residual.error) for residual in self.residuals)
        far = [residual.name for residual in self.residuals if abs(residual.error) > FAR]
        head = [
            f"# {kernel}",
            f"# Counted in {len(self.residuals)} configurations under emulation: SMAP, ERMS and FSRM, mitigations off.",
            f"# Steps are those of {self.nearest}, moved to add up to the counts (half within {median(errors):.1%}).",
        ]
        if far:
            head.append(f"# More than {FAR:.0%} off in {', '.join(far)}.")
        if disagreeing:
            head.append(f"# STAC or LFENCE differ from the recipes of {self.nearest} in {', '.join(disagreeing)}.")
        body = yaml.safe_dump(dict(self.table), sort_keys=False, width=120, default_flow_style=None, allow_unicode=True)
        return "\n".join(head) + "\n" + body


def overrides(configuration: Configuration) -> dict[str, Any] | None:
    """Return what a scenario sets to be a configuration; None for one that the model does not have."""
    settings = configuration.settings
    if configuration.program != "vhost" or any(settings.get(key) for key in _NOT_MODELLED):
        return None
    given: dict[str, Any] = dict(AS_COUNTED)
    given |= {key: settings[name] for name, key in _SAME.items() if name in settings}
    given |= {key: bool(settings[name]) for name, key in _SWITCHES.items() if name in settings}
    if settings.get("iotlb"):
        given |= {"virtqueue.iotlb": True, "virtqueue.iotlb_entries": 1}
    if configuration.receives:
        return given | _RECEIVE | {"receive.mergeable": bool(settings.get("mergeable", 1))}
    if settings.get("sndbuf"):
        return given | _LIMITED
    return given | {"backend.kind": _BACKENDS[settings["xdp"]]}


class _Model:
    """What a table executes in each configuration: matrices over (step, function), and over steps."""

    def __init__(self, kernel: str, counted: Sequence[CountedConfiguration], configs: Path | None) -> None:
        scenarios = Scenarios(SCENARIO, configs)
        self.kernel = load_of(Kernel, kernel, configs)
        self.counted: list[CountedConfiguration] = []
        self._rows: list[dict[tuple[str, str], float]] = []
        self._steps: list[dict[str, float]] = []
        self.windows: list[dict[str, float]] = []
        self.amounts: dict[tuple[str, str], float] = {}
        for each in counted:
            settings = overrides(each.configuration)
            if settings is None:
                continue
            self._add(each, scenarios.load({**settings, "kernel": kernel}))

    def _add(self, counted: CountedConfiguration, scenario: Scenario) -> None:
        plan = build_plan(scenario, "copy_user", scenario.traffic.sizes[0], functions=True)
        packets, runs = executions(plan, scenario)
        rows: defaultdict[tuple[str, str], float] = defaultdict(float)
        steps: defaultdict[str, float] = defaultdict(float)
        windows = dict.fromkeys(("stac", "lfence"), 0.0)
        for row, times, units in runs:
            for parts, factor in ((row.components, times), (row.unit_components, units)):
                for part in parts:
                    if part.primitive in windows:
                        windows[part.primitive] += part.count * factor / packets
            step = row.counted_as
            if step is None or step not in self.kernel.steps:
                continue
            steps[step] += (units if row.per_unit else times) / packets
            once: defaultdict[str, float] = defaultdict(float)
            for function, fixed, each in instructions_of(row):
                once[function] += each if row.per_unit else fixed
            for function, amount in once.items():
                place = (step, source_name(function))
                self.amounts[place] = max(self.amounts.get(place, 0.0), amount)
                rows[place] += (units if row.per_unit else times) / packets
        self.counted.append(counted)
        self._rows.append(dict(rows))
        self._steps.append(dict(steps))
        self.windows.append(windows)

    @property
    def places(self) -> list[tuple[str, str]]:
        """(step, function) of everything that is executed."""
        return [*self.amounts]

    def instructions(self) -> tuple[Floats, Floats]:
        """Return executions per packet (configuration, place) and instructions of each place."""
        matrix = np.array([[row.get(place, 0.0) for place in self.amounts] for row in self._rows])
        return matrix, np.array([*self.amounts.values()])

    def returns(self) -> tuple[list[str], Floats, Floats]:
        """Return steps, executions per packet (configuration, step), and returns of each step."""
        steps = sorted({step for row in self._steps for step in row})
        matrix = np.array([[row.get(step, 0.0) for step in steps] for row in self._steps])
        amounts = [quantity.value if (quantity := self.kernel.steps[step].returns) else 0.0 for step in steps]
        return steps, matrix, np.array(amounts)

    def residuals(self, instructions: Floats) -> tuple[Residual, ...]:
        """Return every configuration beside what was counted."""
        return tuple(
            Residual(
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
    counted: CountedKernel, name: str, configs: Path | None = None, report: Progress = lambda share, doing: None
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

    Returns
    -------
    FittedTable
        The table: the nearest shipped one with the steps that differ.

    Raises
    ------
    ConfigError
        No configuration was counted that the model has.
    """
    known = [each for each in sorted(paths.names("kernel", configs)) if each != name]
    modelled = [each for each in counted.configurations if overrides(each.configuration) is not None]
    if not modelled:
        raise ConfigError("no configuration was counted that a table can be made of", key="only")
    few = modelled[:: max(1, len(modelled) // _COMPARED)]
    distances = {}
    for number, kernel in enumerate(known):
        report(number / (len(known) + 1), f"comparing with {kernel}")
        distances[kernel] = _distance(_Model(kernel, few, configs))
    report(len(known) / (len(known) + 1), "dealing counts out to steps")
    nearest = _Model(min(distances, key=lambda kernel: distances[kernel]), modelled, configs)
    moved, matrix = _moved(nearest)
    table = _table(name, nearest, moved, _moved_returns(nearest))
    return FittedTable(name, nearest.kernel.name, table, nearest.residuals(matrix @ moved))


def _distance(model: _Model) -> tuple[int, float]:
    """How far a table is from counts: configurations with other windows or fences, then instructions."""
    matrix, amounts = model.instructions()
    residuals = model.residuals(matrix @ amounts)
    return sum(not each.windows_agree for each in residuals), sum(abs(each.error) for each in residuals)


def _moved(model: _Model) -> tuple[Floats, Floats]:
    """Return the instructions of each place that add up to the counts, nearest to the table's, and the matrix."""
    matrix, amounts = model.instructions()
    counted = [each.counts for each in model.counted]
    rows = [(row, counts.instructions, COUNT_SIGMA) for row, counts in zip(matrix, counted, strict=True)]
    rows += [(row, count, FUNCTION_SIGMA) for row, count in _function_rows(model, matrix, amounts)]
    executed = np.array([row for row, _, _ in rows])
    targets, sigmas = (np.array(column) for column in list(zip(*rows, strict=True))[1:])
    weights = 1 / (sigmas * targets + _ROUNDING)
    change = _nearest_change(executed * amounts * weights[:, None], (targets - executed @ amounts) * weights)
    return amounts * (1 + change), matrix


def _function_rows(model: _Model, matrix: Floats, amounts: Floats) -> Iterator[tuple[Floats, float]]:
    """Yield executions and counts of the functions that are the same in the table, by configuration."""
    places = model.places
    for number, each in enumerate(model.counted):
        by_name: defaultdict[str, float] = defaultdict(float)
        for function, count in each.counts.functions.items():
            by_name[source_name(function)] += count
        for function in {function for _, function in places}:
            mine = np.array([place[1] == function for place in places])
            row = matrix[number] * mine
            table, target = float(row @ amounts), by_name.get(function, 0.0)
            if target and abs(table - target) <= SAME_FUNCTION * target:
                yield row, target


def _moved_returns(model: _Model) -> dict[str, float]:
    """Return the returns of each step that add up to the counts and are nearest to the table's."""
    steps, matrix, amounts = model.returns()
    targets = np.array([each.counts.kinds.get("return", 0.0) for each in model.counted])
    weights = 1 / (COUNT_SIGMA * targets + 0.05)
    change = _nearest_change(matrix * amounts * weights[:, None], (targets - matrix @ amounts) * weights)
    return dict(zip(steps, (amounts * (1 + change)).tolist(), strict=True))


def _nearest_change(system: Floats, wanted: Floats) -> Floats:
    """Return the smallest relative changes that make up for what is wanted."""
    n = system.shape[1]
    stacked, target = np.vstack([system, np.eye(n) / STEP_SIGMA]), np.concatenate([wanted, np.zeros(n)])

    # A count with something else in it, once in a hundred, does not pull: its error counts linearly.
    def errors(change: Floats) -> Floats:
        return np.asarray(stacked @ change - target)

    def derivative(_: Floats) -> Floats:
        return stacked

    fitted = least_squares(
        errors,
        np.zeros(n),
        jac=derivative,
        bounds=(_LEAST - 1, _MOST - 1),
        loss="soft_l1",
        f_scale=OUTLIER_SIGMAS,
    )
    return np.asarray(fitted.x)


def _table(name: str, model: _Model, moved: Floats, returns: Mapping[str, float]) -> dict[str, Any]:
    """Return the new table: what differs from the nearest."""
    nearest = model.kernel
    change: defaultdict[str, float] = defaultdict(float)
    functions: dict[str, dict[str, float]] = {}
    for (place, amount), new in zip(model.amounts.items(), moved.tolist(), strict=True):
        step, function = place
        change[step] += new - amount
        listed = nearest.functions.get(step, {})
        key = next((each for each in listed if source_name(each) == function), None)
        if key is not None:
            functions.setdefault(step, dict(listed))[key] = round(max(0.0, listed[key] + new - amount), 2)
    steps = {step: _step(nearest, step, change[step], returns.get(step)) for step in sorted({*change, *returns})}
    for step, split in functions.items():
        most = steps[step]["instructions"]["value"]
        if (total := sum(split.values())) > most:
            functions[step] = {function: round(count * most / total - 0.01, 2) for function, count in split.items()}
    return {
        "schema": 1,
        "kind": "kernel",
        "name": name,
        "extends": nearest.name,
        "title": f"Linux {name.removeprefix('v')}, counted",
        "steps": steps,
        "functions": dict(sorted(functions.items())),
    }


def _step(nearest: Kernel, step: str, change: float, returns: float | None) -> dict[str, Any]:
    before = nearest.steps[step]
    entry: dict[str, Any] = {"instructions": _quantity(before.instructions, before.instructions.value + change)}
    if before.returns is not None and returns is not None:
        entry["returns"] = _quantity(before.returns, returns)
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
