"""How many cache lines of a packet a copy meets: the first dirty one by itself, the others as a stream, and clean ones.

A frame lies behind its 12-byte vnet header on transmit; the TAP keeps the header of a received one elsewhere.
"""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan

SEED = "virtio-user-xdp1-tap"
RECEIVE = "virtio-user-receive-skb"
FULL = "traffic.dirty_bytes=full"


def lines(name, packet_bytes, *overrides, label="payload_copy"):
    """Lines that the copy of a packet streams and finds clean, and what each kind costs in ps."""
    bare = ["calibration=null", f"traffic.packet_bytes={packet_bytes}", *overrides]
    scenario = load_scenario(name, overrides=bare)
    rows = build_plan(scenario, scenario.access[0].name, packet_bytes).rows
    (row,) = (row for row in rows if row.label == label)
    parts = {part.primitive: part for part in row.components}
    return tuple((parts[name].count, parts[name].cost_ps) if name in parts else (0, 0) for name in KINDS)


KINDS = ("line_stream_copy", "clean_line")


def streamed(count):
    return count, count * 5_500


def clean(count):
    return count, count * 1_060


@pytest.mark.parametrize(
    ("frame", "dirty"),
    [(14, 1), (52, 1), (53, 2), (116, 2), (117, 3), (180, 3), (1518, 24)],  # 12 + 52 = 64 bytes fill the first line
)
def test_a_frame_written_in_full_streams_all_its_lines_but_the_first(frame, dirty):
    assert lines(SEED, frame, FULL) == (streamed(dirty - 1), clean(0))


@pytest.mark.parametrize(("frame", "behind"), [(52, 0), (53, 1), (116, 1), (117, 2), (1518, 23)])
def test_behind_headers_on_one_line_the_rest_is_clean(frame, behind):
    """42 bytes written by the sender and the vnet header: 54 bytes, one line."""
    assert lines(SEED, frame, "traffic.dirty_bytes=42") == (streamed(0), clean(behind))


@pytest.mark.parametrize(("written", "dirty"), [(0, 1), (52, 1), (53, 2), (180, 3), (181, 4), (1000, 16), (5000, 24)])
def test_what_the_sender_has_written_is_dirty_and_the_rest_of_the_frame_clean(written, dirty):
    assert lines(SEED, 1518, f"traffic.dirty_bytes={written}") == (streamed(dirty - 1), clean(24 - dirty))


def test_a_copy_of_header_and_frame_at_once_meets_the_same_lines():
    assert lines(SEED, 1518, FULL, "kernel=v6.12") == (streamed(24 - 1), clean(0))


def test_a_header_copied_by_itself_meets_the_first_line_only():
    assert lines(SEED, 1518, FULL, label="header_copy") == (streamed(0), clean(0))


@pytest.mark.parametrize(("frame", "dirty"), [(64, 1), (65, 2), (128, 2), (129, 3), (1518, 24)])
def test_a_received_frame_begins_a_line(frame, dirty):
    assert lines(RECEIVE, frame, FULL) == (streamed(dirty - 1), clean(0))


def first_line(packet_bytes, *overrides, label="payload_copy"):
    """What a copy pays for its first dirty line, in ps, and what the rest of it takes."""
    settings = [*PLAIN, f"traffic.packet_bytes={packet_bytes}", FULL, *overrides]
    scenario = load_scenario(SEED, overrides=settings)
    rows = {row.label: row for row in build_plan(scenario, scenario.access[0].name, packet_bytes).rows}
    parts = {part.primitive: part.cost_ps for part in rows[label].components}
    beside = sum(parts.get(name, 0) for name in ("copy_bytes", *KINDS))
    return parts.get("line_transfer", 0), beside


#: One copy of header and packet; nothing hides a transfer of 100 ns, half of which is exposed: 50 ns.
PLAIN = (
    *(
        "calibration=null",
        "kernel=v7.3",
        "cpu.overlap=0",
        "cpu.payload_exposed=0.5",
        "cpu.primitives.line_transfer=100",
    ),
    *("cpu.core_ghz=2", "cpu.primitives.copy_bytes=32", "cpu.primitives.line_stream_copy=4"),
)


@pytest.mark.parametrize(("frame", "beside_ns"), [(52, 0), (116, 4), (500, 28), (1000, 60)])
def test_the_first_line_travels_beside_the_rest_of_the_copy(frame, beside_ns):
    """32 bytes per cycle of 0.5 ns, 4 ns for each further line; of the first line what takes longer is paid."""
    paid, beside = first_line(frame)
    assert beside == pytest.approx(beside_ns * 1000 + frame / 32 * 500, abs=400)
    assert paid == pytest.approx(max(0, 50_000 - beside), abs=1)


def test_a_header_copied_by_itself_has_nothing_beside_it():
    assert first_line(1000, "kernel=v5.0", label="header_copy") == (50_000, 0)


def test_an_application_has_written_its_whole_packet():
    """A datagram of 1000 bytes is a frame of 14 + 20 + 8 + 1000 bytes; 12 + 1042 bytes lie on 17 lines."""
    sends = ["traffic.application=udp", "traffic.message_bytes=1000", "backend.kind=tap-skb"]
    scenario = load_scenario("virtio-net-xdp1-tap", overrides=["calibration=null", *sends])
    size = scenario.traffic.sizes[0]
    rows = build_plan(scenario, scenario.access[0].name, size).rows
    (row,) = (row for row in rows if row.label == "payload_copy")
    counts = {part.primitive: part.count for part in row.components}
    assert size == 1042
    assert (counts["line_stream_copy"], counts.get("clean_line", 0)) == (17 - 1, 0)
