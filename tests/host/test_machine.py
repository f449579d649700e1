"""What the kernel shows of a machine, read from a made-up /proc and /sys; which CPUs measure."""

from __future__ import annotations

import pytest

from sim.host.machine import (
    CpuTimes,
    Topology,
    _hardened_usercopy,
    choose_pair,
    read_machine,
    read_times,
    wait_until_idle,
)

CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Xeon
microcode\t: 0x2b
flags\t\t: fpu smap erms fsrm constant_tsc

processor\t: 1
vendor_id\t: GenuineIntel
"""


@pytest.fixture
def root(tmp_path):
    """A file tree with what `read_machine` looks at."""
    files = {
        "proc/cpuinfo": CPUINFO,
        "proc/sys/kernel/osrelease": "6.12.1\n",
        "sys/devices/system/cpu/vulnerabilities/meltdown": "Mitigation: PTI\n",
        "sys/devices/system/cpu/vulnerabilities/spectre_v2": "Mitigation: Enhanced / Automatic IBRS\n",
        "sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow": "Mitigation: Safe RET\n",
        "sys/devices/system/cpu/smt/active": "1\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
        "sys/devices/system/node/node0/cpulist": "0-1\n",
    }
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "2048K"), ("3", "Unified", "105M")]
    ):
        folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
        files |= {f"{folder}/level": level, f"{folder}/type": kind, f"{folder}/size": size}
    for cpu, core in ((0, 0), (1, 0), (2, 1)):
        folder = f"sys/devices/system/cpu/cpu{cpu}/topology"
        files |= {f"{folder}/core_id": str(core), f"{folder}/physical_package_id": "0"}
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_a_machine_is_read_from_proc_and_sys(root):
    machine = read_machine([0, 1, 2], root)
    assert (machine.vendor, machine.family, machine.model, machine.model_name, machine.microcode) == (
        "GenuineIntel",
        6,
        143,
        "Xeon",
        "0x2b",
    )
    assert machine.flags == ["constant_tsc", "erms", "fsrm", "smap"]
    assert (machine.l1_bytes, machine.l2_bytes, machine.l3_bytes) == (48 << 10, 2 << 20, 105 << 20)
    assert (machine.kernel, machine.governor, machine.smt, machine.nodes) == ("6.12.1", "powersave", True, 1)
    assert (machine.pti, machine.eibrs, machine.safe_ret, machine.virtualised) == (True, True, True, False)


def test_what_a_kernel_does_not_show_is_empty(tmp_path):
    machine = read_machine([3], tmp_path)
    assert (machine.vendor, machine.family, machine.l1_bytes, machine.governor, machine.flags) == ("", 0, 0, "", [])
    assert machine.cpus == [Topology(cpu=3, core=3, package=0)]
    assert (machine.pti, machine.eibrs, machine.safe_ret) == (False, False, False)


def test_the_state_in_the_profile_leaves_out_what_does_not_concern_the_machine(root):
    (root / "sys/devices/system/cpu/vulnerabilities/mds").write_text("Not affected\n")
    state = read_machine([0, 2], root).state((0, 2), "now")
    assert set(state.mitigations) == {"meltdown", "spectre_v2", "spec_rstack_overflow"}
    assert (state.cpus, state.governor, state.microcode) == ([0, 2], "powersave", "0x2b")


@pytest.mark.parametrize(
    ("cpus", "pair"),
    [
        ([(0, 0, 0)], (0, None)),
        ([(0, 0, 0), (1, 0, 0)], (0, None)),  # SMT siblings share a core
        ([(0, 0, 0), (1, 0, 0), (2, 1, 0)], (0, 2)),
        ([(4, 0, 0), (5, 0, 1), (6, 1, 0)], (4, 6)),  # the same socket before another one
        ([(4, 0, 0), (5, 0, 1)], (4, 5)),
    ],
)
def test_lines_are_exchanged_with_another_core_of_the_same_socket_if_there_is_one(machine, cpus, pair):
    topology = [Topology(cpu=cpu, core=core, package=package) for cpu, core, package in cpus]
    assert choose_pair(machine.model_copy(update={"cpus": topology})) == pair


def times(**cpus):
    return CpuTimes({int(name[1:]): tuple(values) for name, values in cpus.items()})


def test_idle_and_stolen_shares_are_those_of_the_worst_cpu():
    before = times(c0=[0] * 8, c1=[0] * 8)
    after = times(c0=[10, 0, 0, 80, 10, 0, 0, 0], c1=[50, 0, 0, 45, 0, 0, 0, 5])
    assert after.idle_since(before, [0, 1]) == 0.45
    assert after.idle_since(before, [0]) == (80 + 10) / 100
    assert after.steal_since(before, [0, 1]) == 5 / 100


def test_a_kernel_that_shows_no_times_counts_as_idle(tmp_path):
    nothing = read_times(tmp_path)
    assert nothing == CpuTimes({})
    assert (nothing.idle_since(nothing, [0]), nothing.steal_since(nothing, [0])) == (1.0, 0.0)


def test_times_are_read_per_cpu(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text("cpu  9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 1 2 3 4\nintr 5\n")
    assert read_times(tmp_path).ticks == {0: (1, 2, 3, 4, 5, 6, 7, 8), 1: (1, 2, 3, 4, 0, 0, 0, 0)}


def test_waiting_ends_when_the_cpus_are_idle_or_patience_is_over():
    def pretend(idle_shares):
        states, total = [times(c0=[0] * 8)], [0, 0]
        for share in idle_shares:
            states.append(states[-1])
            total = [total[0] + 100 * (1 - share), total[1] + 100 * share]
            states.append(times(c0=[total[0], 0, 0, total[1], 0, 0, 0, 0]))
        later = iter(states[1:])
        naps: list[float] = []
        return naps, wait_until_idle([0], 0.9, 0.35, lambda: next(later), naps.append)

    naps, idle = pretend([0.2, 0.5, 0.95, 0.0])
    assert (len(naps), idle) == (3, pytest.approx(0.95))
    naps, idle = pretend([0.2, 0.5, 0.6, 0.7, 0.99])
    assert (len(naps), idle) == (4, pytest.approx(0.7))


@pytest.mark.parametrize(
    ("built", "command_line", "on"),
    [
        ("CONFIG_HARDENED_USERCOPY=y", "quiet", True),
        ("CONFIG_HARDENED_USERCOPY=y", "hardened_usercopy=off", False),
        ("CONFIG_HARDENED_USERCOPY=y\n# CONFIG_HARDENED_USERCOPY_DEFAULT_ON is not set", "quiet", False),
        ("CONFIG_HARDENED_USERCOPY=y\n# CONFIG_HARDENED_USERCOPY_DEFAULT_ON is not set", "hardened_usercopy=on", True),
        ("# CONFIG_HARDENED_USERCOPY is not set", "hardened_usercopy=on", False),
    ],
)
def test_the_boot_parameter_of_hardened_usercopy_wins_where_it_is_built_in(built, command_line, on, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/config-6.12").write_text(built)
    (tmp_path / "proc/cmdline").write_text(command_line)
    assert _hardened_usercopy(tmp_path, "6.12") is on
