"""Costs that are moved are answered on what is known already, and the answers are those of a new question."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from sim.config.loading.paths import shipped
from sim.costs.draws import as_in_tables
from sim.datapath import build_plan
from sim.live.answers import Known, OutdatedError, Stage, answers
from sim.live.ground import Grounds, costs_of
from sim.live.questions import Tables, ask
from sim.live.state import of_command
from sim.study.runs import case, structures
from sim.study.runs.case import Case, one_point
from sim.study.uncertainty.least_counts import least_counts
from tests.live.test_state import SEED

TABLES = Tables()
SHORT = ["traffic.packet_bytes=64,1500", "access=copy_user,vmap", "run.packets=20000"]


def asked(*overrides, draws=6):
    return ask(TABLES, of_command(SEED, [*SHORT, *overrides], draws=draws))


def banded(question, known):
    """The stages up to all sizes."""
    seen = []
    for answer in known.stages(TABLES, question, lambda: True):
        seen.append(answer)
        if answer.has_bands:
            break
    return seen


def whole(question, known):
    """The last stage."""
    *_, answer = known.stages(TABLES, question, lambda: True)
    return answer


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
    known, question = Known(), asked(*overrides, draws=8)
    banded(ask(TABLES, question.state.without(costs_of(question))), known)
    on_ground, (*_, anew) = whole(question, known), answers(question, lambda: True, draws=8)
    assert on_ground.review == anew.review
    assert on_ground.stage is Stage.WHOLE


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


def test_how_long_another_of_its_kind_took_says_what_is_answered_first_and_what_is_prepared():
    grounds = Grounds()

    def ground(*overrides):
        return grounds.of(TABLES, asked(*overrides)).ground

    def said(*overrides):
        new = ground(*overrides)
        return new.is_prompt, new.is_quick

    first = ground()
    assert said() == (False, False)  # nobody knows
    first.took(0.4)
    assert said() == (True, True)
    assert said("mitigations.smap=false") == (True, True)
    assert said("traffic.packet_bytes=[64, 128, 256]") == (False, True)  # 0.6 s
    assert said("traffic.load={kind: constant, pps: 1e6}") == (False, False)  # that may take another time
    assert said("memory.invalidations_per_second=1") == (False, False)  # ten seconds of simulated time
    assert said("placement.preempted_every_us=5e6", "placement.preempted_us=9") == (False, False)
    ground("mitigations.smap=false").took(1.1)
    assert said("mitigations.retpoline=false") == (False, False)
    assert said() == (True, False)  # its Plans are there


def test_a_kind_that_is_prompt_is_answered_at_all_sizes_at_once():
    known = Known()
    banded(asked(), known)
    (answer,) = banded(asked("mitigations.smap=false"), known)
    assert answer.stage is Stage.BANDS
    assert answer.review == banded(asked("mitigations.smap=false"), Known())[-1].review


def test_what_is_prepared_is_there_when_it_is_asked_and_alike(noted_builds, monkeypatch):
    known, question = Known(), asked("mitigations.smap=false", "cpu.primitives.lfence=21", draws=8)

    def prepared(executor, wanted=lambda: True):
        noted_builds.clear()
        known.prepare(TABLES, question, wanted, executor)
        return len(noted_builds)

    with ThreadPoolExecutor(1) as threads:
        assert prepared(threads) == 0  # nobody knows yet whether it takes long
        banded(asked(), known)
        assert prepared(None) == 0  # this process has the page to serve
        with pytest.raises(OutdatedError):
            prepared(threads, lambda: False)
        assert prepared(threads) == 2
        assert prepared(threads) == 0  # it is there
    monkeypatch.setattr("sim.study.uncertainty.runs.run_jobs", None)
    (answer,) = banded(question, known)
    assert answer.stage is Stage.BANDS
    monkeypatch.undo()
    assert whole(question, known).review == whole(question, Known()).review


def test_what_stood_in_a_table_before_it_was_edited_is_answered_no_more(tmp_path):
    file, known = tmp_path / "own.yaml", Known()
    text = f"{{schema: 1, kind: scenario, name: own, extends: {SEED}, access: [copy_user], virtqueue: {{size: 256}}, "
    text += "traffic: {packet_bytes: [64]}, run: {packets: 20000}}"
    tables = Tables(opened=[str(file)])

    def question(*overrides):
        return ask(tables, of_command(str(file), overrides, draws=6))

    def answered(asked):
        *_, answer = known.stages(tables, asked, lambda: True)
        return answer

    def prepared(asked):
        with ThreadPoolExecutor(1) as threads:
            known.prepare(tables, asked, lambda: True, threads)

    def is_without_effect(key):
        return known.without_effect(question(), [key]) == {key}

    file.write_text(text)
    first = answered(question())
    known.keep(first)
    assert known.answer(question()) is first
    assert known.shipped(tables, answered(question("driver.burst=16")), lambda: True) == first.review.result
    assert is_without_effect("backend.line_gbps")
    prepared(question("cpu.primitives.lfence=21"))
    file.write_text(text.replace("size: 256", "size: 64}, backend: {kind: tap-xdp-redirect"))
    assert known.answer(question()) is None
    moved = answered(question("cpu.primitives.lfence=21"))
    assert moved.review == list(answers(moved.question, lambda: True, few=6, draws=6))[-1].review
    shipped = known.shipped(tables, moved, lambda: True)
    assert shipped.scenario == question().scenario
    assert shipped != first.review.result
    assert not is_without_effect("backend.line_gbps")


def test_draws_of_a_calibration_that_was_edited_are_drawn_anew(tmp_path):
    """Its values may stay: then the scenario is the same."""
    table = yaml.safe_load((shipped() / "calibrations" / "seed-copy-user.yaml").read_text(encoding="utf-8"))
    folder, known, tables = tmp_path / "calibrations", Known(), Tables(tmp_path)
    folder.mkdir()

    def question(factor):
        draws = "\n".join(f"{factor * float(draw):.5f}" for draw in table["draws"].split())
        (folder / "mine.yaml").write_text(yaml.safe_dump({**table, "name": "mine", "draws": draws}), encoding="utf-8")
        return ask(tables, of_command(SEED, [*SHORT, "calibration=mine"], draws=6))

    first = question(1.0)
    *_, answer = known.stages(tables, first, lambda: True)
    known.keep(answer)
    with ThreadPoolExecutor(1) as threads:
        known.prepare(tables, question(1.0), lambda: True, threads)
    assert known.answer(question(1.0)) is answer
    second = question(1.02)
    assert second.scenario == first.scenario
    assert known.answer(second) is None
    *_, anew = known.stages(tables, second, lambda: True)
    assert anew.review.sure != answer.review.sure


def test_what_is_no_cost_stands_on_other_ground_and_finds_its_own_again():
    kept = Grounds()
    grounds = [
        kept.of(TABLES, asked(*overrides)).ground
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
