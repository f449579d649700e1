"""What ring features and access variants change in the steps of handlers and drivers.

Handlers and drivers are written for a split ring, reached access by access. What a round begins with, user access
windows around batches and the packed layout are put into those steps here, so that each works with all of them.
"""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.features.packed import packed_steps
from sim.datapath.features.rounds import once_per_round, prefetch_steps
from sim.datapath.features.windows import with_windows
from sim.datapath.memory.rings import PackedRing, ring_of
from sim.datapath.plan.program import insert_before
from sim.datapath.plan.step import Anchor, Step

__all__ = ["with_features"]


def with_features(scenario: Scenario, steps: list[Step]) -> list[Step]:
    """Return the steps for the scenario's virtqueue and access variant."""
    ring, window = ring_of(scenario.virtqueue), scenario.access[0].window
    if any(Anchor.ROUND in step.anchors for step in steps):
        steps = insert_before(steps, Anchor.ROUND, [*prefetch_steps(scenario), *once_per_round(scenario)])
    if isinstance(ring, PackedRing):
        return packed_steps(scenario, ring, steps)
    return steps if window is None else with_windows(scenario, ring, window, steps)
