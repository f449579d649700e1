"""What was published for exactly the question asked: the measured rate, the model's, and whether it was fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.engine import Point
from sim.study.evidence.figures import Figure, figures, load_measurements
from sim.study.runs.case import one_point
from sim.study.uncertainty.draws import calibration_of

#: Keys of a scenario that say what it is called and how long it runs, not what is asked.
_NOT_ASKED = {"name", "title", "source", "run"}


@dataclass(frozen=True)
class Published:
    """A published rate of one variant at one size, in packets/s; `used`: the calibration was fitted to it."""

    name: str
    access: str
    packet_bytes: int
    measured_pps: float
    predicted_pps: float
    used: bool
    source: str
    not_stated: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted_pps / self.measured_pps - 1

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**self.__dict__, "error": self.error}


def published_for(scenario: Scenario, points: Sequence[Point], configs: Path | None = None) -> tuple[Published, ...]:
    """Find the published rates whose whole configuration is that of a point, tables and all.

    None are found when a measurement table cannot be read: what the evidence covers is said elsewhere.
    """
    try:
        files = [
            file.model_copy(update={"entries": rates, "counts": []})
            for file in load_measurements(configs)
            if (rates := [entry for entry in file.entries if entry.quantity == "pps"])
        ]
        known = figures(files, configs, {"calibration": scenario.calibration})
    except ConfigError:
        return ()
    calibration = calibration_of(scenario, configs)
    used = {residual.measurement for residual in calibration.residuals} if calibration else set()
    asked = [(point, _asked(one_point(scenario, point.access, point.packet_bytes))) for point in points]
    return tuple(
        _published(figure, point, figure.name in used)
        for figure in known
        for point, question in asked
        if figure.cases and _asked(figure.cases[0].scenario) == question
    )


def _published(figure: Figure, point: Point, used: bool) -> Published:
    return Published(
        name=figure.name,
        access=point.access,
        packet_bytes=point.packet_bytes,
        measured_pps=figure.entry.value,
        predicted_pps=point.pps,
        used=used,
        source=figure.file.source,
        not_stated=tuple(figure.file.not_stated),
        assumed=tuple(figure.file.assumed),
    )


def _asked(scenario: Scenario) -> dict[str, Any]:
    return scenario.model_dump(exclude=_NOT_ASKED)
