"""Schema of calibration studies (`configs/studies/`) and of what they write (`configs/calibrations/`)."""

from __future__ import annotations

from typing import Literal

from sim.config.quantity import Grade, Quantity, Strict


class CalibrationStudy(Strict):
    """One parameter fitted to one measured rate."""

    schema_: Literal[1]
    kind: Literal["calibration-study"] = "calibration-study"
    name: str
    title: str
    scenario: str
    access: str
    packet_bytes: int
    parameter: str
    target: Quantity


class Fitted(Strict):
    """A fitted value with its prior and its fit: the calibrated number that a scenario uses."""

    key: str
    value: float
    unit: str
    low: float
    high: float
    source: str
    grade: Grade
    prior: Quantity
    pull: float


class Calibration(Strict):
    """Everything that one calibration fixed, and where it was fitted."""

    schema_: Literal[1]
    kind: Literal["calibration"] = "calibration"
    name: str
    study: str
    fitted_on: dict[str, str]
    target_pps: float
    predicted_pps: float
    parameters: list[Fitted]
