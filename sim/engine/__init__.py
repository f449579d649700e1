"""Engines that run a Plan, the statistics of a run, and its result."""

from sim.engine.result import Point
from sim.engine.simulate import simulate

__all__ = ["Point", "simulate"]
