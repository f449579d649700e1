"""Run a scenario: every access variant at every packet size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.config.scenario.scenario import Scenario
from sim.datapath import build_plan
from sim.engine import Point, simulate

if TYPE_CHECKING:
    import pandas as pd

#: Told as a run goes on: share done (0..1) and what is being simulated.
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Result:
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
        return {"schema": 1, "scenario": self.scenario.name, "results": [point.to_dict() for point in self.points]}

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy table: one row per access variant and size, one column per number.

        Columns: access, packet_bytes, pps, pps_low, pps_high (packets/s), ns_per_packet, cycles_per_packet,
        latency_*_us, utilisation_*, ring_occupancy_mean, bound_by, packets, cycles_* (worker cycles per packet).
        """
        import pandas as pd

        names = list(dict.fromkeys(name for point in self.points for name in point.breakdown_ps))
        return pd.DataFrame([flat(point, names) for point in self.points])


def flat(point: Point, names: Sequence[str]) -> dict[str, Any]:
    """Return one point as a row: its numbers, and the cycles of the named parts of its breakdown."""
    low, high = point.pps_ci
    cycles = point.breakdown_cycles
    return {
        "access": point.access,
        "packet_bytes": point.packet_bytes,
        "pps": point.pps,
        "pps_low": low,
        "pps_high": high,
        "ns_per_packet": point.ns_per_packet,
        "cycles_per_packet": point.cycles_per_packet,
        "instructions_per_packet": point.instructions_per_packet,
        **{f"latency_{name}_us": value for name, value in point.latency_us.items()},
        **{f"utilisation_{name}": value for name, value in point.utilisation.items()},
        "ring_occupancy_mean": point.occupancy["mean"],
        "bound_by": point.bound_by,
        "packets": point.packets,
        **{f"cycles_{name}": cycles.get(name, 0.0) for name in names},
    }


def run(scenario: Scenario, progress: Progress | None = None) -> Result:
    """Simulate every access variant at every packet size of a scenario.

    Parameters
    ----------
    scenario
        What to run; `scenario.run` says how many packets at most, and how precisely.
    progress
        Called as the run goes on, with the share done (0 to 1) and what is being simulated.

    Returns
    -------
    Result
        A point for each variant and size.

    Raises
    ------
    ConfigError
        When a packet size or driver does not fit the modelled path, before anything is simulated.

    Examples
    --------
    >>> import sim
    >>> short = ["access=copy_user", "traffic.packet_bytes=[64, 1518]", "run.packets=20000"]
    >>> scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=short)
    >>> [(point.packet_bytes, f"{point.pps / 1e6:.1f}") for point in sim.run(scenario).points]
    [(64, '5.0'), (1518, '4.1')]
    """
    wanted = [(variant.name, size) for variant in scenario.access for size in scenario.traffic.sizes]
    plans = [build_plan(scenario, access, size) for access, size in wanted]
    points = []
    for number, plan in enumerate(plans):
        label = f"{plan.access}, {plan.packet_bytes} B"

        def report(done: int, most: int, number: int = number, label: str = label) -> None:
            if progress is not None:
                progress((number + done / most) / len(plans), label)

        points.append(simulate(plan, scenario.run, report))
    return Result(scenario, tuple(points))
