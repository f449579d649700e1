"""Strict, versioned tables: loading, `extends`, overrides, and errors that name file, key and nearest valid name."""

from sim.config.errors import ConfigError
from sim.config.loading.load import dump_scenario, load_scenario
from sim.config.scenario.scenario import Scenario

__all__ = ["ConfigError", "Scenario", "dump_scenario", "load_scenario"]
