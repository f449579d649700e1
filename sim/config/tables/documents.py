"""Schemas of `configs/assumptions.yaml`, `configs/sources.yaml` and `configs/mismatches.yaml`.

Each is the data behind a page of the documentation, and what the program shows of it. Texts are Markdown on one line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from pydantic import Field, model_validator

from sim.config.tables.quantity import Headed, Strict


class Document(Headed):
    """Base of the tables behind a page."""

    name: str = Field(description="name of the table")
    about: str = Field(description="what stands above the first table on the page")


RowType = TypeVar("RowType", bound=Strict)


class Section(Strict, Generic[RowType]):
    """Rows of one part of a page."""

    title: str = Field(description="heading on the page")
    rows: list[RowType] = Field(min_length=1, description="rows, in the order of the page")


class Sectioned(Document, Generic[RowType]):
    """A page of rows in sections."""

    sections: list[Section[RowType]] = Field(min_length=1, description="parts of the page")

    @property
    def rows(self) -> list[RowType]:
        """All rows, in order."""
        return [row for section in self.sections for row in section.rows]


class AssumptionRow(Strict):
    """One modelling assumption, and the scenarios that it applies to."""

    number: int = Field(ge=1, description="number by which others refer to it, in order")
    sentence: str = Field(min_length=1, description="what is assumed")
    key: str = Field(min_length=1, description="key that changes it, or `-`")
    applies: str = Field(min_length=1, description="condition on a scenario; `about` says how it is written")


class Assumptions(Sectioned[AssumptionRow]):
    """Every modelling assumption."""

    kind: Literal["assumptions"] = "assumptions"

    @model_validator(mode="after")
    def _numbered(self) -> Assumptions:
        _require_numbers("sections", [row.number for row in self.rows])
        return self


class SourceRow(Strict):
    """What one citation stands for."""

    names: tuple[str, ...] = Field(
        min_length=1, strict=False, description="texts that cite it; the page lists it by the first"
    )
    finding: str = Field(min_length=1, description="what was read, measured or decided there")
    where: str = Field(min_length=1, description="where that can be looked up")
    sure: str = Field(min_length=1, description="how sure it is, in the words of the table's `about`")

    @property
    def key(self) -> str:
        """The name by which the page lists it."""
        return self.names[0]

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.key.lower()).strip("-")

    @property
    def background(self) -> bool:
        """Whether no number rests on it: another row, a page or the code names it."""
        return "background" in self.sure


class Sources(Sectioned[SourceRow]):
    """What every source says that a number cites."""

    kind: Literal["sources"] = "sources"

    @model_validator(mode="after")
    def _named_once(self) -> Sources:
        names = [name for row in self.rows for name in row.names]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"sections: '{twice}' names two sources")
        return self


class MismatchRow(Strict):
    """One disagreement of the model with the world."""

    number: int = Field(ge=1, description="number by which others refer to it, in order")
    seen: str = Field(min_length=1, description="what was seen")
    cause: str = Field(min_length=1, description="why, as far as it is known")
    changed: str = Field(min_length=1, description="what was changed")


class FigureRow(Strict):
    """Why published figures are missed, or met only by the spread of their source."""

    figures: str = Field(min_length=1, description="figures as FILE/`ID`, further `ID` of the file behind; or a remark")
    off_by: str = Field(min_length=1, description="prediction against the published figure")
    cause: str = Field(min_length=1, description="why, as far as it is known")
    changed: str = Field(min_length=1, description="what was changed")


class Mismatches(Document):
    """Where the model and the world disagree."""

    kind: Literal["mismatches"] = "mismatches"
    mismatches: list[MismatchRow] = Field(description="disagreements, in the order of their numbers")
    corrected: str = Field(description="what stands below the first table: mistakes that were corrected")
    about_figures: str = Field(description="what stands above the second table")
    figures: list[FigureRow] = Field(description="published figures that are off, and why")

    @model_validator(mode="after")
    def _numbered(self) -> Mismatches:
        _require_numbers("mismatches", [row.number for row in self.mismatches])
        return self


def _require_numbers(key: str, numbers: Sequence[int]) -> None:
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            raise ValueError(f"{key}: number {number} stands in the place of {expected}")
