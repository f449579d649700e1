"""Intervals of the parts of a difference, and of the time of a packet: in each draw they add up to the answer's."""

from __future__ import annotations

import pytest

import sim
from sim.config import ConfigError
from sim.study.runs.case import sides_of, with_values
from sim.study.uncertainty.distributions import draws_of
from sim.study.uncertainty.parts import MOST_DRAWS, parts_of
from sim.study.uncertainty.uncertainty import uncertainty

SHORT = ["run.packets=3000", "run.precision=0", "traffic.packet_bytes=64"]


def load(*overrides):
    return sim.load_scenario("virtio-user-xdp1-tap", overrides=[*SHORT, "access=copy_user,vmap,ideal", *overrides])


@pytest.fixture(scope="module")
def sides():
    return sides_of(load())


def test_the_whole_is_the_saving_of_the_answer_in_the_same_draws(sides):
    answer, made_up_of = uncertainty(sides, 25, 3), parts_of(sides, 25, 3)
    saved = answer.gains[0].saved_ns_of_parameters
    assert (made_up_of.before, made_up_of.after, made_up_of.draws) == ("copy_user", "vmap", 25)
    ends = (made_up_of.total.value, made_up_of.total.low, made_up_of.total.high)
    assert ends == pytest.approx((saved.value, saved.low, saved.high))


def test_parts_add_up_to_the_difference_with_the_tables_as_they_are(sides):
    made_up_of = parts_of(sides, 2)
    difference = sim.compare(load()).differences[0]
    assert {name: part.value for name, part in made_up_of.parts.items() if part.value} == pytest.approx(
        {name: value for name, value in difference.made_up_of.items() if value}
    )
    assert list(made_up_of.parts)[:2] == ["stac", "clac"]


def test_the_parts_of_a_draw_are_those_of_a_run_with_its_values(sides):
    made_up_of = parts_of(sides, 1)
    changed = with_values(load(), draws_of([side.case for side in sides], 1, 1).row(0))
    parts = sim.compare(changed).differences[0].made_up_of
    assert made_up_of.parts["stac"].low == made_up_of.parts["stac"].high == pytest.approx(parts["stac"])


def test_another_side_can_be_asked_for_and_a_single_one_is_the_time_of_a_packet(sides):
    assert parts_of(sides, 1, after="ideal").after == "ideal"
    alone = parts_of(sides[:1], 1)
    point = sim.run(load()).points[0]
    assert alone.before is None
    assert alone.total.value == pytest.approx(point.ns_per_packet)
    assert alone.parts["stac"].value == pytest.approx(point.breakdown_cycles["stac"] * point.cycle_ps / 1e3)


def test_no_more_draws_are_made_than_show_the_parts(sides, monkeypatch):
    assert MOST_DRAWS == 100
    monkeypatch.setattr("sim.study.uncertainty.parts.MOST_DRAWS", 2)
    assert parts_of(sides[:1], 1600).draws == 2


def test_no_draws_are_refused(sides):
    with pytest.raises(ConfigError, match="draws: at least 1 draw is needed"):
        parts_of(sides, 0)
