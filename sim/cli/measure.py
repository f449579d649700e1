"""The command about the machine that a profile describes: measure."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from sim.cli import options as opt

if TYPE_CHECKING:
    from sim.config.tables.measurement import Measurements
    from sim.host.profile import Profile
    from sim.host.recording import Recording

_Out = Annotated[
    Path | None,
    Option("--out", "-o", metavar="FILE", help="where to write the CPU profile; its name is the file's"),
]
_Recorded = Annotated[Path | None, Option("--recording", metavar="FILE", help="also write every raw repeat, as JSON")]
_Source = Annotated[Path | None, Option("--from", metavar="FILE", help="derive everything from this recording instead")]
_Ring = Annotated[bool, Option("--ring", help="also run a real ring between two cores, beside its prediction")]
_Tap = Annotated[
    bool,
    Option("--tap", help="also time writes to a TAP by what becomes of the frame, beside their prediction (root)"),
]
_Vhost = Annotated[
    bool,
    Option("--vhost", help="also run a driver in front of this kernel's vhost worker, beside its prediction (root)"),
]
_Sets = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", help="of --vhost: change a key of scenario vhost-here; repeatable"),
]
_Figures = Annotated[
    Path | None,
    Option(
        "--measurements",
        metavar="FILE",
        help="of --tap or --vhost: write figures of the profile of --out that validate and calibrate read",
    ),
]


@opt.command(
    "measure --out mine/cpus/this-host.yaml",
    "run virtio-user-xdp1-tap --configs mine --set cpu=this-host",
    "measure --tap --out mine/cpus/this-host.yaml --measurements mine/measurements/this-tap.yaml",
    "measure --vhost --set driver.burst=64 --set virtqueue.event_idx=true",
)
def measure(
    out: _Out = None,
    recording: _Recorded = None,
    source: _Source = None,
    ring: _Ring = False,
    tap: _Tap = False,
    vhost: _Vhost = False,
    sets: _Sets = None,
    measurements: _Figures = None,
    configs: opt.Configs = None,
) -> None:
    """Measure this host, unprivileged and in under a minute, and write a CPU profile that any scenario can name.

    As root it also times returns in the kernel, by a TAP in a network namespace of its own.

    What cannot be measured, what was refused as impossible and what was unstable is said; the profile takes it from the
    nearest shipped table. Leave the machine alone meanwhile. --ring takes up to another minute; where repeats disagree
    it refuses to compare, by name.

    --tap and --vhost need root, which their programs give up before they time anything; devices, XDP programs and
    the namespace that they stand in are gone afterwards, however it ends.
    """
    from sim.host.measure import DEFAULT_NAME

    for option, file in (("--out", out), ("--recording", recording), ("--measurements", measurements)):
        opt.checked_file(option, file)
    _check_together(out, measurements, sets, tap, vhost)
    wanted = _Wanted(ring, tap, vhost, tuple(sets or ()), configs)
    answer = _measured(wanted, source, out.stem if out else DEFAULT_NAME)
    figures = None if measurements is None else _figures(wanted, answer, measurements.stem)
    written = _write(answer, out, recording, figures, measurements)
    opt.show_data(answer.to_dict(), answer.rows, answer.tables)
    for file in written:
        opt.say_written([file])


def _check_together(
    out: Path | None, measurements: Path | None, sets: list[str] | None, tap: bool, vhost: bool
) -> None:
    """Refuse options that make no sense without others."""
    if measurements is not None and tap == vhost:
        opt.refuse("takes the figures of one of --tap and --vhost", key="--measurements")
    if measurements is not None and out is None:
        opt.refuse("names the CPU profile of this host, which --out writes; give both", key="--measurements")
    if sets and not vhost:
        opt.refuse("changes the scenario of --vhost, which is not asked for", key="--set")


@dataclass(frozen=True)
class _Wanted:
    """The experiments that are asked for, changes of the scenario of `vhost`, and where tables are looked for."""

    ring: bool
    tap: bool
    vhost: bool
    sets: tuple[str, ...]
    configs: Path | None

    def settings(self) -> dict[str, Any]:
        """Return the keys that are changed in the scenario of the vhost worker."""
        from sim.config.loading.overrides import assigned

        return assigned(self.sets)

    def programs(self) -> list[dict[str, int]]:
        """Return what the driver program of the vhost worker is told, for every packet size."""
        if not self.vhost:
            return []
        from sim.study.questions.host_vhost import load_vhost, program_settings

        return program_settings(load_vhost({}, self.configs, self.sets))


@dataclass(frozen=True)
class _Answer:
    """What was measured and derived, and the reports of the experiments by kind, in the order of their options."""

    raw: Recording
    profile: Profile
    experiments: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        from sim.host.contrasts import contrasts
        from sim.host.serialisation import added_cycles

        profile = self.profile
        data: dict[str, Any] = {
            "schema": 1,
            "profile": profile.table,
            "refused": profile.refused,
            "unstable": profile.unstable,
            "nearest": profile.nearest,
            "rounds": len(self.raw.rounds),
            "missing": profile.missing,
            "differs": profile.differs,
            "behind": [row.to_dict() for row in added_cycles(self.raw)],
            "seen": [contrast.to_dict() for contrast in contrasts(self.raw)],
        }
        for experiment in self.experiments.values():
            data |= experiment.to_dict()
        return data

    def rows(self) -> Any:
        """Return the rows of the last experiment, or else of the profile."""
        module = opt.csv_rows()
        of_kind = {"ring": module.ring_rows, "tap": module.tap_rows, "vhost": module.vhost_rows}
        last = next(reversed(self.experiments), None)
        return module.profile_rows(self.profile) if last is None else of_kind[last](self.experiments[last])

    def tables(self) -> Any:
        """Return the tables of everything."""
        from rich.console import Group

        from sim.report.tables import experiments as beside
        from sim.report.tables import host

        draw: dict[str, Any] = {"ring": host.ring_table, "tap": beside.tap_tables, "vhost": beside.vhost_tables}
        drawn = (draw[kind](shown) for kind, shown in self.experiments.items())
        return Group(host.profile_tables(self.raw, self.profile), *drawn)


def _measured(wanted: _Wanted, source: Path | None, name: str) -> _Answer:
    """Measure, or read a recording, and lay the experiments that are asked for beside their predictions."""
    from sim.host.experiments.privilege import one_at_a_time
    from sim.host.measure import check_host
    from sim.host.measure import measure as measure_host

    programs = wanted.programs()
    if source is None:
        check_host(wanted.tap, wanted.vhost)
    with one_at_a_time() if source is None else nullcontext():
        with opt.progress() as report:
            raw, profile = measure_host(source, name, wanted.configs, report, taps=wanted.tap, vhost=programs)
        return _Answer(raw, profile, _experiments(wanted, raw, profile))


def _experiments(wanted: _Wanted, raw: Recording, profile: Profile) -> dict[str, Any]:
    reports: dict[str, Any] = {}
    if wanted.ring:
        from sim.host.measure import check_same_machine
        from sim.study.questions.host_ring import ring_scenario, run_experiment

        check_same_machine(raw)
        with opt.progress() as report:
            scenario = ring_scenario(profile.table, configs=wanted.configs)
            reports["ring"] = run_experiment(scenario, raw.pair, report)
    if wanted.tap:
        from sim.study.questions.host_tap import compare_taps

        reports["tap"] = compare_taps(raw, profile.table, wanted.configs)
    if wanted.vhost:
        from sim.study.questions.host_vhost import compare_vhost

        reports["vhost"] = compare_vhost(raw, profile.table, wanted.settings(), wanted.configs)
    return reports


def _figures(wanted: _Wanted, answer: _Answer, name: str) -> Measurements:
    """Return the measurement file of the experiment, which names the profile."""
    cpu = answer.profile.table["name"]
    if wanted.tap:
        from sim.study.questions.host_tap import tap_measurements

        return tap_measurements(answer.experiments["tap"], answer.raw, cpu, name, wanted.configs)
    from sim.study.questions.host_vhost import vhost_measurements

    return vhost_measurements(answer.experiments["vhost"], cpu, wanted.settings(), name, wanted.configs)


def _write(
    answer: _Answer, out: Path | None, recording: Path | None, figures: Measurements | None, measurements: Path | None
) -> list[Path]:
    """Write the files that are asked for, now that nothing can refuse any more, and return them."""
    from sim.config.loading.files import write_whole
    from sim.study.evidence.importing import write_measurements

    written = []
    for file, text in ((out, answer.profile.to_yaml()), (recording, answer.raw.to_json())):
        if file is not None:
            write_whole(file, text)
            written.append(file)
    if figures is not None and measurements is not None:
        made_by = "`vhost-sim measure`; CPU and kernel are the tables that stand for this host"
        write_measurements(figures, measurements, made_by)
        written.append(measurements)
    return written
