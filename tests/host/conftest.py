"""Recordings of several machines, and one whose every number is made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.host.experiments import privilege
from sim.host.machine import HostMachine, Topology
from sim.host.recording import Recording, Round, Series, read_recording

from .constructed import DATA

RECORDINGS = ("zen5-vm", "zen5-vm-busy", "zen5-vm-far", "no-smap", "sandboxed")


def recording_of(name: str) -> Recording:
    return read_recording(DATA / f"{name}.json")


@pytest.fixture(autouse=True)
def turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of a turn of this test's own: what others measure on this host is no matter of it."""
    monkeypatch.setattr(privilege, "_TURN", tmp_path / "turn")
    return tmp_path / "turn"


@pytest.fixture(scope="session")
def quiet() -> Recording:
    return recording_of("zen5-vm")


@pytest.fixture(scope="session")
def busy() -> Recording:
    return recording_of("zen5-vm-busy")


@pytest.fixture(scope="session")
def far() -> Recording:
    return recording_of("zen5-vm-far")


@pytest.fixture(scope="session")
def no_smap() -> Recording:
    return recording_of("no-smap")


@pytest.fixture(scope="session")
def sandboxed() -> Recording:
    return recording_of("sandboxed")


@pytest.fixture
def machine() -> HostMachine:
    model = {"vendor": "GenuineIntel", "family": 6, "model": 143, "model_name": "Xeon", "microcode": "0x1"}
    caches = {"l1_bytes": 48 << 10, "l2_bytes": 2 << 20, "l3_bytes": 100 << 20}
    return HostMachine(
        **model,
        **caches,
        flags=["smap", "erms", "fsrm"],
        kernel="6.12.0",
        vulnerabilities={"meltdown": "Not affected"},
        governor="performance",
        smt=True,
        nodes=2,
        cpus=[Topology(cpu=0, core=0, package=0), Topology(cpu=1, core=1, package=0)],
    )


MadeUp = Callable[..., Recording]


@pytest.fixture
def made_up(machine: HostMachine) -> MadeUp:
    """Make a recording of 6 rounds at 2 ticks per ns and 2 cycles per tick (4 GHz) from ticks per operation."""

    def make(ticks: dict[str, float | list[float | None] | None], **fields: object) -> Recording:
        count = 6
        series = {}
        for name, value in ticks.items():
            values = value if isinstance(value, list) else [value] * count
            series[name] = Series(ticks=values, ratio=[2.0] * count, disturbed=[0] * count)
        return Recording(
            schema=1,
            kind="host-recording",
            origin="made up",
            started="now",
            machine=machine.model_copy(update=fields),
            pair=(0, 1),
            rounds=[Round(ticks_per_ns=2.0, idle=1.0, steal=0.0)] * count,
            series=series,
        )

    return make
