"""How many cache lines of a packet a copy meets: the first dirty one by itself, the others as a stream, and clean ones.

A frame lies behind its 12-byte vnet header on transmit; the TAP keeps the header of a received one elsewhere.
"""

from __future__ import annotations

import pytest

import sim
from sim.datapath import build_plan

SEED = "virtio-user-xdp1-tap"
RECEIVE = "virtio-user-receive-skb"
FULL = "traffic.dirty_bytes=full"


def lines(name, packet_bytes, *overrides, label="payload_copy"):
    """Lines that the copy of a packet streams and finds clean, and what each kind costs in ps."""
    bare = ["calibration=null", f"traffic.packet_bytes={packet_bytes}", *overrides]
    scenario = sim.load_scenario(name, overrides=bare)
    rows = build_plan(scenario, scenario.access[0].name, packet_bytes).rows
    (row,) = (row for row in rows if row.label == label)
    parts = {part.primitive: part for part in row.components}
    return tuple((parts[name].count, parts[name].cost_ps) if name in parts else (0, 0) for name in KINDS)


KINDS = ("line_stream", "clean_line")


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
