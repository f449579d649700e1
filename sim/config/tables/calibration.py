"""Schema of `configs/calibrations/*.yaml`: what a calibration fixed, what it was fitted to, how well that worked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from sim.config.answer import Answer, Record, counted, flat
from sim.config.tables.quantity import Grade, Headed, Quantity, Strict
from sim.config.tables.study import Parameter


class Fitted(Parameter):
    """A fitted value with its prior: `low` to `high` is its 90 % interval, `pull` its distance from the prior.

    The pull is a standard normal score of the prior: 0 is the table's value, +/- 1.64 end the central 90 %.
    """

    value: float = Field(description="fitted value, in `unit`")
    error: float = Field(description="standard deviation of the fitted value, in `unit`")
    unit: str = Field(description="unit of value, error, low and high")
    low: float = Field(description="lower end of the central 90 % of the draws")
    high: float = Field(description="upper end of the central 90 % of the draws")
    source: str = Field(description="the calibration, and the source of the prior")
    grade: Grade = Field(description="grade that the fitted value has in a table")
    prior: Quantity = Field(description="the table's entry before the fit")
    pull: float = Field(description="distance of the value from the prior's, as a standard normal score of the prior")
    at_edge: bool = Field(False, description="the fit pushes the value against an end of its prior range")


class Residual(Strict):
    """One measurement after the fit; `sigma` is its standard deviation, rounding and noise, as a share."""

    measurement: str = Field(description="the figure, as FILE/ID")
    measured: float = Field(description="published value, in the figure's unit")
    predicted: float = Field(description="what the model gives with the fitted values, in the same unit")
    sigma: float = Field(description="standard deviation of the figure, as a share: noise and rounding")
    residual: float = Field(description="(predicted / measured - 1) / sigma, shift of the session included")


class Shift(Strict):
    """How far a session as a whole lies from the reference; `spread` is its prior standard deviation."""

    session: str = Field(description="measurement file whose figures were taken together")
    value: float = Field(description="fitted shift of the session's rates, as a share")
    error: float = Field(description="standard deviation of the shift, as a share")
    spread: float = Field(description="prior standard deviation of the shift, as a share")


class Correlation(Strict):
    """Correlation of two parameters in the posterior draws."""

    first: str = Field(description="one parameter, or session")
    second: str = Field(description="the other")
    value: float = Field(description="correlation of their draws, -1 to 1")


class Combination(Strict):
    """One direction in which the data knows more than the prior.

    `information` is data over prior; weights are of scores (unit length), the largest only.
    """

    information: float = Field(description="what the data says of the direction, over what the prior says")
    weights: dict[str, float] = Field(description="each parameter: its part in the direction, in scores of its prior")


Path = Literal["executed", "by analogy"]


class LeftOut(Strict):
    """A published figure beside its prediction by a fit that did not know its source.

    `error` is ln(measured / predicted); `sigma` is what it is expected to be without an error of the model: ranges of
    the tables, repeats of a rig, noise and rounding of the figure.
    """

    measurement: str = Field(description="the figure, as FILE/ID")
    error: float = Field(description="ln(measured / predicted)")
    sigma: float = Field(ge=0, description="standard deviation of that without an error of the model")


class Discrepancy(Strict):
    """How far the model itself is off where its parameters are right, for one class of path and one quantity.

    `path` is `executed` where every count of a step rests on an executed kernel and the variants were executed too; it
    is `by analogy` where a count is a guess, or nobody has executed a variant.
    `sigma` is the most likely standard deviation of the errors in `evidence`.
    """

    path: Path = Field(description="class of path: executed, or by analogy")
    quantity: Literal["pps", "ratio"] = Field(description="of a rate, or of a ratio of two rates")
    sigma: float = Field(ge=0, description="standard deviation of the logarithm")
    evidence: list[LeftOut] = Field(description="every figure that it rests on, with its source left out of the fit")


class Calibration(Answer, Headed):
    """Everything that one calibration fixed, what it was fitted to, and how well that worked."""

    kind: Literal["calibration"] = "calibration"
    title: str = Field("", description="what tables and reports call it")
    study: str = Field(description="calibration study that it answers")
    fitted_on: dict[str, list[str]] = Field(description="`cpus` and `kernels` that its measurements were taken with")
    host: str = Field("", description="machine whose own measurements it was fitted to (published figures: none)")
    parameters: list[Fitted] = Field(description="fitted values, each with its prior")
    shifts: list[Shift] = Field(default_factory=list, description="how far each session lies from the reference")
    correlations: list[Correlation] = Field(default_factory=list, description="pairs of parameters that move together")
    combinations: list[Combination] = Field(
        default_factory=list, description="what the data knows better than the priors"
    )
    residuals: list[Residual] = Field(description="each measurement used, with what the fit makes of it")
    not_modelled: dict[str, str] = Field(
        default_factory=dict, description="each measurement that the model cannot make: why"
    )
    discrepancies: list[Discrepancy] = Field(
        default_factory=list, description="how far the model itself is off, by leaving each source out in turn"
    )
    chi_square: float = Field(description="sum of the squares of the residuals")
    findings: list[str] = Field(default_factory=list, description="what the fit says, in sentences")
    effective_draws: float = Field(description="independent draws that the weighted ones are worth")
    draws: str = Field(description="draws of the posterior, a row each, in the order of `parameters`")

    @model_validator(mode="after")
    def _draws_fit(self) -> Calibration:
        for row in self.sample():
            if len(row) != len(self.parameters):
                wanted = counted(len(self.parameters), "parameter")
                raise ValueError(f"draws: a row of {counted(len(row), 'number')} for {wanted}")
        return self

    def headline(self) -> str:
        """Return what was fitted to how much."""
        fitted = f"{counted(len(self.parameters), 'parameter')} fitted to {counted(len(self.residuals), 'figure')}"
        return f"{self.name}: {fitted}, chi square {self.chi_square:.3g}"

    def records(self) -> list[Record]:
        """Return the fitted parameters."""
        return [flat(parameter) for parameter in self.to_dict()["parameters"]]

    def sample(self) -> list[list[float]]:
        """Return the draws, one list per draw in the order of `parameters`."""
        return [[float(number) for number in row.split()] for row in self.draws.splitlines() if row.strip()]

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as it stands in a file."""
        data = self.model_dump(mode="json")
        for parameter in data["parameters"]:
            parameter["prior"] = {name: value for name, value in parameter["prior"].items() if value is not None}
        for key in ("host", "discrepancies"):
            if not data[key]:
                del data[key]
        return {"schema": data.pop("schema_"), **data}
