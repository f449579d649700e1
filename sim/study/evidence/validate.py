"""Every published figure beside its prediction: interval, signed error, used or not; worst first."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sim.config.answer import Answer, Record
from sim.config.errors import ConfigError
from sim.config.loading.load import load_of
from sim.config.progress import Counted
from sim.config.tables.calibration import Calibration
from sim.study.evidence.calibrate import calibrate, load_study, write_calibration
from sim.study.evidence.figures import Figure, figures, load_measurements, select
from sim.study.runs.case import Case, Floats
from sim.study.runs.pool import Job, run_jobs
from sim.study.uncertainty.distributions import central_90, draws_of, generator
from sim.study.uncertainty.measured import spread_of

Status = Literal["met", "off", "not modelled"]

#: A prediction within this share of the figure, or within the spread of its source if that is larger, meets it.
TOLERANCE = 0.10
_FAILED = "fails: "
#: Figures that are rates: of packets, of bytes.
RATES = ("pps", "throughput")


@dataclass(frozen=True)
class Validated:
    """One figure and its prediction; `low` to `high` is the 90 % interval of what would be measured.

    It holds the ranges of the tables, how far the model itself is off, how far rigs and their repeats lie apart, and
    noise and rounding of the figure; of a share of a profile the ranges and the noise alone.
    """

    figure: Figure
    used: bool
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    problem: str | None = None

    @property
    def error(self) -> float | None:
        """Predicted against measured, as a signed share (of a figure of 0: the prediction itself)."""
        if self.predicted is None:
            return None
        measured = self.figure.entry.value
        return self.predicted / measured - 1 if measured else self.predicted

    @property
    def tolerance(self) -> float:
        """Share by which a prediction may be off: of a count its digits and noise, else 10 %.

        A rate may be off by the spread of its source where that is larger; it cancels in ratios and shares.
        """
        entry = self.figure.entry
        if entry.is_count:
            noise = (entry.noise if entry.noise is not None else self.figure.file.noise) or 0.0
            half = (entry.high - entry.low) / 2
            return noise + (half / entry.value if entry.value else half)
        return max(TOLERANCE, self.figure.file.spread) if entry.quantity in RATES else TOLERANCE

    @property
    def status(self) -> Status:
        """Whether the figure is met."""
        if self.error is None:
            return "not modelled"
        return "met" if abs(self.error) <= self.tolerance * (1 + 1e-9) else "off"

    @property
    def inside(self) -> bool | None:
        """Whether the interval reaches what the printed digits leave open."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.figure.entry.high and self.figure.entry.low <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        entry = self.figure.entry
        return {
            "measurement": self.figure.name,
            "quantity": entry.quantity,
            "unit": entry.unit,
            "measured": entry.value,
            "measured_low": entry.low,
            "measured_high": entry.high,
            "predicted": self.predicted,
            "low": self.low,
            "high": self.high,
            "error": self.error,
            "tolerance": self.tolerance,
            "status": self.status,
            "inside": self.inside,
            "used_for_calibration": self.used,
            "problem": self.problem,
            "source": self.figure.file.source,
        }


@dataclass(frozen=True)
class Summary:
    """How well predictions of some figures do: shares of them within limits, and signed errors."""

    figures: int
    within: dict[str, float]
    median_error: float
    bias: float
    coverage: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dict(self.__dict__)


@dataclass(frozen=True, repr=False)
class Validation(Answer):
    """All figures, worst first, those without a model last."""

    calibration: str | None
    rows: tuple[Validated, ...]

    def headline(self) -> str:
        """Return how many figures are met."""
        met, off = len(self.of("met")), len(self.of("off"))
        return f"{met} of {met + off} published figures met, calibration {self.calibration or 'none'}"

    def records(self) -> list[Record]:
        """Return every figure beside its prediction."""
        return [row.to_dict() for row in self.rows]

    def of(self, status: Status, counts: bool | None = None) -> list[Validated]:
        """Return the rows of one status; `counts` selects counts or everything else."""
        rows = [row for row in self.rows if row.status == status]
        return [row for row in rows if counts in (None, row.figure.entry.is_count)]

    def summaries(self) -> dict[str, Summary]:
        """Summarise what is modelled and no count: rates and ratios, those not fitted, and profile shares."""
        rates, shares = (*RATES, "ratio"), ("share",)
        summaries = {
            "rates and ratios": self._summary(rates),
            "rates and ratios not used for the calibration": self._summary(rates, used=False),
            "shares of a profile": self._summary(shares),
        }
        return {name: summary for name, summary in summaries.items() if summary is not None}

    def _summary(self, kinds: tuple[str, ...], used: bool | None = None) -> Summary | None:
        modelled = [row for row in self.rows if row.error is not None and row.figure.entry.quantity in kinds]
        rows = [row for row in modelled if used in (None, row.used)]
        if not rows:
            return None
        errors = np.array([row.error for row in rows], dtype=np.float64)
        inside = [row.inside for row in rows if row.inside is not None]
        return Summary(
            len(rows),
            {f"{limit:.0%}": float(np.mean(np.abs(errors) <= limit)) for limit in (0.05, 0.1, 0.2)},
            float(np.median(np.abs(errors))),
            float(errors.mean()),
            float(np.mean(inside)) if inside else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim validate`."""
        return {
            "schema": 1,
            "calibration": self.calibration,
            "results": [row.to_dict() for row in self.rows],
            "summary": {name: summary.to_dict() for name, summary in self.summaries().items()},
        }


def validate(
    calibration: str | None = None,
    draws: int = 100,
    seed: int = 1,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
    only: Sequence[str] = (),
) -> Validation:
    """Predict every published figure (or those of the files `only`) and lay it beside the measured one.

    `calibration` replaces that of the measurements' scenarios ("none": no calibration at all). Counts have no interval:
    they depend on no cost. Nor has anything with 0 draws. Raises ConfigError for an unknown calibration.
    """
    settings: dict[str, Any] = {}
    if calibration is not None:
        settings["calibration"] = None if calibration == "none" else calibration
        if calibration != "none":
            load_of(Calibration, calibration, configs)
    files = load_measurements(configs)
    unknown = next((name for name in only if name not in {file.name for file in files}), None)
    if unknown is not None:
        names = [file.name for file in files]
        raise ConfigError(f"unknown measurement file '{unknown}'", key="only", got=unknown, expected=names)
    files = [file for file in files if not only or file.name in only]
    wanted = figures(files, configs, settings)
    named = {case.scenario.calibration for figure in wanted for case in figure.cases} - {None}
    fits = [load_of(Calibration, str(name), configs) for name in named]
    used = {residual.measurement for fit in fits for residual in fit.residuals}
    rows = predict(wanted, used, draws, seed, configs=configs, executor=executor, progress=progress)
    return Validation(", ".join(sorted(map(str, named))) or None, rows)


def predict(
    wanted: Sequence[Figure],
    used: set[str],
    draws: int,
    seed: int,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> tuple[Validated, ...]:
    """Predict figures with the tables as they are, and `draws` times with drawn ones; sort them worst first."""
    modelled = [figure for figure in wanted if figure.problem is None]
    rows = [Validated(figure, False, problem=figure.problem) for figure in wanted if figure.problem]
    made = drawn_figures(modelled, draws, seed, configs=configs, executor=executor, progress=progress)
    rows += [_row(drawn, drawn.figure.name in used, seed, configs) for drawn in made]
    return tuple(sorted(rows, key=_worst_first))


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as the model makes it, with the tables as they are and drawn; NaN and `problem` where it fails."""

    figure: Figure
    nominal: float
    drawn: Floats
    problem: str | None


def drawn_figures(
    modelled: Sequence[Figure],
    draws: int,
    seed: int,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> list[DrawnFigure]:
    """Make figures with the tables as they are, and those that are no counts `draws` times with drawn ones."""
    cases: dict[_CaseKey, Case] = {}  # the same rate is one side of a ratio and a figure by itself: it is made once
    is_drawn: set[_CaseKey] = set()
    for figure in modelled:
        of_figure = {_key(case): case for case in figure.cases}
        cases |= of_figure
        is_drawn |= of_figure.keys() if draws and not figure.entry.is_count else set()
    jobs: list[Job] = []
    spans: dict[_CaseKey, slice] = {}
    for number, (key, case) in enumerate(cases.items()):
        column = draws_of([case], draws, seed, configs) if key in is_drawn else None
        rows = [] if column is None else column.rows(range(draws))
        spans[key] = slice(len(jobs), len(jobs) + 1 + len(rows))
        jobs += [Job(number, values) for values in ({}, *rows)]
    outcomes = run_jobs(list(cases.values()), jobs, executor, progress)
    figures_made = []
    for figure in modelled:
        sides = [spans[_key(case)] for case in figure.cases]
        wide = 1 if figure.entry.is_count else draws + 1
        made = figure.combine(np.stack([outcomes.figures[side][:wide] for side in sides], axis=-1))
        problem = next((outcomes.errors[side.start] for side in sides if side.start in outcomes.errors), None)
        figures_made.append(DrawnFigure(figure, float(made[0]), made[1:][np.isfinite(made[1:])], problem))
    return figures_made


#: What tells two cases apart whose scenarios are loaded once for each configuration.
_CaseKey = tuple[int, str, tuple[str, ...]]


def _key(case: Case) -> _CaseKey:
    return id(case.scenario), case.quantity, case.functions


def _row(made: DrawnFigure, used: bool, seed: int, configs: Path | None) -> Validated:
    """Lay a figure beside its prediction, with the interval of what would be measured of it."""
    figure, drawn = made.figure, made.drawn
    if not np.isfinite(made.nominal):
        return Validated(figure, used, problem=f"{_FAILED}{made.problem}")
    if not len(drawn):
        return Validated(figure, used, made.nominal)
    around = figure.sigma
    if figure.entry.quantity in (*RATES, "ratio"):
        spread = spread_of(figure.cases, configs)
        around = hypot(around, spread.rate if figure.entry.quantity in RATES else spread.ratio)
    scores = generator(seed, figure.name).standard_normal(len(drawn))
    low, high = central_90(drawn * np.exp(around * scores))
    return Validated(figure, used, made.nominal, low, high)


def _worst_first(row: Validated) -> tuple[bool, float, str]:
    excess = 0.0 if row.error is None else abs(row.error)
    return row.error is None, -excess, row.figure.name


def leave_one_out(
    reference: str,
    draws: int,
    seed: int,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> list[tuple[str, Validation]]:
    """Fit a study without each of its sources in turn and predict what was left out, with intervals.

    The session of the source that is left out is not known, so its shift stays at 0.
    """
    study = load_study(reference, configs)
    files = load_measurements(configs)
    wanted = [figure for figure in select(files, study.measurements, configs) if figure.problem is None]
    validations = []
    for source in dict.fromkeys(figure.file.name for figure in wanted):
        calibration = calibrate(study, configs, executor, progress, without=source)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{study.name}.yaml"
            write_calibration(calibration, file)
            names = [figure.name for figure in wanted if figure.file.name == source]
            left_out = select(files, names, configs, {"calibration": str(file)})
            rows = predict(left_out, set(), draws, seed, configs=configs, executor=executor, progress=progress)
        validations.append((source, Validation(calibration.name, rows)))
    return validations
