"""Run a scenario: every access variant at every packet size, in the stated order of simultaneous events or shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.config.answer import Answer
from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.config.scenario.scenario import Scenario
from sim.datapath import build_plan
from sim.engine import Point, simulate
from sim.study.questions.columns import columns_of, row_of
from sim.study.runs.case import Side, sides_of, variants_and_sizes
from sim.study.runs.drawn import on_structure, ran

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Result(Answer):
    """The points of one scenario, in the order of its access variants, then sizes.

    Attributes
    ----------
    scenario
        What was run.
    points
        One for each access variant and packet size.

    Examples
    --------
    >>> import sim
    >>> short = ["access=copy_user,vmap", "traffic.packet_bytes=64", "run.packets=20000"]
    >>> result = sim.run(sim.load_scenario("virtio-user-xdp1-tap", overrides=short))
    >>> result.at("vmap", 64).bound_by
    'worker'
    >>> result.to_frame()[["access", "packet_bytes"]].values.tolist()
    [['copy_user', 64], ['vmap', 64]]
    """

    scenario: Scenario
    points: tuple[Point, ...]

    def headline(self) -> str:
        """Return the scenario, and the rate of each variant at the first size."""
        first = self.points[0].packet_bytes
        rates = [f"{point.access} {point.pps / 1e6:.2f}" for point in self.points if point.packet_bytes == first]
        return f"{self.scenario.name}, {first} B: {', '.join(rates)} Mpps"

    def at(self, access: str, packet_bytes: int) -> Point:
        """Return the point of one access variant and packet size.

        Raises
        ------
        KeyError
            When it was not simulated.
        """
        for point in self.points:
            if (point.access, point.packet_bytes) == (access, packet_bytes):
                return point
        raise KeyError(f"{access} at {packet_bytes} bytes was not simulated")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim run`."""
        return {"schema": 1, "scenario": self.scenario.name, "results": [_json(point) for point in self.points]}

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy table: one row per access variant and size, one column per number.

        Columns: access, packet_bytes, pps, pps_low, pps_high (packets/s), ns_per_packet, cycles_per_packet,
        latency_*_us, utilisation_*, ring_occupancy_mean, bound_by, packets, cycles_* (worker cycles per packet).
        """
        import pandas as pd

        filled = columns_of(self.points)
        return pd.DataFrame([row_of(point, filled) for point in self.points])


def _json(point: Point) -> dict[str, Any]:
    """Return the JSON form of a point, with the columns that the point itself does not write."""
    written = point.to_dict()
    return {**written, **row_of(point, (column for column in columns_of([point]) if column.key not in written))}


def run(scenario: Scenario, progress: Progress | None = None) -> Result:
    """Simulate every access variant at every packet size of a scenario (`sim.run`).

    ConfigError when a packet size or driver does not fit the modelled path, before anything is simulated.
    """
    sides, share_plans = sides_of(scenario), len(scenario.traffic.sizes) > 1
    built = [(side, on_structure(side.case) if share_plans else None) for side in sides]
    for side, runs in built:
        _ = runs or side.case.plan  # what cannot be built is refused before anything is simulated
    points = []
    for number, (side, runs) in enumerate(built):

        def report(done: int, most: int, number: int = number, side: Side = side) -> None:
            if progress is not None:
                progress((number + done / most) / len(sides), f"{side.label}, {side.packet_bytes} B")

        points.append(ran(side.case, runs, report))
    return Result(scenario, tuple(points))


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
        return self.spread > 0.001

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
