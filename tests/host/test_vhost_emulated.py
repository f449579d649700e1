"""The driver program in front of a real vhost worker, under emulation: all sides agree, whatever is negotiated."""

from __future__ import annotations

import shutil

import pytest

from sim.config.errors import ConfigError
from sim.count import emulator, packages
from sim.host.experiments.privilege import parse_records
from sim.host.experiments.vhost import expected_sides, read_run
from sim.host.profile import build_profile
from sim.host.recording import read_recording
from sim.study.questions.host_vhost import compare_vhost, load_vhost, program_settings

from .constructed import DATA
from .emulated import with_runs

pytestmark = pytest.mark.deep

#: The worker is a kernel thread before 6.4, and a thread of the driver's process since.
KERNELS = {"6.1.192": True, "6.12.95": False}
CHECKED = 256
#: Keys of the scenario that change what is negotiated, or what becomes of a packet.
CHANGED: dict[str, dict[str, object]] = {
    "drop": {},
    "program": {"backend.program_instructions": 36},
    "pass": {"backend.kind": "tap-xdp-pass"},
    "no program": {"backend.kind": "tap-skb"},
    "generic": {"device.sndbuf_limited": True},
    "event index": {"virtqueue.event_idx": True},
    "indirect": {"virtqueue.indirect": True, "virtqueue.descriptors_per_packet": 2},
    "two descriptors": {"virtqueue.descriptors_per_packet": 2},
    "iotlb": {"virtqueue.iotlb": True},
    "large": {"virtqueue.size": 1024, "driver.burst": 64, "traffic.packet_bytes": 1518},
    "receive": {"device.direction": "rx"},
    "receive, large": {"device.direction": "rx", "virtqueue.size": 4096, "traffic.packet_bytes": 1518},
    "not mergeable": {"device.direction": "rx", "receive.mergeable": False},
}


def settings_of(name: str) -> dict[str, int]:
    return program_settings(load_vhost({"traffic.packet_bytes": 64, **CHANGED[name]}))[0]


@pytest.fixture(scope="module", params=KERNELS)
def emulated(request, tmp_path_factory):
    """Every run under emulation by its name, in one boot; skipped where kernel or emulator cannot be had."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: kernels and QEMU come from Debian's archive")
    try:
        archive = packages.Archive.of_this_host()
        place = archive.fetch_kernel(archive.kernel(request.param))
        emulator.find_emulator()
    except ConfigError as error:
        pytest.skip(f"no kernel or QEMU to be had: {error}")
    places = {"driver_cpu": 0, "worker_cpu": 1, "check": CHECKED, "windows": 2, "window_ms": 50}
    every = {name: settings_of(name) for name in CHANGED}
    commands = [
        ["vhost", *(f"{key}={value}" for key, value in {**settings, **places}.items())] for settings in every.values()
    ]
    kernel = next(iter(place.rglob("vmlinuz*")))
    booted = emulator.boot(kernel, place, commands, tmp_path_factory.mktemp("emulated"))
    assert [run.status for run in booted.runs] == [0] * len(commands)
    records = [parse_records("\n".join(line for line in run.said if line.startswith("{"))) for run in booted.runs]
    # A kernel thread is the kernel's; else it is nobody's, as who made it.
    users = {record["user"] for lines in records for record in lines if record["record"] == "setup"}
    assert users == ({0} if KERNELS[request.param] else {65534})
    runs = {name: read_run(every[name], lines) for name, lines in zip(every, records, strict=True)}
    assert {run.kernel_thread for run in runs.values()} == {KERNELS[request.param]}
    return runs


@pytest.mark.parametrize("name", CHANGED)
def test_every_side_counts_the_same_packets(emulated, name):
    run = emulated[name]
    assert run.disagreement() == ""
    counted = expected_sides(run.settings, run.counts)
    assert set(counted.values()) == {CHECKED}
    two_sides = ("receive", "receive, large", "not mergeable", "no program", "generic")
    assert len(counted) == (2 if name in two_sides else 4 if name == "program" else 3)
    assert run.total.used > 0
    assert len(run.windows) == 2


def test_what_the_emulated_worker_did_stands_beside_its_prediction(emulated):
    recording = with_runs(read_recording(DATA / "zen5-vm.json"), [emulated["drop"]])
    report = compare_vhost(recording, build_profile(recording, "here").table, {"traffic.packet_bytes": 64})
    (point,) = report.comparisons
    assert report.counted == CHECKED + emulated["drop"].total.used
    assert point.rate.measured is not None
    assert point.rate.verdict.startswith("refused: only 2 repeats")
