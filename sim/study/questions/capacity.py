"""The highest offered rate without loss, per access variant and packet size: a search in the manner of RFC 2544."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.config.scenario.scenario import MAX_PACKETS, Scenario
from sim.config.scenario.traffic import Load
from sim.engine import Point
from sim.study.questions.run import run
from sim.study.runs.case import variants_and_sizes

if TYPE_CHECKING:
    import pandas as pd

_MOST_TRIALS = 40


@dataclass(frozen=True)
class Capacity:
    """What one access variant carries at one packet size.

    Attributes
    ----------
    access, packet_bytes
        The variant, and the frame size in bytes.
    pps, loses_at_pps
        Highest offered rate at which no packet was dropped, lowest at which some were (packets/s).
    saturated, below
        The run with a driver that always has packets; the trial at `pps`.
    trials
        How many rates were tried.
    """

    access: str
    packet_bytes: int
    pps: float
    loses_at_pps: float
    saturated: Point
    below: Point
    trials: int

    @property
    def share(self) -> float:
        """Capacity as a share of the rate of a driver that always has packets."""
        return self.pps / self.saturated.pps

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "access": self.access,
            "packet_bytes": self.packet_bytes,
            "capacity_pps": self.pps,
            "loses_at_pps": self.loses_at_pps,
            "saturated_pps": self.saturated.pps,
            "share_of_saturated": self.share,
            "latency_us": self.below.latency_us,
            "utilisation": self.below.utilisation,
            "trials": self.trials,
            "notes": list(self.saturated.notes),
        }


@dataclass(frozen=True)
class Capacities:
    """The capacities of one scenario, in the order of its access variants, then sizes: a `Capacity` for each.

    Examples
    --------
    >>> import sim
    >>> short = ["access=vmap", "traffic.packet_bytes=64", "run.packets=4000"]
    >>> capacities = sim.capacity(sim.load_scenario("virtio-user-xdp1-tap", overrides=short), resolution=0.1)
    >>> capacities.to_frame()[["access", "packet_bytes"]].values.tolist()
    [['vmap', 64]]
    """

    scenario: Scenario
    results: tuple[Capacity, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim capacity`."""
        return {"schema": 1, "scenario": self.scenario.name, "results": [result.to_dict() for result in self.results]}

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy table: one row per access variant and packet size; rates in packets/s, times in us."""
        import pandas as pd

        rows = []
        for result in self.results:
            row = result.to_dict()
            latency, utilisation, _ = row.pop("latency_us"), row.pop("utilisation"), row.pop("notes")
            flat = {f"latency_{name}_us": value for name, value in latency.items()}
            rows.append({**row, **flat, **{f"utilisation_{name}": value for name, value in utilisation.items()}})
        return pd.DataFrame(rows)


def capacity(scenario: Scenario, resolution: float = 0.005, progress: Progress | None = None) -> Capacities:
    """Search the highest offered rate at which no packet is dropped, in the manner of RFC 2544.

    A trial simulates every packet, `run.packets` of them or as many as it takes for an excess of a fifth of the
    resolution to overflow ring and backlog. Packets arrive in the manner of the scenario's load, constant unless it
    says poisson or on-off; the rate is that of the load, for on-off the rate when on. All trials meet the same draws.

    Parameters
    ----------
    scenario
        What to run: each access variant at each packet size.
    resolution
        The search ends when the rates with and without loss differ by less than this share, between 0 and 1.
    progress
        Called before each search, with the share done (0 to 1) and what is being searched.

    Returns
    -------
    Capacities
        A capacity for each variant and size.

    Raises
    ------
    ConfigError
        For a resolution that is not between 0 and 1, and for the lockstep driver.

    Examples
    --------
    >>> import sim
    >>> short = ["access=vmap", "traffic.packet_bytes=64", "run.packets=4000"]
    >>> scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=short)
    >>> share = sim.capacity(scenario, resolution=0.1).to_frame()["share_of_saturated"][0]
    >>> bool(0.9 < share < 1)
    True
    """
    if not 0 < resolution < 1:
        raise ConfigError("a share between 0 and 1 is needed", key="resolution", got=f"{resolution:g}")
    wanted = variants_and_sizes(scenario)
    results = []
    for number, (access, size) in enumerate(wanted):
        if progress is not None:
            progress(number / len(wanted), f"{access}, {size} B")
        results.append(_search(_long_enough(scenario, resolution), access, size, resolution))
    return Capacities(scenario, tuple(results))


def offered(scenario: Scenario) -> list[tuple[Scenario, str, int]]:
    """Return the points of a search as they are run: with packets that arrive."""
    load = scenario.traffic.load
    if load.kind == "saturate":
        load = load.model_copy(update={"kind": "constant", "pps": 1.0})
    traffic = scenario.traffic.model_copy(update={"load": load})
    arriving = scenario.model_copy(update={"traffic": traffic})
    return [(arriving, access, size) for access, size in variants_and_sizes(scenario)]


def _long_enough(scenario: Scenario, resolution: float) -> Scenario:
    room = scenario.traffic.load.backlog + scenario.virtqueue.size
    packets = min(max(scenario.run.packets, math.ceil(5 * room / resolution)), MAX_PACKETS)
    return scenario.model_copy(update={"run": scenario.run.model_copy(update={"packets": packets})})


def _search(scenario: Scenario, access: str, size: int, resolution: float) -> Capacity:
    saturated = _trial(scenario, access, size, None)
    low, high, trials = 0.0, 0.0, 0
    rate = saturated.pps * (1 + resolution) * _peak_factor(scenario.traffic.load)
    below: Point | None = None
    while trials < _MOST_TRIALS and (below is None or high == 0 or high - low > resolution * low):
        trials += 1
        point = _trial(scenario, access, size, rate)
        if point.dropped:
            high = rate
        else:
            low, below = rate, point
        # A rate that carries doubles until one loses; then the interval is halved.
        rate = (low + high) / 2 if high else 2 * rate
    if below is None:  # loses at any rate that was tried: its backlog or ring is too small for its bursts
        below, low = point, 0.0
    return Capacity(access, size, low, high, saturated, below, trials)


def _peak_factor(load: Load) -> float:
    """How far the rate of a load stands above its mean."""
    return (load.on_us + load.off_us) / load.on_us if load.kind == "on-off" else 1.0


def _trial(scenario: Scenario, access: str, size: int, pps: float | None) -> Point:
    """Run one variant at one size: saturated, or every packet of a trial at an offered rate."""
    load, packets = Load(kind="saturate"), scenario.run
    if pps is not None:
        load = scenario.traffic.load
        kind = "constant" if load.kind == "saturate" else load.kind
        load = load.model_copy(update={"kind": kind, "pps": pps})
        packets = scenario.run.model_copy(update={"precision": 0.0})
    traffic = scenario.traffic.model_copy(update={"packet_bytes": [size], "load": load})
    update = {"access": [scenario.variant(access)], "traffic": traffic, "run": packets}
    return run(scenario.model_copy(update=update)).points[0]
