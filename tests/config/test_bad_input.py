"""Bad input: one line each, which says what is wrong, where, and what would be right."""

from __future__ import annotations

import math

import pytest
import yaml
from pydantic import ValidationError

from sim.cli import worded
from sim.config import load_scenario
from sim.config.errors import ConfigError, nearest
from sim.config.loading.load import load_table
from sim.config.tables.quantity import Quantity

SEED = "virtio-user-xdp1-tap"
EXTENDS = f"schema: 1\nextends: {SEED}\n"

#: override -> the sentence; `FILE` stands for the scenario's file.
OVERRIDES = {
    "virtqueue.sise=3": "GIVEN: unknown key 'virtqueue.sise'; did you mean 'size'?",
    "virtqeue.size=3": "GIVEN: unknown key 'virtqeue'; did you mean 'virtqueue'?",
    "cpu.primitives.lfenze=3": "GIVEN: unknown key 'cpu.primitives.lfenze'; did you mean 'lfence'?",
    "cpu=broadwel": "GIVEN: unknown cpu 'broadwel'; did you mean 'broadwell-2.6ghz'?",
    "kernel=dpdk-vhst": "GIVEN: unknown kernel 'dpdk-vhst'; did you mean 'dpdk-vhost'?",
    "kernel=v5.1": "GIVEN: unknown kernel 'v5.1'; the nearest by version is 'v5.0', between 'v5.0' and 'v5.2'",
    "access=vmpa": "GIVEN: unknown access 'vmpa'; did you mean 'vmap'?",
    "calibration=sed": "GIVEN: unknown calibration 'sed'; valid: all-published, seed-copy-user, seed-two-rates",
    "cpu.primitives.lfence=-1": (
        "GIVEN: cpu.primitives.lfence.value: input should be greater than or equal to 0 (got -1)"
    ),
    "traffic.load=fast": (
        "GIVEN: traffic.load: is 'saturate', a rate in packets per second, or a mapping of kind and pps"
    ),
    "traffic.load=nan": "GIVEN: traffic.load.pps: input should be a finite number (got nan)",
    "cpu.core_ghz=.nan": "GIVEN: cpu.core_ghz.value: input should be a finite number (got nan)",
    "cpu.core_ghz=.inf": "GIVEN: cpu.core_ghz.value: input should be a finite number (got inf)",
    "cpu.core_ghz=0": "GIVEN: cpu.core_ghz: 0 GHz is beyond what is conceivable (0.1 to 10000)",
    "cpu.overlap=2": "GIVEN: cpu.overlap: 2 fraction is beyond what is conceivable (0 to 1)",
    "cpu.core_ghz.unit=MHz": "GIVEN: cpu.core_ghz: unit 'MHz' should be 'GHz'",
    "cpu.primitives.lfence.unit=ns": "GIVEN: cpu.primitives: lfence: unit 'ns' should be 'cycles'",
    "kernel.work_scale.unit=percent": "GIVEN: kernel.work_scale: unit 'percent' should be 'ratio'",
    "kernel.steps.head.instructions.unit=cycles": (
        "GIVEN: kernel.steps.head.instructions: unit 'cycles' should be 'instructions'"
    ),
    "cpu.reorder_buffer.value=5": "GIVEN: cpu.reorder_buffer: low <= value <= high does not hold: 192, 5, 192",
    "cpu.primitives.copy_bytes=0": "GIVEN: cpu.primitives.copy_bytes: 0 bytes/cycle is beyond what is conceivable",
    "cpu.primitives.lfence=1.2e12": "GIVEN: cpu.primitives.lfence: 1.2e+12 cycles is beyond what is conceivable",
    "cpu.primitives.lock_rmw=1e15": "GIVEN: cpu.primitives.lock_rmw: 1e+15 cycles is beyond what is conceivable",
    "cpu.core_ghz=1e300": "GIVEN: cpu.core_ghz: 1e+300 GHz is beyond what is conceivable",
    "backend.stack_cost=1e12": "GIVEN: backend.stack_cost: 1e+12 ns is beyond what is conceivable",
    "driver.packet_cost=1e12": "GIVEN: driver.packet_cost: 1e+12 ns is beyond what is conceivable (0 to 1e+09)",
    "virtqueue.size=100": "GIVEN: virtqueue.size: 100 is not a power of two (a split ring's size is one)",
    "virtqueue.iotlb=maybe": "GIVEN: virtqueue.iotlb: input should be a valid boolean (got 'maybe')",
    "virtqueue.event_idx=1": "GIVEN: virtqueue.event_idx: input should be a valid boolean (got 1)",
    'mitigations.smap="off"': "GIVEN: mitigations.smap: input should be a valid boolean (got 'off')",
    "virtqueue.size=true": "GIVEN: virtqueue.size: input should be a valid integer (got True)",
    "device.batch=yes": "GIVEN: device.batch: input should be a valid integer (got True)",
    "queues.cores=true": "GIVEN: queues.cores: input should be a valid integer (got True)",
    "traffic.packet_bytes=[true]": "GIVEN: traffic.packet_bytes[0]: input should be a valid integer (got True)",
    "driver.burst=32.5": "GIVEN: driver.burst: input should be a valid integer (got 32.5)",
    'driver.burst="32"': "GIVEN: driver.burst: input should be a valid integer (got '32')",
    "run.precision=true": "GIVEN: run.precision: input should be a valid number (got True)",
    "cpu.primitives.lfence=true": "GIVEN: cpu.primitives.lfence.value: input should be a valid number (got True)",
    'cpu.core_ghz="3"': "GIVEN: cpu.core_ghz.value: input should be a valid number (got '3')",
    "virtqueue.layout=pakced": "GIVEN: virtqueue.layout: input should be 'split' or 'packed' (got 'pakced')",
    "virtqueue={layout: packed, size: 0}": (
        "GIVEN: virtqueue.size: input should be greater than or equal to 1 (got 0)"
    ),
    "virtqueue.packed_access=best": "GIVEN: virtqueue.packed_access: input should be 'rfc' or 'ideal'",
    "virtqueue.in_order_device=none": (
        "GIVEN: virtqueue.in_order_device: input should be 'full', 'avail' or 'used' (got 'none')"
    ),
    "virtqueue.iotlb_updates_per_second=5": (
        "GIVEN: virtqueue: iotlb_updates_per_second and iotlb_misses_per_second need iotlb: true"
    ),
    "virtqueue.iotlb_entries=0": ("GIVEN: virtqueue.iotlb_entries: input should be greater than or equal to 1 (got 0)"),
    "virtqueue.iotlb_miss_cost.unit=ns": "GIVEN: virtqueue.iotlb_miss_cost: unit 'ns'",
    "traffic.packet_bytes=0": "GIVEN: traffic.packet_bytes[0]: input should be greater than or equal to 14",
    "traffic.packet_bytes=64,64": "GIVEN: traffic.packet_bytes: a size is given twice",
    "traffic.dirty_bytes=-1": "GIVEN: traffic.dirty_bytes: must be at least 0, or 'full' (got -1)",
    "access=vmap,vmap": "GIVEN: access: a variant is named twice",
    "run.engine=warp": "GIVEN: run.engine: input should be ",
    "virtqueue=[1]": "GIVEN: virtqueue: input should be a valid dictionary or instance of Virtqueue",
    "title.x=3": "GIVEN: 'title' has no keys below it",
    "driver.burst": "driver.burst: KEY=VALUE is needed, as in cpu.core_ghz=3.2",
    "=3": "=3: KEY=VALUE is needed, as in cpu.core_ghz=3.2",
    "driver..burst=3": "driver..burst=3: KEY=VALUE is needed, as in cpu.core_ghz=3.2",
    "driver.burst=[": "driver.burst=[: the value is not readable as YAML",
    "traffic.packet_bytes=64,]": "traffic.packet_bytes=64,]: the value is not readable as YAML",
    "title=9999-99-99": "title=9999-99-99: the value is not readable as YAML",
    "schema=2": "GIVEN: schema: input should be 1 (got 2)",
}


def message(reference, **options):
    with pytest.raises(ConfigError) as error:
        load_scenario(reference, **options)
    text = str(error.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(("override", "sentence"), OVERRIDES.items(), ids=OVERRIDES)
def test_an_override_that_is_wrong_says_so_in_one_line(override, sentence, write):
    file = write("mine.yaml", EXTENDS)
    assert message(file, overrides=[override]).startswith(sentence.replace("GIVEN", override))


def test_an_override_beside_what_is_wrong_is_not_blamed(write):
    file = write("mine.yaml", EXTENDS + "driver: {burst: 0}\n")
    said = message(file, overrides=["cpu=zen4", "driver.kind=virtio-net"])
    assert said.startswith(f"{file}: driver.burst: ")


FILES = {
    "wrong key": (EXTENDS + "virtqueue: {sise: 2}\n", "unknown key 'virtqueue.sise'; did you mean 'size'?"),
    "wrong top key": (EXTENDS + "virtque: {size: 2}\n", "unknown key 'virtque'; did you mean 'virtqueue'?"),
    "no schema": (
        "name: mine\ncpu: zen4\n",
        "keys 'schema', 'kernel', 'traffic' and 'access' are missing (write 'schema: 1')",
    ),
    "other schema": (EXTENDS + "schema: 2\n", "is not a YAML file (line 3): key 'schema' is given twice"),
    "no kernel": (
        "schema: 1\nname: x\ncpu: zen4\naccess: vmap\ntraffic: {packet_bytes: 64}\n",
        "key 'kernel' is missing",
    ),
    "list": ("- schema: 1\n", "is not a YAML mapping (found list)"),
    "empty": ("", "is not a YAML mapping (found NoneType)"),
    "list in place of a mapping": (
        EXTENDS + "virtqueue: [1, 2]\n",
        "virtqueue: input should be a valid dictionary or instance of Virtqueue",
    ),
    "a plain number in a table of its own": (
        EXTENDS + "driver: {packet_cost: 45}\n",
        "driver.packet_cost: a number needs its evidence: "
        "{value: 45, unit: ..., low: ..., high: ..., source: ..., grade: guess} (got 45)",
    ),
    "a text in the place of a number": (
        EXTENDS + "driver: {packet_cost: cheap}\n",
        "driver.packet_cost: a number needs its evidence: {value: ..., unit: ..., ",
    ),
    "mapping in place of a list": (EXTENDS + "access: {vmap: 1}\n", "access: a list of names is needed"),
    "number in place of a name": (EXTENDS + "access: 3\n", "access: a list of names is needed"),
    "no access": (EXTENDS + "access: []\n", "access: list should have at least 1 item after validation, not 0"),
    "open bracket": ("schema: [1\n", "is not a YAML file (line 2): "),
    "key twice": ("schema: 1\nname: a\nname: b\n", "is not a YAML file (line 3): key 'name' is given twice"),
    "inner key twice": (
        EXTENDS + "driver: {burst: 1, burst: 2}\n",
        "is not a YAML file (line 3): key 'burst' is given twice",
    ),
    "key is a number": ("1: 2\n", "is not a YAML file (line 1): key 1 is not text"),
    "key is a list": ("? [a, b]\n: 1\n", "is not a YAML file (line 1): a list or a mapping is a key"),
    "a date that is none": (
        EXTENDS + "title: 9999-99-99\n",
        "is not a YAML file (line 3): '9999-99-99' is no timestamp: month must be in 1..12",
    ),
    "an object": (EXTENDS + "title: !!python/name:os.system\n", "is not a YAML file (line 3): could not determine"),
    "endless brackets": ("schema: " + "[" * 20_000, "is not a YAML file"),
    "a number of 5000 digits": (EXTENDS + f"run: {{seed: {'1' * 5000}}}\n", "is not a YAML file (line 3): '1111"),
    "extends a list": ("schema: 1\nextends: [a]\n", "extends: a name or a path is needed"),
    "chain longer than the queue": (
        EXTENDS + "virtqueue: {size: 1, descriptors_per_packet: 2}\n",
        "virtqueue: a chain of 2 descriptors does not fit a queue of 1",
    ),
    "siblings apart": (
        EXTENDS + "placement: {smt_siblings: true, same_socket: false}\n",
        "placement: smt_siblings share a core, so same_socket cannot be false",
    ),
    "saturation with a rate": (
        EXTENDS + "traffic: {load: {kind: saturate, pps: 5}}\n",
        "traffic.load: load needs a rate above 0 with constant, poisson or on-off, and none with saturate",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), FILES.values(), ids=FILES)
def test_a_file_that_is_wrong_says_so_in_one_line_that_begins_with_its_name(text, sentence, write):
    file = write("mine.yaml", text)
    assert message(file).startswith(f"{file}: {sentence}")


TABLES = {
    "unknown primitive": (
        "access",
        "metadata: {read: [lod]}",
        "unknown primitive 'lod' in a recipe; did you mean 'load'?",
    ),
    "unknown accessor": (
        "access",
        "metadata: {recipes: {descripter_read: [load]}}",
        "unknown accessor 'descripter_read'; did you mean 'descriptor_read'?",
    ),
    "count of a primitive": (
        "access",
        "metadata: {read: [two load]}",
        "unknown primitive 'two load' in a recipe; did you mean 'load'?",
    ),
    "replaced primitive": (
        "access",
        "metadata: {replace: {lfenc: [mask]}}",
        "unknown primitive 'lfenc' in a recipe; did you mean 'lfence'?",
    ),
    "window on a mapping": (
        "access",
        "mapping: {pages: vmap}\nwindow: {open: [stac], close: [clac], entry: [load], descriptor: [load]}",
        "window: a mapped ring is not reached through user access windows",
    ),
    "unknown key": ("access", "metadata: {reed: [load]}", "unknown key 'metadata.reed'; did you mean 'read'?"),
    "unknown step": (
        "kernel",
        "steps: {haed: {instructions: {value: 1, unit: instructions, low: 1, high: 1, source: x, grade: guess},"
        " function: f}}",
        "unknown step 'haed'; did you mean 'head'?",
    ),
    "unknown price": (
        "cpu",
        "primitives: {lfenze: {value: 1, unit: cycles, low: 1, high: 1, source: x, grade: guess}}",
        "unknown primitive 'lfenze'; did you mean 'lfence'?",
    ),
    "unknown grade": (
        "cpu",
        "core_ghz: {value: 1, unit: GHz, low: 1, high: 1, source: x, grade: sure}",
        "core_ghz.grade: input should be 'measured-here', 'measured-elsewhere', 'vendor', 'derived' or 'guess'",
    ),
    "no source": (
        "cpu",
        "core_ghz: {value: 1, unit: GHz, low: 1, high: 1, source: '', grade: guess}",
        "core_ghz.source: string should have at least 1 character",
    ),
    "low above value": (
        "cpu",
        "core_ghz: {value: 1, unit: GHz, low: 2, high: 3, source: x, grade: guess}",
        "core_ghz: low <= value <= high does not hold: 2, 1, 3",
    ),
}


@pytest.mark.parametrize(("kind", "line", "sentence"), TABLES.values(), ids=TABLES)
def test_a_table_that_is_wrong_says_so_in_one_line(kind, line, sentence, write):
    parent = {"access": "copy_user", "kernel": "v5.0", "cpu": "zen4"}[kind]
    file = write("table.yaml", f"schema: 1\nextends: {parent}\nname: mine\n{line}\n")
    with pytest.raises(ConfigError) as error:
        load_table(kind, str(file))
    text = str(error.value)
    assert text.startswith(f"{file}: ")
    assert sentence in text
    assert len(text.splitlines()) == 1


def test_a_chain_of_two_fits_a_queue_of_one_when_it_is_indirect(write):
    file = write("m.yaml", EXTENDS + "virtqueue: {size: 1, descriptors_per_packet: 2, indirect: true}\n")
    assert load_scenario(file).virtqueue.ring_entries_per_packet == 1


def test_paths_that_cannot_be_read(tmp_path):
    missing = tmp_path / "missing.yaml"
    assert message(missing) == f"{missing}: no such file"
    assert message(tmp_path) == f"{tmp_path}: no such file"
    assert message(SEED, configs=missing) == f"configs: no such folder (got {missing})"


def test_an_unknown_scenario_says_where_the_list_is():
    assert message("nope") == "unknown scenario 'nope'; see sim.list_tables('scenarios')"
    with pytest.raises(ConfigError) as caught:
        load_scenario("nope")
    assert worded(caught.value) == "unknown scenario 'nope'; see `vhost-sim list scenarios`"


def test_a_misspelt_scenario_is_told_the_nearest():
    assert message("virtio-user-xdp-tap") == f"unknown scenario 'virtio-user-xdp-tap'; did you mean '{SEED}'?"


def test_binary_files_are_refused(write):
    file = write("mine.yaml", "")
    file.write_bytes(bytes(range(256)))
    assert message(file) == f"{file}: cannot be read: not UTF-8 text"
    file.write_bytes(b"a\0b: 1")
    assert message(file).startswith(f"{file}: is not a YAML file: ")


LONG = "x" * 10_000
SHORTENED = "xxx...xxx"


@pytest.mark.parametrize("overrides", [f"{LONG}=1", f"cpu={LONG}", f"cpu=./{LONG}.yaml", f"cpu.primitives.{LONG}=3"])
def test_a_name_of_ten_kilobytes_is_only_an_unknown_name(overrides):
    text = message(SEED, overrides=[overrides])
    assert SHORTENED in text
    assert "unknown" in text or text.endswith("no such file")


@pytest.mark.parametrize("name", [LONG, f"{LONG}.yaml", "a\0b.yaml", "../no/such/place", ""])
def test_a_hostile_scenario_name_is_only_an_unknown_name(name):
    shown = {"a\0b.yaml": r"a\x00b.yaml"}.get(name, name)
    expected = (f"{shown}: no such file", f"unknown scenario '{name}'")
    assert message(name).startswith(expected) or (SHORTENED in message(name) and len(message(name)) < 300)


def test_a_folder_of_tables_with_a_hostile_name_is_only_missing():
    text = message(SEED, configs=LONG)
    assert text.startswith("configs: no such folder (got xxx")
    assert SHORTENED in text


def test_nearest_names_the_closest_or_lists_a_few():
    assert nearest("lfenc", ["lfence", "mfence"]) == "; did you mean 'lfence'?"
    assert nearest("zzz", ["b", "a"]) == "; valid: a, b"
    assert nearest("zzz", [f"name{number}" for number in range(17)]) == ""
    assert nearest("zzz", []) == ""


def test_an_error_is_one_line_even_when_what_is_wrong_is_not():
    assert str(ConfigError("a\n  b\tc")) == "a b c"


@pytest.mark.parametrize(
    ("low", "value", "high"), [(2, 1, 3), (0, 2, 1), (-1, 0, 1), (0, 0, math.inf), (0, math.nan, 1)]
)
def test_an_entry_whose_range_does_not_hold_its_value_is_refused(low, value, high):
    with pytest.raises(ValidationError):
        Quantity(value=value, unit="ns", low=low, high=high, source="x", grade="guess")


@pytest.mark.parametrize(
    ("kind", "table", "missing"),
    [
        ("measurement", {"name": "mine"}, "'title', 'source' and 'read'"),
        (
            "measurement",
            {"name": "mine", "title": "t", "source": "s", "read": "full", "entries": [{"id": "a"}]},
            "'entries[0].quantity', 'entries[0].value', 'entries[0].low' and 'entries[0].high'",
        ),
        ("calibration", {"name": "mine"}, "'study', 'fitted_on', 'parameters', 'residuals', 'chi_square', "),
    ],
)
def test_all_keys_that_a_file_lacks_are_named_at_once(tmp_path, kind, table, missing):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"schema": 1, "kind": kind, **table}), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_table(kind, str(file))
    assert str(refused.value).startswith(f"{file}: keys {missing}")
    assert str(refused.value).endswith("are missing")
