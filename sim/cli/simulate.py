"""Commands that simulate one question: run, compare, capacity, explain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.cli.options import (
    Accesses,
    Configs,
    Json,
    Name,
    Out,
    Seed,
    Sets,
    Sizes,
    Uncertain,
    Without,
    ablated,
    app,
    checked_folder,
    load,
    one_of,
    say_written,
    show_data,
    text,
)

if TYPE_CHECKING:
    from sim.study.uncertainty import Side, Uncertainty


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
    without: Without = None,
    uncertain: Uncertain = None,
    out: Out = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Simulate every access variant of a scenario at every packet size."""
    from sim.report.progress import progress
    from sim.study.envelope import outside
    from sim.study.limits import limits
    from sim.study.run import run as simulate
    from sim.study.ties import check_ties
    from sim.study.uncertainty import sides_of

    loaded = ablated(load(scenario, sets, configs, access=access, sizes=sizes, seed=seed), without)
    files = checked_folder(out)
    sure = None if uncertain is None else _uncertainty(sides_of(loaded), uncertain, loaded.run.seed, configs)
    with progress() as report:
        result = simulate(loaded, report)
        ties = [] if tie_fuzz == 0 else check_ties(loaded, tie_fuzz, report)
        bounds = limits(loaded, result.points)
    said = outside([loaded], configs)
    data = {**result.to_dict(), "limits": [bound.to_dict() for bound in bounds]}
    if ties:
        data["tie_fuzz"] = [tie.to_dict() for tie in ties]
    show_data(
        as_json, _with(data, sure, said),
        lambda: text().together(text().result_tables(result, ties), bounds, sure, said),
    )  # fmt: skip
    if files is not None:
        from sim.report.files import result_writers, write_all

        say_written(write_all(files, result_writers(result)))


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
    without: Without = None,
    shapley: Annotated[
        bool, typer.Option("--shapley", help="share the gain out to mechanisms; the shares add up to the whole")
    ] = False,
    uncertain: Uncertain = None,
    out: Out = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Compare two access variants, or two scenarios: the gain by size, and what makes up the difference.

    --set and the other options apply to both sides. With one scenario the variants are --access A,B, or the first two.
    """
    from sim.config import ConfigError
    from sim.report.progress import progress
    from sim.study.ablation import decompose
    from sim.study.compare import compare as compare_scenarios
    from sim.study.compare import sides
    from sim.study.envelope import outside
    from sim.study.limits import limits

    if access is not None and access.count(",") > 1:
        raise ConfigError(f"--access {access}: compare takes two access variants")
    first = ablated(load(scenario, sets, configs, access=access, sizes=sizes, seed=seed), without)
    second = None
    if other is not None:
        second = ablated(load(other, sets, configs, access=access, sizes=sizes, seed=seed), without)
    if shapley and second is not None:
        raise ConfigError("--shapley shares out the gain between two access variants of one scenario")
    files = checked_folder(out)
    with progress() as report:
        comparison = compare_scenarios(first, second, progress=report)
        bounds = limits(first, comparison.points())
    both = sides(first, second)
    sure = None if uncertain is None else _uncertainty(both, uncertain, first.run.seed, configs)
    said = outside([side.case.scenario for side in both], configs)
    shares = None
    if shapley:
        one = comparison.differences[0].packet_bytes
        shares = decompose(first, comparison.before, comparison.after, one)
    data = _with(comparison.to_dict() | {"limits": [bound.to_dict() for bound in bounds]}, sure, said)
    data |= {"shapley": shares.to_dict()} if shares else {}
    show_data(
        as_json, data,
        lambda: text().together(text().comparison_tables(comparison), bounds, sure, said, shares),
    )  # fmt: skip
    if files is not None:
        from sim.report.files import comparison_writers, write_all

        say_written(write_all(files, comparison_writers(comparison, [first, second] if second else [first])))


def _uncertainty(sides: Sequence[Side], draws: int, seed: int, configs: Path | None) -> Uncertainty:
    """Draw the costs of every side, with a progress bar, on as many processes as are worth it."""
    from sim.report.progress import counted_progress
    from sim.study.batch import pool_for
    from sim.study.uncertainty import uncertainty

    with counted_progress("runs") as report, pool_for(len(sides) * draws) as pool:
        return uncertainty(sides, draws, seed, configs=configs, executor=pool, progress=report)


def _with(data: dict[str, Any], sure: Uncertainty | None, said: str | None) -> dict[str, Any]:
    """Add what is known of the certainty of an answer to its JSON form."""
    return {**data, **({"uncertainty": sure.to_dict()} if sure else {}), **({"evidence": said} if said else {})}


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

    loaded = load(scenario, sets, configs, access=access, sizes=sizes, seed=seed)
    files = checked_folder(out)
    with progress() as report:
        capacities = search(loaded, resolution, report)
    show_data(as_json, capacities.to_dict(), lambda: text().capacity_table(capacities))
    if files is not None:
        from sim.report.files import capacity_writers, write_all

        say_written(write_all(files, capacity_writers(capacities)))


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
    actor: Annotated[
        str, typer.Option("--actor", metavar="worker|driver|nic|receiver", help="whose rows to print")
    ] = "worker",
    sources: Annotated[
        bool, typer.Option("--sources", help="also print every input with its range, grade and source")
    ] = False,
    sets: Sets = None,
    without: Without = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Print the rows that a packet runs through: what each executes, formula, numbers, total.

    "executes" lists the primitives, "cycles once" their prices in the same order; times/packet is how often the row ran
    in a short run, "waits" what it waited for cache lines, stores or the other side. The total is cycles per packet.
    """
    from sim.config import ConfigError
    from sim.study.explain import explain as explain_variant

    one_of("--by", by, ("row", "function"))
    if access is not None and "," in access:
        raise ConfigError(f"--access {access}: explain takes one access variant")
    loaded = ablated(load(scenario, sets, configs, access=access, size=size), without)
    explanation = explain_variant(loaded, loaded.access[0].name)
    one_of("--actor", actor, explanation.plan.actors)
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
