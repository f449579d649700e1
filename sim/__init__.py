"""vhost-sim: a cost-model simulator of the Linux vhost_net datapath.

Examples
--------
>>> import sim
>>> short = ["access=copy_user,vmap", "traffic.packet_bytes=64", "run.packets=20000"]
>>> scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=short)
>>> [f"{point.access}: {point.pps / 1e6:.1f} Mpps" for point in sim.run(scenario).points]
['copy_user: 5.0 Mpps', 'vmap: 6.1 Mpps']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.config import ConfigError, Scenario
    from sim.engine import Point
    from sim.live.notebook import explore
    from sim.study.questions.capacity import Capacities, capacity
    from sim.study.questions.compare import Comparison, compare
    from sim.study.questions.explain import Explanation, explain
    from sim.study.questions.run import Result, run
    from sim.study.runs.asked import load_scenario

__all__ = [
    "Capacities",
    "Comparison",
    "ConfigError",
    "Explanation",
    "Point",
    "Result",
    "Scenario",
    "capacity",
    "compare",
    "explain",
    "explore",
    "load_scenario",
    "run",
]

__version__ = "0.1.0"

_HOME = {
    "Capacities": "sim.study.questions.capacity",
    "Comparison": "sim.study.questions.compare",
    "ConfigError": "sim.config",
    "Explanation": "sim.study.questions.explain",
    "Point": "sim.engine",
    "Result": "sim.study.questions.run",
    "Scenario": "sim.config",
    "capacity": "sim.study.questions.capacity",
    "compare": "sim.study.questions.compare",
    "explain": "sim.study.questions.explain",
    "explore": "sim.live.notebook",
    "load_scenario": "sim.study.runs.asked",
    "run": "sim.study.questions.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the command starts without the heavy libraries."""
    if name not in _HOME:
        raise AttributeError(f"module 'sim' has no attribute '{name}'")
    import importlib

    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
