"""Schemas of `configs/studies/*.yaml`: sweeps, sensitivity studies and calibration studies."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.config.tables.quantity import Headed, Strict

Value = bool | int | float | str

MAX_POINTS = 10**8


class Axis(Strict):
    """What one key takes: listed values, or a range (its ends included) on a linear or logarithmic scale."""

    values: list[Value] | None = Field(None, min_length=1, description="numbers or categories, in order")
    low: float | None = Field(None, description="lower end of a range")
    high: float | None = Field(None, description="upper end of a range")
    count: int | None = Field(None, ge=1, le=MAX_POINTS, description="values that a grid takes from the range")
    scale: Literal["linear", "log"] = Field("linear", description="how a range is divided")
    integer: bool = Field(False, description="round to whole numbers (equal neighbours are taken once)")

    @model_validator(mode="after")
    def _values_or_range(self) -> Axis:
        if (self.values is None) == (self.low is None or self.high is None):
            raise ValueError("an axis has either values, or low and high")
        if self.low is not None and self.high is not None:
            if not self.low <= self.high:
                raise ValueError(f"low {self.low:g} is above high {self.high:g}")
            if self.scale == "log" and self.low <= 0:
                raise ValueError("a logarithmic range starts above 0")
        if self.values is not None and (self.count is not None or self.integer or self.scale != "linear"):
            raise ValueError("count, scale and integer go with low and high, not with values")
        return self

    @field_validator("values")
    @classmethod
    def _no_twins(cls, values: list[Value] | None) -> list[Value] | None:
        if values is not None and len({(type(value), value) for value in values}) != len(values):
            raise ValueError("a value is given twice")
        return values


class Sweep(Headed):
    """Many runs of one scenario: a full grid over the axes, or a space-filling sample of `points`."""

    kind: Literal["sweep"] = "sweep"
    name: str = Field(description="name by which `sweep` refers to it")
    title: str = Field("", description="what tables and reports call it")
    scenario: str = Field(description="name or path of the base scenario")
    set: dict[str, Value] = Field(default_factory=dict, description="keys of the scenario that are set in every point")
    design: Literal["grid", "latin-hypercube", "sobol"] = Field("grid", description="how the axes are combined")
    points: int | None = Field(None, ge=1, le=MAX_POINTS, description="points of a latin-hypercube or sobol design")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="seed of the design's draws (0 is a seed)")
    axes: dict[str, Axis] = Field(min_length=1, description="KEY: axis, for any key of the scenario")

    @model_validator(mode="after")
    def _coherent(self) -> Sweep:
        if (self.design == "grid") != (self.points is None):
            raise ValueError("points goes with latin-hypercube and sobol, and they need it; a grid counts its axes")
        for key, axis in self.axes.items():
            if self.design == "grid" and axis.values is None and axis.count is None:
                raise ValueError(f"axes.{key}: a grid needs count for a range")
            if key in self.set:
                raise ValueError(f"axes.{key}: is also given under set")
        return self


class Sensitivity(Headed):
    """Which inputs an answer depends on; an input without an axis is a table entry and takes its own range."""

    kind: Literal["sensitivity"] = "sensitivity"
    name: str = Field(description="name by which `sensitivity` and `report` refer to it")
    title: str = Field("", description="the question, for people")
    scenario: str = Field(description="name or path of the base scenario")
    set: dict[str, Value | None] = Field(default_factory=dict, description="keys of the scenario set in every run")
    access: list[str] = Field(min_length=1, max_length=2, description="one variant, or two for a gain")
    output: Literal["pps", "gain"] = Field("gain", description="packets/s of the first, or percent gain of the second")
    inputs: dict[str, Axis | None] = Field(
        min_length=1, description="KEY: axis, or nothing for the range of a table entry"
    )
    samples: int = Field(256, ge=1, le=1_000_000, description="sobol: base samples, a power of two is best")
    trajectories: int = Field(20, ge=1, le=100_000, description="morris: trajectories")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="seed of the samples (0 is a seed)")

    @model_validator(mode="after")
    def _coherent(self) -> Sensitivity:
        if self.output == "gain" and len(self.access) != 2:
            raise ValueError("output gain needs two access variants")
        twice = next((key for key in self.inputs if key in self.set), None)
        if twice:
            raise ValueError(f"inputs.{twice}: is also given under set")
        return self


class Parameter(Strict):
    """A free parameter: a table entry, and the CPUs or kernels that it is one number for (none named: all)."""

    key: str = Field(description="key of the table entry, from the scenario down")
    cpus: list[str] = Field(
        default_factory=list,
        description="CPUs that share the value, with the prior of the first (none named: those of the measurements, "
        "whose priors must agree)",
    )
    kernels: list[str] = Field(default_factory=list, description="kernels that share the value, as for cpus")

    def concerns(self, cpu: str, kernel: str) -> bool:
        """Whether a scenario with this CPU and kernel takes the parameter's value."""
        return cpu in (self.cpus or [cpu]) and kernel in (self.kernels or [kernel])


class CalibrationStudy(Headed):
    """Which parameters are free, and which measurements they have to meet; the tables' ranges are the priors."""

    kind: Literal["calibration-study"] = "calibration-study"
    name: str = Field(description="name by which `calibrate` refers to it, and of the calibration that it writes")
    scenario: str = Field(description="scenario whose entries outside the tables of CPUs and kernels are the priors")
    parameters: list[Parameter] = Field(min_length=1, description="table entries that are fitted")
    measurements: list[str] = Field(min_length=1, description="measurement files, or single entries as FILE/ID")
    reference: str | None = Field(
        None, description="file whose session is the state of the machine; every other one may be shifted as a whole"
    )
    draws: int = Field(256, ge=1, le=100_000, description="draws of the posterior that are kept")
    trials: int = Field(1024, ge=1, le=1_000_000, description="points at which the model is run to find them")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="seed of trials and draws (0 is a seed)")
