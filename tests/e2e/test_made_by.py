"""Every JSON, CSV, page, plot and trace says which version made it, and with which tables."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pandas as pd
import pytest

import sim
from sim.config.loading import paths
from sim.config.loading.provenance import digest_of, made_by, made_by_line, tables_digest

SEED = "virtio-user-xdp1-tap"
SHORT = ("--sizes", "64", "--access", "copy_user,vmap", "--set", "run.packets=500")


@pytest.fixture
def copied(tmp_path):
    """A folder with the shipped tables, to be changed."""
    return shutil.copytree(paths.shipped(), tmp_path / "copied")


def test_it_is_the_version_and_the_digest_of_the_shipped_tables():
    assert made_by() == {"version": sim.__version__, "tables": digest_of(paths.shipped())}
    assert made_by_line() == f"vhost-sim {sim.__version__}, tables {tables_digest()}"
    assert len(tables_digest()) == 12


@pytest.mark.parametrize(
    "name",
    ["cpus/zen4.yaml", "kernels/v5.0.yaml", "defaults.yaml", "studies/seed-gain.yaml", "measurements/smap-off.yaml"],
)
def test_a_changed_number_is_another_digest(name, copied):
    file = copied / name
    file.write_text(file.read_text().replace("1", "2", 1))
    assert digest_of(copied) != tables_digest()


def test_a_renamed_table_is_another_digest(copied):
    (copied / "cpus/zen4.yaml").rename(copied / "cpus/zen4x.yaml")
    assert digest_of(copied) != tables_digest()


def test_what_is_no_table_of_numbers_changes_nothing(copied):
    for name in ("mismatches.yaml", "sources.yaml", "assumptions.yaml", "templates/cpu.yaml", "cpus/notes.txt"):
        (copied / name).write_text("other")
    file = copied / "cpus/zen4.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert digest_of(copied) == tables_digest()


@pytest.mark.parametrize(
    "arguments",
    [("run", SEED, *SHORT), ("list", "cpus"), ("check", "zen4"), ("measure", "--from", "recording.json")],
    ids=["run", "list", "check", "measure"],
)
def test_json_and_csv_of_a_command_say_it(arguments, vhost_sim, empty):
    from tests.e2e.test_forms import DATA

    shutil.copy(DATA / "host" / "zen5-vm.json", empty / "recording.json")
    assert json.loads(vhost_sim(*arguments, "--json").stdout)["made_by"] == made_by()
    rows = list(csv.DictReader(io.StringIO(vhost_sim(*arguments, "--format", "csv").stdout)))
    assert rows
    for row in rows:
        assert list(row)[-2:] == ["made_by.version", "made_by.tables"]
        assert (row["made_by.version"], row["made_by.tables"]) == (sim.__version__, tables_digest())


def test_files_and_plots_say_it(vhost_sim, empty):
    assert vhost_sim("run", SEED, *SHORT, "--out", "out").returncode == 0
    for frame in (pd.read_csv(empty / "out/results.csv"), pd.read_parquet(empty / "out/results.parquet")):
        assert set(frame["made_by.tables"]) == {tables_digest()}
        assert set(frame["made_by.version"]) == {sim.__version__}
    for name in ("pps.svg", "cycles.svg"):
        assert f"<!-- {made_by_line()} -->" in (empty / "out" / name).read_text()


def test_a_page_and_a_trace_say_it(vhost_sim, empty):
    assert vhost_sim("report", SEED, *SHORT, "--draws", "2", "-o", "page.html").returncode == 0
    assert f'<p class="small">{made_by_line()}</p>' in (empty / "page.html").read_text()
    assert vhost_sim("trace", SEED, "--packets", "3", "-o", "trace.json").returncode == 0
    assert json.loads((empty / "trace.json").read_text())["otherData"]["made_by"] == made_by()


def test_the_bytes_of_a_page_do_not_depend_on_its_name(vhost_sim, empty):
    for name in ("a.html", "b.html"):
        assert vhost_sim("report", SEED, *SHORT, "--draws", "2", "-o", name).returncode == 0
    assert (empty / "a.html").read_bytes() == (empty / "b.html").read_bytes()
