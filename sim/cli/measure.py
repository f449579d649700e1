"""The command about the machine that a profile describes: measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from sim.cli import options as opt

if TYPE_CHECKING:
    from sim.config.tables.measurement import Measurements
    from sim.host.profile import Profile
    from sim.host.recording import Recording


@opt.command(
    "measure --out mine/cpus/this-host.yaml",
    "run virtio-user-xdp1-tap --configs mine --set cpu=this-host",
    "measure --tap --out mine/cpus/this-host.yaml --measurements mine/measurements/this-tap.yaml",
    "measure --vhost --set driver.burst=64 --set virtqueue.event_idx=true",
)
def measure(
    out: Annotated[
        Path | None,
        Option("--out", "-o", metavar="FILE", help="where to write the CPU profile; its name is the file's"),
    ] = None,
    recording: Annotated[
        Path | None, Option("--recording", metavar="FILE", help="also write every raw repeat, as JSON")
    ] = None,
    source: Annotated[
        Path | None, Option("--from", metavar="FILE", help="derive everything from this recording instead")
    ] = None,
    ring: Annotated[
        bool, Option("--ring", help="also run a real ring between two cores, beside its prediction")
    ] = False,
    tap: Annotated[
        bool,
        Option("--tap", help="also time writes to a TAP by what becomes of the frame, beside their prediction (root)"),
    ] = False,
    vhost: Annotated[
        bool,
        Option(
            "--vhost", help="also run a driver in front of this kernel's vhost worker, beside its prediction (root)"
        ),
    ] = False,
    sets: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="of --vhost: change a key of scenario vhost-here; repeatable"),
    ] = None,
    measurements: Annotated[
        Path | None,
        Option(
            "--measurements", metavar="FILE", help="of --tap or --vhost: write figures that validate and calibrate read"
        ),
    ] = None,
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
    from sim.config.loading.files import write_whole
    from sim.host.contrasts import contrasts
    from sim.host.measure import DEFAULT_NAME
    from sim.host.measure import measure as measure_host
    from sim.host.serialisation import added_cycles

    opt.checked_file("--out", out)
    opt.checked_file("--recording", recording)
    opt.checked_file("--measurements", measurements)
    if measurements is not None and tap == vhost:
        opt.refuse("takes the figures of one of --tap and --vhost", key="--measurements")
    if sets and not vhost:
        opt.refuse("changes the scenario of --vhost, which is not asked for", key="--set")
    settings, programs = _vhost(sets or [], configs) if vhost else ({}, [])
    name = out.stem if out else DEFAULT_NAME
    with opt.progress() as report:
        raw, profile = measure_host(source, name, configs, report, taps=tap, vhost=programs)
    data: dict[str, Any] = {"schema": 1, "profile": profile.table, "refused": profile.refused}
    data |= {"unstable": profile.unstable, "nearest": profile.nearest, "rounds": len(raw.rounds)}
    data |= {"missing": profile.missing, "differs": profile.differs}
    data["behind"] = [row.to_dict() for row in added_cycles(raw)]
    data["seen"] = [contrast.to_dict() for contrast in contrasts(raw)]
    written = []
    for file, text in ((out, profile.to_yaml()), (recording, raw.to_json())):
        if file is not None:
            write_whole(file, text)
            written.append(file)
    experiments = _experiments(raw, profile, settings, (ring, tap, vhost), configs)
    for experiment in experiments.values():
        data |= experiment.to_dict()
    if measurements is not None:
        cpu = name if out is not None else profile.nearest
        _write_measurements(_figures(experiments, raw, cpu, settings, measurements.stem, configs), measurements)
        written.append(measurements)

    def tables() -> Any:
        from rich.console import Group

        from sim.report.tables import experiments as beside
        from sim.report.tables import host

        draw: dict[str, Any] = {"ring": host.ring_table, "tap": beside.tap_tables, "vhost": beside.vhost_tables}
        return Group(host.profile_tables(raw, profile), *(draw[kind](shown) for kind, shown in experiments.items()))

    def rows() -> Any:
        module = opt.csv_rows()
        of_kind = {"ring": module.ring_rows, "tap": module.tap_rows, "vhost": module.vhost_rows}
        last = next(reversed(experiments), None)
        return module.profile_rows(profile) if last is None else of_kind[last](experiments[last])

    opt.show_data(data, rows, tables)
    for file in written:
        opt.say_written([file])


def _vhost(sets: list[str], configs: Path | None) -> tuple[dict[str, Any], list[dict[str, int]]]:
    """Return the keys that are changed in the scenario of the vhost worker, and what its driver program is told."""
    from sim.config.loading.overrides import assigned
    from sim.study.questions.host_vhost import load_vhost, program_settings

    return assigned(sets), program_settings(load_vhost({}, configs, sets))


def _experiments(
    raw: Recording, profile: Profile, settings: dict[str, Any], asked: tuple[bool, bool, bool], configs: Path | None
) -> dict[str, Any]:
    """Return the reports of the experiments that were asked for, by kind, in the order of their options."""
    ring, tap, vhost = asked
    reports: dict[str, Any] = {}
    if ring:
        from sim.host.measure import check_same_machine
        from sim.study.questions.host_ring import ring_scenario, run_experiment

        check_same_machine(raw)
        with opt.progress() as report:
            reports["ring"] = run_experiment(ring_scenario(profile.table, configs=configs), raw.pair, report)
    if tap:
        from sim.study.questions.host_tap import compare_taps

        reports["tap"] = compare_taps(raw, profile.table, configs)
    if vhost:
        from sim.study.questions.host_vhost import compare_vhost

        reports["vhost"] = compare_vhost(raw, profile.table, settings, configs)
    return reports


def _figures(
    experiments: dict[str, Any], raw: Recording, cpu: str, settings: dict[str, Any], name: str, configs: Path | None
) -> Measurements:
    if "tap" in experiments:
        from sim.study.questions.host_tap import tap_measurements

        return tap_measurements(experiments["tap"], raw, cpu, name, configs)
    from sim.study.questions.host_vhost import vhost_measurements

    return vhost_measurements(experiments["vhost"], cpu, settings, name, configs)


def _write_measurements(figures: Measurements, file: Path) -> None:
    from sim.study.evidence.importing import write_measurements

    write_measurements(figures, file, "`vhost-sim measure`; CPU and kernel are the tables that stand for this host")
