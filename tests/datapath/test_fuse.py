"""Fusing rows into segments: what must not be put together, and labels that would lead nowhere in particular."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.datapath.plan.fuse import fuse


def rows(*overrides: str):
    scenario = load_scenario("virtio-user-receive-skb", overrides=overrides)
    return list(build_plan(scenario, "copy_user", 64).rows)


def test_a_row_that_takes_arrivals_ends_its_segment():
    """The engine cuts the burst to what has arrived at the end of the segment: a later row has not begun it yet."""
    for segment in fuse(rows("traffic.load=1000000")):
        if segment.first.takes_arrivals:
            assert len(segment.rows) == 1


def test_a_label_that_is_jumped_to_is_that_of_one_row():
    made = rows()
    number = next(number for number, row in enumerate(made) if row.label == "take")
    made[number] = replace(made[number], label="next")
    with pytest.raises(ValueError, match="rows of the worker jump to 'next', which is the label of more than one row"):
        fuse(made)
