"""The driver program in front of this kernel's vhost worker: runs, windows, and the three sides that have to agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.config.tables.quantity import Strict
from sim.host.experiments.privilege import check_devices, run_program
from sim.host.programs import compiled

#: Windows of each configuration, in a process of its own each, all configurations in turn.
REPEATS = 7
_WINDOW_MS = 200
#: Values of the key `xdp` of vhost.c.
XDP = {"none": 0, "drop": 1, "pass": 2, "xdp1": 3}


class WorkerWindow(Strict):
    """One timed window: packets used in it, time, CPU time of the worker, and its counters where there are any."""

    packets: int = Field(ge=0)
    ns: int = Field(gt=0)
    worker_ns: int = Field(ge=0)
    cycles: int | None
    instructions: int | None
    kicks: int
    core_ghz: float = Field(gt=0)

    @property
    def busy(self) -> float:
        """Share of the time in which the worker ran."""
        return self.worker_ns / self.ns


class Sides(Strict):
    """What each side counted in one stretch: descriptors used, packets of the TAP, runs of the XDP program."""

    used: int
    rx_packets: int
    rx_dropped: int
    tx_packets: int
    xdp_runs: int | None = None
    xdp_counted: int | None = None


class VhostRun(Strict):
    """One process of the driver program: its settings, what the kernel offered, and what was counted and timed."""

    settings: dict[str, int] = Field(description="keys of vhost.c")
    features: int = Field(description="feature bits that were negotiated")
    kernel_thread: bool = Field(description="the worker is a kernel thread (before 6.4), else a thread of the process")
    zerocopy: int = Field(description="experimental_zcopytx; -1: not shown")
    counts: Sides = Field(description="of the stretch before the windows")
    windows: list[WorkerWindow]
    total: Sides = Field(description="of everything after it")
    misplaced: int = Field(0, description="descriptors that came back as others than were posted")

    def disagreement(self) -> str:
        """Return in one line which sides counted differently, or what came back wrong; empty when all agree."""
        for name, sides in (("before the windows", self.counts), ("in all", self.total)):
            seen = expected_sides(self.settings, sides)
            if len(set(seen.values())) > 1:
                return f"{name}, " + ", ".join(f"{count} {side}" for side, count in seen.items())
        return f"{self.misplaced} descriptors came back as others than were posted" if self.misplaced else ""


def expected_sides(settings: Mapping[str, int], sides: Sides) -> dict[str, int]:
    """Return the counts that have to be equal in a configuration, by what was counted.

    An XDP program in its generic form drops packets that no statistic of the TAP counts.
    """
    seen = {"descriptors used": sides.used}
    if settings["receive"]:
        return {**seen, "packets taken from the TAP": sides.tx_packets}
    programs = {"runs of the program": sides.xdp_runs, "packets in its map": sides.xdp_counted}
    drops = settings["xdp"] in (XDP["drop"], XDP["xdp1"])
    if drops and not settings["sndbuf"]:
        seen["drops of the TAP"] = sides.rx_dropped
    elif not drops:
        seen["packets of the TAP"] = sides.rx_packets
    return seen | {name: count for name, count in programs.items() if count is not None}


def check_vhost(settings: Mapping[str, int], pair: tuple[int, int | None]) -> None:
    """Raise ConfigError, with the reason, where this process cannot be the driver of a vhost worker."""
    check_devices("/dev/vhost-net", "/dev/net/tun")
    if pair[1] is None:
        raise ConfigError("measure: driver and worker need a core each (this process may run on one only)")
    run_program(compiled("vhost"), {**settings, **_cpus(pair), "windows": 0})


def run_vhost(
    configurations: Sequence[Mapping[str, int]], pair: tuple[int, int | None], progress: Progress | None = None
) -> list[VhostRun]:
    """Run every configuration `REPEATS` times, in turn; ConfigError where the kernel refuses, or sides disagree."""
    program = compiled("vhost")
    runs = []
    for repeat in range(REPEATS):
        for number, settings in enumerate(configurations):
            if progress is not None:
                share = (repeat + number / len(configurations)) / REPEATS
                progress(share, f"vhost worker, round {repeat + 1}, {settings['size']} B")
            whole = {**settings, **_cpus(pair), "windows": 1, "window_ms": _WINDOW_MS}
            run = read_run(settings, run_program(program, whole))
            if why := run.disagreement():
                raise ConfigError(f"measure: the sides disagree: {why}")
            runs.append(run)
    return runs


def _cpus(pair: tuple[int, int | None]) -> dict[str, int]:
    worker, driver = pair
    return {"worker_cpu": worker, "driver_cpu": worker if driver is None else driver}


def read_run(settings: Mapping[str, int], records: Sequence[Mapping[str, object]]) -> VhostRun:
    """Make one run of the program's records; ConfigError names a kind of record that is missing."""
    by_kind: dict[str, list[dict[str, object]]] = {}
    for record in records:
        fields = {key: value for key, value in record.items() if key != "record"}
        by_kind.setdefault(str(record["record"]), []).append(fields)
    for kind in ("setup", "counts", "total"):
        if kind not in by_kind:
            raise ConfigError(f"measure: the driver program gave no record of its {kind}")
    setup, total = by_kind["setup"][0], by_kind["total"][0]
    sides = Sides.model_fields
    return VhostRun.model_validate(
        {
            "settings": dict(settings),
            **{key: setup[key] for key in ("features", "zerocopy")},
            "kernel_thread": bool(setup["kernel_thread"]),
            "counts": {key: value for key, value in by_kind["counts"][0].items() if key in sides},
            "windows": by_kind.get("window", []),
            "total": {key: value for key, value in total.items() if key in sides},
            "misplaced": total.get("misplaced", 0),
        }
    )
