"""The highest offered rate without loss, per access variant and packet size: a search in the manner of RFC 2544."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.config.answer import Answer
from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.config.scenario.scenario import MAX_PACKETS, Scenario
from sim.config.scenario.traffic import Load
from sim.datapath.applications.messages import is_application
from sim.engine import Point
from sim.study.questions.run import run
from sim.study.runs.case import variants_and_sizes

if TYPE_CHECKING:
    import pandas as pd

_MOST_TRIALS = 40
#: What the steps of a search lose to rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Carried:
    """The end of a search: the highest offered rate that loses no more than is allowed.

    Attributes
    ----------
    loss
        Share of the packets of a trial that may be lost.
    pps, loses_at_pps
        Highest offered rate at which no more was lost, lowest at which more was: packets/s of all queues together, for
        on-off the mean.
    trial
        The run at `pps`.
    trials
        How many rates were tried.
    """

    loss: float
    pps: float
    loses_at_pps: float
    trial: Point
    trials: int


@dataclass(frozen=True)
class Capacity:
    """What one access variant carries at one packet size. Rates are mean ones, of all queues together.

    Attributes
    ----------
    access, packet_bytes
        The variant, and the frame size in bytes.
    saturated
        The run with drivers that always have packets.
    without_loss, with_loss
        What is carried without loss, and with the loss that is allowed (None where none is).
    """

    access: str
    packet_bytes: int
    saturated: Point
    without_loss: Carried
    with_loss: Carried | None = None

    @property
    def pps(self) -> float:
        """Highest offered rate at which no packet was dropped."""
        return self.without_loss.pps

    @property
    def loses_at_pps(self) -> float:
        """Lowest offered rate at which some were."""
        return self.without_loss.loses_at_pps

    @property
    def below(self) -> Point:
        """The trial at `pps`."""
        return self.without_loss.trial

    @property
    def trials(self) -> int:
        """How many rates were tried, in both searches."""
        return self.without_loss.trials + (self.with_loss.trials if self.with_loss else 0)

    @property
    def share(self) -> float:
        """Capacity as a share of the rate of drivers that always have packets."""
        return self.pps / self.saturated.pps

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        allowed = self.with_loss
        return {
            "access": self.access,
            "packet_bytes": self.packet_bytes,
            "capacity_pps": self.pps,
            "loses_at_pps": self.loses_at_pps,
            **({} if allowed is None else _allowed(allowed)),
            "saturated_pps": self.saturated.pps,
            "share_of_saturated": self.share,
            **{name: getattr(self.below, name) for name in ("offered_pps", "lost_pps", "lost_share")},
            "carried_pps": self.below.pps,
            "latency_us": self.below.latency_us,
            "utilisation": self.below.utilisation,
            "trials": self.trials,
            "basis": self.saturated.basis,
            "notes": list(self.saturated.notes),
        }


def _allowed(carried: Carried) -> dict[str, float]:
    """Return what is said of a search that allows a loss."""
    return {
        "allowed_loss": carried.loss,
        "capacity_with_loss_pps": carried.pps,
        "loses_more_at_pps": carried.loses_at_pps,
        "lost_share_with_loss": lost_share(carried.trial),
    }


@dataclass(frozen=True, repr=False)
class Capacities(Answer):
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

    def headline(self) -> str:
        """Return the scenario, and what each variant carries without loss at the first size."""
        first = self.results[0].packet_bytes
        rates = [f"{each.access} {each.pps / 1e6:.2f}" for each in self.results if each.packet_bytes == first]
        return f"{self.scenario.name}, {first} B: {', '.join(rates)} Mpps without loss"

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


def capacity(
    scenario: Scenario, resolution: float = 0.005, progress: Progress | None = None, *, loss: float | None = None
) -> Capacities:
    """Search the highest offered rate at which no packet is dropped, in the manner of RFC 2544 (`sim.capacity`).

    A trial simulates every packet, `run.packets` of them or as many as it takes for an excess of a fifth of the
    resolution to overflow ring and backlog. `loss` is searched beside it: the rate at which no more than this share is
    lost. ConfigError for a resolution or a loss that is not between 0 and 1, for the lockstep
    driver and for an application.
    """
    for key, share in (("resolution", resolution), ("loss", loss)):
        if share is not None and not 0 < share < 1:
            raise ConfigError("a share between 0 and 1 is needed", key=key, got=f"{share:g}")
    if is_application(scenario):
        application = scenario.traffic.application
        raise ConfigError(f"{application} sets its own pace; no load can be offered to it", key="traffic.application")
    wanted = variants_and_sizes(scenario)
    results = []
    for number, (access, size) in enumerate(wanted):
        if progress is not None:
            progress(number / len(wanted), f"{access}, {size} B")
        saturated = _trial(_alone(scenario, access, size), None)
        asked = _alone(_long_enough(scenario, resolution), access, size)
        none = _search(asked, saturated, resolution, 0.0)
        some = None if loss is None else _search(asked, saturated, resolution, loss)
        results.append(Capacity(access, size, saturated, none, some))
    return Capacities(scenario, tuple(results))


def lost_share(trial: Point) -> float:
    """Return the share of all packets of a trial that was dropped, from its start on."""
    return trial.dropped / (trial.dropped + trial.warmup_packets + trial.packets)


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


def _alone(scenario: Scenario, access: str, size: int) -> Scenario:
    traffic = scenario.traffic.model_copy(update={"packet_bytes": [size]})
    return scenario.model_copy(update={"access": [scenario.variant(access)], "traffic": traffic})


def _search(scenario: Scenario, saturated: Point, resolution: float, loss: float) -> Carried:
    low, high, trials = 0.0, 0.0, 0
    rate = saturated.pps * (1 + resolution) * _peak_factor(scenario.traffic.load) / (1 - loss)
    below: Point | None = None
    while trials < _MOST_TRIALS and (below is None or high == 0 or high - low > resolution * low):
        trials += 1
        point = _trial(scenario, rate)
        if lost_share(point) > loss:
            high = rate
        else:
            low, below = rate, point
        # A rate that carries doubles until one loses; then the interval is halved.
        rate = (low + high) / 2 if high else 2 * rate
    if below is None:  # loses at any rate that was tried: its backlog or ring is too small for its bursts
        below, low = point, 0.0
    return Carried(loss, _mean(scenario, low), _mean(scenario, high), below, trials)


def carried_near(scenario: Scenario, share: float, resolution: float, loss: float = 0.0) -> float:
    """Return the highest rate at which no more is lost: the middle between one that carries and one that loses.

    The scenario has one variant and size. The search begins around a share of its rate with drivers that never run dry,
    and takes two trials where that holds. Mean rate of all queues together in packets/s, 0 where every rate loses more.
    """
    access, size = scenario.access[0].name, scenario.traffic.sizes[0]
    saturated = _trial(_alone(scenario, access, size), None)
    asked = _alone(_long_enough(scenario, resolution), access, size)
    low, high, step = 0.0, 0.0, resolution
    rate = saturated.pps * share * _peak_factor(scenario.traffic.load) * (1 - resolution / 2)
    for _ in range(_MOST_TRIALS):
        if lost_share(_trial(asked, rate)) > loss:
            high = rate
        else:
            low = rate
        if low and high:
            if high - low <= resolution * low * (1 + _ROUNDING):
                return _mean(asked, (low + high) / 2)
            rate = (low + high) / 2
        else:
            rate, step = rate * (1 - step if high else 1 + step), min(2 * step, 0.5)
    return 0.0


def _peak_factor(load: Load) -> float:
    """How far the rate of a load stands above its mean."""
    return (load.on_us + load.off_us) / load.on_us if load.kind == "on-off" else 1.0


def _offered(scenario: Scenario, pps: float) -> Scenario:
    """Return the scenario with a load of that rate; every packet of the run is simulated."""
    load = scenario.traffic.load
    kind = "constant" if load.kind == "saturate" else load.kind
    traffic = scenario.traffic.model_copy(update={"load": load.model_copy(update={"kind": kind, "pps": pps})})
    run_all = scenario.run.model_copy(update={"precision": 0.0})
    return scenario.model_copy(update={"traffic": traffic, "run": run_all})


def _mean(scenario: Scenario, pps: float) -> float:
    """Return the mean rate of all queues together under a load of that rate, which for on-off is that when on."""
    return _offered(scenario, pps).queue_load.mean_pps * scenario.queues.pairs


def _trial(scenario: Scenario, pps: float | None) -> Point:
    """Run a scenario of one variant and size saturated, or every packet of a trial at an offered rate."""
    if pps is not None:
        return run(_offered(scenario, pps)).points[0]
    traffic = scenario.traffic.model_copy(update={"load": Load(kind="saturate")})
    return run(scenario.model_copy(update={"traffic": traffic})).points[0]
