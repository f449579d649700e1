"""What a copy pays for its first dirty line: the instructions behind it hide it."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.datapath.plan.plan import Wait

SEED = "virtio-user-xdp1-tap"


def row(plan, label):
    (found,) = [one for one in plan.rows if one.label == label]
    return found


def paid_ps(plan, label):
    """Picoseconds that a copy pays for the line that the driver has written."""
    (transfer,) = plan.wait_names[Wait.TRANSFER]
    return sum(part.cost_ps for part in row(plan, label).components if part.primitive == transfer)


@pytest.fixture(scope="module")
def ring():
    return load_scenario("user-ring")


@pytest.mark.parametrize("tail_cycles", [0, 20, 1000])
@pytest.mark.parametrize("packet_bytes", [64, 512, 1518])
def test_the_first_line_is_paid_beside_the_rest_of_the_copy_but_for_its_tail(packet_bytes, tail_cycles):
    ring = load_scenario("user-ring", overrides=[f"cpu.copy_tail={tail_cycles}"])
    cpu, plan = ring.cpu, build_plan(ring, "ring_fenced", packet_bytes)
    copy = row(plan, "payload_copy")
    hidden_ns = copy.hidden_ps / 1e3
    waits_ns = cpu.payload_exposed.value * max(0.0, cpu.primitives["line_transfer"].value - hidden_ns)
    rest = ("copy_bytes", "line_stream_copy", "clean_line")
    rest_ns = sum(part.cost_ps for part in copy.components if part.primitive in rest) / 1e3
    tail_ns = min(rest_ns, max(0.0, tail_cycles / cpu.core_ghz.value - hidden_ns))
    assert paid_ps(plan, "payload_copy") == pytest.approx(1e3 * max(0.0, waits_ns + tail_ns - rest_ns), abs=3)


def test_work_behind_a_copy_covers_its_tail(ring):
    # Nothing waits in the plain ring, so that as much work runs behind a copy as the reorder buffer holds.
    with_tail = load_scenario("user-ring", overrides=["cpu.copy_tail=20"])
    cpu = ring.cpu
    full_ns = cpu.overlap.value * cpu.reorder_buffer.value * cpu.cpi.value / cpu.core_ghz.value
    assert full_ns > 20 / cpu.core_ghz.value
    without = load_scenario("user-ring", overrides=["cpu.copy_tail=0"])
    paid = [paid_ps(build_plan(one, "ring_plain", 512), "payload_copy") for one in (without, with_tail)]
    assert paid[0] == paid[1]
    fenced = [paid_ps(build_plan(one, "ring_fenced", 512), "payload_copy") for one in (without, with_tail)]
    assert fenced[0] < fenced[1]


def test_a_header_copied_by_itself_pays_the_same_for_any_packet():
    scenario = load_scenario(SEED)  # v5.0 copies the header first
    paid = {size: paid_ps(build_plan(scenario, "copy_user", size), "header_copy") for size in (64, 1518)}
    assert paid[64] == paid[1518] > 0


def test_where_nothing_waits_the_reorder_buffer_is_what_hides(ring):
    cpu = ring.cpu
    full_ns = cpu.overlap.value * cpu.reorder_buffer.value * cpu.cpi.value / cpu.core_ghz.value
    plain = row(build_plan(ring, "ring_plain", 64), "payload_copy")
    assert plain.hidden_ps == pytest.approx(1e3 * full_ns, abs=1)
    # A fence waits: only what stands between the copy and the next packet's fence hides, which is 3 instructions of the
    # copy itself, 9 that end the packet and 10 that ask for the next one; not what a flush does once in a batch.
    few_ns = cpu.overlap.value * (3 + 9 + 10) * cpu.cpi.value / cpu.core_ghz.value
    fenced = row(build_plan(ring, "ring_fenced", 64), "payload_copy")
    assert fenced.hidden_ps == pytest.approx(1e3 * few_ns, abs=1)
