"""Commands that simulate one question: run, compare, capacity, explain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.cli.options import (
    Accesses,
    Configs,
    Form,
    Json,
    Name,
    OneAccess,
    OneSize,
    Out,
    Seed,
    Sets,
    Sizes,
    Uncertain,
    Without,
    ablated,
    checked_folder,
    command,
    csv_rows,
    load,
    one_of,
    only_one,
    printed,
    show_data,
)
from sim.cli.stderr import counted_progress, progress, say_written

if TYPE_CHECKING:
    from sim.study.runs.case import Side
    from sim.study.uncertainty.intervals import Uncertainty


@command(
    "run virtio-user-xdp1-tap --sizes 64,1518 --uncertainty",
    "run virtio-user-xdp1-tap --set kernel=v6.12 --format csv",
)
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
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Simulate every access variant of a scenario at every packet size."""
    from sim.study.evidence.envelope import outside
    from sim.study.questions.limits import limits
    from sim.study.questions.run import check_ties
    from sim.study.questions.run import run as simulate
    from sim.study.runs.case import sides_of

    loaded = ablated(load(scenario, sets, configs, access=access, sizes=sizes, seed=seed), without)
    files = checked_folder(out)
    sure = None if uncertain is None else _uncertainty(sides_of(loaded), uncertain, loaded.run.seed, configs)
    with progress() as report:
        result = simulate(loaded, report)
        ties = [] if tie_fuzz == 0 else check_ties(loaded, tie_fuzz, report)
        bounds = limits(loaded, result.points)
    outside_note = outside([loaded], configs)
    data = {**result.to_dict(), "limits": [bound.to_dict() for bound in bounds]}
    if ties:
        data["tie_fuzz"] = [tie.to_dict() for tie in ties]
    show_data(
        form,
        as_json,
        data=_with(data, sure, outside_note),
        rows=lambda: csv_rows().result_rows(result, sure),
        tables=lambda: printed().together(printed().result_tables(result, ties), bounds, sure, outside_note),
    )
    if files is not None:
        from sim.report.export.files import result_writers, write_all

        say_written(write_all(files, result_writers(result)))


@command(
    "compare virtio-user-xdp1-tap --access copy_user,vmap --sizes 64 --uncertainty",
    "compare virtio-user-xdp1-tap vhost-user-tx --format md",
)
def compare(
    scenario: Name,
    other: Annotated[
        str | None, typer.Argument(metavar="SCENARIO2", help="a second scenario: kernel, CPU, placement, ...")
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
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Compare two access variants, or two scenarios: the gain by size, and what makes up the difference.

    --set and the other options apply to both sides. With one scenario the variants are --access A,B, or the first two.
    """
    from sim.config import ConfigError
    from sim.study.evidence.envelope import outside
    from sim.study.questions.compare import compare as compare_scenarios
    from sim.study.questions.compare import sides
    from sim.study.questions.limits import limits
    from sim.study.sensitivity.shapley import decompose

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
    outside_note = outside([side.case.scenario for side in both], configs)
    shares = None
    if shapley:
        shares = decompose(first, comparison.before, comparison.after, comparison.differences[0].packet_bytes)
    data = _with(comparison.to_dict() | {"limits": [bound.to_dict() for bound in bounds]}, sure, outside_note)
    data |= {"shapley": shares.to_dict()} if shares else {}
    show_data(
        form,
        as_json,
        data=data,
        rows=lambda: csv_rows().comparison_rows(comparison, sure),
        tables=lambda: printed().together(printed().comparison_tables(comparison), bounds, sure, outside_note, shares),
    )
    if files is not None:
        from sim.report.export.files import comparison_writers, write_all

        say_written(write_all(files, comparison_writers(comparison, [first, second] if second else [first])))


def _uncertainty(sides: Sequence[Side], draws: int, seed: int, configs: Path | None) -> Uncertainty:
    """Draw the costs of every side, with a progress bar, on as many processes as are worth it."""
    from sim.study.runs.pool import pool_for
    from sim.study.uncertainty.intervals import uncertainty

    with counted_progress("runs") as report, pool_for(len(sides) * draws) as pool:
        return uncertainty(sides, draws, seed, configs=configs, executor=pool, progress=report)


def _with(data: dict[str, Any], sure: Uncertainty | None, outside_note: str | None) -> dict[str, Any]:
    """Add what is known of the certainty of an answer to its JSON form."""
    return {
        **data,
        **({"uncertainty": sure.to_dict()} if sure else {}),
        **({"evidence": outside_note} if outside_note else {}),
    }


@command(
    "capacity virtio-user-xdp1-tap --sizes 64 --set traffic.load=poisson",
)
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
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Search the highest offered rate without loss, per access variant and packet size, in the manner of RFC 2544.

    Packets arrive as traffic.load says (constant, poisson or on-off; constant for saturate) and wait in a backlog of
    traffic.load.backlog packets while the ring is full; what finds no room there is lost.
    """
    from sim.study.questions.capacity import capacity as search

    loaded = load(scenario, sets, configs, access=access, sizes=sizes, seed=seed)
    files = checked_folder(out)
    with progress() as report:
        capacities = search(loaded, resolution, report)
    show_data(
        form,
        as_json,
        data=capacities.to_dict(),
        rows=lambda: csv_rows().capacity_rows(capacities),
        tables=lambda: printed().capacity_table(capacities),
    )
    if files is not None:
        from sim.report.export.files import capacity_writers, write_all

        say_written(write_all(files, capacity_writers(capacities)))


@command(
    "explain virtio-user-xdp1-tap --access vmap --size 64",
    "explain virtio-user-xdp1-tap --by function",
)
def explain(
    scenario: Name,
    access: OneAccess = None,
    size: OneSize = None,
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
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Print the rows that a packet runs through: what each executes, formula, numbers, total.

    Below each row stand the primitives that it executes and their prices in cycles, in the same order; times/packet is
    how often the row ran in a short run, "waits" what it waited for cache lines, stores or the other side. The total is
    cycles per packet. As CSV: the rows of the actor, or functions, or with --sources the inputs.
    """
    from sim.report.tables.explained import chosen_tables
    from sim.study.questions.explain import explain as explain_variant

    one_of("--by", by, ("row", "function"))
    only_one("explain", access)
    loaded = ablated(load(scenario, sets, configs, access=access, size=size), without)
    explanation = explain_variant(loaded, loaded.access[0].name)
    one_of("--actor", actor, explanation.plan.actors)
    show_data(
        form,
        as_json,
        data=explanation.to_dict(),
        rows=lambda: csv_rows().explanation_rows(explanation, by, actor, sources),
        tables=lambda: chosen_tables(explanation, by, actor, sources),
    )
