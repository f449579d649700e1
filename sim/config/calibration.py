"""Schema of calibration studies (`configs/studies/`) and of what they write (`configs/calibrations/`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from sim.config.quantity import Grade, Quantity, Strict


class Parameter(Strict):
    """A free parameter: a table entry, and the CPUs or kernels that it is one number for (none named: all)."""

    key: str
    cpus: list[str] = Field(default_factory=list)
    kernels: list[str] = Field(default_factory=list)

    def concerns(self, cpu: str, kernel: str) -> bool:
        """Whether a scenario with this CPU and kernel takes the parameter's value."""
        return cpu in (self.cpus or [cpu]) and kernel in (self.kernels or [kernel])


class CalibrationStudy(Strict):
    """Which parameters are free, and which measurements they have to meet; the tables' ranges are the priors."""

    schema_: Literal[1]
    kind: Literal["calibration-study"] = "calibration-study"
    name: str
    title: str
    scenario: str = Field(description="scenario whose tables give the priors of parameters that name no CPU or kernel")
    parameters: list[Parameter] = Field(min_length=1)
    measurements: list[str] = Field(min_length=1, description="measurement files, or single entries as FILE/ID")
    reference: str | None = Field(
        None, description="file whose session is the state of the machine; every other one may be shifted as a whole"
    )
    draws: int = Field(256, ge=1, le=100_000, description="draws of the posterior that are kept")
    trials: int = Field(1024, ge=1, le=1_000_000, description="points at which the model is run to find them")
    seed: int = Field(1, ge=0, le=2**63 - 1)


class Fitted(Parameter):
    """A fitted value with its prior: `low` to `high` is its 90 % interval, `pull` its distance from the prior.

    The pull is a standard normal score of the prior: 0 is the table's value, +/- 1.64 end the central 90 %.
    """

    value: float
    error: float
    unit: str
    low: float
    high: float
    source: str
    grade: Grade
    prior: Quantity
    pull: float
    at_edge: bool = False


class Residual(Strict):
    """One measurement after the fit; `sigma` is its standard deviation, rounding and noise, as a share."""

    measurement: str
    measured: float
    predicted: float
    sigma: float
    residual: float = Field(description="(predicted / measured - 1) / sigma, shift of the session included")


class Shift(Strict):
    """How far a session as a whole lies from the reference; `spread` is its prior standard deviation."""

    session: str
    value: float
    error: float
    spread: float


class Correlation(Strict):
    """Correlation of two parameters in the posterior draws."""

    first: str
    second: str
    value: float


class Combination(Strict):
    """One direction in which the data knows more than the prior.

    `information` is data over prior; weights are of scores (unit length), the largest only.
    """

    information: float
    weights: dict[str, float]


class Calibration(Strict):
    """Everything that one calibration fixed, what it was fitted to, and how well that worked."""

    schema_: Literal[1]
    kind: Literal["calibration"] = "calibration"
    name: str
    title: str = ""
    study: str
    fitted_on: dict[str, list[str]]
    parameters: list[Fitted]
    shifts: list[Shift] = Field(default_factory=list)
    correlations: list[Correlation] = Field(default_factory=list)
    combinations: list[Combination] = Field(default_factory=list)
    residuals: list[Residual]
    not_modelled: dict[str, str] = Field(default_factory=dict)
    chi_square: float
    findings: list[str] = Field(default_factory=list)
    effective_draws: float
    draws: str = Field(description="draws of the posterior, a row each, in the order of `parameters`")

    @model_validator(mode="after")
    def _draws_fit(self) -> Calibration:
        for row in self.sample():
            if len(row) != len(self.parameters):
                raise ValueError(f"draws: a row of {len(row)} numbers for {len(self.parameters)} parameters")
        return self

    def sample(self) -> list[list[float]]:
        """Return the draws, one list per draw in the order of `parameters`."""
        return [[float(number) for number in row.split()] for row in self.draws.splitlines() if row.strip()]

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as it stands in a file."""
        data = self.model_dump(mode="json")
        for one in data["parameters"]:
            one["prior"] = {name: value for name, value in one["prior"].items() if value is not None}
        return {"schema": data.pop("schema_"), **data}
