"""Costs that are moved are answered on what is known already, and the answers are those of a new question."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sim.costs.draws import as_in_tables
from sim.datapath import build_plan
from sim.live.answers import Known, OutdatedError, Stage, answers, prepare
from sim.live.ground import costs_of
from sim.live.questions import Tables, ask
from sim.live.state import of_command
from sim.study.runs import case, structures
from sim.study.runs.case import Case, one_point
from sim.study.uncertainty.least_counts import least_counts
from tests.live.test_state import SEED

TABLES = Tables()
SHORT = ["traffic.packet_bytes=64,1500", "access=copy_user,vmap", "run.packets=20000"]


def asked(*overrides):
    return ask(TABLES, of_command(SEED, [*SHORT, *overrides]))


def banded(question, known):
    """The stages up to all sizes."""
    seen = []
    for answer in answers(question, lambda: True, few=6, draws=6, grounded=known.grounded(TABLES, question)):
        seen.append(answer)
        if answer.has_bands:
            break
    return seen


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(["cpu.primitives.lfence=31"], marks=pytest.mark.deep),
        ["cpu.primitives.lfence=9000"],  # far outside its range, which is said
        pytest.param(["kernel.steps.head.instructions=9000", "cpu.cpi=9"], marks=pytest.mark.deep),  # both are
        ["cpu.cpi=0.5", "cpu.core_ghz=2.5", "device.reuse_bytes_per_packet=4000"],  # lines come from another cache
        pytest.param(  # a step has no less than this part of it
            ["kernel=v6.12", "kernel.object_size_check_instructions=90"], marks=pytest.mark.deep
        ),
        pytest.param(["kernel.steps.head.instructions=90", "cpu.primitives.stac=12"], marks=pytest.mark.deep),
    ],
)
def test_an_answer_on_known_ground_is_that_of_a_new_question(overrides):
    known, question = Known(), asked(*overrides)
    banded(ask(TABLES, question.state.without(costs_of(question))), known)
    grounded = known.grounded(TABLES, question)
    on_ground = list(answers(question, lambda: True, few=6, draws=8, grounded=grounded))
    anew = list(answers(question, lambda: True, few=6, draws=8))
    assert on_ground[-1].review == anew[-1].review
    assert on_ground[-1].stage is Stage.WHOLE


@pytest.fixture
def noted_builds(monkeypatch):
    """The Plans that are built, as their variants and first sizes."""
    built = []

    def noted(scenario, *arguments, **options):
        built.append((arguments[0], as_in_tables(arguments[1])))
        return build_plan(scenario, *arguments, **options)

    for module in (case, structures):
        monkeypatch.setattr(module, "build_plan", noted)
    return built


def test_a_moved_cost_builds_nothing_anew_and_all_sizes_are_answered_at_once(noted_builds):
    known, built = Known(), noted_builds
    first = banded(asked("cpu.primitives.lfence=21"), known)
    assert [answer.stage for answer in first] == [Stage.HEADLINE, Stage.BANDS]
    assert sorted(built) == [("copy_user", 64), ("vmap", 64)]  # each for both sizes
    second = banded(asked("cpu.primitives.lfence=22"), known)
    assert [answer.stage for answer in second] == [Stage.BANDS]
    assert len(built) == 2
    assert second[-1].review.result != first[-1].review.result


def test_what_took_long_is_not_prepared():
    question = asked("mitigations.smap=false")
    ground = Known().grounded(TABLES, question).ground
    assert not ground.is_quick  # nobody knows
    ground.took(0.9)
    assert ground.is_quick
    slow = Known().grounded(TABLES, question).ground
    slow.took(1.1)
    assert slow.is_known
    assert not slow.is_quick


def test_what_is_prepared_is_answered_at_once_and_alike(noted_builds):
    known, question = Known(), asked("mitigations.smap=false", "cpu.primitives.lfence=21")
    grounded = known.grounded(TABLES, question)
    with ThreadPoolExecutor(1) as threads:
        prepare(grounded, lambda: True, threads)
        assert (grounded.ground.is_known, noted_builds) == (False, [])  # nobody knows yet whether it takes long
        banded(asked(), known)
        noted_builds.clear()
        prepare(grounded, lambda: True, None)
        assert (grounded.ground.is_known, noted_builds) == (False, [])  # this process has the page to serve
        with pytest.raises(OutdatedError):
            prepare(grounded, lambda: False, threads)
        assert not grounded.ground.is_known
        prepare(grounded, lambda: True, threads)
    assert grounded.ground.is_known
    noted_builds.clear()
    (answer,) = banded(question, known)
    assert (answer.stage, noted_builds) == (Stage.BANDS, [])
    assert answer.review == banded(question, Known())[-1].review


def test_what_stood_in_a_table_before_it_was_edited_is_answered_no_more(tmp_path):
    file, known = tmp_path / "own.yaml", Known()
    text = f"{{schema: 1, kind: scenario, name: own, extends: {SEED}, access: [copy_user], virtqueue: {{size: 256}}, "
    text += "traffic: {packet_bytes: [64]}, run: {packets: 20000}}"
    tables = Tables(opened=[str(file)])

    def question(*overrides):
        return ask(tables, of_command(str(file), overrides))

    def answered(asked):
        grounded = known.grounded(tables, asked)
        *_, answer = answers(asked, lambda: True, few=6, draws=6, grounded=grounded)
        return answer

    def is_without_effect(key):
        return known.without_effect(question(), [key]) == {key}

    file.write_text(text)
    first = answered(question())
    known.keep(first)
    assert known.answer(question()) is first
    assert known.shipped(tables, answered(question("driver.burst=16")), lambda: True) == first.review.result
    assert is_without_effect("backend.line_gbps")
    file.write_text(text.replace("size: 256", "size: 64}, backend: {kind: tap-xdp-redirect"))
    assert known.answer(question()) is None
    moved = answered(question("cpu.primitives.lfence=21"))
    assert moved.review == list(answers(moved.question, lambda: True, few=6, draws=6))[-1].review
    shipped = known.shipped(tables, moved, lambda: True)
    assert shipped.scenario == question().scenario
    assert shipped != first.review.result
    assert not is_without_effect("backend.line_gbps")


def test_what_is_no_cost_stands_on_other_ground_and_finds_its_own_again():
    known = Known()
    grounds = [
        known.grounded(TABLES, asked(*overrides)).ground
        for overrides in (
            [],
            ["cpu.primitives.lfence=21"],
            ["mitigations.smap=false"],
            ["mitigations.smap=false", "cpu.cpi=0.4"],
            ["kernel.steps.head.instructions=90"],
            ["cpu.cpi=0.4"],
        )
    ]
    assert [grounds.index(ground) for ground in grounds] == [0, 0, 2, 2, 4, 0]


def test_costs_are_entries_in_the_order_of_the_tables():
    question = asked("mitigations.smap=false", "cpu.primitives.lfence=21", "cpu.cpi=0.4", "cpu=zen4")
    assert costs_of(question) == ("cpu.cpi", "cpu.primitives.lfence")


def test_the_least_count_moves_with_its_parts():
    key, value, kernel = "kernel.object_size_check_instructions", 90.0, ["kernel=v6.12"]
    plain, moved = (
        least_counts([Case(one_point(question.scenario, "copy_user", 64))])
        for question in (asked(*kernel), asked(*kernel, f"{key}={value}"))
    )
    known = {count.key: count.nominal for count in moved}
    assert any(key in count.parts for count in plain)
    for count in plain:
        assert count.with_parts({key: value}).nominal == pytest.approx(known[count.key], rel=1e-12)
