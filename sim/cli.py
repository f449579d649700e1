"""The `vhost-sim` command: parse, call one function, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sim.config import Scenario

app = typer.Typer(
    help="Cost-model simulator of the Linux vhost_net datapath: packets per second against packet size, and why.",
    epilog="Start with: vhost-sim compare virtio-user-xdp1-tap. All costs are YAML: vhost-sim list cpus.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Name = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="name of a scenario (see `list scenarios`) or a YAML file")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="change one key, e.g. cpu.primitives.lfence=12 or kernel=v6.12; repeatable"
    ),
]
Accesses = Annotated[str | None, typer.Option("--access", metavar="A,B", help="access variants (see `list access`)")]
Sizes = Annotated[str | None, typer.Option("--sizes", metavar="N,N", help="packet sizes in bytes, without FCS")]
Seed = Annotated[int | None, typer.Option("--seed", help="seed of the random draws (0 is a seed)")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="write CSV, Parquet, the resolved scenario and plots")
]
Configs = Annotated[
    Path | None, typer.Option("--configs", metavar="DIR", help="folder with tables of your own (cpus/, ...)")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead of tables")]


def _load(name: str, sets: list[str] | None, configs: Path | None, **short: object) -> Scenario:
    """Load a scenario; the short options come before `--set`, which therefore wins."""
    from sim.config import load_scenario

    keys = {"access": "access", "sizes": "traffic.packet_bytes", "seed": "run.seed"}
    overrides = [f"{keys[option]}={value}" for option, value in short.items() if value is not None]
    if short.get("sizes") is not None:
        overrides.append("traffic.mix=null")
    return load_scenario(name, overrides=[*overrides, *(sets or [])], configs=configs)


def _print(as_json: bool, data: Any, tables: Any) -> None:
    if as_json:
        print(json.dumps(data, indent=1, allow_nan=False))
    else:
        from sim.report.text import show

        show(tables())


@app.command()
def run(
    scenario: Name,
    sets: Sets = None,
    access: Accesses = None,
    sizes: Sizes = None,
    seed: Seed = None,
    tie_fuzz: Annotated[
        int, typer.Option("--tie-fuzz", metavar="N", help="also run under N shuffles of simultaneous events")
    ] = 0,
    out: Out = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Simulate every access variant of a scenario at every packet size."""
    from sim.report.progress import progress
    from sim.study.run import run as simulate
    from sim.study.ties import check_ties

    loaded = _load(scenario, sets, configs, access=access, sizes=sizes, seed=seed)
    files = _checked(out)
    with progress() as report:
        result = simulate(loaded, report)
        ties = [] if tie_fuzz == 0 else check_ties(loaded, tie_fuzz, report)
    data = {**result.to_dict(), **({"tie_fuzz": [tie.to_dict() for tie in ties]} if ties else {})}
    _print(as_json, data, lambda: _text().result_tables(result, ties))
    if files is not None:
        from sim.report.files import result_writers, write_all

        _say_written(write_all(files, result_writers(result)))


@app.command()
def compare(
    scenario: Name,
    other: Annotated[
        str | None, typer.Argument(metavar="[SCENARIO2]", help="a second scenario: kernel, CPU, placement, ...")
    ] = None,
    sets: Sets = None,
    access: Accesses = None,
    sizes: Sizes = None,
    seed: Seed = None,
    out: Out = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Compare two access variants, or two scenarios: the gain by size, and what makes up the difference.

    --set and the other options apply to both sides. With one scenario the variants are --access A,B, or the first two.
    """
    from sim.config import ConfigError
    from sim.report.progress import progress
    from sim.study.compare import compare as compare_scenarios

    if access is not None and access.count(",") > 1:
        raise ConfigError(f"--access {access}: compare takes two access variants")
    first = _load(scenario, sets, configs, access=access, sizes=sizes, seed=seed)
    second = _load(other, sets, configs, access=access, sizes=sizes, seed=seed) if other else None
    files = _checked(out)
    with progress() as report:
        comparison = compare_scenarios(first, second, progress=report)
    _print(as_json, comparison.to_dict(), lambda: _text().comparison_tables(comparison))
    if files is not None:
        from sim.report.files import comparison_writers, write_all

        _say_written(write_all(files, comparison_writers(comparison, [first, second] if second else [first])))


@app.command()
def capacity(
    scenario: Name,
    sets: Sets = None,
    access: Accesses = None,
    sizes: Sizes = None,
    seed: Seed = None,
    resolution: Annotated[
        float, typer.Option("--resolution", metavar="SHARE", help="how near to the rate that loses a packet")
    ] = 0.005,
    out: Out = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Search the highest offered rate without loss, per access variant and packet size, in the manner of RFC 2544.

    Packets arrive as traffic.load says (constant, poisson or on-off; constant for saturate) and wait in a backlog of
    traffic.load.backlog packets while the ring is full; what finds no room there is lost.
    """
    from sim.report.progress import progress
    from sim.study.capacity import capacity as search

    loaded = _load(scenario, sets, configs, access=access, sizes=sizes, seed=seed)
    files = _checked(out)
    with progress() as report:
        capacities = search(loaded, resolution, report)
    _print(as_json, capacities.to_dict(), lambda: _text().capacity_table(capacities))
    if files is not None:
        from sim.report.files import capacity_writers, write_all

        _say_written(write_all(files, capacity_writers(capacities)))


@app.command()
def explain(
    scenario: Name,
    access: Annotated[
        str | None, typer.Option("--access", metavar="A", help="access variant (default: the first)")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="N", help="packet size in bytes (default: the first)")
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="row|function", help="the rows, or kernel functions as in `perf report`")
    ] = "row",
    actor: Annotated[str, typer.Option("--actor", metavar="worker|driver", help="whose rows to print")] = "worker",
    sources: Annotated[
        bool, typer.Option("--sources", help="also print every input with its range, grade and source")
    ] = False,
    sets: Sets = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Print the rows that a packet runs through: what each executes, formula, numbers, total.

    "executes" lists the primitives, "cycles once" their prices in the same order; times/packet is how often the row ran
    in a short run, "waits" what it waited for cache lines, stores or the other side. The total is cycles per packet.
    """
    from sim.config import ConfigError
    from sim.study.explain import explain as explain_variant

    _one_of("--by", by, ("row", "function"))
    _one_of("--actor", actor, ("worker", "driver"))
    if access is not None and "," in access:
        raise ConfigError(f"--access {access}: explain takes one access variant")
    loaded = _load(scenario, sets, configs, access=access, sizes=size)
    explanation = explain_variant(loaded, loaded.access[0].name)
    if as_json:
        print(json.dumps(explanation.to_dict(), indent=1, allow_nan=False))
        return
    from sim.report import explained
    from sim.report.text import show

    if by == "function":
        show(explained.function_table(explanation))
    else:
        show(explained.explanation_tables(explanation, actor))
        show(explained.count_table(explanation))
    if sources:
        show(explained.source_table(explanation))


KINDS = {"cpus": "cpu", "kernels": "kernel", "access": "access", "scenarios": "scenario",
         "calibrations": "calibration", "studies": "calibration-study"}  # fmt: skip


@app.command("list")
def list_tables(
    what: Annotated[str, typer.Argument(metavar="|".join(KINDS), help="kind of table")],
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """List the tables that can be named, shipped and your own."""
    from sim.study.tables import list_tables as listed

    _one_of("list", what, tuple(KINDS))
    tables = listed(KINDS[what], configs)
    _print(
        as_json, {"schema": 1, what: [one.to_dict() for one in tables]}, lambda: _text().listing(KINDS[what], tables)
    )


@app.command()
def check(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="files or names (default: every table)")
    ] = None,
    guesses: Annotated[bool, typer.Option("--guesses", help="list the entries graded `guess`, too")] = False,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Audit tables: missing or guessed entries, ranges that do not hold their value, neighbours out of order.

    Exit code 2 when a table has an error, 0 otherwise (warnings are for you to judge).
    """
    from sim.study.tables import check as check_tables

    checked = check_tables(tables or (), configs)
    _print(as_json, checked.to_dict(), lambda: _text().findings(checked, guesses))
    if checked.of("error"):
        raise typer.Exit(2)


@app.command()
def calibrate(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="name of a calibration study or a YAML file")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="where to write the calibration")] = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Fit the one parameter that a study names to its measured rate, and write it with prior and range."""
    from sim.report.text import calibration_table
    from sim.study.calibrate import calibrate as fit
    from sim.study.calibrate import load_study, write_calibration

    loaded = load_study(study, configs)
    if out is not None:
        _checked(out.parent)
    calibration = fit(loaded, configs)
    _print(as_json, calibration.to_dict(), lambda: calibration_table(calibration))
    if out is not None:
        write_calibration(calibration, out)
        _say_written([out])


@app.command()
def sweep(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="name of a sweep (see `list studies`) or a YAML file")],
    jobs: Annotated[int | None, typer.Option("--jobs", metavar="N", help="processes (default: one per core)")] = None,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="run on this Dask scheduler instead")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="stream rows to Parquet parts in DIR")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue what DIR holds; edited points run anew")] = False,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Run one scenario at many points: a grid, a Latin hypercube or a Sobol sequence over any keys.

    The same bytes for any number of jobs. A point that fails becomes a row with its error. Without --out the rows are
    printed and held in memory; with it they can be read with pandas.read_parquet("DIR").
    """
    from sim.config.errors import ConfigError
    from sim.report.progress import counted_progress
    from sim.study import sweep as sweeps

    if resume and out is None:
        raise ConfigError("--resume goes with --out")
    if jobs is not None and dask is not None:
        raise ConfigError("--jobs and --dask exclude each other")
    loaded = sweeps.load_sweep(study, configs)
    executor = sweeps.dask_executor(dask) if dask else sweeps.local_executor(jobs)
    with executor as pool, counted_progress("points") as report:
        outcome = sweeps.run_sweep(
            loaded, pool, folder=out, resume=resume, configs=configs, jobs=jobs or 2, progress=report, notice=_notice
        )
    _print(as_json, outcome.to_dict(), lambda: _text().sweep_table(loaded, outcome))


def _notice(text: str) -> None:
    print(f"vhost-sim: {text}", file=sys.stderr)


def _text() -> Any:
    from sim.report import text

    return text


def _checked(out: Path | None) -> Path | None:
    """Refuse a folder that cannot be written before anything is simulated."""
    if out is not None:
        from sim.report.files import check_folder

        check_folder(out)
    return out


def _one_of(option: str, value: str, valid: tuple[str, ...]) -> None:
    from sim.config.errors import ConfigError, nearest

    if value not in valid:
        raise ConfigError(f"{option}: unknown '{value}'{nearest(value, valid)}")


def _say_written(files: list[Path]) -> None:
    names = ", ".join(file.name for file in files)
    print(f"written to {files[0].parent}/: {names}", file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        from sim import __version__

        print(f"vhost-sim {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Hold the options of the command itself."""


def main() -> None:
    """Run the command; bad input is one line on stderr and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))  # the code of a typer.Exit comes back as a value
    except typer.TyperException as error:
        _fail(error.format_message())
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except ValueError as error:
        if type(error).__name__ != "ConfigError":
            raise
        _fail(str(error))


def _fail(message: str) -> None:
    print(f"vhost-sim: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
