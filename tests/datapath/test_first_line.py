"""What a copy pays for its first dirty line: what is behind it hides it, instructions or the rest of the copy."""

from __future__ import annotations

import pytest

import sim
from sim.datapath import build_plan

SEED = "virtio-user-xdp1-tap"


def row(plan, label):
    (found,) = [one for one in plan.rows if one.label == label]
    return found


def paid_ps(plan, label):
    """Picoseconds that a copy pays for the line that the driver has written."""
    transfer = plan.latencies.transfer_name
    return sum(part.cost_ps for part in row(plan, label).components if part.primitive == transfer)


@pytest.fixture(scope="module")
def ring():
    return sim.load_scenario("user-ring")


def test_the_rest_of_one_long_copy_hides_its_first_line(ring):
    cpu = ring.cpu
    plan = build_plan(ring, "ring_fenced", 1518)
    transfer_ns, rate = cpu.primitives["line_transfer"].value, cpu.primitives["copy_bytes"].value
    lines = -(-(12 + 1518) // 64)
    rest_ns = (12 + 1518 - 64) / rate / cpu.core_ghz.value + (lines - 1) * cpu.primitives["clean_line"].value
    behind_ns = row(plan, "payload_copy").hidden_ps / 1e3
    expected_ns = cpu.payload_exposed.value * max(0.0, transfer_ns - behind_ns - rest_ns)
    assert paid_ps(plan, "payload_copy") == pytest.approx(1e3 * expected_ns, abs=3)
    assert paid_ps(plan, "payload_copy") < paid_ps(build_plan(ring, "ring_fenced", 64), "payload_copy")


def test_a_header_copied_by_itself_has_no_rest(ring):
    scenario = sim.load_scenario(SEED)  # v5.0 copies the header first
    paid = {size: paid_ps(build_plan(scenario, "copy_user", size), "header_copy") for size in (64, 1518)}
    assert paid[64] == paid[1518] > 0


def test_where_nothing_waits_the_reorder_buffer_is_what_hides(ring):
    cpu = ring.cpu
    full_ns = cpu.overlap.value * cpu.reorder_buffer.value * cpu.cpi.value / cpu.core_ghz.value
    plain = row(build_plan(ring, "ring_plain", 64), "payload_copy")
    assert plain.hidden_ps == pytest.approx(1e3 * full_ns, abs=1)
    # A fence waits: only what stands between the copy and the next fence hides.
    assert row(build_plan(ring, "ring_fenced", 64), "payload_copy").hidden_ps < plain.hidden_ps / 2
