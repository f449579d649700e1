"""Draws of one case priced together, against the same draws one by one, in one run: a ratio."""

from __future__ import annotations

import time

import numpy as np
import pytest

import sim
from sim.study.runs.case import Case, observe, one_point, with_values
from sim.study.runs.drawn import figures as drawn_figures

ROUNDS = 5


@pytest.mark.parametrize("count", [100, 400])
def test_processor_time_of_a_draw(measuring, figures, count):
    count = count if measuring else count // 20
    case = Case(one_point(sim.load_scenario("virtio-user-xdp1-tap"), "copy_user", 64))
    ranges = {key: entry for key, entry in case.plan.inputs.items() if not key.startswith("kernel.steps")}
    shares = np.random.default_rng(0).uniform(size=(count, len(ranges))).tolist()
    draws = [
        {
            key: entry.low + share * (entry.high - entry.low)
            for (key, entry), share in zip(ranges.items(), row, strict=True)
        }
        for row in shares
    ]
    times = {"one by one": [], "together": []}
    for _ in range(ROUNDS if measuring else 1):  # in turn, so that both meet the same machine
        start = time.process_time()
        alone = [observe(Case(with_values(case.scenario, values))) for values in draws]
        middle = time.process_time()
        together = drawn_figures(case, draws)
        times["one by one"].append(middle - start)
        times["together"].append(time.process_time() - middle)
        assert together == alone
    if measuring:
        figures.draws[count] = {how: min(seconds) / count for how, seconds in times.items()}
