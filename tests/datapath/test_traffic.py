"""Arrival times: rates, blocks that fit together, on-off periods, and what happens to packets that find no room."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import sim
from sim.config import load_scenario
from sim.config.scenario.traffic import Load
from sim.datapath.traffic import Arrivals, arrivals_of

SEED = "virtio-user-xdp1-tap"
LOADS = (
    Load(kind="constant", pps=3e6),
    Load(kind="poisson", pps=3e6),
    Load(kind="on-off", pps=6e6, on_us=10, off_us=10),
)


def test_a_saturating_driver_has_no_arrivals():
    assert arrivals_of(Load(kind="saturate"), 1) is None


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.kind)
@given(first=st.integers(1, 20_000), second=st.integers(1, 20_000))
def test_times_do_not_depend_on_how_they_are_asked_for(load, first, second):
    grown = Arrivals(load, 5)
    grown.first(min(first, second))
    times = grown.first(max(first, second))
    whole = Arrivals(load, 5).first(40_000)
    assert np.array_equal(times, whole[: len(times)])
    assert (np.diff(times) >= 0).all()
    assert grown.at(first - 1) == whole[first - 1]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.kind)
def test_the_mean_rate_is_the_offered_one(load):
    times = Arrivals(load, 1).first(200_000)
    on_off = load.kind == "on-off"
    mean_pps = load.packets_per_period * 1e6 / (load.on_us + load.off_us) if on_off else load.pps
    # A Poisson mean over n packets is good to 1/sqrt(n) = 0.2 %: five of those.
    assert len(times) * 1e12 / times[-1] == pytest.approx(mean_pps, rel=5 / len(times) ** 0.5)


def test_constant_gaps_are_the_period():
    assert Arrivals(Load(kind="constant", pps=4e6), 1).first(3)[:3].tolist() == [250_000, 500_000, 750_000]


def test_on_off_packets_come_in_the_first_part_of_each_period():
    load = Load(kind="on-off", pps=1e6, on_us=3, off_us=7)  # three packets, 1 us apart, every 10 us
    assert Arrivals(load, 1).first(5)[:5].tolist() == [t * 1_000_000 for t in (1, 2, 3, 10 + 1, 10 + 2)]


@pytest.mark.parametrize(
    ("load", "sentence"),
    [
        ({"kind": "on-off", "pps": 1e6}, "on_us and off_us go with on-off"),
        ({"kind": "constant", "pps": 1e6, "off_us": 3}, "on_us and off_us go with on-off"),
        ({"kind": "on-off", "pps": 1e6, "on_us": 0.5, "off_us": 3}, "no packet arrives within 0.5 us at 1e"),
        ({"kind": "constant"}, "load needs a rate above 0"),
    ],
)
def test_bad_loads_say_what_is_wrong(load, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Load(**load)


def offered(*overrides: str):
    settings = ["access=copy_user", "traffic.packet_bytes=64", "run.precision=0", "run.packets=60000", *overrides]
    return sim.run(load_scenario(SEED, overrides=settings)).points[0]


def test_nothing_is_dropped_below_capacity_and_the_excess_above_it():
    assert offered("traffic.load=4500000").dropped == 0
    above = offered("traffic.load=8000000")
    lost = above.dropped / (above.dropped + above.packets + above.warmup_packets)
    # What waits in front of the driver and in the ring at the end is neither used nor dropped.
    waiting = (512 + 256) / above.packets
    assert lost == pytest.approx(1 - above.pps / 8e6, abs=waiting)
    assert above.bound_by == "worker"


def test_bursts_above_capacity_need_a_backlog():
    burst = "traffic.load={{kind: on-off, pps: 20000000, on_us: 20, off_us: 180, backlog: {}}}"
    assert offered(burst.format(1)).dropped > 0  # 400 packets at once, of which a ring of 256 and a little more fit
    assert offered(burst.format(512)).dropped == 0
