"""Bad input on the command line: one line on stderr, nothing on stdout, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

SEED = "virtio-user-xdp1-tap"
LONG = "x" * 10_000
PERF = Path(__file__).parents[1] / "data" / "perf"

BAD = {
    "unknown command": (("rnu", SEED), "No such command 'rnu'"),
    "one size": (("explain", SEED, "--size", "64"), "No such option: --size (Possible options: --set, --sizes,"),
    "two sizes to explain": (("explain", SEED, "--sizes", "64,128"), "--sizes 64,128: explain takes one size"),
    "two sizes of a trace": (
        ("trace", SEED, "--packets", "1", "--sizes", "64,128", "-o", "t.json"),
        "--sizes 64,128: trace takes one size",
    ),
    "two sizes of CPUs": (("compare-cpu", "zen4", "zen5", "--sizes", "64,128"), "compare-cpu takes one size"),
    "two sizes of a search": (
        ("breakeven", SEED, "--vary", "cpu.cpi", "--target", "pps>=1", "--sizes", "64,128"),
        "--sizes 64,128: breakeven takes one size",
    ),
    "unknown option": (("run", SEED, "--sise", "64"), "No such option: --sise"),
    "no scenario": (("run",), "Missing argument 'SCENARIO'"),
    "unknown scenario": (("run", "nope"), "unknown scenario 'nope'"),
    "second scenario": (("compare", SEED, "nope"), "unknown scenario 'nope'"),
    "wrong key": (
        ("run", SEED, "--set", "virtqueue.sise=3"),
        "--set virtqueue.sise=3: unknown key 'virtqueue.sise'; did you mean 'size'?",
    ),
    "negative cost": (("run", SEED, "--set", "cpu.primitives.lfence=-1"), "greater than or equal to 0 (got -1)"),
    "size 0": (("run", SEED, "--sizes", "0"), "traffic.packet_bytes[0]: input should be greater than or equal to 14"),
    "size 0 of explain": (("explain", SEED, "--sizes", "0"), "greater than or equal to 14 (got 0)"),
    "no size": (("run", SEED, "--sizes", ""), "traffic.packet_bytes"),
    "size is text": (("run", SEED, "--sizes", "big"), "traffic.packet_bytes[0]: input should be a valid integer"),
    "size is half": (("run", SEED, "--sizes", "64.5"), "traffic.packet_bytes[0]: input should be a valid integer"),
    "size too large": (("run", SEED, "--sizes", "65536"), "traffic.packet_bytes[0]: input should be less than"),
    "mix too large": (
        ("run", SEED, "--set", "traffic.mix={bytes: [64, 4000], weights: [1, 1]}"),
        "traffic.mix: all sizes of a mix have to fit an XDP buffer (at most 3380 bytes on v5.0) and be copied",
    ),
    "scattered mix": (
        ("run", SEED, "--set", "traffic.mix=imix", "--set", "driver.scatter_bytes=4096"),
        "driver.scatter_bytes: not with traffic.mix",
    ),
    "scattered beyond the ring": (
        ("run", SEED, "--sizes", "65535", "--set", "driver.scatter_bytes=4096", "--set", "virtqueue.size=8"),
        "virtqueue.size: 65535 bytes scattered over pages take a chain of 16 descriptors, which does not fit a queue",
    ),
    "polling zero copy": (
        ("run", SEED, "--set", "device.zerocopy_tx=true", "--set", "device.busyloop_timeout_us=50"),
        "device: busyloop_timeout_us: polling is not modelled for zerocopy_tx",
    ),
    "unknown driver": (("run", SEED, "--set", "driver.kind=virtio-nte"), "driver.kind: input should be 'virtio-user'"),
    "unknown backend": (("run", SEED, "--set", "backend.kind=tap"), "backend.kind: input should be 'tap-xdp-drop'"),
    "no line rate": (("run", SEED, "--set", "backend.line_gbps=0"), "backend.line_gbps: input should be greater than"),
    "wrong unit": (
        ("run", SEED, "--set", "driver.byte_cost.unit=ns"),
        "driver.byte_cost: unit 'ns' should be 'ns/byte'",
    ),
    "unknown CPU": (
        ("run", SEED, "--set", "cpu=broadwel"),
        "unknown cpu 'broadwel'; did you mean 'broadwell-2.6ghz'?",
    ),
    "unknown access": (("run", SEED, "--access", "vmpa"), "unknown access 'vmpa'; did you mean 'vmap'?"),
    "no access": (("run", SEED, "--access", ""), "access"),
    "one access to compare": (
        ("compare", SEED, "--access", "vmap"),
        "--access: two variants of virtio-user",
    ),
    "three to compare": (("compare", SEED, "--access", "copy_user,vmap,ideal", "--sizes", "64"), "two access variants"),
    "two to explain": (("explain", SEED, "--access", "copy_user,vmap"), "one access variant"),
    "queue size": (("run", SEED, "--set", "virtqueue.size=100"), "virtqueue.size: 100 is not a power of two"),
    "chain too long": (
        ("run", SEED, "--set", "virtqueue.size=1", "--set", "virtqueue.descriptors_per_packet=2"),
        "a chain of 2 descriptors does not fit a queue of 1",
    ),
    "burst too long": (
        ("run", SEED, "--set", "driver.kind=lockstep", "--set", "driver.burst=512"),
        "driver.burst: 512 packets do not fit a ring of 256",
    ),
    "negative seed": (("run", SEED, "--seed", "-1"), "run.seed: input should be greater than or equal to 0 (got -1)"),
    "seed is text": (("run", SEED, "--seed", "x"), "'--seed'"),
    "not an assignment": (("run", SEED, "--set", "driver.burst"), "KEY=VALUE is needed"),
    "not a number": (
        ("run", SEED, "--set", "cpu.core_ghz=.nan"),
        "cpu.core_ghz.value: input should be a finite number",
    ),
    "missing file": (("run", "./missing.yaml"), "missing.yaml: no such file"),
    "missing folder": (("run", SEED, "--configs", "missing"), "--configs missing: no such folder"),
    "configs is a file": (("run", SEED, "--configs", "binary.yaml"), "--configs binary.yaml: no such folder"),
    "a folder": (("run", "./folder.yaml"), "folder.yaml"),
    "not YAML": (("run", "bracket.yaml"), "bracket.yaml: is not a YAML file (line 2)"),
    "binary": (("run", "binary.yaml"), "binary.yaml: cannot be read: not UTF-8 text"),
    "a list": (("run", "list.yaml"), "list.yaml: is not a YAML mapping (found list)"),
    "key twice": (("run", "twice.yaml"), "twice.yaml: is not a YAML file (line 3): key 'name' is given twice"),
    "no schema": (
        ("run", "bare.yaml"),
        "bare.yaml: keys 'schema', 'cpu', 'kernel', 'traffic' and 'access' are missing (write 'schema: 1')",
    ),
    "circle": (("run", "circle.yaml"), "circle.yaml: extends itself in a circle"),
    "by": (("explain", SEED, "--by", "fuction"), "--by: unknown 'fuction'; did you mean 'function'?"),
    "skid": (("explain", SEED, "--skid"), "--skid: is for --by function"),
    "actor": (("explain", SEED, "--actor", "x"), "--actor: unknown 'x'; valid: driver, worker"),
    "list": (("list", "cpu"), "list: unknown 'cpu'; did you mean 'cpus'?"),
    "check": (("check", "zenn4"), "unknown table 'zenn4'; did you mean 'zen4'?"),
    "check missing": (("check", "./missing.yaml"), "missing.yaml: cannot be read: No such file or directory"),
    "calibrate": (
        ("calibrate", "nope"),
        "unknown calibration-study 'nope'; valid: all-published, seed-copy-user, seed-two-rates",
    ),
    "calibrate nothing": (("calibrate",), "calibrate: takes a study or --here, one of them"),
    "calibrate both": (("calibrate", "x", "--here"), "calibrate: takes a study or --here, one of them (got x)"),
    "calibrate nowhere": (
        ("calibrate", "--here"),
        "--configs: the folder with the profile and the measurements of this host is needed",
    ),
    "no draws": (("run", SEED, "--sizes", "64", "--uncertainty", "0"), "--uncertainty 0: at least 1 draw is needed"),
    "draws": (("run", SEED, "--uncertainty", "many"), "unexpected extra argument"),
    "without": (("run", SEED, "--without", "smap"), "--without: unknown mechanism 'smap'"),
    "shapley": (("compare", SEED, SEED, "--shapley"), "--shapley shares out the gain between two access variants"),
    "target": (("breakeven", SEED, "--vary", "cpu.cpi", "--target", "gain>=10"), "a gain is given in percent"),
    "vary": (("breakeven", SEED, "--vary", "cpu.cpj", "--target", "pps>=1"), "--vary cpu.cpj: has no range of its own"),
    "method": (("sensitivity", "seed-gain", "--method", "sobel"), "--method: unknown 'sobel'; did you mean 'sobol'?"),
    "sensitivity": (("sensitivity", "seed-gian"), "unknown scenario or study 'seed-gian'; did you mean 'seed-gain'?"),
    "only": (("validate", "--only", "seed-vmp"), "unknown measurement file 'seed-vmp'; did you mean 'seed-vmap'?"),
    "calibration of validate": (("validate", "--calibration", "nope"), "unknown calibration 'nope'"),
    "check without end": (("check", "/dev/zero"), "/dev/zero: cannot be read: is a device, and no file"),
    "trace without end": (("import-trace", "/dev/zero"), "/dev/zero: cannot be read: is a device, and no file"),
    "recording without end": (
        ("measure", "--from", "/dev/zero"),
        "/dev/zero: cannot be read: is a device, and no file",
    ),
    "counts without end": (("count", "--from", "/dev/zero"), "/dev/zero: cannot be read: is a device, and no file"),
    "trace": (("import-trace", "gone.csv"), "gone.csv: cannot be read"),
    "no trace": (("import-trace", "bracket.yaml"), "is neither a trace"),
    "setting of a trace": (("import-trace", "bracket.yaml", "--set", "kernel"), "KEY=VALUE is needed"),
    "key of a trace": (
        ("import-trace", "gone.csv", "--set", "virtqueue.sise=3"),
        "--set virtqueue.sise=3: unknown key 'virtqueue.sise'; did you mean 'size'?",
    ),
    "scenario of a trace": (("import-trace", "gone.csv", "--scenario", "nope"), "unknown scenario 'nope'"),
    "thread of a profile": (
        ("import-trace", PERF / "3-threads.txt", "--thread", "vhots-*"),
        "--thread: no rows of such a thread; did you mean 'vhost-1000'?",
    ),
    "a point in a count": (
        ("import-trace", PERF / "11-dot.txt", "--packets", "1"),
        "11-dot.txt: '900.000' may be thousands or a fraction; `perf stat",
    ),
    "infinite target": (
        ("breakeven", SEED, "--vary", "cpu.cpi", "--target", "pps>=1e400"),
        "--target pps>=1e400: '1e400' is out of range",
    ),
    "infinite end": (
        ("breakeven", SEED, "--vary", "cpu.cpi", "--target", "pps>=1", "--high", "inf"),
        "--high inf: a finite number is needed",
    ),
    "no tolerance": (
        ("breakeven", SEED, "--vary", "cpu.cpi", "--target", "pps>=1", "--tolerance", "0"),
        "--tolerance 0: a share above 0 and up to 1 is needed",
    ),
    "negative draws": (("validate", "--draws", "-1"), "--draws -1: at least 0 is needed"),
    "negative seed of draws": (("validate", "--seed", "-1"), "--seed -1: at least 0 is needed"),
    "no jobs": (("validate", "--draws", "1", "--jobs", "0"), "--jobs 0: at least 1 is needed"),
    "no samples": (("sensitivity", "seed-gain", "--samples", "0"), "--samples 0: at least 1 is needed"),
    "calibration is a folder": (("calibrate", "seed-copy-user", "--out", "."), "--out .: is a folder"),
    "page is a folder": (("validate", "--markdown", "folder.yaml"), "--markdown folder.yaml: is a folder"),
    "profile is a folder": (("measure", "--out", "."), "--out .: is a folder; the name of a file is needed"),
    "report of nothing": (("report", "seed-gian", "-o", "r.html"), "unknown scenario or study 'seed-gian'"),
    "report of a sweep": (
        ("report", "cost-ranges", "-o", "r.html"),
        "cost-ranges is a sweep: a report is of a scenario or of a sensitivity study",
    ),
    "sensitivity of a sweep": (
        ("sensitivity", "cost-ranges"),
        "cost-ranges is a sweep: a sensitivity is of a scenario or of a sensitivity study",
    ),
    "sensitivity of a changed study": (
        ("sensitivity", "seed-gain", "--access", "vmap"),
        "seed-gain: a study states its own settings; changes of keys go with a scenario",
    ),
    "sensitivity at two sizes": (
        ("sensitivity", SEED, "--sizes", "64,128"),
        "--sizes 64,128: sensitivity takes one size",
    ),
    "sensitivity to an idle key": (
        ("sensitivity", SEED, "--set", "driver.stack_cost=300"),
        "--set driver.stack_cost=300: is not read in this scenario; it would need driver.kind=virtio-net",
    ),
    "a negative skip": (("trace", SEED, "--packets", "1", "--skip", "-1", "-o", "t.json"), "--skip -1: 0 to 9999"),
    "report of a changed study": (
        ("report", "seed-gain", "--sizes", "64", "-o", "r.html"),
        "seed-gain: a study states its own settings; changes of keys go with a scenario",
    ),
    "report without draws": (
        ("report", SEED, "--sizes", "64", "--draws", "0", "-o", "r.html"),
        "--draws 0: at least 1 is",
    ),
    "report to a device": (
        ("report", SEED, "-o", "/dev/null"),
        "--out /dev/null: is no regular file; what is written would take its place",
    ),
    "report to a folder": (("report", SEED, "-o", "."), "--out .: is a folder; the name of a file is needed"),
    "no packets": (("trace", SEED, "--packets", "0", "-o", "t.json"), "--packets 0: a timeline holds 1 to 10000"),
    "too many packets": (("trace", SEED, "--packets", "10001", "-o", "t.json"), "--packets 10001: a timeline holds"),
    "two timelines": (
        ("trace", SEED, "--packets", "1", "--access", "vmap,ideal", "-o", "t.json"),
        "--access vmap,ideal: trace takes one access variant",
    ),
    "trace to a folder": (
        ("trace", SEED, "--packets", "1", "-o", "."),
        "--out .: is a folder; the name of a file is needed",
    ),
    "hostile trace": (("trace", SEED, "--packets", "1", "-o", LONG), "cannot be written: File name too long"),
    "hostile scenario": (("run", LONG), "unknown scenario"),
    "hostile file": (("run", f"./{LONG}.yaml"), "no such file"),
    "escape in a key": (
        ("run", SEED, "--set", "\x1b[31m\u202e=1"),
        r"--set \x1b[31m\u202e=1: unknown key '\x1b[31m\u202e'",
    ),
    "escape in an option": (("run", SEED, "--\x1b]0;title\x07"), r"No such option: --\x1b]0;title\x07"),
    "escape in a file": (("run", "escape.yaml"), r"escape.yaml: unknown key '\x1b[2J\u202e'"),
    "hostile key": (("run", SEED, "--set", f"{LONG}=1"), "unknown key"),
    "hostile configs": (("run", SEED, "--configs", LONG), "no such folder"),
    "hostile out": (("run", SEED, "--sizes", "64", "--out", LONG), "--out"),
    "hostile check": (("check", f"{LONG}.yaml"), "cannot be read"),
    "out is a file": (
        ("run", SEED, "--sizes", "64", "--out", "list.yaml"),
        "--out list.yaml: list.yaml is not a folder",
    ),
    "out below a file": (
        ("compare", SEED, "--sizes", "64", "--out", "list.yaml/below"),
        "--out list.yaml/below: list.yaml is not a folder",
    ),
    "calibration below a file": (("calibrate", "seed-copy-user", "--out", "list.yaml/below.yaml"), "list.yaml"),
}


#: What is wrong with an option names the option, not the file that it changes nor the key that it stands for.
BLAMED = {
    "sizes": (("run", SEED, "--sizes", "abc"), "--sizes abc: traffic.packet_bytes[0]: input should be a valid integer"),
    "no sizes": (("compare", SEED, "--sizes", ""), "--sizes '': traffic.packet_bytes: list should have at least 1"),
    "sizes of the second": (("compare", SEED, SEED, "--sizes", "64,1"), "--sizes 64,1: traffic.packet_bytes[1]: "),
    "sizes of a search": (("capacity", SEED, "--sizes", "64;128"), "--sizes 64;128: traffic.packet_bytes[0]: "),
    "sizes of a report": (("report", SEED, "--sizes", "abc", "-o", "r.html"), "--sizes abc: traffic.packet_bytes[0]: "),
    "size": (("explain", SEED, "--sizes", "3"), "--sizes 3: traffic.packet_bytes[0]: input should be greater than"),
    "size of a trace": (
        ("trace", SEED, "--packets", "1", "--sizes", "3", "-o", "t.json"),
        "--sizes 3: traffic.packet_byt",
    ),
    "size of a search": (
        ("breakeven", SEED, "--vary", "cpu.cpi", "--target", "pps>=1", "--sizes", "3"),
        "--sizes 3: traffic.packet_bytes[0]: ",
    ),
    "size of CPUs": (("compare-cpu", "zen4", "zen5", "--sizes", "3"), "--sizes 3: traffic.packet_bytes[0]: "),
    "access": (("run", SEED, "--access", "vmpa"), "--access vmpa: unknown access 'vmpa'; did you mean 'vmap'?"),
    "no access": (("run", SEED, "--access", " "), "--access '': access: list should have at least 1 item"),
    "access of CPUs": (("compare-cpu", "zen4", "zen5", "--access", "vmpa"), "--access vmpa: unknown access 'vmpa'"),
    "seed": (("run", SEED, "--seed", "-1"), "--seed -1: run.seed: input should be greater than or equal to 0 (got -1)"),
    "set": (
        ("run", SEED, "--set", "driver.burst=x"),
        "--set driver.burst=x: driver.burst: input should be a valid int",
    ),
    "set below a list": (
        ("run", SEED, "--set", "traffic.packet_bytes=64,x"),
        "--set traffic.packet_bytes=64,x: traffic.",
    ),
    "set of a range": (("run", SEED, "--set", "cpu.core_ghz=.nan"), "--set cpu.core_ghz=.nan: cpu.core_ghz.value: "),
    "set, by what keys are together": (
        ("run", SEED, "--set", "virtqueue.size=100"),
        "--set virtqueue.size=100: virtqueue.size: 100 is not a power of two",
    ),
    "the last set": (
        ("run", SEED, "--sizes", "64", "--set", "traffic.packet_bytes=1"),
        "--set traffic.packet_bytes=1: traffic.packet_bytes[0]: ",
    ),
    "set of a name": (
        ("run", SEED, "--set", "cpu=zenn4"),
        "--set cpu=zenn4: unknown cpu 'zenn4'; did you mean 'zen4'?",
    ),
    "set of a calibration": (("run", SEED, "--set", "calibration=nope"), "--set calibration=nope: unknown calibration"),
    "page": (("validate", "--markdown", "list.yaml/v.md"), "--markdown list.yaml: list.yaml is not a folder"),
    "recording": (("measure", "--recording", "list.yaml/r"), "--recording list.yaml: list.yaml is not a folder"),
    "out": (("report", SEED, "-o", LONG), "--out xxx"),
}


@pytest.fixture
def files(empty):
    (empty / "bracket.yaml").write_text("schema: [1\n")
    (empty / "binary.yaml").write_bytes(bytes(range(256)))
    (empty / "list.yaml").write_text("- 1\n")
    (empty / "escape.yaml").write_text(f'schema: 1\nextends: {SEED}\nname: mine\n"\\e[2J\\u202e": 1\n')
    (empty / "twice.yaml").write_text("schema: 1\nname: a\nname: b\n")
    (empty / "bare.yaml").write_text("name: a\n")
    (empty / "circle.yaml").write_text("schema: 1\nextends: circle.yaml\n")
    (empty / "folder.yaml").mkdir()
    return sorted(path.name for path in empty.iterdir())


@pytest.mark.parametrize(("arguments", "sentence"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, sentence, refused, files, empty):
    assert sentence in refused(*arguments)
    assert sorted(path.name for path in empty.iterdir()) == files


@pytest.mark.parametrize(("arguments", "beginning"), BLAMED.values(), ids=BLAMED)
def test_bad_input_names_the_option_that_it_came_by(arguments, beginning, refused, files, empty):
    assert refused(*arguments).startswith(beginning)
    assert sorted(path.name for path in empty.iterdir()) == files


def test_what_is_wrong_with_a_file_names_the_file_whatever_the_options_change(refused, empty):
    (empty / "own.yaml").write_text(f"schema: 1\nextends: {SEED}\nname: own\ndriver: {{burst: none}}\n")
    said = refused("run", "own.yaml", "--sizes", "64", "--set", "run.packets=2000")
    assert said.startswith("own.yaml: driver.burst: input should be a valid integer")


def test_bad_input_is_the_same_with_json(refused):
    assert "unknown scenario" in refused("run", "nope", "--json")


def test_a_bad_scenario_makes_no_folder(refused, empty):
    refused("run", SEED, "--set", "virtqueue.size=3", "--out", "out")
    refused("compare", SEED, "--sizes", "64,65536", "--out", "out")
    assert list(empty.iterdir()) == []
