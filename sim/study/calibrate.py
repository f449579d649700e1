"""Fit one parameter to one measured rate, and write the fit as a file with prior, range and source (DESIGN 7)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import yaml

from sim.config.calibration import Calibration, CalibrationStudy, Fitted
from sim.config.errors import ConfigError
from sim.config.load import load_scenario, load_table
from sim.config.quantity import Quantity
from sim.config.scenario import Scenario
from sim.study.run import run

_TOLERANCE = 2e-4


def calibrate(study: CalibrationStudy, configs: Path | None = None) -> Calibration:
    """Fit the study's parameter within its prior range; its own range is that of the target's rounding.

    Raises ConfigError when no value inside the prior meets the target.
    """

    def simulate_pps(value: float | None) -> tuple[float, Scenario]:
        settings = ["calibration=null", f"access={study.access}", f"traffic.packet_bytes={study.packet_bytes}"]
        if value is not None:
            settings.append(f"{study.parameter}={value!r}")
        scenario = load_scenario(study.scenario, overrides=settings, configs=configs)
        return run(scenario).points[0].pps, scenario

    _, scenario = simulate_pps(None)
    prior = _entry(scenario, study.parameter)
    target = study.target
    value = _solve(lambda trial: simulate_pps(trial)[0], prior, target.value, study)
    ends = sorted(_solve(lambda trial: simulate_pps(trial)[0], prior, end, study) for end in (target.low, target.high))
    predicted, _ = simulate_pps(value)
    half_prior = (prior.high - prior.low) / 2
    fitted = Fitted(
        key=study.parameter,
        value=value,
        unit=prior.unit,
        low=ends[0],
        high=ends[1],
        source=f"fitted by study {study.name} to {target.value:g} {target.unit} ({target.source})",
        grade="derived",
        prior=prior,
        pull=round((value - prior.value) / half_prior, 3) if half_prior else 0.0,
    )
    return Calibration(
        schema_=1,
        name=study.name,
        study=study.name,
        fitted_on={
            "scenario": study.scenario,
            "cpu": scenario.cpu.name,
            "kernel": scenario.kernel.name,
            "access": study.access,
        },
        target_pps=target.value,
        predicted_pps=round(predicted, 1),
        parameters=[fitted],
    )


def _entry(scenario: Scenario, key: str) -> Quantity:
    place: object = scenario
    for part in key.split("."):
        place = place.get(part) if isinstance(place, dict) else getattr(place, part, None)
    if not isinstance(place, Quantity):
        raise ConfigError(f"parameter: '{key}' is not a table entry with a range")
    return place


def _solve(pps_at: Callable[[float], float], prior: Quantity, target: float, study: CalibrationStudy) -> float:
    """Find the value that gives `target`: time per packet is close to linear in it, so false position ends soon."""
    low, high = prior.low, prior.high
    below, above = 1 / pps_at(low) - 1 / target, 1 / pps_at(high) - 1 / target
    if below * above > 0:
        raise ConfigError(
            f"study {study.name}: no {study.parameter} in [{prior.low:g}, {prior.high:g}] gives {target:g} packets/s"
        )
    for _ in range(30):
        trial = low - below * (high - low) / (above - below)
        error = 1 / pps_at(trial) - 1 / target
        if abs(error * target) < _TOLERANCE:
            break
        if error * below > 0:
            low, below = trial, error
        else:
            high, above = trial, error
    return round(trial, 5)


def write_calibration(calibration: Calibration, file: Path) -> None:
    """Write a calibration file, whole or not at all."""
    text = "# Written by `vhost-sim calibrate`; the numbers are fitted, not measured.\n"
    text += yaml.safe_dump(calibration.to_dict(), sort_keys=False, width=120)
    partial = file.with_suffix(".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None


def load_study(reference: str, configs: Path | None = None) -> CalibrationStudy:
    """Load a calibration study by name or path."""
    study = load_table("calibration-study", reference, configs)
    assert isinstance(study, CalibrationStudy)
    return study
