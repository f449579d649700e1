"""TCP_STREAM with large segments: mapping the ring metadata changes next to nothing (published-measurements.md A6)."""

from __future__ import annotations

import pytest

import sim

NAME = "tcp-stream-guest-to-host"
GSO = 65535
#: Neither the guest nor the reader holds the worker up: the largest gain that these segments can show.
WORKER_BOUND = ("driver.stack_cost=1", "driver.byte_cost=0", "backend.receiver_cost=0", "backend.receiver_byte_cost=0")


def gain_percent(*overrides, size=GSO):
    scenario = sim.load_scenario(NAME, overrides=[f"traffic.packet_bytes={size}", *overrides])
    return sim.compare(scenario).differences[0].gain_percent


@pytest.mark.parametrize("size", [16384, GSO])
def test_no_obvious_change_with_large_segments(size):
    assert abs(gain_percent(size=size)) < 3


def test_not_even_with_a_worker_that_nothing_else_holds_up():
    assert 0 < gain_percent(*WORKER_BOUND) < 3


def test_the_same_worker_gains_five_times_as_much_with_the_smallest_packets():
    small, large = (gain_percent(*WORKER_BOUND, "backend.stack_cost=0", size=size) for size in (64, GSO))
    assert small > 5 * large


def test_the_prediction_is_of_the_order_of_a_published_rate():
    """published-measurements.md, size dependence: 35 Gbit/s from guest to host with 64 KiB messages, without SMAP."""
    scenario = sim.load_scenario(NAME, overrides=[f"traffic.packet_bytes={GSO}", "mitigations.smap=false"])
    gbps = sim.run(scenario).at("copy_user", GSO).pps * GSO * 8 / 1e9
    assert 35 / 2 < gbps < 35 * 2
