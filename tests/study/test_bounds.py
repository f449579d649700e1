"""What bounds an answer: each sentence is true of the points that it speaks of, and a guess of others stands first."""

from __future__ import annotations

import pytest

import sim
from sim.study.questions.bounds import bounds, guess_first, sentences
from sim.study.questions.limits import limits

SHORT = ["run.packets=4000", "run.precision=0", "traffic.packet_bytes=64,1500", "access=copy_user,vmap"]


def said(name, *overrides):
    scenario = sim.load_scenario(name, overrides=[*SHORT, *overrides])
    points = sim.run(scenario).points
    parts = bounds(scenario, points)
    return points, parts, sentences(scenario, points, limits(scenario, points), parts)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("eight-workers", []),
        ("virtio-net-xdp1-tap", ["driver.sender=socket"]),
        ("virtio-user-xdp-redirect", []),
        ("virtio-user-iotlb", []),
        ("two-sockets", []),
    ],
)
def test_every_point_has_its_bound_once(name, overrides):
    points, parts, _ = said(name, *overrides)
    stated = sorted(
        (part.bound_by, access, size) for part in parts for access in part.access for size in part.packet_bytes
    )
    assert stated == sorted((point.bound_by, point.access, point.packet_bytes) for point in points)


def test_a_guess_of_the_driver_is_the_first_sentence():
    _, parts, lines = said("virtio-net-xdp1-tap", "driver.sender=socket")
    assert parts[0].bound_by == "driver"
    assert "driver.stack_cost" in parts[0].guessed
    assert "driver.pktgen_cost" not in parts[0].entries  # a socket sends
    assert lines[0].startswith("A guess bounds this answer: the driver is full with copy_user and vmap at 64")
    assert "driver.stack_cost = 400 ns [150, 1500] (guess)" in lines[0]


def test_a_driver_that_was_measured_bounds_without_being_a_guess():
    known = "{value: 400, unit: ns, low: 390, high: 410, source: mine, grade: measured-here}"
    free = "{value: 0, unit: ns/byte, low: 0, high: 0, source: mine, grade: measured-here}"
    changes = ["driver.sender=socket", f"driver.stack_cost={known}", f"driver.byte_cost={free}"]
    _, parts, lines = said("virtio-net-xdp1-tap", *changes)
    assert guess_first(parts) is None
    assert lines[0].startswith("The driver bounds the rate with copy_user and vmap at 64")


def test_a_full_link_is_named_and_its_rate_is_that_of_the_wire():
    points, _, lines = said("virtio-user-xdp-redirect")
    (full,) = (line for line in lines if line.startswith("The NIC bounds"))
    assert "at 1500 B: 10 Gbit/s are full" in full
    pps = 10e9 / 8 / (1500 + 24)
    assert [point.pps for point in points if point.packet_bytes == 1500] == [pytest.approx(pps, rel=1e-3)] * 2
    assert not any("No NIC" in line for line in lines)


def test_without_a_nic_the_links_are_those_that_the_slowest_variant_fills():
    points, _, lines = said("eight-workers")
    (links,) = (line for line in lines if line.startswith("No NIC is part of the question"))
    slowest = min(point.pps for point in points if point.packet_bytes == 1500)
    assert slowest > 100e9 / 8 / (1500 + 24)
    assert "100 GbE at 1500 B" in links


def test_an_iotlb_takes_every_mapping_away():
    points, _, lines = said("virtio-user-iotlb")
    assert points[0].pps == points[2].pps
    assert "With the device IOTLB no ring is mapped, so that nothing is gained by vmap" in lines
    _, _, without = said("two-sockets")
    assert "With a device IOTLB (virtqueue.iotlb) no ring would be mapped, and nothing gained by vmap" in without


def test_that_cores_add_up_is_called_an_assumption_where_there_are_several():
    _, _, lines = said("eight-workers")
    (linear,) = (line for line in lines if "is an assumption" in line)
    assert linear.startswith("That 8 cores carry exactly 8 times what one carries is an assumption")
    assert not any("is an assumption" in line for line in said("two-sockets")[2])


def test_lines_between_cores_bound_by_a_guess_come_first():
    few = "{value: 1, unit: GB/s, low: 1, high: 2, source: mine, grade: guess}"
    points, parts, lines = said("eight-workers", f"cpu.uncore_bandwidth={few}")
    assert {point.bound_by for point in points} == {"uncore"}
    assert parts[0].guessed == ("cpu.uncore_bandwidth",)
    assert lines[0].startswith("A guess bounds this answer: what moves lines between the cores is full")


def test_an_offered_load_bounds_what_the_worker_would_carry():
    _, _, lines = said("two-sockets", "traffic.load=1e6")
    assert lines[0].startswith("The offered load bounds the rate with copy_user and vmap at 64 and 1500 B")
