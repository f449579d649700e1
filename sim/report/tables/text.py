"""Tables for the terminal: results, comparisons, lists and findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from sim.config import Scenario
from sim.config.scenario.virtqueue import Virtqueue
from sim.config.tables.study import Sweep
from sim.engine import Point
from sim.report.tables.fitted import Drawn, Fitted
from sim.report.tables.stack import LAYERS, stack
from sim.study.catalogue import Checked, Listed
from sim.study.questions.capacity import Capacities
from sim.study.questions.compare import Comparison
from sim.study.questions.limits import LINK_GBIT, Limit
from sim.study.questions.run import Result
from sim.study.questions.ties import TieCheck
from sim.study.sweep.run import Outcome

if TYPE_CHECKING:
    from sim.study.sensitivity.shapley import Decomposition
    from sim.study.uncertainty.intervals import Uncertainty

_BAR_CELLS = 60
_ROWS_SHOWN = 40


def table(title: str, columns: Iterable[str], left: int = 1, keys: int = 1) -> Fitted:
    """Return an empty table whose first `left` columns hold text and whose others hold numbers.

    The first `keys` columns name a row.
    """
    return Fitted(title, columns, left, keys)


def heading(scenario: Scenario) -> RenderableType:
    """Say in a few lines what is simulated."""
    queue, driver, device = scenario.virtqueue, scenario.driver, scenario.device
    off = [
        name
        for name in ("smap", "spectre_v1", "hardened_usercopy", "retpoline")
        if not getattr(scenario.mitigations, name)
    ]
    return Text(
        f"{scenario.name}: {scenario.title}\n"
        f"{scenario.cpu.title}, {scenario.kernel.title}, {_ring(queue)}, burst {driver.burst}, batch {device.batch}"
        + (f", off: {', '.join(off)}" if off else "")
    )  # fmt: skip


def _ring(queue: Virtqueue) -> str:
    """Name the ring by its size and by what makes it other than a plain split ring."""
    features = {
        f"packed ({queue.packed_access})": queue.layout == "packed",
        "in order": queue.in_order,
        "device IOTLB": queue.iotlb,
    }
    return " ".join([f"ring {queue.size}", *(name for name, on in features.items() if on)])


def interval(point: Point) -> str:
    """Half the 95 % interval of the simulated rate, in percent."""
    low, high = point.pps_ci
    return f"±{50 * (high - low) / point.pps:.2f} %" if high < float("inf") else "(one batch)"


def result_tables(result: Result, ties: Sequence[TieCheck] = ()) -> RenderableType:
    """Packets per second of each variant by size, then where the cycles go at the first size."""
    parts: list[RenderableType] = [heading(result.scenario)]
    for access in result.scenario.access:
        mine = [point for point in result.points if point.access == access.name]
        actors = tuple(dict.fromkeys(name for point in mine for name in point.utilisation))
        made = table(
            f"{access.name}: {access.title}",
            (
                "bytes", "Mpps", "95 % (run)", "ns/packet", "cycles/packet", "p50 us", "p99 us", "ring", *actors,
                "bound by",
            ),
            left=0,
        )  # fmt: skip
        for point in mine:
            made.add_row(
                str(point.packet_bytes), f"{point.pps / 1e6:.3f}", interval(point), f"{point.ns_per_packet:.1f}",
                f"{point.cycles_per_packet:.1f}", f"{point.latency_us['p50']:.1f}", f"{point.latency_us['p99']:.1f}",
                f"{point.occupancy['mean']:.0f}", *(f"{point.utilisation[name]:.0%}" for name in actors),
                point.bound_by,
            )  # fmt: skip
        parts.append(made)
    size = result.scenario.traffic.sizes[0]
    parts.append(
        stack_table([p for p in result.points if p.packet_bytes == size], f"worker cycles per packet at {size} B")
    )
    return Group(*parts, *([tie_table(ties)] if ties else []), *notes(result.points))


def limit_table(limits: Sequence[Limit]) -> RenderableType:
    """What bounds any access variant, by size."""
    made = table(
        "limits in Mpps",
        ("bytes", "no checks", "copies only", *(f"{gbit} GbE" for gbit in LINK_GBIT)), left=0,
    )  # fmt: skip
    for one in limits:
        rates = (one.ideal_pps, one.copy_pps, *one.line_rates_pps.values())
        made.add_row(str(one.packet_bytes), *("-" if rate is None else f"{rate / 1e6:.3f}" for rate in rates))
    return made


def notes(points: Sequence[Point]) -> list[RenderableType]:
    """What to know about points that are not what they are called."""
    return [Text(f"note: {note}") for note in dict.fromkeys(note for point in points for note in point.notes)]


def together(
    tables: RenderableType,
    limits: Sequence[Limit],
    sure: Uncertainty | None,
    said: str | None,
    shares: Decomposition | None = None,
) -> RenderableType:
    """Tables of an answer, what the gain is made of, what bounds it, how sure it is, what the evidence leaves out."""
    from sim.report.tables.evidence import uncertainty_tables
    from sim.report.tables.sensitive import decomposition_table

    parts: list[RenderableType] = [tables, *([decomposition_table(shares)] if shares else []), limit_table(limits)]
    parts += [uncertainty_tables(sure)] if sure else []
    return Group(*parts, *([Text(said)] if said else []))


def tie_table(ties: Sequence[TieCheck]) -> RenderableType:
    """Whether the order of simultaneous events moves the rate."""
    title = f"order of simultaneous events: {ties[0].shuffles} shuffles"
    made = table(title, ("access", "bytes", "Mpps", "lowest", "highest", "spread", "moves"), keys=2)
    for one in ties:
        rates = (f"{rate / 1e6:.4f}" for rate in (one.pps, one.pps_low, one.pps_high))
        made.add_row(one.access, str(one.packet_bytes), *rates, f"{one.spread:.3%}", "yes" if one.moves else "no")
    return made


def stack_table(points: Sequence[Point], title: str) -> RenderableType:
    """Layers of the cycle stack, one column per point, their sum, and a bar per point."""
    return _stacks({point.access: point.breakdown_cycles for point in points}, title)


def _stacks(breakdowns: Mapping[str, Mapping[str, float]], title: str) -> RenderableType:
    """Layers of some breakdowns by name; the last line is their sum."""
    stacks = {name: {layer.key: value for layer, value in stack(one)} for name, one in breakdowns.items()}
    made = table(title, ("", *stacks))
    for layer in LAYERS:
        if any(layer.key in one for one in stacks.values()):
            name = Text.assemble((layer.letter, f"black on {layer.colour}"), f" {layer.title}")
            made.add_row(name, *(f"{one.get(layer.key, 0.0):.1f}" for one in stacks.values()))
    made.add_section()
    made.add_row("total", *(f"{sum(one.values()):.1f}" for one in stacks.values()))
    return Group(made, Drawn(lambda width: bars(stacks, width)), Text(""))


def bars(stacks: Mapping[str, Mapping[str, float]], width: int) -> list[Text]:
    """Draw one bar per stack with its name and its total, the name above the bar where both have no room."""
    totals = {name: sum(layers.values()) for name, layers in stacks.items()}
    most = max(totals.values(), default=0.0) or 1.0
    after = max((len(f" {total:.1f}") for total in totals.values()), default=0)
    before = max((cell_len(name) for name in stacks), default=0) + 1
    beside = before + after <= width // 2
    cells = min(_BAR_CELLS, width - after - (before if beside else 0))
    lines = []
    for name, layers in stacks.items():
        bar = _bar(layers, cells / most)
        bar.append(f" {totals[name]:.1f}")
        lines += [Text(name + " " * (before - cell_len(name))).append_text(bar)] if beside else [Text(name), bar]
    return lines


def _bar(layers: Mapping[str, float], scale: float) -> Text:
    """One bar of the stack; cells are shared out so that their number is that of the total."""
    bar, drawn, total = Text(), 0, 0.0
    for layer in LAYERS:
        total += layers.get(layer.key, 0.0)
        cells = round(total * scale) - drawn
        bar.append(layer.letter * cells, style=f"black on {layer.colour}")
        drawn += cells
    return bar


def comparison_tables(comparison: Comparison) -> RenderableType:
    """Gain by size, and what makes up the difference at the first size."""
    gains = table(
        f"{comparison.before} -> {comparison.after}",
        ("bytes", f"{comparison.before} Mpps", f"{comparison.after} Mpps", "gain", "saved ns", "saved cycles",
         "bound by"),
        left=0,
    )  # fmt: skip
    for one in comparison.differences:
        bound = dict.fromkeys((one.before.bound_by, one.after.bound_by))
        gains.add_row(
            str(one.packet_bytes), f"{one.before.pps / 1e6:.3f} {interval(one.before)}",
            f"{one.after.pps / 1e6:.3f} {interval(one.after)}", f"{one.gain_percent:+.1f} %", f"{one.saved_ns:+.1f}",
            f"{one.saved_cycles:+.1f}", " -> ".join(bound),
        )  # fmt: skip
    first = comparison.differences[0]
    parts = table(
        f"what makes up the difference at {first.packet_bytes} B (ns per packet saved)", ("primitive", "ns", "share")
    )
    for name, value in first.made_up_of.items():
        if abs(value) >= 0.005:
            parts.add_row(name, f"{value:+.2f}", f"{value / first.saved_ns:.0%}" if first.saved_ns else "")
    parts.add_section()
    parts.add_row("total", f"{sum(first.made_up_of.values()):+.2f}", "100%" if first.saved_ns else "")
    names = (comparison.before, comparison.after)
    if names[0] == names[1]:
        names = (f"{names[0]} (before)", f"{names[1]} (after)")
    both = dict(zip(names, (_breakdown_ns(first.before), _breakdown_ns(first.after)), strict=True))
    stacks = _stacks(both, f"worker ns per packet at {first.packet_bytes} B")
    return Group(gains, parts, stacks, *notes(comparison.points()))


def _breakdown_ns(point: Point) -> dict[str, float]:
    """The breakdown in ns, which two CPUs share where their cycles are not as long."""
    return {name: cycles * point.cycle_ps / 1e3 for name, cycles in point.breakdown_cycles.items()}


def capacity_table(capacities: Capacities) -> RenderableType:
    """The highest rate without loss of each variant and size, beside the rate of a driver that never runs dry."""
    load = capacities.scenario.traffic.load
    kind = "constant" if load.kind == "saturate" else load.kind
    made = table(
        f"highest offered rate without loss ({kind} load, backlog {load.backlog})",
        (
            "access", "bytes", "carries Mpps", "loses at Mpps", "saturated Mpps", "share", "p50 us", "p99 us", "worker",
            "trials",
        ),
        keys=2,
    )  # fmt: skip
    for one in capacities.results:
        made.add_row(
            one.access, str(one.packet_bytes), f"{one.pps / 1e6:.3f}", f"{one.loses_at_pps / 1e6:.3f}",
            f"{one.saturated.pps / 1e6:.3f}", f"{one.share:.1%}", f"{one.below.latency_us['p50']:.1f}",
            f"{one.below.latency_us['p99']:.1f}", f"{one.below.utilisation['worker']:.0%}", str(one.trials),
        )  # fmt: skip
    return Group(heading(capacities.scenario), made)


def listing(kind: str, tables: Sequence[Listed]) -> RenderableType:
    """Names that commands accept, and how much of each table is guessed."""
    made = table("", (kind, "", "entries", "guessed"), left=2)
    for one in tables:
        made.add_row(one.name, one.title, str(one.entries), str(one.guesses))
    return made


def listings(found: Mapping[str, Sequence[Listed]]) -> RenderableType:
    """Return the names of several kinds of table, kind by kind."""
    return Group(*(listing(kind, tables) for kind, tables in found.items()))


def sweep_table(sweep: Sweep, outcome: Outcome) -> RenderableType:
    """What a sweep did, and its first rows when they were not written to a folder."""
    counts = f"{outcome.points} points: {outcome.computed} computed, {outcome.reused} reused, {outcome.failed} failed"
    if outcome.folder is not None:
        return Text(f"{sweep.name}: {counts}, in {outcome.folder}/")
    axes = [key for key in sweep.axes if key != "access"]
    shown = outcome.rows[:_ROWS_SHOWN]
    errors = [row.get("error") or "" for row in shown]
    columns = (*axes, "access", "bytes", "Mpps", "cycles/packet", "bound by", *(["error"] if any(errors) else []))
    made = table(f"{sweep.name}: {sweep.title}", columns, left=0, keys=len(axes) + 2)
    for row, error in zip(shown, errors, strict=True):
        numbers = ("", "", "") if error else (
            f"{row['pps'] / 1e6:.3f}", f"{row['cycles_per_packet']:.1f}", row["bound_by"]
        )  # fmt: skip
        cells = (*(_cell(row[key]) for key in axes), _cell(row.get("access", "")), _cell(row.get("packet_bytes", "")))
        made.add_row(*cells, *numbers, *([Text(error, style="red")] if any(errors) else []))
    more = len(outcome.rows) - _ROWS_SHOWN
    tail = f" ({more} more rows; --out DIR keeps them all)" if more > 0 else ""
    return Group(made, Text(counts + tail))


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def findings(checked: Checked, show_guesses: bool) -> RenderableType:
    """What a check found, errors first; guesses are counted unless they are wanted."""
    lines: list[RenderableType] = []
    for severity in ("error", "warning", "guess") if show_guesses else ("error", "warning"):
        for one in checked.of(severity):
            key = f" {one.key}" if one.key else ""
            lines.append(Text(f"{severity}: {one.table}{key}: {one.message}"))
    errors, warnings, guesses = (len(checked.of(name)) for name in ("error", "warning", "guess"))
    hint = "" if show_guesses or not guesses else " (--guesses lists them)"
    lines.append(
        Text(f"{checked.tables} tables: {errors} errors, {warnings} warnings, {guesses} guessed entries{hint}")
    )
    return Group(*lines)
