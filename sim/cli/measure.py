"""The command about the machine that a profile describes: measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from sim.cli import options as opt


@opt.command("measure --out mine/cpus/this-host.yaml", "run virtio-user-xdp1-tap --configs mine --set cpu=this-host")
def measure(
    out: Annotated[
        Path | None,
        Option("--out", "-o", metavar="FILE", help="where to write the CPU profile; its name is the file's"),
    ] = None,
    recording: Annotated[
        Path | None, Option("--recording", metavar="FILE", help="also write every raw repeat, as JSON")
    ] = None,
    source: Annotated[
        Path | None, Option("--from", metavar="FILE", help="derive the profile from this recording instead")
    ] = None,
    ring: Annotated[
        bool, Option("--ring", help="also run a real ring between two cores, beside its prediction")
    ] = False,
    configs: opt.Configs = None,
) -> None:
    """Measure this host, unprivileged and in under a minute, and write a CPU profile that any scenario can name.

    As root it also times returns in the kernel, by a TAP in a network namespace of its own.

    What cannot be measured, what was refused as impossible and what was unstable is said; the profile takes it from the
    nearest shipped table. Leave the machine alone meanwhile. --ring takes up to another minute; where repeats disagree
    it refuses to compare, by name.
    """
    from sim.config.loading.files import write_whole
    from sim.host.contrasts import contrasts
    from sim.host.measure import DEFAULT_NAME, check_same_machine
    from sim.host.measure import measure as measure_host
    from sim.host.serialisation import added_cycles
    from sim.study.questions.host_ring import ring_scenario, run_experiment

    opt.checked_file("--out", out)
    opt.checked_file("--recording", recording)
    with opt.progress() as report:
        raw, profile = measure_host(source, out.stem if out else DEFAULT_NAME, configs, report)
    data: dict[str, Any] = {"schema": 1, "profile": profile.table, "refused": profile.refused}
    data |= {"unstable": profile.unstable, "nearest": profile.nearest, "rounds": len(raw.rounds)}
    data["missing"] = profile.missing
    data["behind"] = [row.to_dict() for row in added_cycles(raw)]
    data["seen"] = [contrast.to_dict() for contrast in contrasts(raw)]
    written = []
    for file, text in ((out, profile.to_yaml()), (recording, raw.to_json())):
        if file is not None:
            write_whole(file, text)
            written.append(file)
    compared = None
    if ring:
        check_same_machine(raw)
        scenario = ring_scenario(profile.table, configs=configs)
        with opt.progress() as report:
            compared = run_experiment(scenario, raw.pair, report)
        data |= compared.to_dict()

    def tables() -> Any:
        from rich.console import Group

        from sim.report.tables import host

        shown = [host.profile_tables(raw, profile)]
        return Group(*shown, *([host.ring_table(compared)] if compared is not None else []))

    def rows() -> Any:
        return opt.csv_rows().profile_rows(profile) if compared is None else opt.csv_rows().ring_rows(compared)

    opt.show_data(data, rows, tables)
    for file in written:
        opt.say_written([file])
