"""Commands that simulate and print their answer: run, compare, capacity, explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from sim.cli import options as opt
from sim.cli import output
from sim.cli.completing import tables, words

if TYPE_CHECKING:
    from sim.study.questions.capacity import Capacities
    from sim.study.runs.case import Side
    from sim.study.uncertainty.parts import DrawnParts
    from sim.study.uncertainty.uncertainty import Uncertainty


@opt.command(
    "run virtio-user-xdp1-tap --sizes 64,1518 --uncertainty", "run virtio-user-xdp1-tap --set kernel=v6.12 --format csv"
)
def run(
    scenario: opt.Name,
    sets: opt.Sets = None,
    access: opt.Accesses = None,
    sizes: opt.Sizes = None,
    seed: opt.Seed = None,
    tie_fuzz: Annotated[
        int, Option("--tie-fuzz", metavar="N", help="also run under N shuffles of simultaneous events")
    ] = 0,
    without: opt.Without = None,
    uncertain: opt.Uncertain = None,
    out: opt.Out = None,
    configs: opt.Configs = None,
) -> None:
    """Simulate every access variant of a scenario at every packet size."""
    from sim.study.evidence.envelope import outside
    from sim.study.questions.limits import limits
    from sim.study.questions.run import check_ties
    from sim.study.questions.run import run as simulate
    from sim.study.review.preface import preface
    from sim.study.runs.asked import every_point
    from sim.study.runs.case import sides_of

    asks = opt.ablating(without, every_point)
    loaded = opt.ablated(opt.load(scenario, sets, configs, asks, access=access, sizes=sizes, seed=seed), without)
    files = opt.checked_folder(out)
    sure = None if uncertain is None else _uncertainty(sides_of(loaded), uncertain, loaded.run.seed, configs)
    with output.progress() as report:
        result = simulate(loaded, report)
        ties = [] if tie_fuzz == 0 else check_ties(loaded, tie_fuzz, report)
        bounds = limits(loaded, result.points)
    outside_note = outside([loaded], configs)
    data = {**result.to_dict(), "limits": [bound.to_dict() for bound in bounds]}
    if ties:
        data["tie_fuzz"] = [tie.to_dict() for tie in ties]
    output.show_under(
        preface(loaded, result.points, bounds, configs=configs),
        _with(data, sure, outside_note),
        lambda: output.csv_rows().result_rows(result, sure),
        lambda: output.printed().together(output.printed().result_tables(result, ties), bounds, sure, outside_note),
    )
    output.write_files(files, lambda export: export.result_writers(result))


@opt.command(
    "compare virtio-user-xdp1-tap --access copy_user,vmap --sizes 64 --uncertainty",
    "compare virtio-user-xdp1-tap vhost-user-tx --format md",
)
def compare(
    scenario: opt.Name,
    other: Annotated[
        str | None,
        Argument(
            metavar="SCENARIO2",
            help="a second scenario: kernel, CPU, placement, ...",
            autocompletion=tables("scenario"),
        ),
    ] = None,
    sets: opt.Sets = None,
    access: opt.Accesses = None,
    sizes: opt.Sizes = None,
    seed: opt.Seed = None,
    without: opt.Without = None,
    shapley: Annotated[
        bool, Option("--shapley", help="share the gain out to mechanisms; the shares add up to the whole")
    ] = False,
    uncertain: opt.Uncertain = None,
    out: opt.Out = None,
    configs: opt.Configs = None,
) -> None:
    """Compare two access variants, or two scenarios: the gain by size, and what makes up the difference.

    --set and the other options apply to both sides. With one scenario the variants are --access A,B, or the first two.

    The answer begins with what was asked, a better variant if there is one, and what bounds it (a NIC, a device IOTLB);
    it ends with every variant that applies, ranked, and what is held against each. --uncertainty adds intervals, of
    what each primitive saves too, and how much of the width is guesses.
    """
    from sim.config.loading.paths import names
    from sim.study.evidence.envelope import outside
    from sim.study.questions.compare import compare as compare_scenarios
    from sim.study.questions.compare import compared, compared_with_another, sides
    from sim.study.questions.limits import limits
    from sim.study.review.preface import preface, with_worth
    from sim.study.review.ranking import RANKING_DRAWS, ranking
    from sim.study.runs.pool import pool_for
    from sim.study.sensitivity.shapley import decompose
    from sim.study.sensitivity.tornado import swing_entries

    if access is not None and access.count(",") > 1:
        opt.refuse("compare takes two access variants", key="--access", got=access)
    asked = [scenario] if other is None else [scenario, other]
    asks = compared if other is None else compared_with_another
    loaded = opt.load_sides(asked, sets, configs, opt.ablating(without, asks), access=access, sizes=sizes, seed=seed)
    first, second = (opt.ablated(side, without) if side else None for side in (*loaded, None)[:2])
    assert first is not None
    if shapley and second is not None:
        opt.refuse("--shapley shares out the gain between two access variants of one scenario")
    files = opt.checked_folder(out)
    with output.progress() as report:
        comparison = compare_scenarios(first, second, progress=report)
        bounds = limits(first, comparison.points())
    both = sides(first, second)
    sure, parts = None, None
    if uncertain is not None:
        sure = _uncertainty(both, uncertain, first.run.seed, configs)
        parts = _parts(both, sure, configs)
    outside_note = outside([side.case.scenario for side in both], configs)
    shares = None
    if shapley:
        shares = decompose(first, comparison.before, comparison.after, comparison.differences[0].packet_bytes)
    data = _with(comparison.to_dict() | {"limits": [bound.to_dict() for bound in bounds]}, sure, outside_note)
    data |= {"shapley": shares.to_dict()} if shares else {}
    data |= {"parts": parts.to_dict()} if parts else {}
    before, after = comparison.sides()
    above = preface(first, [*before, *after], bounds, configs=configs)
    if second is not None:
        above = preface(first, before, bounds, second=(second, after), configs=configs)
    elif comparison.before != comparison.after:
        pair = comparison.before, comparison.after
        runs = len(names("access", configs)) * min(sure.draws, RANKING_DRAWS) if sure else 0
        with output.counted_progress("runs") as counted, pool_for(runs) as pool:
            ranked = ranking(first, *pair, sure=sure, configs=configs, executor=pool, progress=counted)
        above = replace(above, ranking=ranked)
        if sure is not None:
            at_first = [side for side in both if side.packet_bytes == both[0].packet_bytes]
            with output.counted_progress("runs") as counted:
                above = with_worth(above, first, swing_entries(at_first, progress=counted), configs)
    output.show_under(
        above,
        data,
        lambda: output.csv_rows().comparison_rows(comparison, sure, parts),
        lambda: output.printed().together(
            output.printed().comparison_tables(comparison, parts), bounds, sure, outside_note, shares
        ),
    )
    scenarios = [first, second] if second else [first]
    output.write_files(files, lambda export: export.comparison_writers(comparison, scenarios))


def _uncertainty(sides: Sequence[Side], draws: int, seed: int, configs: Path | None) -> Uncertainty:
    """Draw the costs of every side, with a progress bar, on as many processes as are worth it."""
    from sim.study.runs.pool import pool_for
    from sim.study.uncertainty.runs import FIRST_DRAWS
    from sim.study.uncertainty.uncertainty import uncertainty

    chosen = None if draws == opt.CHOSEN_DRAWS else draws
    with output.counted_progress("runs") as report, pool_for(len(sides) * (chosen or 2 * FIRST_DRAWS)) as pool:
        return uncertainty(sides, chosen, seed, configs=configs, executor=pool, progress=report)


def _parts(sides: Sequence[Side], sure: Uncertainty, configs: Path | None) -> DrawnParts:
    """Show with a progress bar how sure the parts are of an answer that was drawn."""
    from sim.study.uncertainty.parts import parts_of

    with output.counted_progress("runs") as report:
        return parts_of(sides, sure.draws, sure.seed, configs=configs, progress=report)


def _with(data: dict[str, Any], sure: Uncertainty | None, outside_note: str | None) -> dict[str, Any]:
    """Add what is known of the certainty of an answer to its JSON form."""
    intervals = {"uncertainty": sure.to_dict()} if sure else {}
    return data | intervals | ({"evidence": outside_note} if outside_note else {})


@opt.command(
    "capacity virtio-user-xdp1-tap --sizes 64 --loss 0.1%",
    "capacity virtio-user-xdp1-tap --sizes 64 --set 'traffic.load={kind: poisson, pps: 1e+6}'",
)
def capacity(
    scenario: opt.Name,
    sets: opt.Sets = None,
    access: opt.Accesses = None,
    sizes: opt.Sizes = None,
    seed: opt.Seed = None,
    resolution: Annotated[
        float, Option("--resolution", metavar="SHARE", help="how near to the rate that loses a packet")
    ] = 0.005,
    loss: Annotated[
        str | None, Option("--loss", metavar="PERCENT", help="also search the rate that loses so much, e.g. 0.1%")
    ] = None,
    uncertain: opt.Uncertain = None,
    out: opt.Out = None,
    configs: opt.Configs = None,
) -> None:
    """Search the highest offered rate without loss, per access variant and packet size, in the manner of RFC 2544.

    Packets arrive as traffic.load says (constant, poisson or on-off; constant for saturate) and wait in a backlog of
    traffic.load.backlog packets while the ring is full; what finds no room there is lost. Rates are those of all queues
    together, with on-off the mean. --loss searches the partial drop rate beside the rate without loss. --uncertainty
    repeats the search in each draw (20 unless told otherwise), to within 2 % where --resolution is finer.
    """
    from sim.study.questions.capacity import capacity as search
    from sim.study.questions.capacity import offered
    from sim.study.questions.limits import limits
    from sim.study.review.preface import preface

    allowed = None if loss is None else opt.percent("--loss", loss)
    loaded = opt.load(scenario, sets, configs, offered, access=access, sizes=sizes, seed=seed)
    files = opt.checked_folder(out)
    with output.progress() as report:
        capacities = search(loaded, resolution, report, loss=allowed)
    sure, with_loss = None, None
    if uncertain is not None:
        sure = _capacity_uncertainty(capacities, uncertain, resolution, False, configs)
        with_loss = (
            None if allowed is None else _capacity_uncertainty(capacities, sure.draws, resolution, True, configs)
        )
    drawn = {"uncertainty": sure, "uncertainty_with_loss": with_loss}
    saturated = [result.saturated for result in capacities.results]
    output.show_under(
        preface(loaded, saturated, limits(loaded, saturated), configs=configs),
        capacities.to_dict() | {name: known.to_dict() for name, known in drawn.items() if known},
        lambda: output.csv_rows().capacity_rows(capacities, sure, with_loss),
        lambda: output.printed().capacity_tables(capacities, sure, with_loss),
    )
    output.write_files(files, lambda export: export.capacity_writers(capacities), plots=False)


def _capacity_uncertainty(
    capacities: Capacities, draws: int, resolution: float, with_loss: bool, configs: Path | None
) -> Uncertainty:
    """Search in each draw, with a progress bar; a search is long enough for processes of their own."""
    from sim.study.runs.pool import local_executor
    from sim.study.uncertainty.capacities import USUAL_DRAWS, capacity_uncertainty

    chosen, seed = USUAL_DRAWS if draws == opt.CHOSEN_DRAWS else draws, capacities.scenario.run.seed
    opt.at_least("--uncertainty", 1, chosen)
    with output.counted_progress("searches") as report, local_executor() as pool:
        return capacity_uncertainty(
            capacities,
            resolution,
            chosen,
            seed,
            with_loss=with_loss,
            configs=configs,
            executor=pool,
            progress=report,
        )


@opt.command(
    "explain virtio-user-xdp1-tap --access vmap --sizes 64 --uncertainty", "explain virtio-user-xdp1-tap --by function"
)
def explain(
    scenario: opt.Name,
    access: opt.OneAccess = None,
    sizes: opt.OneSize = None,
    by: Annotated[
        str,
        Option(
            "--by",
            metavar="row|function",
            help="the rows, or kernel functions as in `perf report`",
            autocompletion=words("row", "function"),
        ),
    ] = "row",
    skid: Annotated[
        bool, Option("--skid", help="by function: stalls count where samples without precise events find them")
    ] = False,
    actor: Annotated[
        str,
        Option(
            "--actor",
            metavar="worker|driver|nic|receiver",
            help="whose rows to print",
            autocompletion=words("worker", "driver", "nic", "receiver"),
        ),
    ] = "worker",
    sources: Annotated[
        bool, Option("--sources", help="also print every input with its range, grade and source")
    ] = False,
    sets: opt.Sets = None,
    without: opt.Without = None,
    uncertain: opt.Uncertain = None,
    configs: opt.Configs = None,
) -> None:
    """Print the rows that a packet runs through: what each executes, formula, numbers, total.

    Below each row stand the primitives that it executes and their prices in cycles, in the same order; times/packet is
    how often the row ran in a short run, "waits" what it waited for cache lines, stores or the other side. The total is
    cycles per packet. By function, a stall is time of the routine that holds it, as `perf record` with precise events
    samples it. As CSV: the rows of the actor, or functions, or with --sources the inputs. --uncertainty adds the rate
    with its intervals, and the time of a packet by primitive with those of the parameters.
    """
    from sim.report.tables.explained import chosen_tables
    from sim.study.questions.explain import explain as explain_variant
    from sim.study.runs.asked import first_point
    from sim.study.runs.case import one_point, sides_of

    opt.one_of("--by", by, ("row", "function"))
    if skid and by != "function":
        opt.refuse("is for --by function", key="--skid")
    opt.only_one("explain", access=access, sizes=sizes)
    asks = opt.ablating(without, first_point)
    loaded = opt.ablated(opt.load(scenario, sets, configs, asks, access=access, sizes=sizes), without)
    explanation = explain_variant(loaded, loaded.access[0].name)
    opt.one_of("--actor", actor, explanation.plan.actors)
    sure, parts = None, None
    if uncertain is not None:
        point = one_point(loaded, explanation.plan.access, loaded.traffic.sizes[0])
        sure = _uncertainty(sides_of(point), uncertain, loaded.run.seed, configs)
        parts = _parts(sides_of(point), sure, configs)
    data = explanation.to_dict() | ({"parts": parts.to_dict()} if parts else {})
    output.show_data(
        _with(data, sure, None),
        lambda: output.csv_rows().explanation_rows(explanation, by, actor, sources, skid, sure),
        lambda: chosen_tables(explanation, by, actor, sources, skid, sure, parts),
    )
