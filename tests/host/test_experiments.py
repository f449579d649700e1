"""Experiments that need root: refusals, one at a time, what the programs print, and the sides that agree."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sim.config.errors import ConfigError
from sim.count import emulator
from sim.host import measure
from sim.host.experiments import privilege, taps, vhost
from sim.host.experiments.symbols import kernel_symbols
from sim.host.programs import SOURCES, Reading, compiled, compiled_from
from sim.host.ring import run_rings

from .emulated import quiet, recorded

ROOT = pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/net/tun").exists(), reason="needs root and /dev/net/tun")


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_missing_device_is_one_line():
    with pytest.raises(ConfigError, match=r"^measure: this kernel has no /dev/no-such-device$"):
        privilege.check_devices("/dev/null", "/dev/no-such-device")


def test_somebody_else_than_root_is_refused(monkeypatch):
    monkeypatch.setattr(privilege.os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match=r"^measure: root is needed \("):
        privilege.check_devices("/dev/null")


def holding(turn, *before):
    """Start a process that holds a turn."""
    code = "import time\nfrom pathlib import Path\nfrom sim.host.experiments import privilege\n"
    code += f"privilege._TURN = Path({str(turn)!r})\n"
    code += "with privilege.one_at_a_time():\n    print('held', flush=True)\n    time.sleep(60)\n"
    other = subprocess.Popen([*before, sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


ELSEWHERE = [
    (),
    pytest.param(
        ("unshare", "--net"), marks=[ROOT, pytest.mark.skipif(not shutil.which("unshare"), reason="no unshare")]
    ),
]


@pytest.mark.parametrize("before", ELSEWHERE, ids=["here", "in another network namespace"])
def test_a_second_experiment_on_this_host_is_refused_until_the_first_is_gone(turn, before):
    with holding(turn, *before) as other:
        with pytest.raises(ConfigError, match="another experiment is running here"), privilege.one_at_a_time():
            pass
        other.kill()
    with privilege.one_at_a_time():
        pass


def test_what_holds_the_turn_takes_it_again_and_an_error_gives_it_back(turn):
    with pytest.raises(BlockingIOError), privilege.one_at_a_time(), privilege.one_at_a_time():
        raise BlockingIOError
    with holding(turn) as other:
        other.kill()


@ROOT
def test_a_turn_that_somebody_else_made_is_everybody_s(turn):
    turn.parent.chmod(0o1777)
    with privilege.one_at_a_time():
        pass
    os.chown(turn, 65534, 65534)
    with privilege.one_at_a_time():
        pass
    assert turn.stat().st_mode & 0o777 == 0o444


def test_a_turn_that_is_a_link_is_not_followed(turn):
    turn.symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match=r"turn cannot be locked: "), privilege.one_at_a_time():
        pass


@pytest.mark.parametrize("arguments", [{}, {"taps": True}, {"vhost": [{"size": 64}]}], ids=["plain", "tap", "vhost"])
def test_every_measurement_takes_the_turn(turn, arguments, monkeypatch):
    monkeypatch.setattr(measure, "check_devices", lambda *devices: None)
    with holding(turn) as other:
        with pytest.raises(ConfigError, match="another experiment is running here"):
            measure.record(**arguments)
        other.kill()


def test_the_ring_takes_the_turn(turn):
    with holding(turn) as other:
        with pytest.raises(ConfigError, match="another experiment is running here"):
            run_rings([], (0, 1))
        other.kill()


def test_one_core_is_not_enough_for_driver_and_worker(monkeypatch):
    monkeypatch.setattr(vhost, "check_devices", lambda *devices: None)
    with pytest.raises(ConfigError, match="driver and worker need a core each"):
        vhost.check_vhost({"size": 64}, (0, None))


# -- what the programs print -------------------------------------------------------------------------------------------


def program(tmp_path, text):
    """A program of two lines of shell."""
    file = tmp_path / "program"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def test_records_are_read_and_settings_are_arguments(tmp_path):
    records = privilege.run_program(program(tmp_path, 'echo "{\\"record\\": \\"$1 $2\\"}"'), {"size": 64, "way": 5})
    assert records == [{"record": "size=64 way=5"}]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('echo "vhost: an XDP program: Operation not permitted" >&2; exit 3', "measure: vhost: an XDP program: Oper"),
        ("exit 3", "measure: program ended with 3"),
        ("echo nonsense", "measure: an experiment answered 'nonsense'"),
        ("echo '{}'", "measure: an experiment answered '{}'"),
        ("sleep 5", "measure: an experiment did not end within 0.2 s"),
    ],
)
def test_what_goes_wrong_with_a_program_is_one_line(tmp_path, text, sentence):
    with pytest.raises(ConfigError) as error:
        privilege.run_program(program(tmp_path, text), {}, limit_s=0.2 if "sleep" in text else 60)
    assert str(error.value).startswith(sentence)


def test_a_run_without_a_record_of_its_counts_is_refused():
    with pytest.raises(ConfigError, match="gave no record of its counts"):
        vhost.read_run({}, [{"record": "setup", "features": 0, "kernel_thread": 1, "zerocopy": 0}])


# -- the sides of a run ------------------------------------------------------------------------------------------------

SIDES = vhost.Sides(used=100, rx_packets=0, rx_dropped=100, tx_packets=0, xdp_runs=100)
NATIVE = {"descriptors used", "drops of the TAP", "runs of the program"}
DROP = {"receive": 0, "xdp": 1, "sndbuf": 0}


@pytest.mark.parametrize("name", ["noisy", "no-smap"])
def test_three_sides_agree_in_every_run_in_front_of_a_real_worker(name):
    runs = recorded(name)
    assert len(runs) == 7 * 6
    for run in runs:
        assert run.counts.used == run.counts.rx_dropped == run.counts.xdp_runs == 256
        assert run.total.used == run.total.rx_dropped > 256
        assert run.disagreement() == ""


@pytest.mark.parametrize(
    ("settings", "changed", "names"),
    [
        (DROP, {}, NATIVE),
        ({**DROP, "xdp": 3}, {"xdp_counted": 100}, {*NATIVE, "packets in its map"}),
        ({**DROP, "xdp": 2}, {"rx_packets": 100}, {"descriptors used", "packets of the TAP", "runs of the program"}),
        ({**DROP, "xdp": 0}, {"rx_packets": 100, "xdp_runs": None}, {"descriptors used", "packets of the TAP"}),
        ({**DROP, "sndbuf": 1 << 20}, {"rx_dropped": 0}, {"descriptors used", "runs of the program"}),
        (
            {**DROP, "receive": 1, "xdp": 0},
            {"tx_packets": 100, "xdp_runs": 0},
            {"descriptors used", "packets taken from the TAP"},
        ),
    ],
    ids=["drop", "xdp1", "pass", "no program", "generic", "receive"],
)
def test_which_sides_have_to_agree_depends_on_what_becomes_of_the_packet(settings, changed, names):
    seen = vhost.expected_sides(settings, SIDES.model_copy(update=changed))
    assert seen == dict.fromkeys(names, 100)


def test_a_side_that_counts_otherwise_is_named():
    (run, *_) = quiet()
    wrong = run.model_copy(update={"total": run.total.model_copy(update={"rx_dropped": 7})})
    assert wrong.disagreement() == f"in all, {run.total.used} descriptors used, 7 drops of the TAP"


def test_descriptors_that_come_back_as_others_are_a_disagreement():
    (run, *_) = quiet()
    assert (
        run.model_copy(update={"misplaced": 3}).disagreement() == "3 descriptors came back as others than were posted"
    )


# -- writes to a TAP ---------------------------------------------------------------------------------------------------

KALLSYMS = """0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000100 t tun_get_user
ffffffff81000200 t tun_build_skb.constprop.0
ffffffff81000300 T _einittext
ffffffff82000000 B _end
ffffffffc0000000 t bpf_prog_6deef7357e7b4530_drop\t[bpf]
ffffffffc0100000 t vhost_poll\t[vhost]
"""
MODULES = "vhost 4096 1 vhost_net, Live 0xffffffffc0100000\n"


def test_samples_are_counted_by_the_function_that_holds_them(tmp_path):
    (tmp_path / "kallsyms").write_text(KALLSYMS)
    (tmp_path / "modules").write_text(MODULES)
    symbols = kernel_symbols(tmp_path / "kallsyms", tmp_path / "modules")
    in_kernel = ("ffffffff81000100", "ffffffff810001ff", "ffffffff81000210", "ffffffffc0100010")
    counted = taps.count_functions((*in_kernel, "ffffffffa0000000", "ffffffffc0000004", "ffffffffc0101000"), symbols)
    assert counted == {"bpf_prog": 3, "tun_get_user": 2, "tun_build_skb": 1, "vhost_poll": 1}


@ROOT
def test_the_running_kernel_s_symbols_are_read():
    symbols = kernel_symbols()
    listed = (line.split() for line in Path("/proc/kallsyms").read_text().splitlines())
    address = next(int(words[0], 16) for words in listed if words[2] == "tun_get_user")
    assert symbols.function(address + 1) == "tun_get_user"
    assert symbols.function(2**64 - 1) == "bpf_prog"


def test_symbols_that_the_kernel_hides_are_said(tmp_path):
    (tmp_path / "kallsyms").write_text("0000000000000000 T _text\n0000000000000000 t tun_get_user\n")
    with pytest.raises(ConfigError, match="kptr_restrict"):
        kernel_symbols(tmp_path / "kallsyms")


def test_the_middle_of_several_passes_is_kept():
    def reading(ticks):
        return Reading(ticks, 1.0, 0)

    passes = [reading(ticks) for ticks in (5.0, 1.0, 3.0, 9.0, 4.0, None)]
    assert [kept.ticks for kept in measure.middle_pass(passes, 2)] == [4.0, None]


def interfaces() -> set[str]:
    return {folder.name for folder in Path("/sys/class/net").iterdir()}


def namespaces() -> set[str]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.add(os.readlink(process / "ns/net"))
        except OSError:
            continue
    return found


@ROOT
def test_every_way_is_written_and_nothing_is_left():
    before = interfaces(), namespaces()
    for number, _ in enumerate(taps.WAYS):
        records = privilege.run_program(compiled("writes"), {"way": number, "writes": 10})
        assert [(record["k"], record["writes"]) for record in records] == [(0, 10), (1, 20)]
    assert wait_for(lambda: interfaces() == before[0] and not namespaces() - before[1])


@ROOT
def test_a_frame_that_the_tap_does_not_take_is_one_line_and_nothing_is_left():
    before = interfaces(), namespaces()
    with pytest.raises(ConfigError, match="out of range"):
        privilege.run_program(compiled("writes"), {"way": 5, "size": 13})
    assert wait_for(lambda: interfaces() == before[0] and not namespaces() - before[1])


@ROOT
@pytest.mark.parametrize(("frames", "size"), [(64, 64), (4096, 64), (4096, 1518), (4096, 4084)])
def test_a_tap_holds_as_many_frames_as_the_ring_has_buffers(frames, size):
    sources = [Path(__file__).parent / "queue.c", SOURCES / "tun.c"]
    program = compiled_from("test-queue", sources, ("-O2", f"-I{SOURCES}"))
    done = subprocess.run([program, str(frames), str(size)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(frames), str(frames)]


def wait_for(condition, limit_s=10.0):
    """Whether a condition came true in time."""
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@ROOT
def test_a_program_gives_root_up_and_dies_with_its_parent():
    before = namespaces()
    code = f"import subprocess\nsubprocess.run([{str(compiled('writes'))!r}, 'way=5', 'ms=60000'])\n"
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert wait_for(lambda: children(parent.pid))
        (child,) = children(parent.pid)
        assert wait_for(lambda: status(child, "Uid") == ["65534"] * 4)
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status(child, capabilities)[0], 16) == 0
        assert status(child, "NoNewPrivs") == ["1"]
        assert namespaces() - before
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert wait_for(lambda: not Path(f"/proc/{child}").exists())
    assert wait_for(lambda: not namespaces() - before)


def test_a_program_whose_parent_is_gone_already_does_not_begin():
    for name, arguments in (
        ("writes", ["way=0", "writes=1"]),
        ("bench", ["0", "-1"]),
        ("ring", ["0", "1", "256", "32", "64", "64", "0", "32", "10"]),
    ):
        environment = {**os.environ, "VHOST_SIM_PARENT": "1"}  # this process is another
        done = subprocess.run(
            [compiled(name), *arguments], env=environment, input="", capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (3, ""), name


def test_an_emulator_whose_parent_is_gone_already_does_not_begin():
    child = os.fork()
    if not child:
        emulator._die_with_parent(os.getpid())  # a parent that is not this process's
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@ROOT
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_capabilities_of_somebody_else_than_root_are_given_up(tmp_path_factory):
    with tempfile.TemporaryDirectory() as folder:  # where nobody may look, too
        os.chmod(folder, 0o755)
        program = shutil.copy(compiled("writes"), folder)
        who = ("--reuid", "65534", "--regid", "65534", "--clear-groups")
        capable = ("--inh-caps", "+net_admin,+sys_ptrace", "--ambient-caps", "+net_admin,+sys_ptrace")
        with subprocess.Popen(["setpriv", *who, *capable, program, "way=0", "writes=16777216"]) as running:
            try:
                assert wait_for(lambda: status(running.pid, "NoNewPrivs") == ["1"])
                for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    assert int(status(running.pid, capabilities)[0], 16) == 0
            finally:
                running.kill()


def threads(pid: int) -> list[int]:
    return [int(folder.name) for folder in Path(f"/proc/{pid}/task").iterdir()]


@ROOT
def test_every_thread_of_the_benchmarks_gives_root_up():
    with subprocess.Popen([compiled("bench"), "0", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bench:
        assert bench.stdout is not None
        assert bench.stdout.readline().startswith(b"ready ")
        assert len(threads(bench.pid)) == 2
        for thread in threads(bench.pid):
            assert status(thread, "Uid") == status(thread, "Gid") == ["65534"] * 4
            assert (status(thread, "Groups"), int(status(thread, "CapPrm")[0], 16)) == ([], 0)
        bench.kill()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status(pid: int, key: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{key}:"))
