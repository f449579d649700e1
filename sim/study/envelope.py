"""What the evidence covers: CPUs, kernels, sizes and loads of the published rates; said outside of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sim.config.errors import ConfigError
from sim.config.scenario import Scenario
from sim.study.draws import calibration_of
from sim.study.measured import figures, load_measurements


@dataclass(frozen=True)
class Envelope:
    """Everything that modelled published rates and ratios were measured with."""

    cpus: frozenset[str]
    kernels: frozenset[str]
    access: frozenset[str]
    packet_bytes: frozenset[int]
    loads: frozenset[str]
    directions: frozenset[str]


def envelope(configs: Path | None = None) -> Envelope:
    """Derive the envelope from every published rate and ratio that the model can make."""
    files = [
        file.model_copy(update={"entries": rates, "counts": []})
        for file in load_measurements(configs)
        if (rates := [entry for entry in file.entries if entry.quantity in ("pps", "ratio")])
    ]
    covered = [case.scenario for figure in figures(files, configs) for case in figure.cases]
    return Envelope(
        frozenset(one.cpu.name for one in covered),
        frozenset(one.kernel.name for one in covered),
        frozenset(one.access[0].name for one in covered),
        frozenset(size for one in covered for size in one.traffic.sizes),
        frozenset(one.traffic.load.kind for one in covered),
        frozenset(one.device.direction for one in covered),
    )


def outside(scenarios: Iterable[Scenario], configs: Path | None = None) -> str | None:
    """Say in one line in what the scenarios lie outside the evidence, and what of a calibration does not apply.

    None when nothing is to be said. A measurement table that cannot be read does not stop a run: then that is said.
    """
    asked = list(scenarios)
    try:
        covered = envelope(configs)
    except ConfigError as error:
        return f"evidence not checked: {error}"
    sizes = sorted({size for one in asked for size in one.traffic.sizes} - covered.packet_bytes)
    parts = [
        _beyond("CPU", {one.cpu.name for one in asked}, covered.cpus),
        _beyond("kernel", {one.kernel.name for one in asked}, covered.kernels),
        _beyond("access", {variant.name for one in asked for variant in one.access}, covered.access),
        f"{_spans(sizes)} B (measured: {_spans(sorted(covered.packet_bytes))} B)" if sizes else None,
        _beyond("load", {one.traffic.load.kind for one in asked}, covered.loads),
        _beyond("direction", {one.device.direction for one in asked}, covered.directions),
    ]
    said = "; ".join(part for part in parts if part)
    fitted = "; ".join(dict.fromkeys(line for one in asked if (line := _not_fitted_here(one, configs))))
    lines = ([f"outside the evidence: {said}"] if said else []) + ([fitted] if fitted else [])
    return ". ".join(lines) or None


def _beyond(what: str, asked: set[str], covered: frozenset[str]) -> str | None:
    names = sorted(asked - covered)
    return f"{what} {', '.join(names)} (measured: {', '.join(sorted(covered))})" if names else None


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
    carried = [one.key for one in calibration.parameters if one.concerns(cpu, kernel)]
    return (
        f"calibration {calibration.name} was fitted on {', '.join((*cpus, *kernels))}, not on {', '.join(other)}, "
        f"and gives it {', '.join(carried) or 'nothing'}"
    )
