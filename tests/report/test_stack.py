"""The layers of the cycle stack: every name has one place, and nothing is lost between them."""

from __future__ import annotations

from collections import Counter

import pytest

import sim
from sim.config.tables.vocabulary import PRIMITIVES
from sim.datapath import build_plan
from sim.datapath.plan.plan import Wait
from sim.engine.result import Point
from sim.report.tables.stack import LAYER_OF, LAYERS, REST, drawn, stack

WAITS = ("store_drain", "idle", "l1_hit", "l2_hit", "l3_hit", "memory_remote", "line_transfer")


@pytest.mark.parametrize("name", [*PRIMITIVES, *WAITS, "driver_work"])
def test_each_name_is_in_exactly_one_layer(name):
    assert [layer.key for layer in LAYERS if name in layer.primitives] == [LAYER_OF[name].key]


def test_a_layer_holds_each_name_once_and_nothing_unknown():
    held = Counter(name for layer in LAYERS for name in layer.primitives)
    assert set(held.values()) == {1}
    others = {"store_drain", "idle", "driver_work", "given_time", "invalidation", "preempted", "uncore"}
    assert set(held) == {*PRIMITIVES, *others}


def test_layers_can_be_told_apart():
    for part in ("key", "letter", "title", "colour"):
        assert len({getattr(layer, part) for layer in (*LAYERS, REST)}) == len(LAYERS) + 1, part
    assert all(len(layer.letter) == 1 for layer in LAYERS)


def test_there_is_a_name_for_each_kind_of_waiting():
    """Near and far hits and stores share the names of levels in a plan; on another node a pinned line is remote."""
    plans = [build_plan(sim.load_scenario(name), "vmap", 64) for name in ("virtio-user-xdp1-tap", "rebalanced")]
    assert all(set(plan.wait_names) == set(Wait) for plan in plans)
    assert {name for plan in plans for names in plan.wait_names.values() for name in names} == set(WAITS)


def test_a_stack_adds_up_by_layer_in_the_order_of_layers():
    found = stack({"clac": 2.0, "stac": 1.0, "instruction": 4.0, "idle": 8.0, "load": 16.0})
    assert [(layer.key, value) for layer, value in found] == [("work", 4 + 16), ("smap", 2 + 1), ("idle", 8)]


def test_an_unknown_name_is_an_error_and_not_left_out():
    with pytest.raises(KeyError, match="fudge"):
        stack({"fudge": 1.0})


def test_the_layers_of_a_result_add_up_to_its_cycles(result):
    for point in result.points:
        assert isinstance(point, Point)
        total = sum(value for _, value in stack(point.breakdown_cycles))
        assert total == pytest.approx(point.cycles_per_packet, rel=1e-12)


def test_layers_that_are_too_small_in_every_stack_are_drawn_together_and_the_sums_stay():
    first = stack({"instruction": 990.0, "lock_rmw": 4.0, "call": 6.0})  # barrier and calls: both below 1 %
    second = stack({"instruction": 90.0, "lock_rmw": 0.5})
    assert [(layer.key, heights) for layer, heights in drawn([first, second])] == [
        ("work", [990.0, 90.0]),
        ("rest", [6.0 + 4.0, 0.0 + 0.5]),
    ]


def test_a_layer_that_is_large_enough_in_one_stack_is_drawn_in_all():
    first = stack({"instruction": 999.0, "lock_rmw": 1.0, "call": 2.0})
    second = stack({"instruction": 98.0, "lock_rmw": 2.0})
    assert [layer.key for layer, _ in drawn([first, second])] == ["work", "call", "barrier"]  # calls alone are small


def test_what_is_argued_about_is_always_drawn():
    for key in ("work", "copy", "line", "smap", "speculation"):
        assert next(layer.threshold for layer in LAYERS if layer.key == key) == 0
    assert all(0 <= layer.threshold < 0.05 and layer.group for layer in LAYERS)
