"""Counts of a packet and a trace from what the plugin recorded of Linux 6.1.192, a packet a kick."""

from __future__ import annotations

import pytest

from sim.config.errors import ConfigError
from sim.count.counts import per_packet, read_stretch
from sim.count.traces import COLUMNS, as_csv, read_invocations, representative
from sim.host.experiments.symbols import PROGRAM, Symbols, source_name
from tests.facts.traces import FOLDER

RECORDED = FOLDER.parent / "counts"
NAME = "v6.1.192.tx_xdp_ev0_d1_b1_s64"
PACKETS = 512


def lines(name):
    return (RECORDED / name).read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def symbols():
    return Symbols(lines("v6.1.192.symbols"))


@pytest.fixture(scope="module")
def counts(symbols):
    return per_packet(*(read_stretch(lines(f"{NAME}.{number}.counts")) for number in (0, 1)), PACKETS, symbols)


def test_a_packet_executes_what_the_table_says(counts):
    # executed-counts.md: 12.000 / 5.000 / 1840; returns-and-functions.md: 57.61 / 55.61 / 1.00 / 227 / 5.15
    assert (counts.kinds["stac"], counts.kinds["clac"], counts.kinds["lfence"]) == (12, 12, 5)
    assert counts.instructions == pytest.approx(1840, abs=0.5)
    assert counts.kinds["return"] == pytest.approx(57.61, abs=0.005)
    assert counts.kinds["call"] == pytest.approx(55.61, abs=0.005)
    assert counts.kinds["indirect_call"] == 1
    assert counts.kinds["branch"] == pytest.approx(227, abs=0.5)
    assert counts.kinds["locked"] == pytest.approx(5.15, abs=0.005)
    assert counts.invocations == 1
    assert counts.outside_window == 0


def test_the_parts_of_a_packet_are_the_whole(counts):
    assert sum(counts.kinds.values()) == pytest.approx(counts.instructions)
    assert sum(counts.returns.values()) == counts.kinds["return"]
    assert set(counts.returns) <= set(counts.functions)


def test_user_bytes_of_a_packet(counts):
    assert counts.user == {  # accesses and bytes; a repeated move is counted by its turns
        ("avail", "load"): (5, 2 + 6 + 2),
        ("buf", "load"): (12 + 64, 12 + 64),
        ("desc", "load"): (16, 16),
        ("used", "store"): (8 + 3, 8 + 4 + 2),
    }


@pytest.mark.parametrize(
    ("function", "instructions", "returns"),
    [("_copy_from_iter", 179, 2), ("translate_desc", 71, 1), ("__get_user_nocheck_2", 30, 5), (PROGRAM, 9, 1)],
)
def test_instructions_and_returns_of_a_function(counts, function, instructions, returns):
    assert counts.functions[function] == instructions
    assert counts.returns.get(function, 0) == returns


def test_twice_the_packets_twice_the_counts(symbols):
    first, second = (read_stretch(lines(f"{NAME}.{number}.counts")) for number in (0, 1))
    doubled = {address: 2 * count for address, count in first.executed.items()}
    second.executed = doubled
    counts = per_packet(first, second, PACKETS, symbols)
    assert counts.kinds["stac"] == sum(n for at, n in first.executed.items() if first.code[at] == b"\x0f\x01\xcb") / 512


@pytest.mark.parametrize(
    ("read", "line"),
    [(read_stretch, "avail load 12"), (read_stretch, "handlers"), (read_invocations, "17 stac ffffffff81000000")],
)
def test_a_line_of_something_else_is_refused(read, line):
    with pytest.raises(ConfigError, match="line 1 is not of the plugin"):
        read([line])


def test_the_trace_is_the_one_that_is_kept(symbols):
    trace = as_csv(representative(read_invocations(lines(f"{NAME}.trace")), receives=False), symbols)
    assert trace == (FOLDER / f"{NAME}.csv").read_text(encoding="utf-8")
    assert trace.startswith(",".join(COLUMNS))


def test_an_invocation_that_does_not_end_is_left_out():
    recorded = lines(f"{NAME}.trace")
    whole = read_invocations(recorded)
    assert len(whole) == 3
    assert [invocation.instructions for invocation in read_invocations(recorded[:-1])] == [1817, 1817]


def test_a_run_without_packets_has_no_trace():
    with pytest.raises(ConfigError, match="0 invocations move packets, 1 are needed"):
        representative([], receives=True)


def test_calls_are_known_by_their_functions(symbols):
    (first, *_) = read_invocations(lines(f"{NAME}.trace"))
    called = [source_name(symbols.function(event.address)) for event in first.events if event.name == "call"]
    assert called.count("translate_desc") == 1
    assert called.count("__get_user_nocheck_2") == 5
