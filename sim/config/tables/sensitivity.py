"""Schema of sensitivity studies (`configs/studies/`, kind `sensitivity`): a scenario, an answer, what may vary."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sim.config.tables.quantity import Strict
from sim.config.tables.sweep import Axis, Value


class Sensitivity(Strict):
    """Which inputs an answer depends on; an input without an axis is a table entry and takes its own range."""

    schema_: Literal[1]
    kind: Literal["sensitivity"] = "sensitivity"
    name: str = Field(description="name by which `sensitivity` and `report` refer to it")
    title: str = Field("", description="the question, for people")
    scenario: str = Field(description="name or path of the base scenario")
    set: dict[str, Value | None] = Field(default_factory=dict, description="keys set in every run, as with --set")
    access: list[str] = Field(min_length=1, max_length=2, description="one variant, or two for a gain")
    output: Literal["pps", "gain"] = Field("gain", description="packets/s of the first, or percent gain of the second")
    inputs: dict[str, Axis | None] = Field(
        min_length=1, description="KEY: axis, or nothing for a table entry that takes its own range"
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
