"""Tables of notebooks: their numbers are those of the results, and sums are sums."""

from __future__ import annotations

import pytest

import sim
from sim.report.notebook.frames import (
    access_frame,
    change_frame,
    fit_frame,
    gain_frame,
    price_frame,
    share_frame,
    unsigned,
)
from sim.report.tables.evidence import interval
from sim.study.review.alternatives import answers
from sim.study.runs.case import sides_of
from sim.study.sensitivity.shapley import decompose
from sim.study.uncertainty.intervals import Interval
from sim.study.uncertainty.uncertainty import uncertainty


@pytest.fixture(scope="module")
def scenario():
    overrides = ["access=copy_user,vmap", "traffic.packet_bytes=64", "run.packets=20000"]
    return sim.load_scenario("virtio-user-xdp1-tap", overrides=overrides)


@pytest.fixture(scope="module")
def copy_user(scenario):
    return sim.explain(scenario, "copy_user")


@pytest.fixture(scope="module")
def sure(scenario):
    return uncertainty(sides_of(scenario), 20, 1)


def test_an_interval_is_spelled_and_zero_has_no_sign():
    assert interval(Interval(21.14, 18.04, 24.16)) == "21.1 [18.0, 24.2]"
    assert interval(Interval(5.016e6, 4.3e6, 5.7e6), 2, 1e-6) == "5.02 [4.30, 5.70]"
    assert interval(Interval(-0.01, -0.04, 0.0)) == "0.0 [0.0, 0.0]"
    assert str(unsigned(-0.04, 1)) == "0.0"


def test_accesses_are_metadata_and_payload_that_are_executed(copy_user):
    frame = access_frame(copy_user)
    assert set(frame["what"]) == {"metadata", "payload"}
    descriptor = frame.set_index("access").loc["descriptor"]
    assert descriptor["times / packet"] == 1
    assert "stac + lfence + 2 load" in descriptor["one execution runs through"]
    assert "used elements, wrapping at the end of the ring" not in set(frame["access"])


def test_the_price_of_an_access_adds_up(copy_user):
    frame = price_frame(copy_user, "descriptor")
    parts, total = frame["cycles"][:-1], frame["cycles"].iloc[-1]
    assert frame["primitive"].iloc[-1] == "sum"
    assert parts.sum() == pytest.approx(total, abs=0.05 * len(frame))
    toggle = copy_user.scenario.cpu.primitives["stac"]
    entry = frame.set_index("primitive").loc["stac", "table entry"]
    assert entry == f"{toggle.value:.3g} [{toggle.low:.3g}, {toggle.high:.3g}] cycles"


def test_what_changes_adds_up_to_what_is_saved(scenario, copy_user):
    frame = change_frame(copy_user, sim.explain(scenario, "vmap"))
    saved = sim.compare(scenario).differences[0].saved_cycles
    assert frame["access"].iloc[-1] == "sum"
    assert frame["saved (cycles)"].iloc[-1] == pytest.approx(saved, abs=0.5)
    assert "packet bytes" not in set(frame["access"])


def test_shares_add_up_to_the_gain(scenario):
    found = decompose(scenario, "copy_user", "vmap", 64)
    frame = share_frame(found).set_index("mechanism")
    assert frame.loc["sum", "share (ns)"] == round(found.saved_ns, 1)
    assert frame["share (ns)"][:-1].sum() == pytest.approx(found.saved_ns, abs=0.05 * len(frame))


def test_fits_and_gains_show_the_intervals_of_the_result(sure):
    (gain,) = sure.gains
    fit = fit_frame({"a fit": sure}).iloc[0]
    assert list(fit)[:2] == ["a fit", interval(sure.rates[0].pps, 2, 1e-6)]
    row = gain_frame(answers(sure), "variant").iloc[0]
    assert row["variant"] == "vmap"
    assert row["gain (%)"] == fit["gain (%)"] == interval(gain.gain_percent)
    assert row["before (Mpps)"] == f"{sure.rates[0].pps.value / 1e6:.2f}"
