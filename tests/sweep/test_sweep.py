"""Sweeps: the same rows whoever computes them in whatever order; resuming computes what is missing or has changed."""

from __future__ import annotations

import os
import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import sim
from sim.study.runs.pool import local_executor
from sim.study.sweep import run as sweeps
from sim.study.sweep.parts import Parts, held_by_one, row_schema

from .studies import FEW_PACKETS, Inline, Late, sweep

AXES = {"cpu.primitives.stac": {"low": 7.5, "high": 25, "count": 5}, "access": {"values": ["copy_user", "vmap"]}}


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(sweeps, "CHUNK_POINTS", 3)


def contents(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_rows_are_those_of_single_runs():
    outcome = sweeps.run_sweep(sweep(AXES), Inline())
    assert (outcome.points, outcome.computed, outcome.failed) == (10, 10, 0)
    overrides = ["run.packets=2000", "run.precision=0", "traffic.packet_bytes=64"]
    for row in outcome.rows:
        settings = [*overrides, f"cpu.primitives.stac={row['cpu.primitives.stac']}", f"access={row['access']}"]
        point = sim.run(sim.load_scenario("virtio-user-xdp1-tap", overrides=settings)).points[0]
        assert (row["pps"], row["cycles_stac"]) == (point.pps, point.breakdown_cycles["stac"])


def test_the_order_in_which_chunks_end_does_not_show(tmp_path):
    study = sweep(AXES)
    sweeps.run_sweep(study, Inline(), folder=tmp_path / "in-order")
    late = Late(hold=3)
    late.total = 10
    sweeps.run_sweep(study, late, folder=tmp_path / "reversed", jobs=1)
    assert contents(tmp_path / "in-order") == contents(tmp_path / "reversed")
    assert late.most <= 2 * 1 + 1
    frame = pd.read_parquet(tmp_path / "in-order")
    assert frame["point"].tolist() == list(range(10))
    assert frame["error"].isna().all()


def test_processes_give_the_same_bytes(tmp_path):
    study = sweep(AXES)
    sweeps.run_sweep(study, Inline(), folder=tmp_path / "here")
    with local_executor(2) as pool:
        sweeps.run_sweep(study, pool, folder=tmp_path / "pool", jobs=2)
    assert contents(tmp_path / "here") == contents(tmp_path / "pool")


def test_a_point_that_is_refused_is_a_row_with_its_error():
    outcome = sweeps.run_sweep(
        sweep({"virtqueue.size": {"values": [64, 100, 128]}, "access": {"values": ["vmap"]}}), Inline()
    )
    errors = [row.get("error") for row in outcome.rows]
    assert (outcome.computed, outcome.refused, outcome.failed) == (3, 1, 0)
    assert outcome.first_error == errors[1]
    assert errors[0] is None
    assert "100 is not a power of two" in errors[1]
    assert errors[2] is None


def test_a_point_that_is_beyond_the_bounds_of_its_unit_is_a_row_with_its_error():
    axes = {"cpu.primitives.lfence": {"values": [1, 1.2e12]}, "access": {"values": ["copy_user"]}}
    outcome = sweeps.run_sweep(sweep(axes), Inline())
    assert (outcome.computed, outcome.refused, outcome.failed) == (2, 1, 0)
    assert "cpu.primitives.lfence: 1.2e+12 cycles is beyond what is conceivable" in outcome.first_error


def test_what_failed_is_computed_again_and_a_refusal_is_final(tmp_path, monkeypatch):
    study = sweep({"virtqueue.size": {"values": [64, 100, 128]}, "access": {"values": ["vmap"]}})
    sweeps.run_sweep(study, Inline(), folder=tmp_path / "undisturbed")

    def no_memory(*_):
        raise MemoryError("for the moment")

    with monkeypatch.context() as moment:
        moment.setattr(sweeps, "run", no_memory)
        outcome = sweeps.run_sweep(study, Inline(), folder=tmp_path / "out")
    assert (outcome.computed, outcome.refused, outcome.failed) == (3, 1, 2)
    assert outcome.first_error == "MemoryError: for the moment"
    again = sweeps.run_sweep(study, Inline(), folder=tmp_path / "out", resume=True)
    assert (again.computed, again.reused, again.refused, again.failed) == (2, 1, 1, 0)
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_resuming_computes_the_parts_that_are_missing(tmp_path):
    study = sweep(AXES)
    sweeps.run_sweep(study, Inline(), folder=tmp_path)
    whole = contents(tmp_path)
    (tmp_path / "part-000002.parquet").unlink()
    again = Inline()
    outcome = sweeps.run_sweep(study, again, folder=tmp_path, resume=True)
    assert (outcome.computed, outcome.reused) == (3, 7)
    assert again.points == [6, 7, 8]
    assert contents(tmp_path) == whole


def test_a_corrupt_part_is_told_and_computed_anew(tmp_path):
    study = sweep(AXES)
    sweeps.run_sweep(study, Inline(), folder=tmp_path)
    whole = contents(tmp_path)
    part = tmp_path / "part-000001.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    told: list[str] = []
    outcome = sweeps.run_sweep(study, Inline(), folder=tmp_path, resume=True, notice=told.append)
    assert told == [f"{part}: is damaged, or no part of this sweep; computed anew"]
    assert outcome.computed == 3
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("flips", [120, pytest.param(5000, marks=pytest.mark.deep)])
def test_a_part_with_one_bit_changed_is_never_believed(flips, tmp_path):
    sweeps.run_sweep(sweep(AXES), Inline(), folder=tmp_path)
    parts = Parts(tmp_path, row_schema(sweep(AXES)))
    file, numbers = parts.file(0), random.Random(17)
    written, rows = file.read_bytes(), parts.read(0)
    assert rows
    unseen = 0
    for _ in range(flips):
        damaged = bytearray(written)
        damaged[numbers.randrange(len(written))] ^= 1 << numbers.randrange(8)
        file.write_bytes(damaged)
        parts.refuse_other_columns()  # damage is not taken for another sweep
        read = parts.read(0)
        assert read in (None, rows)
        unseen += read == rows  # what says nothing of the rows: statistics, the name of what wrote it
    assert unseen < flips / 2


def test_a_part_cut_between_two_rows_of_a_point_is_computed_anew(tmp_path):
    study = sweep({"cpu.cpi": {"low": 0.3, "high": 0.5, "count": 3}}, set={**FEW_PACKETS, "access": "copy_user,vmap"})
    sweeps.run_sweep(study, Inline(), folder=tmp_path)
    whole, part = contents(tmp_path), tmp_path / "part-000000.parquet"
    table = pq.read_table(part)
    assert table.num_rows == 6
    pq.write_table(table.slice(0, 5), part)
    told: list[str] = []
    outcome = sweeps.run_sweep(study, Inline(), folder=tmp_path, resume=True, notice=told.append)
    assert told == [f"{part}: is damaged, or no part of this sweep; computed anew"]
    assert outcome.computed == 3
    assert contents(tmp_path) == whole


def test_a_folder_is_written_by_one_sweep_at_a_time(tmp_path):
    out = tmp_path / "out"
    with held_by_one(out), pytest.raises(sim.ConfigError, match=f"process {os.getpid()} is writing there"):
        sweeps.run_sweep(sweep(AXES), Inline(), folder=out)
    assert list(out.iterdir()) == []
    assert sweeps.run_sweep(sweep(AXES), Inline(), folder=out).failed == 0


def test_what_a_killed_sweep_was_writing_goes_and_no_link_is_followed(tmp_path):
    out, kept = tmp_path / "out", tmp_path / "kept"
    out.mkdir()
    kept.write_text("mine")
    (out / ".0123456789abcdef.partial").write_text("half of a part")
    (out / ".abcdefgh.partial").mkdir()
    (out / ".abcdefgh.partial" / "_lines.png").write_text("half of a plot")
    (out / ".folder.partial").symlink_to(tmp_path)
    for name in ("part-000000.partial", "_sweep.partial"):
        (out / name).symlink_to(kept)
    assert sweeps.run_sweep(sweep(AXES), Inline(), folder=out).failed == 0
    assert kept.read_text() == "mine"
    assert not list(out.glob(".*.partial"))


def test_what_else_stands_in_the_folder_is_neither_read_nor_touched(tmp_path):
    """A sweep written beside a table of the user's own: it was read as a part, which ended in a traceback."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.csv").write_text("mine\n")
    (out / "of-mine.parquet").write_text("no table")
    outcome = sweeps.run_sweep(sweep(AXES), Inline(), folder=out)
    assert len(outcome.to_frame()) == outcome.points
    assert (out / "results.csv").read_text() == "mine\n"


def test_an_edited_table_computes_anew_what_depends_on_it(tmp_path):
    tables = tmp_path / "tables" / "cpus"
    tables.mkdir(parents=True)
    table = {"schema": 1, "kind": "cpu", "name": "mine", "extends": "zen4"}
    (tables / "mine.yaml").write_text(yaml.safe_dump(table))
    study = sweep({"cpu": {"values": ["mine", "zen3"]}, "access": {"values": ["copy_user", "vmap"]}})
    out, configs = tmp_path / "out", tmp_path / "tables"
    sweeps.run_sweep(study, Inline(), folder=out, configs=configs)
    before = pd.read_parquet(out)
    cpi = {"value": 0.5, "unit": "cycles/instruction", "low": 0.4, "high": 0.6, "source": "test", "grade": "guess"}
    (tables / "mine.yaml").write_text(yaml.safe_dump({**table, "cpi": cpi}))
    again = Inline()
    sweeps.run_sweep(study, again, folder=out, configs=configs, resume=True)
    after = pd.read_parquet(out)
    assert again.points == [0, 1]
    assert (after["pps"][:2] < before["pps"][:2]).all()
    assert after[2:].equals(before[2:])


def test_parts_without_resume_and_those_of_another_sweep_are_refused(tmp_path):
    sweeps.run_sweep(sweep(AXES), Inline(), folder=tmp_path)
    whole = contents(tmp_path)
    with pytest.raises(sim.ConfigError, match="holds 4 parts already; resume the sweep, or choose another folder"):
        sweeps.run_sweep(sweep(AXES), Inline(), folder=tmp_path)
    with pytest.raises(sim.ConfigError, match="holds another sweep"):
        sweeps.run_sweep(sweep({"access": {"values": ["vmap"]}}), Inline(), folder=tmp_path, resume=True)
    assert contents(tmp_path) == whole


def test_columns_have_the_type_of_their_axis(tmp_path):
    axes = {
        "virtqueue.size": {"values": [64, 128]},
        "cpu.cpi": {"low": 0.3, "high": 0.4, "count": 1},
        "virtqueue.event_idx": {"values": [True]},
        "kernel": {"values": ["v5.0"]},
        "access": {"values": ["vmap"]},
    }
    sweeps.run_sweep(sweep(axes), Inline(), folder=tmp_path)
    schema = pq.read_schema(tmp_path / "part-000000.parquet")
    assert [str(schema.field(key).type) for key in axes] == ["int64", "double", "bool", "string", "string"]


def test_the_utilisation_of_every_actor_of_a_point_is_kept(tmp_path):
    with_nic = sweep({"access": {"values": ["vmap"]}}).model_copy(update={"scenario": "virtio-user-xdp-redirect"})
    sweeps.run_sweep(with_nic, Inline(), folder=tmp_path / "nic")
    assert pd.read_parquet(tmp_path / "nic")["utilisation_nic"].between(0.0, 1.0).all()
    pairs = sweep({"access": {"values": ["vmap"]}, "queues.pairs": {"values": [1, 2]}})
    sweeps.run_sweep(pairs, Inline(), folder=tmp_path / "pairs")
    rows = pd.read_parquet(tmp_path / "pairs").sort_values("queues.pairs")
    assert rows["utilisation_driver.1"].isna().tolist() == [True, False]
    assert rows["utilisation_source"].isna().all()


@pytest.mark.parametrize("gone", ["utilisation_nic", "bound_by"])
def test_parts_that_lack_a_column_are_not_resumed(gone, tmp_path):
    sweeps.run_sweep(sweep(AXES), Inline(), folder=tmp_path)
    part = tmp_path / "part-000001.parquet"
    fewer = pa.schema([column for column in pq.read_schema(part) if column.name != gone])
    Parts(tmp_path, fewer).write(1, pq.read_table(part).to_pylist())
    before = contents(tmp_path)
    with pytest.raises(sim.ConfigError, match=rf"part-000001.parquet: was written with other columns \(lacks {gone}\)"):
        sweeps.run_sweep(sweep(AXES), Inline(), folder=tmp_path, resume=True)
    assert contents(tmp_path) == before


def test_a_part_that_cannot_be_written_says_what_is_kept(tmp_path):
    parts = Parts(tmp_path / "gone", row_schema(sweep(AXES)))
    with pytest.raises(sim.ConfigError, match="cannot be written: No such file or directory; the parts written before"):
        parts.write(0, [])


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        ({"axes": {"access": {"values": []}}}, "axes.access.values: list should have at least 1 item"),
        ({"axes": {"cpu.cpi": {"low": 2, "high": 1, "count": 3}}}, "low 2 is above high 1"),
        ({"axes": {"cpu.cpi": {"low": 0, "high": 1, "count": 3, "scale": "log"}}}, "starts above 0"),
        ({"axes": {"cpu.cpi": {"low": 0, "high": 1}}}, "axes.cpu.cpi: a grid needs count for a range"),
        ({"axes": {"cpu.cpi": {"low": 0, "high": 1}}, "design": "sobol"}, "points goes with latin-hypercube and sobol"),
        ({"axes": {"cpu.cpu_ghz": {"values": [1]}}}, "unknown key 'cpu.cpu_ghz'; did you mean 'core_ghz'?"),
        ({"axes": {}}, "axes: dictionary should have at least 1 item"),
        ({"axes": {"access": {"value": ["vmap"]}}}, "unknown key 'axes.access.value'"),
        ({"axes": {"access": {"values": ["vmap"]}}, "set": {"access": "vmap"}}, "axes.access: is also given under set"),
    ],
)
def test_a_bad_study_is_one_line(tmp_path, study, sentence):
    file = tmp_path / "bad.yaml"
    whole = {"schema": 1, "kind": "sweep", "name": "bad", "scenario": "virtio-user-xdp1-tap", **study}
    file.write_text(yaml.safe_dump(whole))
    with pytest.raises(sim.ConfigError) as error:
        sweeps.load_sweep(str(file))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
