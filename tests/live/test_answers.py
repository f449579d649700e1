"""The answer in stages: each says what the library says, and nobody waits for an outdated one."""

from __future__ import annotations

import sys
from dataclasses import replace
from threading import Thread

import pytest

import sim
from sim.live import show
from sim.live.answers import Known, OutdatedError, Stage, answers, nominal
from sim.live.questions import Tables, as_shipped, ask
from sim.live.state import of_command
from sim.live.workers import Workers
from sim.study.review.ask import review
from sim.study.runs.case import sides_of
from sim.study.uncertainty.parts import parts_of
from sim.study.uncertainty.uncertainty import uncertainty
from tests.live.test_state import SEED, WINDOW

TABLES = Tables()
SHORT = ["traffic.packet_bytes=64,1500", "access=copy_user,vmap", "run.packets=20000"]
FEW = 8


@pytest.fixture(scope="module")
def question():
    return ask(TABLES, of_command(SEED, [*SHORT, "kernel=v6.12"]))


@pytest.fixture(scope="module")
def stages(question):
    return list(answers(question, lambda: True, few=FEW, draws=12))


def test_each_stage_has_more_than_the_one_before(stages):
    first, banded, bounded, whole = stages
    assert [(answer.stage, answer.draws) for answer in stages] == [
        (Stage.HEADLINE, FEW),
        (Stage.BANDS, FEW),
        (Stage.BOUNDS, FEW),
        (Stage.WHOLE, 12),
    ]
    assert {rate.packet_bytes for rate in first.review.sure.rates} == {64}
    assert first.review.result.points == tuple(p for p in banded.review.result.points if p.packet_bytes == 64)
    assert {rate.packet_bytes for rate in banded.review.sure.rates} == {64, 1500}
    assert bounded.review.sure is banded.review.sure
    assert (first.review.ranking, first.review.preface.bounded) == (None, ())
    assert all(row.gain is None for row in bounded.review.ranking.rows)
    assert any(row.gain is not None for row in whole.review.ranking.rows)
    assert sum(whole.review.preface.worth.values()) == pytest.approx(1.0)


def test_every_number_is_what_the_library_gives(question, stages):
    first, _, bounded, whole = stages
    scenario = question.scenario
    assert whole.review.result == sim.run(scenario)
    assert whole.review.sure == uncertainty(sides_of(scenario), 12, scenario.run.seed)
    assert bounded.review.sure == uncertainty(sides_of(scenario), FEW, scenario.run.seed)
    at_first = [side for side in sides_of(scenario) if side.packet_bytes == 64]
    assert first.review.sure == uncertainty(at_first, FEW, scenario.run.seed)
    assert whole.review.comparison == sim.compare(scenario)
    assert whole.review.parts == parts_of(sides_of(scenario), 12, scenario.run.seed, after="vmap")


def test_the_whole_answer_says_the_sentence_of_the_report(question, stages):
    report = review(question.scenario, 12)
    whole = stages[-1].review
    assert whole.sentence() == report.sentence()
    assert whole.preface.bounded == report.preface.bounded
    assert whole.preface.worth == report.preface.worth
    assert whole.tornado == report.tornado


def test_as_many_draws_as_at_first_are_not_made_twice(question):
    *_, bounded, whole = answers(question, lambda: True, few=FEW, draws=FEW)
    assert whole.review.sure is bounded.review.sure


@pytest.mark.deep
def test_fewer_draws_than_at_first_are_made_once(question):
    *_, bounded, whole = answers(question, lambda: True, few=FEW, draws=3)
    assert (bounded.draws, whole.review.sure is bounded.review.sure) == (3, True)


@pytest.mark.deep
def test_processes_answer_what_this_one_does(question, stages):
    workers = Workers(1)
    try:
        there = list(answers(question, lambda: True, few=FEW, draws=12, executor=workers.executor()))
    finally:
        workers.close()
    assert [answer.review for answer in there] == [answer.review for answer in stages]


def test_an_answer_is_kept_for_who_names_its_draws(question, stages):
    known = Known()
    known.keep(stages[-1])
    asked = [replace(question, state=replace(question.state, draws=draws)) for draws in (None, 12, 13)]
    assert [known.answer(each) for each in asked] == [stages[-1], stages[-1], None]


@pytest.mark.parametrize(
    "after", [pytest.param(after, marks=() if after in (1, 4) else pytest.mark.deep) for after in range(5)]
)
def test_an_outdated_answer_ends(question, after):
    """Whatever stage it is in."""
    waiting = [True]
    stages = answers(question, lambda: waiting[0], few=FEW, draws=12)
    for _ in range(min(after, 3)):
        next(stages)
    waiting[0] = after == 4
    if waiting[0]:
        assert next(stages).is_whole
    else:
        with pytest.raises(OutdatedError):
            next(stages)


def test_what_is_shipped_is_drawn_pale_where_it_differs(stages):
    shipped = nominal(as_shipped(TABLES, of_command(SEED)), lambda: True)
    figure = show.rates_figure(stages[-1], shipped)
    pale = [trace for trace in figure["data"] if "as shipped" in trace.get("name", "")]
    assert [trace["name"] for trace in pale] == [f"{name}, as shipped" for name in ("copy_user", "vmap", "ideal")]
    points = [point for point in shipped.points if point.access == "vmap"]
    assert pale[1]["y"] == [point.pps / 1e6 for point in points]
    same = nominal(stages[-1].question.scenario, lambda: True)
    assert show.rates_figure(stages[-1], same)["data"] == show.rates_figure(stages[-1], None)["data"]


def test_bands_reach_from_the_lowest_to_the_highest_end(stages):
    traces = show.rates_figure(stages[1], None)["data"]
    bands = [trace["y"] for trace in traces if trace.get("fill") == "toself"]
    for name, band in zip(("copy_user", "vmap"), bands, strict=True):
        rates = [rate.pps for rate in stages[1].review.sure.rates if rate.access == name]
        assert (min(band), max(band)) == (min(r.low for r in rates) / 1e6, max(r.high for r in rates) / 1e6)


def test_the_difference_is_drawn_with_the_intervals_of_its_parts(stages):
    first, *_, whole = stages
    assert len(show.waterfall_figure(first)["data"]) == len(whole.review.comparisons)
    fall, marks = show.waterfall_figure(whole)["data"]
    place = fall["y"].index("stac")
    stac, arms = whole.review.parts.parts["stac"], marks["error_x"]
    assert marks["x"][place] == pytest.approx(sum(fall["x"][: place + 1]))
    assert (arms["array"][place], arms["arrayminus"][place]) == (stac.value - stac.low, stac.high - stac.value)
    assert (marks["text"][0], marks["x"][-1]) == (f"{fall['x'][0]:.1f}", fall["x"][-1])
    assert stac.signed("ns") in show.parts_table(whole)
    assert show.parts_table(first) == ""


@pytest.mark.deep
def test_marks_of_intervals_are_those_of_the_first_comparison(question):
    state = replace(question.state, draws=2).changed("access", "copy_user,vmap,ideal")
    *_, whole = answers(ask(TABLES, state), lambda: True)
    figure = show.waterfall_figure(whole)
    (menu,) = figure["layout"]["updatemenus"]
    assert [button["args"][0]["visible"] for button in menu["buttons"]] == [[True, False, True], [False, True, False]]


def test_names_from_files_are_texts():
    hostile = WINDOW.replace("descriptor read without the speculation barrier", "'<img src=x onerror=alert(1)>'")
    hostile += "objections: ['<script>alert(2)</script>']\n"
    state = of_command(SEED, ["access=copy_user,one-window", "traffic.packet_bytes=64"], hostile)
    *_, whole = answers(ask(TABLES, state), lambda: True, few=2, draws=2)
    made = "".join(
        make(whole) for make in (show.sentences, show.ranking_table, show.objections_table, show.rates_table)
    )
    assert "<img" not in made
    assert "<script" not in made
    assert "&lt;script&gt;alert(2)" in made


def test_a_scenario_without_competing_variants_has_an_answer(question):
    state = of_command("af-xdp-tx", ["traffic.packet_bytes=64", "run.packets=20000"])
    *_, whole = answers(ask(TABLES, state), lambda: True, few=2, draws=2)
    assert whole.review.ranking is None
    assert show.waterfall_figure(whole)["data"] == []
    assert "variants compete where" in show.ranking_table(whole)
    assert "carries" in show.headline(whole)


def test_answers_are_kept_by_several_threads_at_once(stages):
    """Files of a page are made in threads of their own."""
    known, failures = Known(), []

    def keep(thread):
        for number in range(20_000):
            asked = replace(stages[-1].question, state=of_command(f"{thread}-{number}"))
            try:
                known.keep(replace(stages[-1], question=asked))
            except RuntimeError as error:
                failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=keep, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert failures == []
