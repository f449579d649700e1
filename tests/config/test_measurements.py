"""Published figures as data: what a file must say, and count tables that become one entry per figure."""

from __future__ import annotations

import pytest

from sim.config import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import load_table
from sim.config.tables.measurement import CountTable

HEAD = """
    schema: 1
    kind: measurement
    name: mine
    title: mine
    source: a test
    read: full
"""


def load(write, entries):
    return load_table("measurement", str(write("mine.yaml", HEAD + entries)))


@pytest.mark.parametrize("name", sorted(paths.names("measurement")))
def test_a_shipped_file_says_source_configuration_and_what_it_leaves_out(name):
    table = load_table("measurement", name)
    assert table.name == name
    assert "published-measurements.md" in table.source or "executed-counts.md" in table.source
    assert table.read == "executed" or table.not_stated
    for entry in table.figures():
        assert entry.low <= entry.value <= entry.high


def test_every_row_of_the_calibration_set_is_there():
    figures = {entry.id for name in paths.names("measurement") for entry in load_table("measurement", name).figures()}
    rows = ("A1 before", "A1 after", "A6", "B1 before", "B1 after", "B8 XDP_DROP", "B8 XDP_REDIRECT", "B8 macvtap",
            "B9 64 B x 1", "B9 16384 B", "B11", "B12", "B14", "batch 512", "TX user copies", "RX HARDENED_USERCOPY",
            "iperf guest to host 64K", "iperf host to guest 64")  # fmt: skip
    for row in rows:
        assert any(one.startswith(row) for one in figures), row
    assert len(figures) > 700


def test_the_counts_are_those_of_the_source():
    table = load_table("measurement", "counts-distribution-kernels")
    found = {entry.id: entry for entry in table.figures()}
    assert len(found) == 3 * 54 * 3  # kernels, configurations, quantities
    one = found["v6.12 tx_xdp_ev0_d1_b32_s64 stac"]
    assert (one.value, one.set["driver.burst"], one.set["kernel"]) == (4.25, 32, "v6.12")
    assert (one.low, one.high) == pytest.approx((4.2495, 4.2505))  # three digits
    assert found["v7.3 txx_xdppass_b32_s1500 instructions"].value == 2116


def test_a_count_table_is_one_entry_per_figure():
    table = "id driver.burst virtqueue.indirect | stac lfence\none 1 ~ | 13 -\ntwo 32 true | 5.25 2.125\n"
    found = CountTable(name="k", set={"kernel": "v5.0"}, table=table).entries()
    assert [entry.id for entry in found] == ["k one stac", "k two stac", "k two lfence"]
    assert found[0].set == {"kernel": "v5.0", "driver.burst": 1}  # ~ leaves the key alone
    assert (found[1].low, found[1].high) == pytest.approx((5.245, 5.255))


BAD = {
    "rounding": ("{id: a, quantity: pps, value: 5, low: 6, high: 7}", "a: low <= value <= high does not hold"),
    "ratio": ("{id: a, quantity: ratio, value: 5, low: 4, high: 7}", "a: a ratio has a baseline"),
    "no ratio": ("{id: a, quantity: pps, value: 5, low: 4, high: 7, baseline: {}}", "a: a ratio has a baseline"),
    "share": ("{id: a, quantity: share, value: 5, low: 4, high: 7}", "a: a share names kernel functions"),
    "quantity": ("{id: a, quantity: speed, value: 5, low: 4, high: 7}", "entries[0].quantity: input should be 'pps'"),
    "key": ("{id: a, quantity: pps, value: 5, low: 4, high: 7, acess: x}", "did you mean 'access'?"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_entry_is_said_in_one_line(case, write):
    entry, said = BAD[case]
    with pytest.raises(ConfigError) as error:
        load(write, f"    entries:\n      - {entry}\n")
    assert said in str(error.value)


def test_a_file_without_figures_and_one_with_twins_are_refused(write):
    with pytest.raises(ConfigError, match="entries or counts are needed"):
        load(write, "    entries: []\n")
    one = "      - {id: a, quantity: pps, value: 5, low: 4, high: 7}\n"
    with pytest.raises(ConfigError, match="'a' is given twice"):
        load(write, "    entries:\n" + one + one)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("id driver.burst | stac\none 1 | 2 3\n", "row 'one 1 | 2 3': does not fit"),
        ("id driver.burst | stak\n", "unknown quantity 'stak'; did you mean 'stac'?"),
        ("\n", "the table's first line is"),
    ],
)
def test_a_count_table_that_does_not_fit_is_said(table, said):
    with pytest.raises(ValueError, match=said.replace("|", r"\|").replace("?", r"\?")):
        CountTable(name="k", table=table).entries()
