"""What the emulated machine needs, what it is refused without, and what becomes of what it prints."""

from __future__ import annotations

import gzip
import lzma
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.config.errors import ConfigError
from sim.count import emulator, packages
from sim.count.configurations import configurations
from sim.count.count import check_sides
from sim.count.emulator import find_emulator, find_files
from sim.count.packages import Archive, KernelPackage


@pytest.fixture
def modules(tmp_path):
    """A folder of modules, packed in different ways, and a kernel beside it."""
    below = tmp_path / "lib" / "modules" / "6.1.0" / "kernel" / "drivers"
    (below / "vhost").mkdir(parents=True)
    (below / "vhost" / "vhost.ko.xz").write_bytes(lzma.compress(b"vhost"))
    (below / "vhost" / "vhost_net.ko.gz").write_bytes(gzip.compress(b"net"))
    (below / "tun.ko").write_bytes(b"tun")
    (tmp_path / "vmlinuz").write_bytes(b"")
    return tmp_path


def test_modules_are_found_at_any_depth_in_the_order_in_which_they_are_loaded(modules):
    files = find_files(modules / "vmlinuz", modules / "lib")
    assert list(files) == ["vhost", "tun", "vhost_net"]  # what is built in has no file
    assert [emulator._unpacked(file) for file in files.values()] == [b"vhost", b"tun", b"net"]


@pytest.mark.parametrize(
    ("kernel", "folder", "said"),
    [
        ("none", "lib", r"none: is no file; a bootable kernel \(vmlinuz\) is needed$"),
        ("vmlinuz", "none", "none: is no folder$"),
        ("vmlinuz", "empty", r"empty: has no module vhost\.ko$"),
    ],
)
def test_a_kernel_without_its_files_is_refused(kernel, folder, said, modules):
    (modules / "empty").mkdir()
    with pytest.raises(ConfigError, match=said):
        find_files(modules / kernel, modules / folder)


def test_a_host_without_apt_is_told_what_is_missing(monkeypatch):
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match=r"which needs apt-get, apt-cache, dpkg-deb$"):
        Archive.of_this_host()


def test_another_system_is_told_to_install_the_emulator(monkeypatch, tmp_path):
    monkeypatch.setattr(packages.platform, "freedesktop_os_release", lambda: {"ID": "fedora", "PRETTY_NAME": "Fedora"})
    with pytest.raises(ConfigError, match=r"QEMU is fetched on Debian only \(this is Fedora\); install it$"):
        Archive(tmp_path).fetch_emulator()


@pytest.mark.parametrize(("version", "own"), [("9.1.0", False), ("9.2.0", True), ("10.0.2", True), ("7.2.15", False)])
def test_the_host_s_own_emulator_is_taken_if_it_is_new_enough(version, own, monkeypatch, tmp_path):
    program = tmp_path / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\necho QEMU emulator version {version} '(Debian)'\n")
    program.chmod(0o755)
    monkeypatch.setattr(emulator.shutil, "which", lambda name: str(program))
    monkeypatch.setattr(Archive, "fetch_emulator", lambda self: tmp_path / "fetched")
    assert (find_emulator() == [str(program)]) is own


def test_a_version_is_the_newest_that_begins_so(monkeypatch, tmp_path):
    versions = {"6.1.0-50-amd64": "6.1.99", "6.1.0-55-amd64": "6.1.192", "6.12.95+deb12-amd64": "6.12.95"}
    have = [KernelPackage(release, version) for release, version in versions.items()]
    monkeypatch.setattr(Archive, "_kernels", lambda self: have)
    archive = Archive(tmp_path)
    assert archive.kernel("6.1").version == "6.1.192"
    assert archive.kernel("6.1.99").names == ("linux-image-6.1.0-50-amd64",)
    with pytest.raises(ConfigError, match=r"the archive has no kernel 6\.6; it has 6\.1, 6\.12$"):
        archive.kernel("6.6")


def test_a_build_is_asked_for_by_its_release(monkeypatch, tmp_path):
    """6.1.192 was built three times, and what one build executes is not what is cited of another."""
    have = [KernelPackage(f"6.1.0-{number}-amd64", "6.1.192") for number in (55, 56, 57)]
    monkeypatch.setattr(Archive, "_kernels", lambda self: have)
    archive = Archive(tmp_path)
    assert archive.kernel("6.1.0-56-amd64").names == ("linux-image-6.1.0-56-amd64",)
    assert archive.kernel("6.1.192").release == "6.1.0-55-amd64"
    with pytest.raises(
        ConfigError, match=r"no kernel 6\.1\.0-58-amd64; it has 6\.1\.0-55-amd64, .*-56-amd64, .*-57-amd64$"
    ):
        archive.kernel("6.1.0-58-amd64")


SIDES = {"packets": 64, "used": 64, "rx_dropped": 64, "rx_packets": 0, "tx_packets": 0}


@pytest.mark.parametrize(
    ("name", "stretch"),
    [
        ("tx_xdp_ev0_d1_b1_s64", SIDES),
        ("tx_skb_ev0_d1_b1_s64", SIDES | {"rx_dropped": 0, "rx_packets": 64}),
        ("rx_ev0_mrg1_b1_s64", SIDES | {"rx_dropped": 0, "tx_packets": 64}),
    ],
)
def test_packets_agree_on_three_sides(name, stretch):
    check_sides(configurations()[name], stretch)
    with pytest.raises(ConfigError, match=f"{name}: the sides disagree: packets 64, used 63, "):
        check_sides(configurations()[name], stretch | {"used": 63})


BEHIND = {"packets": 64, "used": 64, "rx_packets": 64, "tx_packets": 64, "port_packets": 64}


@pytest.mark.parametrize("name", ["txn_bridge_dummy_b32_s64", "txn_ovs_veth_b1_s64", "txn_macvtap_veth_b32_s64"])
def test_every_packet_reaches_the_port(name):
    check_sides(configurations()[name], BEHIND)
    check_sides(configurations()[name], BEHIND | {"port_packets": 65})  # one that a bridge sends by itself
    with pytest.raises(ConfigError, match=f"{name}: the sides disagree: .*port_packets 63"):
        check_sides(configurations()[name], BEHIND | {"port_packets": 63})


def test_a_filter_that_drops_and_a_nic_that_sends_later_are_no_port_that_counts():
    for name in ("txn_tcdrop_dummy_b32_s64", "txn_bridge_nic_b32_s64", "txn_frames64_b32_s64"):
        check_sides(configurations()[name], BEHIND | {"port_packets": 0})
    # Before 5.11 a TAP does not count what its program redirects.
    check_sides(configurations()["txn_redirect_nic_b32_s64"], BEHIND | {"rx_packets": 0, "port_packets": 0})


@pytest.mark.parametrize(
    ("command", "loaded"), [("behind=1", ["vhost", "vhost_net", "?bridge"]), ("burst=1", ["vhost", "vhost_net"])]
)
def test_modules_behind_a_tap_are_loaded_where_a_run_needs_them(command, loaded, modules, monkeypatch, tmp_path):
    (modules / "lib" / "bridge.ko").write_bytes(b"")
    (modules / "lib" / "modules" / "6.1.0" / "kernel" / "drivers" / "tun.ko").unlink()
    lines = []
    monkeypatch.setattr(emulator, "find_emulator", lambda: ["qemu"])
    monkeypatch.setattr(emulator, "compiled_from", lambda *given, **options: modules / "vmlinuz")
    monkeypatch.setattr(emulator, "compiled", lambda *given, **options: modules / "vmlinuz")
    monkeypatch.setattr(
        emulator, "run_tool", lambda *given, cwd, **options: lines.append((cwd / "modules/order").read_text())
    )

    def watch(line, console, report):
        lines.append(line)
        return ["kernel 6.1", "done"]

    monkeypatch.setattr(emulator, "_watch", watch)
    monkeypatch.setattr(emulator.shutil, "which", lambda name: name)
    emulator.boot(modules / "vmlinuz", modules / "lib", [("vhost", command)], tmp_path / "out")
    order, line = lines
    assert order == "".join(f"{name}.ko\n" for name in loaded)
    assert ("igb" in line) == command.startswith("behind")


def test_what_a_machine_prints_is_cut_into_runs(tmp_path):
    said = [
        "kernel 6.1.0 #1",
        "run 0 /vhost burst=1",
        "{}",
        "exit 0 0",
        "run 1 /vhost in_order=1",
        "no",
        "exit 1 4",
        "done",
    ]
    first, second = emulator._runs(said, tmp_path, [("vhost", "burst=1"), ("vhost", "in_order=1")])
    assert (first.said, first.status, first.command) == (("{}",), 0, ("vhost", "burst=1"))
    assert (second.said, second.status) == (("no",), 4)
    assert second.counts[1] == tmp_path / "1.1.counts"


def watched(script, tmp_path):
    reports = []
    said = emulator._watch(["sh", "-c", script], tmp_path / "console", lambda *report: reports.append(report))
    assert (tmp_path / "console").read_text().splitlines() == said == [line for _, line in reports]
    return said, [done for done, _ in reports]


def test_what_a_machine_prints_is_kept_and_told(tmp_path):
    assert watched("echo kernel; echo exit 0 0; echo done", tmp_path) == (["kernel", "exit 0 0", "done"], [0, 1, 1])


def test_a_machine_that_fails_gives_its_reason(tmp_path):
    with pytest.raises(ConfigError, match=r"^the emulator stopped: no such machine$"):
        watched("echo kernel; echo no such machine >&2; exit 1", tmp_path)


def test_a_machine_that_hangs_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(emulator, "LONGEST_SILENCE_S", 0.5)
    with pytest.raises(ConfigError, match=r"^the machine hangs: nothing for 0\.5 s behind: run 0 /vhost$"):
        watched("echo run 0 /vhost; exec sleep 30", tmp_path)


def runs(process):
    """Whether a process is there, and not only its exit code."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_machine_is_gone_when_the_command_is_killed(tmp_path):
    code = (
        "from pathlib import Path; from sim.count.emulator import _watch\n"
        "_watch(['sh', '-c', 'echo $$; exec sleep 60'], Path('console'), lambda done, line: print(line, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        machine = int(command.stdout.readline())
        os.kill(machine, 0)
        command.kill()
    deadline = time.monotonic() + 5
    while runs(machine) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(machine)


@pytest.mark.parametrize(
    ("said", "last"),
    [
        ([], "it said nothing"),
        (["kernel 6.1.0 #1", "init: /modules/vhost.ko: No such file", "reboot: Power down"], "init: /modules/vhost.ko"),
        (["Kernel panic - not syncing: no init"], "Kernel panic - not syncing"),
    ],
)
def test_a_machine_that_stops_early_is_quoted(said, last, tmp_path):
    with pytest.raises(ConfigError, match=f"the machine did not come to its end: {last}"):
        emulator._kernel_name(said, tmp_path / "console")
