"""Leave one source out: each source of a calibration predicted by a fit that did not see it."""

from __future__ import annotations

import tempfile
from concurrent.futures import Executor
from pathlib import Path

from sim.study.evidence.calibrate import calibrate, load_study, write_calibration
from sim.study.evidence.measured import load_measurements, select
from sim.study.evidence.validate import Validation, predict
from sim.study.runs.pool import Progress


def leave_one_out(
    reference: str,
    draws: int,
    seed: int,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> list[tuple[str, Validation]]:
    """Fit a study without each of its sources in turn and predict what was left out, with intervals.

    The session of the source that is left out is not known, so its shift stays at 0.
    """
    study = load_study(reference, configs)
    files = load_measurements(configs)
    wanted = [one for one in select(files, study.measurements, configs) if one.problem is None]
    found = []
    for source in dict.fromkeys(figure.file.name for figure in wanted):
        calibration = calibrate(study, configs, executor, progress, without=source)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{study.name}.yaml"
            write_calibration(calibration, file)
            names = [figure.name for figure in wanted if figure.file.name == source]
            mine = select(files, names, configs, {"calibration": str(file)})
            rows = predict(mine, set(), draws, seed, configs=configs, executor=executor, progress=progress)
        found.append((source, Validation(calibration.name, rows)))
    return found
