"""What stands behind a TAP: bridge, tc filter, Open vSwitch, macvtap, and NIC or veth pair behind them."""

from __future__ import annotations

from collections import Counter

import pytest

import sim
from sim.config import ConfigError, load_scenario
from sim.datapath import build_plan
from sim.engine import simulate

SEED = "virtio-user-xdp1-tap"
FORWARDERS = {
    "tap-bridge": "bridge_packet",
    "tap-tc-redirect": "filter_redirect",
    "tap-ovs": "ovs_packet",
    "macvtap": "macvtap_packet",
}


def load(*overrides):
    return load_scenario(SEED, overrides=["access=copy_user", "kernel=v6.12", "driver.kind=lockstep", *overrides])


def executed(*overrides):
    """How often a packet of a burst of 32 meets each step that a kernel's table counts."""
    scenario = load("driver.burst=32", "run.packets=4096", *overrides)
    plan = build_plan(scenario, "copy_user", 64, apart=True)
    rates = simulate(plan, scenario.run).row_rates
    times: Counter[str] = Counter()
    for row in plan.rows:
        if row.counted_as and row.actor == "worker":
            times[row.counted_as] += rates.get(f"worker.{row.label}", 0)
    return {name: often for name, often in times.items() if often}


@pytest.mark.parametrize(("kind", "counted_as"), FORWARDERS.items())
def test_each_packet_meets_what_forwards_it_and_its_port_once(kind, counted_as):
    nic, veth, dummy = (executed(f"backend.kind={kind}", f"backend.port={port}") for port in ("nic", "veth", "dummy"))
    for counts in (nic, veth, dummy):
        assert counts[counted_as] == pytest.approx(1, rel=0.01)
        # macvtap stands in place of a TAP: nothing goes up the receive path.
        assert counts.get("skb_receive", 0) == pytest.approx(0 if kind == "macvtap" else 1, rel=0.01)
    assert nic["nic_packet"] == pytest.approx(1, rel=0.01)
    assert veth["veth_packet"] == pytest.approx(1, rel=0.01)
    assert not {"nic_packet", "veth_packet", "veth_softirq"} & {*dummy}
    assert ("pick_queue" in nic) == (kind == "macvtap")


@pytest.mark.parametrize(("kind", "per_packet"), [("tap-bridge", 1 / 32), ("macvtap", 1)])
def test_a_softirq_takes_the_backlog_of_a_batch_but_of_macvtap_that_of_each_packet(kind, per_packet):
    counts = executed(f"backend.kind={kind}", "backend.port=veth")
    assert counts["veth_softirq"] == pytest.approx(per_packet, rel=0.01)


def test_skbs_sent_one_by_one_raise_a_softirq_each():
    counts = executed("backend.kind=tap-bridge", "backend.port=veth", "device.sndbuf_limited=true")
    assert counts["veth_softirq"] == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    ("overrides", "row"),
    [
        (("backend.kind=tap-bridge", "backend.port=veth", "backend.stack_cost=700"), "veth"),
        (("backend.kind=tap-bridge", "backend.doorbell_cost=700"), "nic"),
        (("backend.kind=tap-skb", "backend.stack_cost=700"), "receive"),
    ],
)
def test_what_is_given_in_nanoseconds_stands_at_its_packet(overrides, row):
    with_it = {row.label: row for row in build_plan(load(*overrides), "copy_user", 64, apart=True).rows}
    *others, name = overrides
    without = build_plan(load(*others, f"{name.partition('=')[0]}=0"), "copy_user", 64, apart=True)
    (before,) = [each for each in without.rows if each.label == row and each.actor == "worker"]
    assert with_it[row].unit_ps - before.unit_ps == 700_000


def test_a_doorbell_is_rung_once_for_a_batch_that_is_redirected():
    rows = {
        cost: {
            row.label: row
            for row in build_plan(
                load("backend.kind=tap-xdp-redirect", f"backend.doorbell_cost={cost}"), "copy_user", 64, apart=True
            ).rows
        }
        for cost in (0, 300)
    }
    assert rows[300]["redirect_flush"].cost_ps - rows[0]["redirect_flush"].cost_ps == 300_000
    assert rows[300]["redirect"].unit_ps == rows[0]["redirect"].unit_ps


@pytest.mark.parametrize(
    "name", ["virtio-user-receive-skb", "qemu-rx", "vhost-user-tx", "vhost-user-rx", "af-xdp-tx", "af-xdp-rx"]
)
@pytest.mark.parametrize("kind", ["macvtap", "tap-xdp-redirect"])
def test_a_backend_that_no_packet_reaches_is_refused(name, kind):
    """What comes out of a TAP, or goes to a process, is sent to no NIC."""
    with pytest.raises(ConfigError, match=r"backend\.kind=.*is not read in this scenario"):
        sim.load_scenario(name, overrides=[f"backend.kind={kind}"])


# -- rx-frames --------------------------------------------------------------------------------------------------------


def test_a_tap_gathers_what_is_sent_one_by_one():
    limited = ("backend.kind=tap-skb", "device.sndbuf_limited=true")
    alone, gathered = executed(*limited), executed(*limited, "backend.rx_frames=64")
    assert gathered.pop("gather_packet") == pytest.approx(1, rel=0.01)
    assert gathered == pytest.approx(alone, rel=0.01)  # the work of each packet is the same
