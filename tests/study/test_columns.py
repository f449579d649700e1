"""The columns of a result are stated once, and complete: for every actor, time part and answer of what is shipped."""

from __future__ import annotations

import pytest

import sim
from sim.config.loading import paths
from sim.datapath import build_plan
from sim.datapath.plan.plan import BACKGROUND
from sim.report.tables.stack import LAYER_OF
from sim.study.questions.columns import ACTORS, NOT_COLUMNS, TIME_PARTS, columns, columns_of, drivers, row_of


@pytest.fixture(scope="module", params=sorted(paths.names("scenario")))
def plans(request):
    scenario = sim.load_scenario(request.param)
    return scenario, [build_plan(scenario, variant.name, scenario.traffic.sizes[0]) for variant in scenario.access]


def test_every_actor_that_can_be_busy_has_a_column(plans):
    scenario, built = plans
    busy = {actor for plan in built for actor in plan.actors if actor not in BACKGROUND}
    assert busy <= {*ACTORS, *drivers(scenario.queues.per_core)}


def test_everything_that_a_plan_is_made_of_is_a_time_part(plans):
    _, built = plans
    parts = {part.primitive for plan in built for row in plan.rows for part in (*row.components, *row.unit_components)}
    for plan in built:
        for rows in plan.class_rows.values():
            parts |= {part.primitive for row in rows for part in (*row.components, *row.unit_components)}
        parts |= {name for names in plan.wait_names.values() for name in names}
    assert parts <= set(TIME_PARTS)


def test_a_time_part_has_one_layer_and_a_layer_has_nothing_else():
    assert len(TIME_PARTS) == len(set(TIME_PARTS))
    assert set(LAYER_OF) == set(TIME_PARTS)


FEW = ["run.packets=2000", "run.precision=0"]
#: One scenario for each actor that not every scenario has.
WITH_OTHER_ACTORS = {
    "virtio-user-receive-skb": "source",
    "virtio-user-xdp-redirect": "nic",
    "tcp-stream-guest-to-host": "receiver",
    "four-queues-one-worker": "driver.3",
}


@pytest.fixture(scope="module")
def points():
    results = [sim.run(sim.load_scenario(name, overrides=FEW)) for name in ("virtio-user-xdp1-tap", *WITH_OTHER_ACTORS)]
    return [result.points[0] for result in results]


def test_the_actors_that_few_scenarios_have_are_in_the_table_of_a_run(points):
    for point, actor in zip(points[1:], WITH_OTHER_ACTORS.values(), strict=True):
        assert f"utilisation_{actor}" in row_of(point, columns_of([point]))


def test_every_key_of_an_answer_is_a_column_or_is_said_to_be_none(points):
    shown = {column.key for column in columns()}
    assert shown & set(NOT_COLUMNS) == set()
    for point in points:
        assert set(point.to_dict()) == {*shown, *NOT_COLUMNS}


def test_a_row_holds_what_the_answer_says(points):
    for point in points:
        row, answer = row_of(point, columns_of([point])), point.to_dict()
        assert {name: row[f"utilisation_{name}"] for name in point.utilisation} == answer["utilisation"]
        assert {name: row[f"latency_{name}_us"] for name in point.latency_us} == answer["latency_us"]
        assert [row["pps_low"], row["pps_high"]] == answer["pps_ci"]
        assert {name: row[f"cycles_{name}"] for name in point.breakdown_ps} == answer["breakdown_cycles"]
        assert row["ring_occupancy_mean"] == answer["ring_occupancy"]["mean"]


def test_a_part_that_a_point_does_not_have_is_0_and_an_actor_that_it_does_not_have_is_left_out(points):
    row = row_of(points[0], columns(["worker", "nic"], ["instruction", "spin_lock"]))
    assert row["cycles_spin_lock"] == 0
    assert "utilisation_nic" not in row
    assert "utilisation_worker" in row
