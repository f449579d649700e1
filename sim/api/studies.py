"""Questions of many runs: sweep, sensitivity, break-even, shares of mechanisms."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from sim.api.progress import Shown, counting
from sim.api.questions import Asked, Overrides, folder, loaded, pool, with_access
from sim.config.errors import ConfigError
from sim.config.loading.overrides import as_assignments
from sim.config.scenario.scenario import Scenario
from sim.study.runs.asked import Point, load_scenario, no_point
from sim.study.runs.pool import dask_executor, local_executor
from sim.study.sensitivity import breakeven as even
from sim.study.sensitivity import entries
from sim.study.sensitivity import shapley as mechanisms
from sim.study.sensitivity import study as sensitive
from sim.study.sensitivity.breakeven import BreakEven, Target
from sim.study.sensitivity.drawn_breakeven import drawn_breakeven
from sim.study.sensitivity.shapley import Decomposition
from sim.study.sensitivity.tornado import METHODS, Method, Sensitivities
from sim.study.sweep.run import Outcome, load_sweep, run_sweep
from sim.study.uncertainty.runs import FIRST_DRAWS


def sweep(
    study: str | Path,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    jobs: int | None = None,
    dask: str | None = None,
    configs: str | Path | None = None,
    progress: Shown = None,
) -> Outcome:
    """Run one scenario at many points: a grid, a Latin hypercube or a Sobol sequence over any keys.

    The same rows for any number of jobs. A point that is refused or fails becomes a row with its error.

    Parameters
    ----------
    study
        Name of a sweep, its file, or the `_sweep.yaml` that a sweep has left in its folder.
    out
        Folder that rows are streamed to, as Parquet parts; without one they are held in memory.
    resume
        Continue what the folder holds; edited points run anew.
    jobs
        Processes; by default none but this one.
    dask
        Address of a Dask scheduler to run on instead.
    configs
        A folder with tables of your own.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    Outcome
        What became of the points; `to_frame()` reads their rows, from the folder too.

    Raises
    ------
    ConfigError
        For a sweep that is none, a key that no point reads, and a folder that holds another sweep.

    Examples
    --------
    >>> import sim
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as there:
    ...     outcome = sim.sweep(sim.init("sweep", "my-sweep", there), configs=there)
    >>> outcome.failed, bool(outcome.to_frame().gain_percent.max() > 0)
    (0, True)
    """
    if jobs is not None and dask is not None:
        raise ConfigError("jobs and a scheduler exclude each other", key="dask", got=dask)
    described = load_sweep(str(study), folder(configs))
    with counting(progress, "points") as report, _executor(jobs, dask) as executor:
        return run_sweep(
            described,
            executor,
            folder=folder(out),
            resume=resume,
            configs=folder(configs),
            jobs=jobs or 1,
            progress=report,
        )


def _executor(jobs: int | None, dask: str | None) -> AbstractContextManager[Executor]:
    if dask is not None:
        return dask_executor(dask)
    return ThreadPoolExecutor(1) if jobs is None else local_executor(jobs)


def sensitivity(
    scenario: Asked,
    method: Method = "tornado",
    samples: int | None = None,
    *,
    access: tuple[str, ...] | None = None,
    seed: int | None = None,
    overrides: Overrides = (),
    configs: str | Path | None = None,
    jobs: int | None = None,
    progress: Shown = None,
) -> Sensitivities:
    """Say which input moves an answer (packets per second, or a gain), and which to measure next.

    Of a scenario, every entry that it reads is an input, and the answer is the gain of the second access variant over
    the first, or the rate of the only one, at the first size. A study names its inputs.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one or of a sensitivity study, or a file of either.
    method
        "tornado": each input alone between the ends of its central 90 %. "morris": mean absolute effect of a step.
        "sobol": shares of the variance, alone and with interactions.
    samples
        Base samples of sobol, or trajectories of morris.
    access
        Names of the two variants, or of one.
    seed
        Seed of the samples (0 is a seed).
    overrides
        Changes of keys of a scenario, as `load_scenario` takes them; a study states its own settings.
    configs
        A folder with tables of your own.
    jobs
        Processes; by default the threads of this one.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    Sensitivities
        The inputs, most important first, and sentences on what to measure next.

    Raises
    ------
    ConfigError
        For an unknown method, a scenario whose answer cannot be run, and overrides beside a study.

    Examples
    --------
    >>> import sim
    >>> short = {"access": ["copy_user", "vmap"], "traffic.packet_bytes": 64}
    >>> result = sim.sensitivity("virtio-user-xdp1-tap", overrides=short)
    >>> result.indices[0].key, sorted(result.indices[0].values)
    ('cpu.primitives.stac + clac', ['high', 'low', 'swing'])
    """
    if method not in METHODS:
        raise ConfigError(f"unknown '{method}'", key="method", got=method, expected=METHODS)
    for name, value, least in (("samples", samples, 1), ("seed", seed, 0)):
        if value is not None and value < least:
            raise ConfigError(f"at least {least} is needed", key=name, got=value)
    changes = as_assignments(with_access(overrides, scenario, access))
    if not isinstance(scenario, Scenario) and sensitive.is_study(
        str(scenario), folder(configs), changes, "a sensitivity"
    ):
        study = sensitive.load_sensitivity(str(scenario), folder(configs))
        given = {"seed": seed, "samples": samples, "trajectories": samples}
        study = study.model_copy(update={key: value for key, value in given.items() if value is not None})
        size = {"sobol": study.samples, "morris": study.trajectories, "tornado": 2}[method]
        with counting(progress, "runs") as report, pool(size * (len(study.inputs) + 2), jobs) as executor:
            return sensitive.sensitivity(study, method, folder(configs), executor, report)
    asked = loaded(scenario, changes, configs, entries.asked_of)
    if access is not None:
        asked = asked.model_copy(update={"access": [asked.variant(name) for name in access]})
    with (
        counting(progress, "runs") as report,
        pool(entries.runs_of(asked, method, samples), jobs) as executor,
    ):
        seed = entries.USUAL_SEED if seed is None else seed
        return entries.sensitivity_of(asked, method, samples, seed, executor, report)


def breakeven(
    scenario: Asked,
    vary: str,
    target: str,
    *,
    low: float | None = None,
    high: float | None = None,
    tolerance: float = 0.001,
    draws: int | None = None,
    overrides: Overrides = (),
    configs: str | Path | None = None,
    jobs: int | None = None,
    progress: Shown = None,
) -> BreakEven:
    """Find the value of one key at which a target is just met, or say that it is met always or never.

    A gain is that of the second access variant of the scenario over the first.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file.
    vary
        The key whose value is searched.
    target
        `gain`, `saved_ns`, `pps` or `ns_per_packet`, a relation and a number: "gain>=20%", "pps>=30M".
    low, high
        Ends of the range (default: those of the table entry).
    tolerance
        How near the value is searched, as a share of the range.
    draws
        Also draw everything else so often at five places of the range: in how many draws is the target met, and where?
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.
    jobs
        Processes for the draws; by default the threads of this one.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    BreakEven
        Crossings inside the range, or "always" or "never"; `drawn` holds what the draws say.

    Raises
    ------
    ConfigError
        For a target that is none, a key without a range or that is not read, and ends that are in the wrong order.

    Examples
    --------
    >>> import sim
    >>> short = {"access": ["copy_user", "vmap"], "traffic.packet_bytes": 64}
    >>> answer = sim.breakeven("virtio-user-xdp1-tap", "cpu.primitives.stac", "gain>=20%", overrides=short)
    >>> answer.verdict, len(answer.to_frame())
    ('crosses', 17)
    """
    if draws is not None and draws < 1:
        raise ConfigError("at least 1 draw is needed", key="draws", got=draws)
    wanted, changes = Target.parse(target), as_assignments(overrides)

    def varied(value: object) -> Scenario:
        return load_scenario(scenario, overrides=[*changes, f"{vary}={value!r}"], configs=configs, asks=no_point)

    def looked_at(base: Scenario) -> list[Point]:
        return list(even.points_at_ends(varied, base, [end for end in (low, high) if end is not None]))

    base = load_scenario(scenario, overrides=changes, configs=configs, asks=looked_at)
    result = even.breakeven(varied, base, vary, wanted, low=low, high=high, tolerance=tolerance)
    if draws is None:
        return result
    with counting(progress, "runs") as report, pool(12 * (draws or 2 * FIRST_DRAWS), jobs) as executor:
        seed = base.run.seed
        drawn = drawn_breakeven(
            result, varied, base, draws, seed, configs=folder(configs), executor=executor, progress=report
        )
    return replace(result, drawn=drawn)


def shapley(
    scenario: Asked,
    *,
    access: tuple[str, str] | None = None,
    overrides: Overrides = (),
    configs: str | Path | None = None,
) -> Decomposition:
    """Share the gain of one access variant over another out to mechanisms; the shares add up to the whole.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file; at its first size.
    access
        Names of the two variants. By default the first two of the scenario.
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.

    Returns
    -------
    Decomposition
        The share of each mechanism in ns and in points of the gain, and what is left with all of them off.

    Raises
    ------
    ConfigError
        When there are no two variants, or one is not listed by the scenario.

    Examples
    --------
    >>> import sim
    >>> shares = sim.shapley("virtio-user-xdp1-tap", access=("copy_user", "vmap"), overrides={"run.packets": 20000})
    >>> next(share.mechanism for share in shares.shares if share.saved_ns > 20)
    'stac_clac'
    """
    asked = loaded(scenario, with_access(overrides, scenario, access), configs)
    names = access or tuple(variant.name for variant in asked.access[:2])
    if len(names) != 2:
        raise ConfigError(f"two variants of {asked.name} are needed", key="access")
    for name in names:
        asked.variant(name)
    return mechanisms.decompose(asked, *names, asked.traffic.sizes[0])


def without(
    scenario: Asked,
    mechanisms_off: Collection[str],
    *,
    overrides: Overrides = (),
    configs: str | Path | None = None,
) -> Scenario:
    """Return a scenario with mechanisms switched off, for every access variant.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file.
    mechanisms_off
        `stac_clac`, `lfence`, `access_ok`, `object_size_check`, `returns`, `misses`: those that are off.
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.

    Returns
    -------
    Scenario
        What every other function takes.

    Raises
    ------
    ConfigError
        For a mechanism that does not exist.

    Examples
    --------
    >>> import sim
    >>> bare = sim.without("virtio-user-xdp1-tap", ["stac_clac", "lfence"])
    >>> bare.mitigations.smap, bare.mitigations.spectre_v1
    (False, False)
    """
    return mechanisms.without(loaded(scenario, overrides, configs), mechanisms_off)
