"""What one primitive costs on a CPU, and which primitives an accessor is made of on a kernel."""

from sim.costs.recipes import Recipes, return_sequence, tree_levels
from sim.costs.table import CostTable

__all__ = ["CostTable", "Recipes", "return_sequence", "tree_levels"]
