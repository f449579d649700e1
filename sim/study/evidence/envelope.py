"""Published rates beside a question: those of exactly its configuration, and in what it lies outside of all of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.config.loading.kept import installed, keep, kept
from sim.config.scenario.scenario import Scenario
from sim.config.tables.measurement import Settings
from sim.engine import Point
from sim.study.evidence.figures import Figure, figures, load_measurements
from sim.study.runs.case import one_point
from sim.study.uncertainty.distributions import calibration_of


@dataclass(frozen=True)
class Envelope:
    """Everything that the published rates and ratios of one way of the packet were measured with."""

    cpus: frozenset[str]
    kernels: frozenset[str]
    access: frozenset[str]
    packet_bytes: frozenset[int]
    loads: frozenset[str]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the JSON form."""
        return {name: sorted(known) for name, known in vars(self).items()}

    @classmethod
    def from_dict(cls, entry: dict[str, list[Any]]) -> Envelope:
        """Return what has a JSON form."""
        return cls(**{name: frozenset(known) for name, known in entry.items()})

    @classmethod
    def of(cls, scenarios: Iterable[Scenario]) -> Envelope:
        """Collect what some scenarios run with."""
        known = list(scenarios)
        return cls(
            frozenset(scenario.cpu.name for scenario in known),
            frozenset(scenario.kernel.name for scenario in known),
            frozenset(variant.name for scenario in known for variant in scenario.access),
            frozenset(size for scenario in known for size in scenario.traffic.sizes),
            frozenset(scenario.traffic.load.kind for scenario in known),
        )


def way_of(scenario: Scenario) -> str:
    """Name what a packet goes through, in its order: a rate is evidence for others of the same way only.

    Driver, device and, with vhost_net, the backend (transmit) or the kind of source (receive); both where it forwards.
    """
    if scenario.driver.forwards:
        workers = "vhost_net" if scenario.driver.ports == 1 else "vhost_net of another device"
        from_source = [scenario.receive.source.kind, "vhost_net", f"{scenario.driver.kind} (forwards)"]
        return " -> ".join([*from_source, workers, scenario.backend.kind])
    if scenario.device.kind == "tap_write":  # by a process that is no guest
        return f"tap_write -> {scenario.backend.kind}"
    from_guest = [scenario.driver.kind, scenario.device.kind]
    beyond = {"tx": scenario.backend.kind, "rx": scenario.receive.source.kind}[scenario.device.direction]
    steps = [*from_guest, beyond] if scenario.device.kind == "vhost_net" else from_guest
    return " -> ".join(steps if scenario.device.direction == "tx" else reversed(steps))


@lru_cache(maxsize=1)
def shipped_envelope() -> dict[str, Envelope]:
    """Return the envelope of the shipped measurements, kept as long as what is installed stays the same."""
    name = f"envelope.{installed()}.json"
    if (known := kept(name)) is not None:
        return {way: Envelope.from_dict(entry) for way, entry in json.loads(known).items()}
    made = envelope()
    keep(name, json.dumps({way: entry.to_dict() for way, entry in made.items()}).encode())
    return made


def envelope(configs: Path | None = None) -> dict[str, Envelope]:
    """Derive the envelope of each way of the packet from every published rate and ratio that the model can make."""
    ways = _by_way(
        case.scenario for figure in _figures(("pps", "throughput", "ratio"), configs) for case in figure.cases
    )
    return {way: Envelope.of(scenarios) for way, scenarios in ways.items()}


def _figures(quantities: Collection[str], configs: Path | None, settings: Settings | None = None) -> list[Figure]:
    """Resolve the published figures of some quantities."""
    files = [
        file.model_copy(update={"entries": entries, "counts": []})
        for file in load_measurements(configs)
        if (entries := [entry for entry in file.entries if entry.quantity in quantities])
    ]
    return figures(files, configs, settings)


def outside(scenarios: Iterable[Scenario], configs: Path | None = None) -> str | None:
    """Say in one line in what the scenarios lie outside the evidence, what of a calibration does not apply, and whether
    the baseline is a host's own.

    None when nothing is to be said. A measurement table that cannot be read does not stop a run: then that is said.
    """
    asked = list(scenarios)
    try:
        covered = shipped_envelope() if configs is None else envelope(configs)
    except ConfigError as error:
        return f"evidence not checked: {error}"
    beyond = [_outside(way, Envelope.of(same), covered.get(way)) for way, same in _by_way(asked).items()]
    lines = [f"outside the evidence: {said}" for said in beyond if said]
    fitted = [_not_fitted_here(scenario, configs) or _fitted_to_a_host(scenario, configs) for scenario in asked]
    said = "; ".join(dict.fromkeys(line for line in fitted if line))
    return ". ".join([*lines, said] if said else lines) or None


def _by_way(scenarios: Iterable[Scenario]) -> dict[str, list[Scenario]]:
    ways: dict[str, list[Scenario]] = defaultdict(list)
    for scenario in scenarios:
        ways[way_of(scenario)].append(scenario)
    return ways


def _outside(way: str, asked: Envelope, covered: Envelope | None) -> str | None:
    if covered is None:
        return f"no published rate of {way}"
    sizes = sorted(asked.packet_bytes - covered.packet_bytes)
    parts = [
        _beyond("CPU", asked.cpus, covered.cpus),
        _beyond("kernel", asked.kernels, covered.kernels),
        _beyond("access", asked.access, covered.access),
        f"{_spans(sizes)} B (measured: {_listed(sorted(covered.packet_bytes))} B)" if sizes else None,
        _beyond("load", asked.loads, covered.loads),
    ]
    said = "; ".join(part for part in parts if part)
    return f"{said}, compared with figures of {way}" if said else None


def _beyond(noun: str, asked: frozenset[str], covered: frozenset[str]) -> str | None:
    names = sorted(asked - covered)
    return f"{noun} {', '.join(names)} (measured: {', '.join(sorted(covered))})" if names else None


def _listed(sizes: list[int]) -> str:
    """Return sizes so that those between them are not taken for some of them."""
    return f"{len(sizes)} sizes from {_spans(sizes)}" if len(sizes) > _FEW_SIZES else ", ".join(map(str, sizes))


def _spans(sizes: list[int]) -> str:
    if len(sizes) > 2:
        return f"{sizes[0]} to {sizes[-1]}"
    return ", ".join(map(str, sizes))


def _not_fitted_here(scenario: Scenario, configs: Path | None) -> str | None:
    """Say which values of the calibration a scenario carries to a CPU or kernel that it was not fitted on."""
    calibration = calibration_of(scenario, configs)
    if calibration is None:
        return None
    cpus, kernels = (calibration.fitted_on.get(key, []) for key in ("cpus", "kernels"))
    cpu, kernel = scenario.cpu.name, scenario.kernel.name
    other = [name for name, known in ((cpu, cpus), (kernel, kernels)) if name not in known]
    if not other:
        return None
    carried = [parameter.key for parameter in calibration.parameters if parameter.concerns(cpu, kernel)]
    return (
        f"calibration {calibration.name} was fitted on {', '.join((*cpus, *kernels))}, not on {', '.join(other)}, "
        f"and gives it {', '.join(carried) or 'nothing'}"
    )


def _fitted_to_a_host(scenario: Scenario, configs: Path | None) -> str | None:
    """Say that a scenario starts from what was measured on a host, and not from published figures."""
    calibration = calibration_of(scenario, configs)
    if calibration is None or not calibration.host:
        return None
    files = ", ".join(dict.fromkeys(residual.measurement.partition("/")[0] for residual in calibration.residuals))
    return f"the baseline is measured on {calibration.host}: calibration {calibration.name} is fitted to {files}"


#: So many sizes are said one by one.
_FEW_SIZES = 4
#: Keys of a scenario that say what it is called and how long it runs, not what is asked.
_NOT_ASKED = {"name", "title", "source", "run"}


@dataclass(frozen=True)
class Published:
    """A published rate of one variant at one size, in packets/s; `used`: the calibration was fitted to it."""

    name: str
    access: str
    packet_bytes: int
    measured_pps: float
    predicted_pps: float
    used: bool
    source: str
    not_stated: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted_pps / self.measured_pps - 1

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**self.__dict__, "error": self.error}


def published_for(scenario: Scenario, points: Sequence[Point], configs: Path | None = None) -> tuple[Published, ...]:
    """Find the published rates whose whole configuration is that of a point, tables and all.

    None are found when a measurement table cannot be read: what the evidence covers is said elsewhere.
    """
    try:
        known = _figures(("pps",), configs, {"calibration": scenario.calibration})
    except ConfigError:
        return ()
    calibration = calibration_of(scenario, configs)
    used = {residual.measurement for residual in calibration.residuals} if calibration else set()
    asked = [(point, _asked(one_point(scenario, point.access, point.packet_bytes))) for point in points]
    measured = [(figure, _asked(figure.cases[0].scenario)) for figure in known if figure.cases]
    return tuple(
        _published(figure, point, figure.name in used)
        for figure, configuration in measured
        for point, question in asked
        if configuration == question
    )


def _published(figure: Figure, point: Point, used: bool) -> Published:
    return Published(
        name=figure.name,
        access=point.access,
        packet_bytes=point.packet_bytes,
        measured_pps=figure.entry.value,
        predicted_pps=point.pps,
        used=used,
        source=figure.file.source,
        not_stated=tuple(figure.file.not_stated),
        assumed=tuple(figure.file.assumed),
    )


def _asked(scenario: Scenario) -> dict[str, Any]:
    return scenario.model_dump(exclude=_NOT_ASKED)
