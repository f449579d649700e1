"""Traces, perf report and perf stat as measurements."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.config import ConfigError
from sim.config.loading.load import load_table
from sim.study.evidence.importing import import_file, write_measurements
from sim.study.evidence.validate import validate

TRACES = Path(__file__).parents[1] / "data" / "traces"
REPORT = """\
# Samples: 40K of event 'cycles'
# Overhead  Command     Shared Object      Symbol
    28.87%  vhost-1234  [kernel.kallsyms]  [k] copy_user_generic_unrolled
     3.47%  vhost-1234  [kernel.kallsyms]  [k] copy_user_enhanced_fast_string
    11.53%  vhost-1234  [vhost_net]        [k] handle_tx_copy.constprop.0
     7.87%  vhost-1234  [vhost]            [k] vhost_get_vq_desc
     0.10%  vhost-1234  [kernel.kallsyms]  [k] __fget
"""
STAT = """\
 Performance counter stats for thread id '1234':

     9,131,000,000      instructions:k            #    2.41  insn per cycle
     3,786,100,300      cycles:k
      10.001020300 seconds time elapsed
"""


def entries(found):
    return {entry.id: entry for entry in found.figures()}


def test_a_trace_is_counted_per_packet_and_its_name_says_how_it_was_taken():
    found = import_file(TRACES / "v5.0.tx_xdp_ev0_d1_b32_s64.csv", {"kernel": "v5.0"})
    counts = entries(found)
    assert counts["stac"].value == counts["clac"].value == 4.25  # executed-counts.md
    assert counts["lfence"].value == 2.125
    assert counts["instructions"].value == pytest.approx(888, rel=0.02)
    assert found.set["driver.burst"] == 32
    assert found.set["virtqueue.event_idx"] is False
    assert found.set["kernel"] == "v5.0"


def test_perf_stat_in_a_locale_with_points_between_thousands(tmp_path):
    file = tmp_path / "stat.txt"
    file.write_text(STAT.replace("9,131,000,000", "9.131.000.000"), encoding="utf-8")
    assert entries(import_file(file, {}, packets=10_000_000))["instructions"].value == 913.1


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    found = import_file(TRACES / "v5.0.tx_xdp_ev0_d1_b32_s64.csv", {"kernel": "v5.0"})
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"mine\.yaml: cannot be written"):
        write_measurements(found, tmp_path / "mine.yaml")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.yaml"]


def test_an_imported_trace_is_validated_like_a_published_one(tmp_path):
    found = import_file(
        TRACES / "v5.0.tx_xdp_ev0_d1_b32_s64.csv", {"kernel": "v5.0", "cpu": "sapphire-rapids"}, name="mine"
    )
    file = tmp_path / "measurements" / "mine.yaml"
    write_measurements(found, file)
    assert load_table("measurement", str(file)) == found
    rows = validate(configs=tmp_path, draws=0, only=["mine"]).rows
    assert {row.figure.entry.quantity: row.status for row in rows} == dict.fromkeys(
        ("stac", "clac", "lfence", "instructions"), "met"
    )


def test_a_perf_report_is_shares_by_function(tmp_path):
    file = tmp_path / "perf.txt"
    file.write_text(REPORT)
    found = import_file(file, {"device.batch": 64})
    shares = entries(found)
    assert shares["copy_user_generic_unrolled"].value == pytest.approx(0.2887)
    assert shares["handle_tx_copy"].functions == ["handle_tx_copy"]
    assert "__fget" not in shares  # below half a percent
    assert found.grade == "measured-here"


def test_perf_stat_is_instructions_per_packet(tmp_path):
    file = tmp_path / "stat.txt"
    file.write_text(STAT)
    found = entries(import_file(file, {}, packets=10_000_000))
    assert found["instructions"].value == pytest.approx(913.1)
    with pytest.raises(ConfigError, match="counts over a whole run: how many packets it sent is needed"):
        import_file(file, {})


BAD = {
    "nothing.txt": ("hello\n", "is neither a trace"),
    "odd.csv": ("instruction,event,region,offset,bytes,function\n1,stak,,,,f\n", "unknown event 'stak'"),
    "unnamed.csv": (
        "instruction,event,region,offset,bytes,function\n1,stac,,,,f\n",
        "does not say in its name how many packets it sent",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_trace_is_said(name, tmp_path):
    text, said = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as error:
        import_file(tmp_path / name, {}, packets=1 if name == "odd.csv" else None)
    assert said in str(error.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        import_file(tmp_path / "gone.csv", {})


def test_settings_are_checked_before_the_file_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"driver.bursts=3: unknown key 'driver.bursts'; did you mean 'burst'\?"):
        import_file(tmp_path / "gone.txt", overrides=["driver.bursts=3"])
    with pytest.raises(ConfigError, match=r"unknown kernel 'v9\.9'"):
        import_file(tmp_path / "gone.txt", {"kernel": "v9.9"})
    with pytest.raises(ConfigError, match=r"access: a measurement is of one access variant \(got copy_user,vmap\)"):
        import_file(tmp_path / "gone.txt", overrides=["access=copy_user,vmap"])


def test_direction_scenario_and_access_stand_in_the_file(tmp_path):
    report, file = tmp_path / "perf.txt", tmp_path / "mine.yaml"
    report.write_text(REPORT.replace("handle_tx_copy", "handle_rx"))
    write_measurements(import_file(report, overrides=["access=vmap"], name="mine"), file)
    text = file.read_text()
    assert "\nscenario: virtio-user-xdp1-tap\n" in text
    assert "\n  device.direction: rx\n" in text
    written = load_table("measurement", str(file))
    assert {entry.access for entry in written.entries} == {"vmap"}
    report.write_text(STAT)
    found = import_file(report, scenario="virtio-user-receive-skb", packets=10)
    assert (found.scenario, found.set["device.direction"]) == ("virtio-user-receive-skb", "rx")
    assert "the direction" in found.not_stated


def test_the_direction_of_a_trace_is_that_of_its_handler():
    found = import_file(TRACES / "v5.0.rx_ev0_mrg1_b1_s64.csv", {"kernel": "v5.0"}, packets=1)
    assert found.set["device.direction"] == "rx"
