"""Arrival times: rates, blocks that fit together, on-off periods, and what happens to packets that find no room."""

from __future__ import annotations

from threading import Event, Thread, get_ident

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import sim
from sim.config import load_scenario
from sim.config.scenario.traffic import Load
from sim.datapath.traffic import BEHIND_PS, BLOCK, LAST_PS, Arrivals, arrivals_of

SEED = "virtio-user-xdp1-tap"
LOADS = (
    Load(kind="constant", pps=3e6),
    Load(kind="poisson", pps=3e6),
    Load(kind="on-off", pps=6e6, on_us=10, off_us=10),
)


def first_times(arrivals: Arrivals, packets: int) -> np.ndarray:
    return np.concatenate([arrivals.block(number) for number in range(-(-packets // BLOCK))])[:packets]


def test_a_saturating_driver_has_no_arrivals():
    assert arrivals_of(Load(kind="saturate"), 1) is None


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.kind)
@given(numbers=st.lists(st.integers(0, 12), min_size=1, max_size=12))
def test_times_do_not_depend_on_how_they_are_asked_for(load, numbers):
    arrivals, whole = Arrivals(load, 5), first_times(Arrivals(load, 5), 13 * BLOCK)
    for number in numbers:
        assert np.array_equal(arrivals.block(number), whole[number * BLOCK : (number + 1) * BLOCK])
        assert arrivals.at(number * BLOCK + 17) == whole[number * BLOCK + 17]
    assert (np.diff(whole) >= 0).all()


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.kind)
@given(packets=st.lists(st.integers(0, 8 * BLOCK - 1), min_size=1, max_size=5))
def test_what_has_arrived_at_a_time_is_counted(load, packets):
    arrivals, whole = Arrivals(load, 5), first_times(Arrivals(load, 5), 9 * BLOCK)
    for packet in packets:
        for time_ps in (int(whole[packet]), int(whole[packet]) - 1):
            assert arrivals.until(time_ps) == np.count_nonzero(whole <= time_ps)
            assert arrivals.block(arrivals.first_behind(time_ps))[-1] > time_ps


@pytest.mark.parametrize("kind", ["constant", "poisson", "on-off"])
def test_nothing_arrives_behind_the_end_of_time(kind):
    bursts = {"on_us": 1e9, "off_us": 1e9} if kind == "on-off" else {}
    times = Arrivals(Load(kind=kind, pps=1e-3, **bursts), 1).block(1)
    assert (np.diff(times) >= 0).all()
    assert times[-1] == BEHIND_PS > LAST_PS


def test_few_blocks_are_kept_however_many_packets_have_arrived():
    arrivals = Arrivals(Load(kind="poisson", pps=1e9), 1)
    assert arrivals.until(10**9) == pytest.approx(1e6, rel=5e-3)  # a million in a millisecond
    assert len(arrivals._kept) <= 4


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.kind)
def test_the_mean_rate_is_the_offered_one(load):
    times = first_times(Arrivals(load, 1), 200_000)
    on_off = load.kind == "on-off"
    mean_pps = load.packets_per_period * 1e6 / (load.on_us + load.off_us) if on_off else load.pps
    # A Poisson mean over n packets is good to 1/sqrt(n) = 0.2 %: five of those.
    assert len(times) * 1e12 / times[-1] == pytest.approx(mean_pps, rel=5 / len(times) ** 0.5)


def test_constant_gaps_are_the_period():
    assert Arrivals(Load(kind="constant", pps=4e6), 1).block(0)[:3].tolist() == [250_000, 500_000, 750_000]


def test_on_off_packets_come_in_the_first_part_of_each_period():
    load = Load(kind="on-off", pps=1e6, on_us=3, off_us=7)  # three packets, 1 us apart, every 10 us
    assert Arrivals(load, 1).block(0)[:5].tolist() == [t * 1_000_000 for t in (1, 2, 3, 10 + 1, 10 + 2)]


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


def test_arrivals_are_the_same_whoever_else_asks_for_them_at_that_moment(monkeypatch):
    """Draws that share a Plan run in several threads: here one looks ahead while another comes up to the same place."""
    load, begun, other_asked, own = Load(kind="poisson", pps=1e6), Event(), Event(), get_ident()
    alone, shared, times = Arrivals(load, 1), Arrivals(load, 1), Arrivals._times
    expected = [alone.block(number).tolist() for number in range(5)]

    def wait_for_another(arrivals, number):
        if get_ident() == own:
            begun.set()
            other_asked.wait(0.3)
        return times(arrivals, number)

    def ask():
        begun.wait(10)
        shared.block(1)
        other_asked.set()

    monkeypatch.setattr(Arrivals, "_times", wait_for_another)
    other = Thread(target=ask)
    other.start()
    shared.block(2)
    other.join()
    assert [shared.block(number).tolist() for number in range(5)] == expected
