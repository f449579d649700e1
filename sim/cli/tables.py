"""Commands about tables: compare-cpu, list, check, init."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Exit, Option

from sim.cli import options as opt
from sim.cli import output
from sim.cli.completing import tables as names
from sim.cli.completing import words

#: What can be listed, and the kinds of table that it is: those of the catalogue, which takes long to import.
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

#: What can be begun, and what is asked of it once it is written.
BEGUN = {
    "cpu": "compare virtio-user-xdp1-tap --configs DIR --set cpu=NAME --sizes 64",
    "kernel": "explain virtio-user-xdp1-tap --configs DIR --set kernel=NAME",
    "access": "compare virtio-user-xdp1-tap --configs DIR --access copy_user,NAME --sizes 64",
    "scenario": "compare NAME --configs DIR",
    "measurements": "validate --only NAME --configs DIR",
    "calibration": "calibrate NAME --configs DIR --out DIR/calibrations/NAME.yaml",
    "sweep": "sweep NAME --configs DIR --out out/NAME",
    "sensitivity": "sensitivity NAME --configs DIR",
}
_CHECKED = "check FILE --configs DIR"


@opt.command("compare-cpu zen4 zen5", name="compare-cpu")
def compare_cpu(
    first: Annotated[
        str,
        Argument(metavar="A", help="name of a CPU (see `list cpus`) or a YAML file", autocompletion=names("cpu")),
    ],
    second: Annotated[str, Argument(metavar="B", help="another one", autocompletion=names("cpu"))],
    scenario: Annotated[
        str,
        Option(
            "--scenario",
            metavar="SCENARIO",
            help="the scenario that entries are weighed by",
            autocompletion=names("scenario"),
        ),
    ] = "virtio-user-xdp1-tap",
    access: opt.OneAccess = None,
    sizes: opt.OneSize = None,
    configs: opt.Configs = None,
) -> None:
    """Show two CPU tables side by side, the entries that differ most for a scenario first.

    Each entry is replaced alone and the scenario simulated: "ns/packet" is what a packet then takes more.
    """
    from sim.study.questions.cpus import compare_cpus

    opt.only_one("compare-cpu", access=access, sizes=sizes)
    short = {"access": access, "sizes": sizes}
    with output.progress() as report, opt.named_as_given(**short):
        comparison = compare_cpus(first, second, scenario, opt.overrides(None, **short), configs, report)

    def tables() -> Any:
        from sim.report.tables.catalogue import cpu_table

        return cpu_table(comparison)

    output.show_data(comparison.to_dict(), comparison.records, tables)


@opt.command("list cpus", "list scenarios --format md", name="list")
def list_tables(
    kinds: Annotated[
        str, Argument(metavar="KIND", help=f"what to list: {', '.join(KINDS)}", autocompletion=words(*KINDS))
    ],
    configs: opt.Configs = None,
) -> None:
    """List the tables that can be named, shipped and your own."""
    from sim.report.tables.catalogue import listings
    from sim.study.catalogue import listing

    opt.one_of("list", kinds, tuple(KINDS))
    listed = listing(kinds, configs)
    output.show_data(listed.to_dict(), listed.records, lambda: listings(listed.by_kind))


@opt.command("check", "check mine/cpus/this-host.yaml --guesses")
def check(
    tables: Annotated[
        list[str] | None,
        Argument(
            metavar="FILE",
            help="files or names (default: every table)",
            autocompletion=names(*(kind for kinds in KINDS.values() for kind in kinds)),
        ),
    ] = None,
    guesses: Annotated[bool, Option("--guesses", help="list the entries graded `guess`, too")] = False,
    configs: opt.Configs = None,
) -> None:
    """Audit tables: missing or guessed entries, ranges that do not hold their value, neighbours out of order.

    Exit code 2 when a table has an error, 0 otherwise (warnings are for you to judge).
    """
    from sim.report.tables.catalogue import findings
    from sim.study.catalogue import check as check_tables

    checked = check_tables(tables or (), configs)
    output.show_data(
        checked.to_dict(),
        checked.records,
        lambda: findings(checked, guesses, "--guesses lists them"),
    )
    if checked.of("error"):
        raise Exit(2)


@opt.command("init cpu this-host", "init scenario my-question --configs mine", name="init")
def init(
    kind: Annotated[
        str, Argument(metavar="KIND", help=f"what to begin: {', '.join(BEGUN)}", autocompletion=words(*BEGUN))
    ],
    name: Annotated[str, Argument(metavar="NAME", help="what it is called, and its file")],
    configs: Annotated[
        Path, Option("--configs", metavar="DIR", help="folder of your own tables, made where there is none")
    ] = Path("mine"),
) -> None:
    """Write a commented table to start from into a folder of your own; it is valid as it stands.

    No file is written over. What it prints are the commands that check it and use it.
    """
    from sim.config.loading.templates import template

    begun = template(kind, name, configs)
    opt.checked_folder(begun.file.parent, "--configs")
    begun.write()
    words = {"NAME": name, "DIR": shlex.quote(str(configs)), "FILE": shlex.quote(str(begun.file))}
    filled = [re.sub(r"NAME|DIR|FILE", lambda place: words[place[0]], line) for line in (_CHECKED, BEGUN[kind])]
    commands = [f"vhost-sim {line}" for line in filled]
    data = {"schema": 1, "kind": kind, "name": name, "file": str(begun.file), "commands": commands}
    output.show_data(data, lambda: [{"command": line} for line in commands], lambda: "\n".join(commands))
    output.say_written([begun.file])
