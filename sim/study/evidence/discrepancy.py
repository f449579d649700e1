"""How far the model itself is off: every published source predicted by a fit that did not know it.

What is left of ln(measured / predicted) beyond the ranges of the tables, the repeats of a rig and the noise of the
figure is the model's own: its discrepancy (Kennedy and O'Hagan 2001). Its standard deviation is the most likely value,
for rates and for ratios, for paths that were executed and for those by analogy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor
from math import hypot, log
from pathlib import Path

import numpy as np

from sim.config.progress import Counted
from sim.config.tables.calibration import Calibration, Discrepancy, LeftOut
from sim.config.tables.measurement import Measurements
from sim.config.tables.study import CalibrationStudy
from sim.study.evidence.calibrate import calibrate, write_calibration
from sim.study.evidence.figures import figures, load_measurements
from sim.study.evidence.validate import DrawnFigure, drawn_figures
from sim.study.uncertainty.measured import path_class, rig_sigma

#: Draws of the parameters for each figure, and the seed of them.
DRAWS, _SEED = 100, 1
#: No standard deviation of a logarithm is looked for above this: half an order of magnitude.
_MOST = 1.0
_QUANTITIES = ("pps", "ratio")


def with_discrepancies(
    calibration: Calibration,
    study: CalibrationStudy,
    *,
    draws: int = DRAWS,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> Calibration:
    """Return a calibration with how far the model itself is off, from every published rate and ratio that is modelled.

    A source that the study was fitted to is predicted by a fit without it, by the tables alone if nothing else is left.
    """
    classes: dict[tuple[str, str], list[LeftOut]] = {}
    for file in _rates_and_ratios(configs):
        fit = _without(file.name, calibration, study, configs, executor, progress)
        for made in _predicted(file, fit, draws, configs, executor, progress):
            left_out = _left_out(made, fit)
            key = path_class(made.figure.cases), made.figure.entry.quantity
            classes.setdefault(key, []).append(left_out)
    estimated = [
        Discrepancy.model_validate({"path": path, "quantity": quantity, "sigma": most_likely(rows), "evidence": rows})
        for (path, quantity), rows in sorted(classes.items(), reverse=True)
    ]
    return calibration.model_copy(update={"discrepancies": estimated})


def most_likely(rows: Sequence[LeftOut]) -> float:
    """Return the most likely standard deviation of errors beyond what each is expected to have, normal and apart."""
    from scipy.optimize import minimize_scalar  # it takes longer to import than a short run does

    errors, known = np.array([row.error for row in rows]), np.array([row.sigma for row in rows]) ** 2

    def unlikely(sigma: float) -> float:
        variance = known + sigma**2
        return float(np.sum(np.log(variance) + errors**2 / variance))

    best = float(minimize_scalar(unlikely, bounds=(0.0, _MOST), method="bounded", options={"xatol": 1e-5}).x)
    return float(f"{best if unlikely(best) < unlikely(0.0) else 0.0:.3g}")


def _rates_and_ratios(configs: Path | None) -> list[Measurements]:
    """Return each source with its rates and ratios alone."""
    return [
        file.model_copy(update={"entries": entries, "counts": []})
        for file in load_measurements(configs)
        if (entries := [entry for entry in file.entries if entry.quantity in _QUANTITIES])
    ]


def _without(
    source: str,
    calibration: Calibration,
    study: CalibrationStudy,
    configs: Path | None,
    executor: Executor | None,
    progress: Counted | None,
) -> Calibration | None:
    """Return a fit that did not know a source, None for the tables alone."""
    sources = {residual.measurement.partition("/")[0] for residual in calibration.residuals}
    if source not in sources:
        return calibration
    return calibrate(study, configs, executor, progress, without=source) if sources != {source} else None


def _predicted(
    file: Measurements,
    fit: Calibration | None,
    draws: int,
    configs: Path | None,
    executor: Executor | None,
    progress: Counted | None,
) -> list[DrawnFigure]:
    """Predict the figures of a source with the values of a fit, those that the model can make."""
    with tempfile.TemporaryDirectory() as folder:
        name = None
        if fit is not None:
            name = str(Path(folder) / f"{fit.name}.yaml")
            write_calibration(fit, Path(name))
        modelled = [known for known in figures([file], configs, {"calibration": name}) if known.problem is None]
        made = drawn_figures(modelled, draws, _SEED, configs=configs, executor=executor, progress=progress)
    return [figure for figure in made if np.isfinite(figure.nominal) and len(figure.drawn)]


def _left_out(made: DrawnFigure, fit: Calibration | None) -> LeftOut:
    """Return the error of a figure, and what it is expected to be without an error of the model."""
    figure = made.figure
    rig = rig_sigma(figure.entry.quantity, figure.cases[0].scenario, fit)
    sigma = hypot(float(np.std(np.log(made.drawn))), rig, figure.sigma)
    error = log(figure.entry.value / made.nominal)
    return LeftOut(measurement=figure.name, error=float(f"{error:.4g}"), sigma=float(f"{sigma:.4g}"))
