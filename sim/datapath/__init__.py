"""What one packet does: rings, driver, worker and backend as programs of steps, and the Plan built from them."""

from sim.datapath.build import build_plan
from sim.datapath.plan.plan import Plan

__all__ = ["Plan", "build_plan"]
