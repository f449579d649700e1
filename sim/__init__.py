"""vhost-sim: a cost-model simulator of the Linux vhost_net datapath.

What is listed here is the public interface: the questions of the command line as functions of the same names, and the
types of their answers. Everything else below `sim` is internal, and may change with any version.

Examples
--------
>>> import sim
>>> short = {"access": ["copy_user", "vmap"], "traffic.packet_bytes": 64, "run.packets": 20000}
>>> sim.compare("virtio-user-xdp1-tap", overrides=short)
<Comparison: copy_user -> vmap, 64 B: +20.4 %, +33.6 ns saved per packet>
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.api.evidence import calibrate, check, compare_cpu, import_trace, init, list_tables, validate
    from sim.api.machine import count, measure, report, trace
    from sim.api.questions import capacity, compare, explain, run, uncertainty
    from sim.api.studies import breakeven, sensitivity, shapley, sweep, without
    from sim.config import ConfigError, Scenario
    from sim.config.answer import Answer
    from sim.config.tables.calibration import Calibration
    from sim.config.tables.measurement import Measurements
    from sim.count.count import CountedKernel
    from sim.engine import Point
    from sim.host.profile import Profile
    from sim.live.notebook import explore
    from sim.study.catalogue import Checked, Listing
    from sim.study.evidence.validate import Validation
    from sim.study.questions.capacity import Capacities
    from sim.study.questions.compare import Comparison
    from sim.study.questions.cpus import CpuComparison
    from sim.study.questions.explain import Explanation
    from sim.study.questions.host import MeasuredHost
    from sim.study.questions.run import Result
    from sim.study.review.review import Review
    from sim.study.runs.asked import load_scenario
    from sim.study.sensitivity.breakeven import BreakEven
    from sim.study.sensitivity.shapley import Decomposition
    from sim.study.sensitivity.tornado import Sensitivities
    from sim.study.sweep.run import Outcome
    from sim.study.timeline.model import Timeline
    from sim.study.uncertainty.uncertainty import Uncertainty

__all__ = [
    "Answer",
    "BreakEven",
    "Calibration",
    "Capacities",
    "Checked",
    "Comparison",
    "ConfigError",
    "CountedKernel",
    "CpuComparison",
    "Decomposition",
    "Explanation",
    "Listing",
    "MeasuredHost",
    "Measurements",
    "Outcome",
    "Point",
    "Profile",
    "Result",
    "Review",
    "Scenario",
    "Sensitivities",
    "Timeline",
    "Uncertainty",
    "Validation",
    "breakeven",
    "calibrate",
    "capacity",
    "check",
    "compare",
    "compare_cpu",
    "count",
    "explain",
    "explore",
    "import_trace",
    "init",
    "list_tables",
    "load_scenario",
    "measure",
    "report",
    "run",
    "sensitivity",
    "shapley",
    "sweep",
    "trace",
    "uncertainty",
    "validate",
    "without",
]

__version__ = "0.1.0"

#: Where public names stand, by module.
_HOMES = {
    "api.evidence": ("calibrate", "check", "compare_cpu", "import_trace", "init", "list_tables", "validate"),
    "api.machine": ("count", "measure", "report", "trace"),
    "api.questions": ("capacity", "compare", "explain", "run", "uncertainty"),
    "api.studies": ("breakeven", "sensitivity", "shapley", "sweep", "without"),
    "config": ("ConfigError", "Scenario"),
    "config.answer": ("Answer",),
    "config.tables.calibration": ("Calibration",),
    "config.tables.measurement": ("Measurements",),
    "count.count": ("CountedKernel",),
    "engine": ("Point",),
    "host.profile": ("Profile",),
    "live.notebook": ("explore",),
    "study.catalogue": ("Checked", "Listing"),
    "study.evidence.validate": ("Validation",),
    "study.questions.capacity": ("Capacities",),
    "study.questions.compare": ("Comparison",),
    "study.questions.cpus": ("CpuComparison",),
    "study.questions.explain": ("Explanation",),
    "study.questions.host": ("MeasuredHost",),
    "study.questions.run": ("Result",),
    "study.review.review": ("Review",),
    "study.runs.asked": ("load_scenario",),
    "study.sensitivity.breakeven": ("BreakEven",),
    "study.sensitivity.shapley": ("Decomposition",),
    "study.sensitivity.tornado": ("Sensitivities",),
    "study.sweep.run": ("Outcome",),
    "study.timeline.model": ("Timeline",),
    "study.uncertainty.uncertainty": ("Uncertainty",),
}
_HOME = {name: f"sim.{home}" for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the command starts without the heavy libraries."""
    if name not in _HOME:
        raise AttributeError(f"module 'sim' has no attribute '{name}'")
    import importlib

    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """The package: where a room has the name of a public function, the name is the function's.

    Importing from the room works as ever (`from sim.report.page.page import page`).
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
