"""Questions about evidence and tables: validate, calibrate, import_trace, list_tables, check, compare_cpu, init."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim.api.progress import Shown, counting, reporting
from sim.api.questions import Overrides, folder, pool
from sim.config.errors import ConfigError
from sim.config.loading.overrides import as_assignments
from sim.config.loading.templates import template
from sim.config.tables.calibration import Calibration
from sim.config.tables.measurement import Measurements
from sim.report.export.files import check_folder
from sim.study import catalogue
from sim.study.catalogue import Checked, Listing
from sim.study.evidence import baseline, importing
from sim.study.evidence import calibrate as fitting
from sim.study.evidence import validate as validating
from sim.study.evidence.discrepancy import with_discrepancies
from sim.study.evidence.validate import Validation
from sim.study.questions.cpus import CpuComparison, compare_cpus


def validate(
    only: Sequence[str] = (),
    *,
    calibration: str | None = None,
    draws: int = 100,
    seed: int = 1,
    configs: str | Path | None = None,
    jobs: int | None = None,
    progress: Shown = None,
) -> Validation:
    """Lay every published figure beside its prediction: interval, signed error, used or not; worst first.

    Parameters
    ----------
    only
        Names of measurement files (default: all of them).
    calibration
        Instead of the scenarios' own; "none" for the tables as they are.
    draws
        Draws of each 90 % interval; 0 for none.
    seed
        Seed of the draws (0 is a seed).
    configs
        A folder with tables and measurements of your own.
    jobs
        Processes; by default the threads of this one.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    Validation
        A row for each figure, and summaries.

    Raises
    ------
    ConfigError
        For an unknown measurement file or calibration.

    Examples
    --------
    >>> import sim
    >>> validation = sim.validate(["seed-vmap"], draws=0)
    >>> validation
    <Validation: 2 of 2 published figures met, calibration seed-two-rates>
    """
    for name, value in (("draws", draws), ("seed", seed)):
        if value < 0:
            raise ConfigError("at least 0 is needed", key=name, got=value)
    with counting(progress, "runs") as report, pool(20 * draws, jobs) as executor:
        return validating.validate(
            calibration, draws, seed, configs=folder(configs), executor=executor, progress=report, only=[*only]
        )


def calibrate(
    study: str | Path | None = None,
    out: str | Path | None = None,
    *,
    model_error: bool = False,
    configs: str | Path | None = None,
    jobs: int | None = None,
    progress: Shown = None,
) -> Calibration:
    """Fit the parameters that a study names to its measurements; the tables' ranges are the priors.

    Without a study, what the folder `configs` holds of this host: its profile, to its own measurements.

    Parameters
    ----------
    study
        Name of a calibration study, or its file.
    out
        File that the calibration is written to; a scenario takes it as `calibration`.
    model_error
        Also estimate how far the model is off, by leaving each source of the study out in turn (minutes).
    configs
        A folder with tables and measurements of your own.
    jobs
        Processes; by default the threads of this one.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    Calibration
        Values with errors, prior and pull, residuals, and what the data can and cannot tell apart.

    Raises
    ------
    ConfigError
        When a parameter is no entry or a measurement is unknown, and when nothing of it is modelled.

    Examples
    --------
    >>> import sim
    >>> fitted = sim.calibrate("seed-copy-user")
    >>> len(fitted.residuals), fitted.to_frame().columns[0]
    (1, 'key')
    """
    if study is None and model_error:
        raise ConfigError("goes with a study", key="model_error")
    file = None if out is None else Path(out)
    if file is not None:
        check_folder(file.parent, "out")
    if study is None:
        host = baseline.own_baseline(folder(configs))
        if file is not None:
            baseline.check_place(host, file)
        with counting(progress, "runs") as report, pool(baseline.TRIALS, jobs) as executor:
            fitted = baseline.fit_baseline(host, file.stem if file else baseline.DEFAULT_NAME, executor, report)
        if file is not None:
            baseline.write_baseline(host, fitted, file)
        return fitted
    described = fitting.load_study(str(study), folder(configs))
    with counting(progress, "runs") as report, pool(described.trials, jobs) as executor:
        fitted = fitting.calibrate(described, folder(configs), executor, report)
        if model_error:
            fitted = with_discrepancies(fitted, described, configs=folder(configs), executor=executor, progress=report)
    if file is not None:
        fitting.write_calibration(fitted, file)
    return fitted


def import_trace(
    file: str | Path,
    out: str | Path | None = None,
    *,
    packets: int | None = None,
    thread: str | None = None,
    scenario: str = importing.DEFAULT_SCENARIO,
    overrides: Overrides = (),
    configs: str | Path | None = None,
) -> Measurements:
    """Turn a trace or a profile of your own machine into measurements that `calibrate` and `validate` read.

    Parameters
    ----------
    file
        A trace CSV, the text of `perf report --stdio` or of `perf stat`.
    out
        Measurement file to write: `measurements/NAME.yaml` below a folder that is then given as `configs`.
    packets
        How many packets were sent meanwhile: needed for `perf stat`, and for a trace whose name does not say.
    thread
        Name of the worker's threads, with wildcards (default: `vhost-*`).
    scenario
        What the overrides change.
    overrides
        What it was taken with: kernel, CPU, mitigations, burst.
    configs
        A folder with tables of your own.

    Returns
    -------
    Measurements
        The figures, with what the source leaves out and what is assumed instead.

    Raises
    ------
    ConfigError
        When a setting is wrong, the file is none of the three, or a number is missing.

    Examples
    --------
    >>> import sim
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as there:
    ...     text = Path(there) / "stat.txt"
    ...     lines = "     5,000,000,000      instructions\\n\\n       1.0 seconds time elapsed\\n"
    ...     _ = text.write_text(f" Performance counter stats for thread id '1':\\n\\n{lines}")
    ...     figures = sim.import_trace(text, packets=5_000_000, overrides={"device.direction": "tx"})
    >>> figures.to_frame()[["quantity", "value"]].values.tolist()
    [['instructions', 1000.0]]
    """
    measurements = importing.import_file(
        Path(file),
        overrides=as_assignments(overrides),
        scenario=scenario,
        configs=folder(configs),
        name=None if out is None else Path(out).stem,
        packets=packets,
        thread=thread or importing.WORKERS,
    )
    if out is not None:
        importing.write_measurements(measurements, Path(out))
    return measurements


def list_tables(kind: str, *, configs: str | Path | None = None) -> Listing:
    """List the tables that can be named, shipped and your own: `vhost-sim list`.

    Parameters
    ----------
    kind
        cpus, kernels, implementations, access, scenarios, calibrations, studies, measurements or defaults.
    configs
        A folder with tables of your own.

    Returns
    -------
    Listing
        A line for each, with how much of it is guessed.

    Raises
    ------
    ConfigError
        For an unknown kind.

    Examples
    --------
    >>> import sim
    >>> frame = sim.list_tables("cpus").to_frame().set_index("name")
    >>> frame.title["zen4"]
    'AMD EPYC 9004 (Zen 4)'
    """
    return catalogue.listing(kind, folder(configs))


def check(tables: Sequence[str | Path] = (), *, configs: str | Path | None = None) -> Checked:
    """Audit tables: missing or guessed entries, ranges that do not hold their value, neighbours out of order.

    Parameters
    ----------
    tables
        Files or names (default: every table).
    configs
        A folder with tables of your own.

    Returns
    -------
    Checked
        What was found; a table that does not load is a finding of severity "error".

    Raises
    ------
    ConfigError
        For a name that no table has.

    Examples
    --------
    >>> import sim
    >>> checked = sim.check(["zen4"])
    >>> checked.of("error")
    []
    """
    return catalogue.check([str(table) for table in tables], folder(configs))


def compare_cpu(
    first: str | Path,
    second: str | Path,
    *,
    scenario: str | Path = "virtio-user-xdp1-tap",
    overrides: Overrides = (),
    configs: str | Path | None = None,
    progress: Shown = None,
) -> CpuComparison:
    """Lay two CPU tables side by side, the entries that differ most for a scenario first.

    Each entry is replaced alone and the scenario simulated, its first access variant at its first size.

    Parameters
    ----------
    first, second
        Names or files of the tables.
    scenario
        The scenario that entries are weighed by.
    overrides
        Changes of keys of the scenario, as `load_scenario` takes them.
    configs
        A folder with tables of your own.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    CpuComparison
        The entries that differ, each with what a packet takes more.

    Raises
    ------
    ConfigError
        For a name that no table has.

    Examples
    --------
    >>> import sim
    >>> both = sim.compare_cpu("zen4", "zen5", overrides={"access": "copy_user", "run.packets": 20000})
    >>> both.to_frame().columns[0], both.first.name
    ('key', 'zen4')
    """
    changes = as_assignments(overrides)
    with reporting(progress) as report:
        return compare_cpus(str(first), str(second), str(scenario), changes, folder(configs), report)


def init(kind: str, name: str, configs: str | Path = "mine") -> Path:
    """Write a commented table to start from into a folder of your own; it is valid as it stands.

    Parameters
    ----------
    kind
        cpu, kernel, access, scenario, measurements, calibration, sweep or sensitivity.
    name
        What it is called, and its file.
    configs
        The folder of your own tables, made where there is none.

    Returns
    -------
    Path
        The file that was written; none is written over.

    Raises
    ------
    ConfigError
        For an unknown kind, a name that is none or a shipped table's, and a file that exists.

    Examples
    --------
    >>> import sim
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as there:
    ...     file = sim.init("scenario", "my-question", there)
    ...     sim.load_scenario("my-question", configs=there).name
    'my-question'
    """
    begun = template(kind, name, Path(configs))
    check_folder(begun.file.parent, "configs")
    begun.write()
    return begun.file
