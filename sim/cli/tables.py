"""Commands about tables and the machine that they describe: measure, compare-cpu, list, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Exit, Option

from sim.cli import options as opt

KINDS = {
    "cpus": ("cpu",),
    "kernels": ("kernel",),
    "implementations": ("implementation",),
    "access": ("access",),
    "scenarios": ("scenario",),
    "calibrations": ("calibration",),
    "studies": ("calibration-study", "sensitivity", "sweep"),
    "measurements": ("measurement",),
    "defaults": ("defaults",),
}


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
    data |= {"missing": profile.missing, "differs": profile.differs}
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


@opt.command("compare-cpu zen4 zen5", name="compare-cpu")
def compare_cpu(
    first: Annotated[str, Argument(metavar="A", help="name of a CPU (see `list cpus`) or a YAML file")],
    second: Annotated[str, Argument(metavar="B", help="another one")],
    scenario: Annotated[
        str, Option("--scenario", metavar="SCENARIO", help="the scenario that entries are weighed by")
    ] = "virtio-user-xdp1-tap",
    access: opt.OneAccess = None,
    size: opt.OneSize = None,
    configs: opt.Configs = None,
) -> None:
    """Show two CPU tables side by side, the entries that differ most for a scenario first.

    Each entry is replaced alone and the scenario simulated: "ns/packet" is what a packet then takes more.
    """
    from sim.study.questions.cpus import compare_cpus

    opt.only_one("compare-cpu", access)
    short = {"access": access, "size": size}
    with opt.progress() as report, opt.named_as_given(**short):
        comparison = compare_cpus(first, second, scenario, opt.overrides(None, **short), configs, report)

    def tables() -> Any:
        from sim.report.tables.catalogue import cpu_table

        return cpu_table(comparison)

    opt.show_data(comparison.to_dict(), lambda: opt.csv_rows().cpu_rows(comparison), tables)


@opt.command("list cpus", "list scenarios --format md", name="list")
def list_tables(
    kinds: Annotated[str, Argument(metavar="|".join(KINDS), help="kind of table")],
    configs: opt.Configs = None,
) -> None:
    """List the tables that can be named, shipped and your own."""
    from sim.report.tables.catalogue import listings
    from sim.study.catalogue import list_tables as listed

    opt.one_of("list", kinds, tuple(KINDS))
    by_kind = {kind: listed(kind, configs) for kind in KINDS[kinds]}
    named = sorted((table for tables in by_kind.values() for table in tables), key=lambda table: table.name)
    data = {"schema": 1, kinds: [table.to_dict() for table in named]}
    opt.show_data(data, lambda: opt.csv_rows().listing_rows(by_kind), lambda: listings(by_kind))


@opt.command("check", "check mine/cpus/this-host.yaml --guesses")
def check(
    tables: Annotated[list[str] | None, Argument(metavar="FILE", help="files or names (default: every table)")] = None,
    guesses: Annotated[bool, Option("--guesses", help="list the entries graded `guess`, too")] = False,
    configs: opt.Configs = None,
) -> None:
    """Audit tables: missing or guessed entries, ranges that do not hold their value, neighbours out of order.

    Exit code 2 when a table has an error, 0 otherwise (warnings are for you to judge).
    """
    from sim.report.tables.catalogue import findings
    from sim.study.catalogue import check as check_tables

    checked = check_tables(tables or (), configs)
    opt.show_data(
        checked.to_dict(),
        lambda: opt.csv_rows().finding_rows(checked),
        lambda: findings(checked, guesses, "--guesses lists them"),
    )
    if checked.of("error"):
        raise Exit(2)
