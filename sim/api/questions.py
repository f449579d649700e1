"""Questions about one scenario or two: run, compare, explain, capacity, uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sim.api.progress import Shown, counting, reporting
from sim.config.errors import ConfigError
from sim.config.loading.overrides import as_assignments
from sim.config.scenario.scenario import Scenario
from sim.study.questions import capacity as capacities
from sim.study.questions import compare as comparing
from sim.study.questions import explain as explaining
from sim.study.questions import run as running
from sim.study.questions.capacity import Capacities
from sim.study.questions.compare import Comparison
from sim.study.questions.explain import Explanation
from sim.study.questions.run import Result
from sim.study.runs.asked import Asks, every_point, first_point, load_scenario, load_sides, scenarios_of
from sim.study.runs.case import sides_of
from sim.study.runs.pool import pool_for
from sim.study.uncertainty import uncertainty as drawing
from sim.study.uncertainty.capacities import USUAL_DRAWS, capacity_uncertainty
from sim.study.uncertainty.runs import FIRST_DRAWS
from sim.study.uncertainty.uncertainty import Uncertainty

#: What is asked about: a scenario that was loaded, the name of one, or its file.
Asked = Scenario | str | Path
#: Changes of keys: `KEY=VALUE` texts, or values by key.
Overrides = Sequence[str] | Mapping[str, Any]
#: Runs that are worth processes.
_MANY = 10**6


def folder(configs: str | Path | None) -> Path | None:
    """Return the folder of own tables as a path."""
    return None if configs is None else Path(configs)


def loaded(scenario: Asked, overrides: Overrides, configs: str | Path | None, asks: Asks = every_point) -> Scenario:
    """Return the scenario that is asked about; one that was loaded already stays as it is without overrides."""
    if isinstance(scenario, Scenario) and not overrides:
        return scenario
    return load_scenario(scenario, overrides=overrides, configs=configs, asks=asks)


def run(
    scenario: Asked, *, overrides: Overrides = (), configs: str | Path | None = None, progress: Shown = None
) -> Result:
    """Simulate every access variant at every packet size of a scenario.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file; its `run` says how many packets at most, and how precisely.
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.
    progress
        True for a bar in a notebook or a terminal; or a function that is called with the share done (0 to 1) and what
        is being done.

    Returns
    -------
    Result
        A point for each variant and size.

    Raises
    ------
    ConfigError
        When a key, a packet size or a driver does not fit the modelled path, before anything is simulated.

    Examples
    --------
    >>> import sim
    >>> short = {"access": ["copy_user"], "traffic.packet_bytes": [64, 1518], "run.packets": 20000}
    >>> result = sim.run("virtio-user-xdp1-tap", overrides=short)
    >>> [(point.packet_bytes, f"{point.pps / 1e6:.1f}") for point in result.points]
    [(64, '5.0'), (1518, '4.1')]
    >>> result
    <Result: virtio-user-xdp1-tap, 64 B: copy_user 5.03 Mpps>
    """
    asked = loaded(scenario, overrides, configs)
    with reporting(progress) as report:
        return running.run(asked, report)


def compare(
    scenario: Asked,
    other: Asked | None = None,
    *,
    access: tuple[str, str] | None = None,
    overrides: Overrides = (),
    configs: str | Path | None = None,
    progress: Shown = None,
) -> Comparison:
    """Compare two access variants of one scenario, or two scenarios, size by size.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file: both variants, or with another scenario the first.
    other
        The scenario to compare with.
    access
        Names of the two variants. By default the first two of the scenario; of two scenarios the first of each.
    overrides
        Changes of keys of both sides, as `load_scenario` takes them.
    configs
        A folder with tables of your own.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    Comparison
        A difference for each packet size that both have.

    Raises
    ------
    ConfigError
        When there are no two variants, one is not listed by its scenario, the scenarios share no packet size, or a key
        is read by neither.

    Examples
    --------
    >>> import sim
    >>> short = {"traffic.packet_bytes": 64, "run.packets": 20000}
    >>> sim.compare("virtio-user-xdp1-tap", access=("copy_user", "vmap"), overrides=short)
    <Comparison: copy_user -> vmap, 64 B: +20.4 %, +33.6 ns saved per packet>
    >>> no_smap = sim.load_scenario("virtio-user-xdp1-tap", overrides={**short, "mitigations.smap": False})
    >>> comparison = sim.compare(no_smap, access=("copy_user", "vmap"))
    >>> list(comparison.differences[0].made_up_of)[:2]
    ['lfence', 'line_transfer']
    """
    overrides = with_access(overrides, scenario, None if other is not None else access)
    asked: list[Asked] = [scenario] if other is None else [scenario, other]
    if overrides or not all(isinstance(side, Scenario) for side in asked):
        asks = _compared(access) if other is None else comparing.compared_with_another
        sides = [(scenarios_of(side, configs), dict[str, Any]()) for side in asked]
        asked = [*load_sides(sides, as_assignments(overrides), asks)[0]]
    both = [side for side in asked if isinstance(side, Scenario)]
    with reporting(progress) as report:
        return comparing.compare(both[0], both[1] if other is not None else None, access=access, progress=report)


def with_access(overrides: Overrides, scenario: Asked, access: Sequence[str] | None) -> Overrides:
    """Let the variants that are asked for come behind the overrides where the scenario is still to be loaded."""
    if access is None or isinstance(scenario, Scenario):
        return overrides
    return [*as_assignments(overrides), f"access={','.join(access)}"]


def one_variant(scenario: Asked, access: str | None, overrides: Overrides, configs: str | Path | None) -> Scenario:
    """Return the scenario of a question about one access variant, by default its first."""
    overrides = with_access(overrides, scenario, None if access is None else [access])
    return loaded(scenario, overrides, configs, first_point if access is None else _compared((access,)))


def _compared(access: Sequence[str] | None) -> Asks:
    """Return which points of one scenario are compared."""
    if access is None:
        return comparing.compared
    return lambda scenario: [point for point in every_point(scenario) if point[1] in access]


def explain(
    scenario: Asked,
    access: str | None = None,
    packet_bytes: int | None = None,
    *,
    overrides: Overrides = (),
    configs: str | Path | None = None,
) -> Explanation:
    """Explain one access variant at one packet size, with the frequencies of a run.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file.
    access
        Name of one of its variants; by default its first.
    packet_bytes
        Frame size in bytes; by default the scenario's first.
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.

    Returns
    -------
    Explanation
        Rows with formula, numbers and total; counts of primitives; the entries behind the answer.

    Raises
    ------
    ConfigError
        When the scenario does not list the variant, or the size does not fit the modelled path.

    Examples
    --------
    >>> import sim
    >>> explanation = sim.explain("virtio-user-xdp1-tap", "copy_user", 64, overrides={"run.packets": 20000})
    >>> explanation.to_frame(by="function").function[0]
    'vhost_get_vq_desc'
    >>> descriptor = next(row for row in explanation.plan.rows if row.label == "descriptor")
    >>> descriptor.function, f"{explanation.rate(descriptor):.0f} per packet"
    ('vhost_get_vq_desc', '1 per packet')
    """
    asked = one_variant(scenario, access, overrides, configs)
    return explaining.explain(asked, access or asked.access[0].name, packet_bytes)


def capacity(
    scenario: Asked,
    resolution: float = 0.005,
    *,
    loss: float | None = None,
    overrides: Overrides = (),
    configs: str | Path | None = None,
    progress: Shown = None,
) -> Capacities:
    """Search the highest offered rate at which no packet is dropped, in the manner of RFC 2544.

    A trial simulates every packet, `run.packets` of them or as many as it takes for an excess of a fifth of the
    resolution to overflow ring and backlog. Packets arrive in the manner of the scenario's load, constant unless it
    says poisson or on-off. Rates are those of all queues together, for on-off the mean of on and off. All trials meet
    the same draws.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file: each access variant at each packet size.
    resolution
        The search ends when the rates with and without loss differ by less than this share, between 0 and 1.
    loss
        Search beside it the highest rate at which no more than this share of the packets is lost, between 0 and 1: the
        partial drop rate. Like the other it is known to within the resolution.
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.
    progress
        True for a bar, or a function that is called with the share done and what is being searched.

    Returns
    -------
    Capacities
        A capacity for each variant and size.

    Raises
    ------
    ConfigError
        For a resolution or a loss that is not between 0 and 1, and for the lockstep driver.

    Examples
    --------
    >>> import sim
    >>> short = {"access": "vmap", "traffic.packet_bytes": 64, "run.packets": 4000}
    >>> capacities = sim.capacity("virtio-user-xdp1-tap", resolution=0.1, overrides=short)
    >>> bool(0.9 < capacities.to_frame()["share_of_saturated"][0] < 1)
    True
    """
    asked = loaded(scenario, overrides, configs, capacities.offered)
    with reporting(progress) as report:
        return capacities.capacity(asked, resolution, report, loss=loss)


def uncertainty(
    scenario: Asked | Capacities,
    draws: int | None = None,
    *,
    resolution: float = 0.02,
    overrides: Overrides = (),
    configs: str | Path | None = None,
    jobs: int | None = None,
    progress: Shown = None,
) -> Uncertainty:
    """Say how sure rates and gains are: every cost is drawn from its range, the same draws for all access variants.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file; or what `capacity` has found, which is then searched again in
        each draw.
    draws
        How many. By default as many as the first interval takes to be precise; of capacities 20.
    resolution
        Of capacities: how near a search comes, as a share.
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.
    jobs
        Processes; by default the threads of this one.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    Uncertainty
        Rates and gains with their 90 % intervals, of a measurement and of the parameters alone; what makes them wide.

    Raises
    ------
    ConfigError
        Below one draw, and for what cannot be simulated.

    Examples
    --------
    >>> import sim
    >>> short = {"access": ["copy_user", "vmap"], "traffic.packet_bytes": 64}
    >>> sure = sim.uncertainty("virtio-user-xdp1-tap", 50, overrides=short)
    >>> sure.gains[0].sentence(sure.draws)
    'the sign is certain: all of 50 draws have it'
    >>> list(sure.to_frame()[["pps_90_low", "pps_90_high"]].columns)
    ['pps_90_low', 'pps_90_high']
    """
    if isinstance(scenario, Capacities):
        number = USUAL_DRAWS if draws is None else draws
        if number < 1:
            raise ConfigError("at least 1 draw is needed", key="draws", got=number)
        with counting(progress, "searches") as report, pool(_MANY if jobs else 0, jobs) as executor:
            seed = scenario.scenario.run.seed
            return capacity_uncertainty(
                scenario, resolution, number, seed, configs=folder(configs), executor=executor, progress=report
            )
    asked = loaded(scenario, overrides, configs)
    sides = sides_of(asked)
    with (
        counting(progress, "runs") as report,
        pool(len(sides) * (draws or 2 * FIRST_DRAWS), jobs) as executor,
    ):
        return drawing.uncertainty(
            sides, draws, asked.run.seed, configs=folder(configs), executor=executor, progress=report
        )


def pool(runs: int, jobs: int | None) -> AbstractContextManager[Executor | None]:
    """Return processes where they are asked for, else threads: a script that starts processes has to be written so."""
    return pool_for(runs, jobs, processes=jobs is not None)
