"""The tornado of a scenario's own entries, and what a review says of one or two variants."""

from __future__ import annotations

import re

import numpy as np
import pytest

import sim
from sim.config import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import load_table
from sim.study.review.ask import asked, question_of, review
from sim.study.runs.case import entry, one_point, sides_of, with_values
from sim.study.sensitivity.tornado import swing_entries
from sim.study.uncertainty.distributions import at_shares

SEED = "virtio-user-xdp1-tap"
SHORT = ["run.packets=3000", "run.precision=0", "traffic.packet_bytes=64"]


def rate(scenario, access, values):
    return sim.run(one_point(with_values(scenario, values), access, 64)).points[0].pps


@pytest.fixture(scope="module")
def short():
    return sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap", "calibration=null"])


def test_an_entry_swings_the_gain_as_two_runs_each_say(short):
    found = {one.key: one for one in swing_entries(sides_of(short)).indices}
    for end, share in (("low", 0.05), ("high", 0.95)):
        value = {"cpu.primitives.lfence": float(at_shares(entry(short, "cpu.primitives.lfence"), np.array(share)))}
        gain = 100 * (rate(short, "vmap", value) / rate(short, "copy_user", value) - 1)
        assert found["cpu.primitives.lfence"].values[end] == pytest.approx(gain)


@pytest.mark.parametrize("calibration", ["null", "seed-two-rates"])
def test_stac_and_clac_swing_together_whether_calibrated_or_not(calibration):
    scenario = sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap", f"calibration={calibration}"])
    found = swing_entries(sides_of(scenario))
    (pair,) = (one for one in found.indices if "stac" in one.key or "clac" in one.key)
    assert pair.key == "cpu.primitives.stac + clac"
    both = {
        key: float(at_shares(entry(scenario, key), np.array(0.95)))
        for key in ("cpu.primitives.stac", "cpu.primitives.clac")
    }
    gain = 100 * (rate(scenario, "vmap", both) / rate(scenario, "copy_user", both) - 1)
    assert pair.values["high"] == pytest.approx(gain)


def test_the_widest_swing_stands_first_and_is_measured_next(short):
    found = swing_entries(sides_of(short))
    widths = [one.values["swing"] for one in found.indices]
    assert widths == sorted(widths, reverse=True)
    assert found.findings[-1].startswith(f"measure this next: {found.indices[0].key} (")
    for one in found.indices:
        ends = (one.values["low"], one.values["high"], found.nominal)
        assert one.values["swing"] == pytest.approx(max(ends) - min(ends))


def test_one_variant_alone_has_a_rate_and_no_gain():
    scenario = sim.load_scenario(SEED, overrides=[*SHORT, "access=vmap"])
    found = review(scenario, 5)
    assert found.comparisons == ()
    assert (found.tornado.output, found.tornado.unit) == ("pps", "packets/s of all queues")
    pps = found.sure.rates[0].pps
    start = f"vmap carries {pps.value / 1e6:.2f} Mpps [{pps.low / 1e6:.2f}, {pps.high / 1e6:.2f}] at 64 B on "
    assert found.sentence().startswith(start)


def test_the_answer_is_that_of_compare(short):
    found = review(short, 5)
    compared = sim.compare(short)
    (comparison,) = found.comparisons
    assert comparison.to_dict() == compared.to_dict()
    assert found.sure.gains[0].gain_percent.value == pytest.approx(compared.differences[0].gain_percent)


def test_each_later_variant_is_laid_beside_the_first():
    scenario = sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap,ideal"])
    found = review(scenario, 5)
    assert [(one.before, one.after) for one in found.comparisons] == [("copy_user", "vmap"), ("copy_user", "ideal")]
    (further,) = found.further_sentences()
    gain = next(one for one in found.first_gains() if one.after == "ideal").gain_percent
    assert found.focus == "vmap"
    assert further.startswith(f"ideal gains {gain.value:.0f} % [{gain.low:.0f}, {gain.high:.0f}] over copy_user; ")
    assert [one.plan.access for one in found.explanations] == ["copy_user", "vmap", "ideal"]


def test_of_many_variants_the_headline_is_about_the_one_that_gains_most_and_is_no_bound():
    access = "access=copy_user,direct_map_spinlock,vmap,copy_user_masked,ideal"
    found = review(sim.load_scenario(SEED, overrides=[*SHORT, access]), 5)
    assert found.question.startswith("Which of 4 variants gains over copy_user: ")
    assert found.focus == "vmap"
    assert found.sentence().startswith("vmap gains ")
    assert [one.after for one in found.first_gains()] == ["ideal", "vmap", "direct_map_spinlock", "copy_user_masked"]
    assert found.comparison is not None
    assert found.tornado.nominal == pytest.approx(found.comparison.differences[0].gain_percent)


@pytest.mark.parametrize("title", ["should vmap be merged?", "should vmap be merged"])
def test_a_question_ends_with_one_mark(title):
    scenario = sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap"])
    titled = scenario.model_copy(update={"title": title})
    assert question_of(titled) == "What does vmap gain over copy_user: should vmap be merged?"


def test_every_other_pair_is_compared_draw_by_draw():
    found = review(sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap,ideal"]), 5)
    (pair,) = found.sure.pairs
    assert (pair.before, pair.after) == ("vmap", "ideal")
    rates = found.result.at("vmap", 64).pps, found.result.at("ideal", 64).pps
    assert pair.gain_percent.value == pytest.approx(100 * (rates[1] / rates[0] - 1))


def test_the_priors_are_those_of_the_calibration():
    found = review(sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap"]), 5)
    before = sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap", "calibration=null"])
    assert found.priors["cpu.primitives.lfence"].value == entry(before, "cpu.primitives.lfence").value


def test_every_source_is_an_entry_of_some_variant(short):
    sources = {one.key: one for one in review(short, 5).sources}
    assert sources["cpu.primitives.lfence"].cycles["copy_user"] > 0
    assert sources["cpu.primitives.stac"].quantity == entry(short, "cpu.primitives.stac")
    for access in ("copy_user", "vmap"):
        explained = {one.key for one in sim.explain(short, access).inputs()}
        assert explained <= set(sources)


def test_a_study_brings_its_question_and_refuses_other_settings():
    with pytest.raises(ConfigError, match="a study states its own settings"):
        asked("seed-gain", None, ["run.packets=1"])
    with pytest.raises(ConfigError, match="unknown scenario or study 'seed-gian'"):
        asked("seed-gian", None, [])


@pytest.mark.parametrize(("name", "kind"), [("cost-ranges", "sweep"), ("seed-two-rates", "calibration-study")])
def test_a_study_of_another_kind_is_called_by_its_kind(name, kind):
    with pytest.raises(ConfigError, match=f"{name} is a {kind}: a report is of a scenario or of a sensitivity study"):
        asked(name, None, [])


@pytest.mark.parametrize("name", sorted(paths.names("cpu")))
def test_the_title_of_a_cpu_stands_in_a_sentence(name):
    title = load_table("cpu", name).title
    assert title.startswith(("Intel ", "AMD "))
    assert "," not in re.sub(r"\([^)]*\)", "", title)
    assert not title.endswith((".", ":"))
