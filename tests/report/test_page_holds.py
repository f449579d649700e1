"""What the page says is true where the worker does not decide alone: queues, driver, NIC, IOTLB, two sockets."""

from __future__ import annotations

import html
import re

import pytest

import sim
from sim.report.page.page import page
from sim.study.review.ask import review

SHORT = ["run.packets=3000", "run.precision=0.002", "access=copy_user,vmap"]
#: Each scenario with its changes, who bounds copy_user at the first size, and whether a guess of somebody else does.
ASKED = {
    "eight-workers": ([], "worker", False),
    "virtio-net-xdp1-tap": (["driver.sender=socket", "traffic.packet_bytes=64"], "driver", True),
    "virtio-user-xdp-redirect": (["traffic.packet_bytes=1500,64"], "nic", False),
    "virtio-user-iotlb": (["traffic.packet_bytes=64"], "worker", False),
    "two-sockets": ([], "worker", False),
}


@pytest.fixture(scope="module", params=ASKED)
def told(request):
    """A review, the text of its page in front of the first section, and what is known of it."""
    changes, bound_by, guessed = ASKED[request.param]
    scenario = sim.load_scenario(request.param, overrides=[*SHORT, *changes])
    answer = review(scenario, 2)
    written = page(answer, "vhost-sim report x").replace("<wbr>", "")  # where a long name may go on in the next line
    top = re.sub(r"<[^>]+>", " ", written[written.index("<header>") : written.index("<h2>")])
    return answer, re.sub(r"\s+", " ", html.unescape(top)), bound_by, guessed


pytestmark = pytest.mark.deep


def test_the_page_begins_with_what_was_asked(told):
    answer, top, *_ = told
    (asked,) = answer.preface.asked
    begins = top.index(" asked ")
    for row in asked.rows:
        assert top.index(re.sub(r"\s+", " ", row.text), begins) < top.index(answer.sentence())
    queues = answer.scenario.queues
    assert f"{queues.pairs} queue pair" in top
    assert f"driver and worker on {'one socket' if answer.scenario.placement.same_socket else 'two sockets'}" in top


def test_the_headline_starts_with_a_guess_where_one_bounds_and_only_there(told):
    answer, _, bound_by, guessed = told
    assert answer.result.points[0].bound_by == bound_by
    assert answer.sentence().startswith("A guess bounds this answer: ") == guessed
    if guessed:
        assert answer.preface.sentences[0].startswith("A guess bounds this answer: the driver is full")


def test_the_headline_gains_what_two_runs_gain_or_says_that_none_is_resolved(told):
    answer, *_ = told
    before, after = (answer.result.at(name, answer.first_size).pps for name in ("copy_user", "vmap"))
    percent = 100 * (after / before - 1)
    assert answer.gain.gain_percent.value == pytest.approx(percent)
    if abs(percent) < 0.2:
        assert "vmap does not differ from copy_user" in answer.sentence()
        assert "the sign is certain" not in answer.sentence()
        assert answer.answers()["Why"] == "nothing that it executes less or more shows in the rate"
        assert "turns the sign" not in answer.answers().get("What would change it", "")
    else:
        assert f"vmap gains {percent:.0f} % [" in answer.sentence()


def test_a_better_variant_is_named_where_a_run_of_its_own_is_faster(told):
    answer, top, *_ = told
    ranks = answer.ranking
    names = [row.access for row in ranks.rows]
    sizes = [answer.first_size]
    traffic = answer.scenario.traffic.model_copy(update={"packet_bytes": sizes})
    every = sim.load_scenario(answer.scenario.name, overrides=[f"access={','.join(names)}"]).access
    whole = sim.run(answer.scenario.model_copy(update={"access": every, "traffic": traffic}))
    rates = {point.access: point.pps for point in whole.points}
    for row in ranks.rows:
        assert row.pps == pytest.approx(rates[row.access])
        assert row.gain_percent == pytest.approx(100 * (rates[row.access] / rates["copy_user"] - 1))
        assert row.spelled() in top
    honest = [name for name in names if name not in ("ideal", "smap_off_worker")]
    fastest = max(honest, key=rates.__getitem__)
    if rates[fastest] > rates["vmap"] * 1.002:
        assert f"{fastest} gains more over copy_user than vmap" in answer.sentence()
    else:
        assert ranks.better is None
        assert "none that keeps SMAP on packet bytes gains more than vmap" in top


def test_the_asked_variant_is_marked(told):
    answer, *_ = told
    written = page(answer, "x")
    (row,) = re.findall(r'<tr class="asked">.*?</tr>', written)
    assert "-&gt; vmap" in row


def test_what_bounds_it_is_said_of_each_point_and_nothing_else(told):
    answer, _, bound_by, _ = told
    said = answer.answers()["What bounds it"]
    called = {"worker": "The worker bounds", "driver": "the driver is full", "nic": "The NIC bounds"}
    bounding = {point.bound_by for point in answer.result.points}
    assert bound_by in bounding
    for name, words in called.items():
        assert (words in said) == (name in bounding)
    assert ("is an assumption" in said) == (answer.scenario.queues.lanes > 1)
    assert ("With the device IOTLB no ring is mapped" in said) == answer.scenario.virtqueue.iotlb
    assert ("No NIC is part of the question" in said) <= (not answer.scenario.backend.has_nic)


def test_the_width_is_that_of_the_tornado_by_the_grades_of_this_cpu(told):
    answer, top, *_ = told
    grades = {entry.key: "fitted" if entry.key in answer.priors else entry.quantity.grade for entry in answer.sources}
    widths = {index.key.split(" + ")[0]: index.values["swing"] ** 2 for index in answer.tornado.indices}
    total = sum(widths.values())
    for grade, share in (answer.preface.worth or {}).items():
        assert share == pytest.approx(sum(width for key, width in widths.items() if grades[key] == grade) / total)
    if answer.preface.worth:
        assert " of the width is " in top
    calibrated = {row.key for row in answer.sources} & set(answer.priors)
    for key in calibrated:
        assert answer.preface.asked[0].to_dict()["calibrated"].count(key) == 1
