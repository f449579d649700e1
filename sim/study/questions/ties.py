"""Does the answer depend on who goes first among simultaneous events? Run under shuffled orders and look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.questions.run import Progress
from sim.study.runs.case import variants_and_sizes

_MOVES = 0.001


@dataclass(frozen=True)
class TieCheck:
    """The rates of one access variant at one packet size: in the stated order, and the extremes over the shuffles."""

    access: str
    packet_bytes: int
    shuffles: int
    pps: float
    pps_low: float
    pps_high: float

    @property
    def spread(self) -> float:
        """Largest distance from the rate in the stated order, as a share of it."""
        return max(self.pps - self.pps_low, self.pps_high - self.pps, 0.0) / self.pps

    @property
    def moves(self) -> bool:
        """Whether the order of simultaneous events moves the rate by more than 0.1 %."""
        return self.spread > _MOVES

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**self.__dict__, "spread": self.spread, "moves": self.moves}


def check_ties(scenario: Scenario, shuffles: int, progress: Progress | None = None) -> list[TieCheck]:
    """Run every point of a scenario in the stated order and under `shuffles` shuffled ones."""
    if shuffles < 1:
        raise ConfigError("at least 1 shuffle is needed", key="shuffles", got=shuffles)
    wanted = variants_and_sizes(scenario)
    checks = []
    for number, (access, size) in enumerate(wanted):
        if progress is not None:
            progress(number / len(wanted), f"{access}, {size} B, shuffled")
        plan = build_plan(scenario, access, size)
        rates = [simulate(plan, scenario.run, tie_fuzz=fuzz).pps for fuzz in range(shuffles + 1)]
        checks.append(TieCheck(access, size, shuffles, rates[0], min(rates), max(rates)))
    return checks
