"""What one primitive costs on a CPU, and which primitives an accessor is made of on a kernel."""

from sim.costs.recipes import Recipes, tree_levels
from sim.costs.table import CostTable

__all__ = ["CostTable", "Recipes", "tree_levels"]
