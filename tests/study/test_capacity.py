"""Capacity: the highest rate that loses nothing lies just below the rate of a driver that never runs dry."""

from __future__ import annotations

import json

import pytest

import sim
from sim.cli.options import percent
from sim.config.errors import ConfigError
from sim.study.questions.capacity import lost_share

SEED = "virtio-user-xdp1-tap"


def search(*overrides: str, resolution: float = 0.01, loss: float | None = None):
    settings = ["access=copy_user,vmap", "traffic.packet_bytes=64", "run.packets=20000", *overrides]
    return sim.capacity(sim.load_scenario(SEED, overrides=settings), resolution, loss=loss)


def test_a_worker_at_capacity_carries_what_it_does_when_saturated():
    for one in search().results:
        assert one.pps == pytest.approx(one.saturated.pps, rel=2 * 0.01)
        assert one.pps < one.loses_at_pps <= one.pps * 1.0101
        assert one.below.dropped == 0


def test_the_trial_at_the_higher_rate_does_lose():
    one = search("access=vmap").results[0]
    load = {"kind": "constant", "pps": one.loses_at_pps}
    settings = [
        "access=vmap",
        "traffic.packet_bytes=64",
        "run.precision=0",
        "run.packets=400000",
        f"traffic.load={load}",
    ]
    assert sim.run(sim.load_scenario(SEED, overrides=settings)).points[0].dropped > 0


def test_bursts_carry_their_mean_where_the_backlog_holds_a_burst():
    load = "traffic.load={kind: on-off, pps: 1000000, on_us: 20, off_us: 20}"
    steady, bursts = search("access=copy_user").results[0], search("access=copy_user", load).results[0]
    assert bursts.pps == pytest.approx(steady.pps, rel=0.03)
    assert bursts.share == pytest.approx(1.0, rel=0.03)


def test_a_small_backlog_loses_bursts_that_a_large_one_carries():
    load = "traffic.load={{kind: on-off, pps: 1000000, on_us: 100, off_us: 100, backlog: {}}}"
    small, large = (search("access=copy_user", load.format(backlog)).results[0].pps for backlog in (1, 4096))
    assert small < 0.8 * large


@pytest.mark.parametrize("loss", [pytest.param(0.02, marks=pytest.mark.deep), 0.1])
def test_what_is_offered_with_a_loss_carries_the_rest(loss):
    """A worker that carries c of r packets loses 1 - c / r: all but a share l is carried at c / (1 - l)."""
    result = search("access=vmap", loss=loss, resolution=0.01).results[0]
    allowed = result.with_loss
    assert allowed.pps == pytest.approx(result.saturated.pps / (1 - loss), rel=2 * 0.01)
    assert lost_share(allowed.trial) <= loss
    assert result.pps <= allowed.pps < allowed.loses_at_pps
    assert result.to_dict()["allowed_loss"] == loss


@pytest.mark.parametrize("loss", [0, 1, -0.1, 2])
def test_a_loss_that_is_no_share_is_refused(loss):
    with pytest.raises(sim.ConfigError, match="loss: a share between 0 and 1 is needed"):
        search(loss=loss)


def test_a_percentage_is_read_as_a_share():
    assert percent("--loss", " 0.1% ") == 0.001
    for text in ("0.1", "0%", "100%", "a lot", "nan%", "%"):
        with pytest.raises(sim.ConfigError, match=r"such as 0\.1%"):
            percent("--loss", text)


@pytest.mark.parametrize("resolution", [0, 1, -0.1, 2])
def test_a_resolution_that_is_no_share_is_refused(resolution):
    with pytest.raises(sim.ConfigError, match="a share between 0 and 1 is needed"):
        search(resolution=resolution)


def test_the_lockstep_driver_has_no_capacity():
    with pytest.raises(sim.ConfigError, match="lockstep driver sets its own pace"):
        search("driver.kind=lockstep")


def test_the_json_and_the_frame_say_the_same():
    found = search("access=copy_user")
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    frame = found.to_frame()
    assert data["results"][0]["capacity_pps"] == frame["capacity_pps"][0]
    assert {"access", "packet_bytes", "capacity_pps", "loses_at_pps", "saturated_pps", "trials"} <= set(frame.columns)


def test_an_application_sets_its_own_pace():
    with pytest.raises(ConfigError, match=r"traffic.application: tcp-stream sets its own pace; no load can be offered"):
        sim.capacity(sim.load_scenario("tcp-stream-messages"))
