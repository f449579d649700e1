"""Schema of calibration studies (`configs/studies/`) and of what they write (`configs/calibrations/`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from sim.config.quantity import Grade, Quantity, Strict, require_unit


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

    @field_validator("target")
    @classmethod
    def _in_packets_per_second(cls, target: Quantity) -> Quantity:
        require_unit("target", target, "packets/s")
        return target


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

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as it stands in a file."""
        data = self.model_dump(mode="json")
        return {"schema": data.pop("schema_"), **data}
