"""Every kind of file that is read: right ones to begin with, and what is done with one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import sim
from sim.config import Scenario, load_scenario
from sim.config.loading import paths
from sim.config.loading.load import load_of, load_table
from sim.config.loading.reading import read_yaml
from sim.config.tables.study import CalibrationStudy
from sim.costs.audit import audit
from sim.count.count import read_recording as read_counts
from sim.host.profile import build_profile
from sim.host.recording import read_recording
from sim.study.evidence.calibrate import load_study
from sim.study.evidence.figures import figures
from sim.study.evidence.importing import import_file
from sim.study.runs.case import one_point, variants_and_sizes
from sim.study.sensitivity.study import Inputs, load_sensitivity
from sim.study.sweep.design import Design
from sim.study.sweep.run import load_sweep, run_points

SEED = "virtio-user-xdp1-tap"
DATA = Path(__file__).parents[1] / "data"
#: A run is as short as it can be: what a number does to time and memory shows in a few rounds.
SHORT = {"packets": 300, "precision": 0.002, "engine": "fast"}


def answer(scenario: Scenario) -> Any:
    """Run the first point of a scenario, shortly."""
    access, size = variants_and_sizes(scenario)[0]
    point = one_point(scenario, access, size)
    short = point.run.model_copy(
        update={name: value for name, value in SHORT.items() if name in type(point.run).model_fields}
    )
    return sim.run(point.model_copy(update={"run": short})).to_dict()


def _scenario(file: Path) -> Any:
    return answer(load_scenario(str(file)))


def _named(key: str, base: str) -> Callable[[Path], Any]:
    """Return what is done with a table that a scenario names."""

    def use(file: Path) -> Any:
        kind = "implementation" if read_yaml(file).get("kind") == "implementation" else key
        list(audit(load_table(kind, str(file))))
        value = [str(file)] if key == "access" else str(file)
        settings = {key: value} if key == "access" else {key: value, "calibration": None}
        return answer(load_scenario(base, settings=settings))

    return use


def _measurement(file: Path) -> Any:
    return [[figure.entry.value, figure.sigma, figure.problem] for figure in figures([_measurements(file)])]


def _measurements(file: Path) -> Any:
    table = load_table("measurement", str(file))
    return table.model_copy(update={"entries": table.entries[:3], "counts": table.counts[:1]})  # type: ignore[attr-defined]


def _sweep(file: Path) -> Any:
    sweep = load_sweep(str(file))
    design = Design(sweep)
    short = sweep.model_copy(update={"set": {**sweep.set, **{f"run.{name}": value for name, value in SHORT.items()}}})
    points = design.points(0, min(2, len(design)))
    rows = [row for _, rows in run_points(short, None, 0, points, ()) for row in rows or ()]
    failed = next((row["error"] for row in rows if row.get("error") and row["key"] is None), None)
    if failed is not None:
        raise AssertionError(f"a point failed: {failed}")
    # So few packets may be one batch, of which nothing bounds the rate; JSON says null there.
    bounded = [{**row, "pps_high": None} if row.get("pps_low") == 0 else row for row in rows]
    return [{key: value for key, value in row.items() if key != "error"} for row in bounded]


def _sensitivity(file: Path) -> Any:
    study = load_sensitivity(str(file))
    inputs = Inputs(study)
    return [inputs.swung(key) for key in inputs.keys]


def _calibration_study(file: Path) -> Any:
    return load_study(str(file)).model_dump() and load_of(CalibrationStudy, str(file)).seed


def _calibration(file: Path) -> Any:
    load_table("calibration", str(file))
    return answer(load_scenario(SEED, settings={"calibration": str(file)}))


def _document(kind: str) -> Callable[[Path], Any]:
    def use(file: Path) -> Any:
        return len(load_table(kind, str(file)).model_dump())

    return use


def _mix(file: Path) -> Any:
    scenario = load_scenario(SEED, settings={"traffic.mix": str(file), "access": ["copy_user"]})
    return answer(scenario)


def _imported(file: Path) -> Any:
    return import_file(file, packets=64).model_dump()


def _host(file: Path) -> Any:
    recording = read_recording(file)
    profile = build_profile(recording, "mine")
    profile.to_yaml()
    return {"table": profile.table, "again": recording.to_json() and None}


def _counts(file: Path) -> Any:
    counted = read_counts(file)
    counted.to_json()
    return [counted.to_dict(), [each.row() for each in counted.configurations]]


#: What is done with a file of a kind.
USES: dict[str, Callable[[Path], Any]] = {
    "scenario": _scenario,
    "cpu": _named("cpu", SEED),
    "kernel": _named("kernel", SEED),
    "implementation": _named("kernel", "vhost-user-tx"),
    "access": _named("access", SEED),
    "calibration": _calibration,
    "calibration-study": _calibration_study,
    "sweep": _sweep,
    "sensitivity": _sensitivity,
    "measurement": _measurement,
    "defaults": _document("defaults"),
    "assumptions": _document("assumptions"),
    "sources": _document("sources"),
    "mismatches": _document("mismatches"),
    "host-recording": _host,
    "count-recording": _counts,
    "mix": _mix,
    "perf": _imported,
    "trace": _imported,
}
#: Kinds whose files are documents: mappings of mappings, lists and values.
DOCUMENTS = tuple(kind for kind in USES if kind not in ("mix", "perf", "trace"))
SUFFIXES = {"host-recording": ".json", "count-recording": ".json", "mix": ".csv", "perf": ".txt", "trace": ".csv"}

_MIXES = ("bytes,weight\n64,7\n590,4\n1514,1\n", "bytes\n64\n64\n1514\n", "time,bytes,count\n0.1,64,3\n0.2,128,1\n")


@cache
def texts(kind: str) -> tuple[str, ...]:
    """Return right files of a kind."""
    if kind == "mix":
        return _MIXES
    folders = {
        **{"perf": ("perf", "*.txt"), "trace": ("traces", "*.csv")},
        **{"host-recording": ("host", "*.json"), "count-recording": ("counts", "*.json")},
    }
    if kind in folders:
        folder, pattern = folders[kind]
        return tuple(file.read_text("utf-8") for file in sorted((DATA / folder).glob(pattern)))
    return tuple(file.read_text("utf-8") for _, file in sorted(paths.names(kind).items()))


@cache
def documents(kind: str) -> tuple[dict[str, Any], ...]:
    """Return right documents of a kind, a name of a table in the place of a path."""
    if kind.endswith("recording"):
        return tuple(json.loads(text) for text in texts(kind))
    return tuple(read_yaml(file) | {"kind": kind} for _, file in sorted(paths.names(kind).items()))


@cache
def pools() -> dict[str, list[Any]]:
    """Return by key what stands under it anywhere in right documents: values that have a meaning there."""
    values: dict[str, list[Any]] = {}

    def gather(value: Any) -> None:
        for key, below in value.items() if isinstance(value, dict) else ():
            kept = values.setdefault(key, [])
            if len(kept) < 40 and below not in kept and len(str(below)) < 400:
                kept.append(below)
            gather(below)
        for item in value if isinstance(value, list) else ():
            gather(item)

    for kind in DOCUMENTS:
        for document in documents(kind):
            gather(document)
    return {key: kept for key, kept in values.items() if kept}


def suffix(kind: str) -> str:
    """Return how files of a kind are named."""
    return SUFFIXES.get(kind, ".yaml")


def memory_limit(n_bytes: int) -> None:
    """Let this process have no more memory than this: what asks for more fails, and not the machine."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
