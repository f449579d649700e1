"""A number with its evidence: value, unit, range, source and grade (DESIGN 7)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Grade = Literal["measured-here", "measured-elsewhere", "vendor", "derived", "guess"]


class Strict(BaseModel):
    """Base of every table: unknown keys are refused, values cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Quantity(Strict):
    """One table entry; `low <= value <= high`, none of them negative."""

    value: float = Field(ge=0)
    unit: str
    low: float = Field(ge=0)
    high: float = Field(ge=0)
    source: str = Field(min_length=1)
    grade: Grade

    @model_validator(mode="after")
    def _range_holds_value(self) -> Quantity:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"low <= value <= high does not hold: {self.low:g}, {self.value:g}, {self.high:g}")
        return self


def require_unit(name: str, quantity: Quantity, unit: str) -> None:
    """Raise ValueError when an entry is given in another unit than the one that the model reads."""
    if quantity.unit != unit:
        raise ValueError(f"{name}: unit '{quantity.unit}' should be '{unit}'")


class Flag(Strict):
    """A yes or no with its evidence."""

    value: bool
    source: str = Field(min_length=1)
    grade: Grade


def guess(value: float, unit: str, low: float, high: float, source: str) -> Quantity:
    """Make an entry of grade `guess`, the default of a scenario's key."""
    return Quantity(value=value, unit=unit, low=low, high=high, source=source, grade="guess")
