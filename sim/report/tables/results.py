"""Tables of results: rates, comparisons, capacities, sweeps and timelines, and where the time goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from sim.config import Scenario
from sim.config.answer import counted
from sim.config.scenario.virtqueue import Virtqueue
from sim.config.tables.study import Sweep
from sim.engine import Point
from sim.report.tables.evidence import decomposition_table, uncertainty_tables
from sim.report.tables.stack import LAYERS, stack
from sim.report.tables.terminal import Columns, Drawing, TextTable, table_of
from sim.study.evidence.conditions import ring_and_batches
from sim.study.questions.capacity import Capacities, Capacity, Carried, lost_share
from sim.study.questions.columns import Column, columns_of
from sim.study.questions.compare import DIFFERENCE_COLUMNS, Comparison, Difference
from sim.study.questions.limits import LINK_GBIT, Limit
from sim.study.questions.run import Result, TieCheck
from sim.study.sensitivity.shapley import Decomposition
from sim.study.sweep.gains import free_axes, gains
from sim.study.timeline.model import Timeline
from sim.study.uncertainty.intervals import Interval
from sim.study.uncertainty.parts import DrawnParts
from sim.study.uncertainty.uncertainty import Uncertainty

if TYPE_CHECKING:
    from sim.study.sweep.run import Outcome

_BAR_CELLS = 60
#: Rows of a sweep, and kinds of work and waiting of each actor, that are listed.
_ROWS_SHOWN, _KINDS_SHOWN = 40, 6
#: Notes of the points of a sweep that are printed.
_NOTES_SHOWN = 4
#: Parts of a difference below this are not listed.
_LEAST_SHOWN_NS = 0.005


def heading(scenario: Scenario) -> RenderableType:
    """Say in a few lines what is simulated."""
    off = [name for name, on in scenario.mitigations if not on]
    packets = ring_and_batches(scenario)
    ring = [_ring(scenario.virtqueue)] if packets.pop("ring", None) else []
    parts = [
        scenario.cpu.title,
        scenario.kernel.title,
        *ring,
        *(f"{name} {number}" for name, number in packets.items()),
        *([f"off: {', '.join(off)}"] if off else []),
    ]
    return Text(f"{scenario.name}: {scenario.title}\n{', '.join(parts)}")


def basis_line(basis: str) -> RenderableType:
    """Say what the rates, times and shares of an answer are those of."""
    return Text(f"({basis})")


def _ring(queue: Virtqueue) -> str:
    """Name the ring by its size and by what makes it other than a plain split ring."""
    features = {
        f"packed ({queue.packed_access})": queue.layout == "packed",
        "in order": queue.in_order,
        "device IOTLB": queue.iotlb,
    }
    return " ".join([f"ring {queue.size}", *(name for name, on in features.items() if on)])


def result_tables(result: Result, ties: Sequence[TieCheck] = ()) -> RenderableType:
    """Packets per second of each variant by size, then where the cycles go at the first size."""
    parts: list[RenderableType] = [basis_line(result.scenario.queues.basis)]
    for access in result.scenario.access:
        points = [point for point in result.points if point.access == access.name]
        parts.append(table_of(f"{access.name}: {access.title}", _point_columns(points), points, left=0))
    size = result.scenario.traffic.sizes[0]
    at_first = [point for point in result.points if point.packet_bytes == size]
    parts.append(stack_table(at_first, f"worker cycles per packet at {size} B"))
    return Group(*parts, *([tie_table(ties)] if ties else []), *notes(result.points))


def _point_columns(points: Sequence[Point]) -> Columns[Point]:
    """Return the columns of points that people are shown; who was how busy, and who bounds the rate, stand last."""
    last = ("utilisation", "bound_by")

    def order(column: Column[Point]) -> int:
        return last.index(column.key) + 1 if column.key in last else 0

    shown = sorted((column for column in columns_of(points) if column.heading), key=order)
    offered = any(point.offered_pps is not None for point in points)
    return [(_CARRIED.get(column.name, column.heading) if offered else column.heading, column.cell) for column in shown]


#: What a rate is called beside the one that is offered.
_CARRIED = {"pps": "carried Mpps"}


def limit_table(limits: Sequence[Limit]) -> RenderableType:
    """What bounds any access variant, by size."""
    head = ("bytes", "no checks", "copies only", *(f"{gbit} GbE" for gbit in LINK_GBIT))
    table = TextTable("limits in Mpps", head, left=0)
    for limit in limits:
        rates = (limit.ideal_pps, limit.copy_pps, *limit.line_rates_pps.values())
        table.add_row(str(limit.packet_bytes), *("-" if rate is None else _mpps(rate) for rate in rates))
    return Group(table, *(Text(f"note: {limit.note}") for limit in limits if limit.note))


def _mpps(pps: float) -> str:
    return f"{pps / 1e6:.3f}"


def notes(points: Sequence[Point]) -> list[RenderableType]:
    """What to know about points that are not what they are called."""
    return [Text(f"note: {note}") for note in dict.fromkeys(note for point in points for note in point.notes)]


def together(
    tables: RenderableType,
    limits: Sequence[Limit],
    sure: Uncertainty | None,
    outside: str | None,
    shares: Decomposition | None = None,
) -> RenderableType:
    """Tables of an answer, what the gain is made of, what bounds it, how sure it is, what the evidence leaves out."""
    parts: list[RenderableType] = [tables, *([decomposition_table(shares)] if shares else []), limit_table(limits)]
    parts += [uncertainty_tables(sure)] if sure else []
    return Group(*parts, *([Text(outside)] if outside else []))


def tie_table(ties: Sequence[TieCheck]) -> RenderableType:
    """Whether the order of simultaneous events moves the rate."""
    columns: Columns[TieCheck] = (
        ("access", lambda tie: tie.access),
        ("bytes", lambda tie: str(tie.packet_bytes)),
        ("Mpps", lambda tie: f"{tie.pps / 1e6:.4f}"),
        ("lowest", lambda tie: f"{tie.pps_low / 1e6:.4f}"),
        ("highest", lambda tie: f"{tie.pps_high / 1e6:.4f}"),
        ("spread", lambda tie: f"{tie.spread:.3%}"),
        ("moves", lambda tie: "yes" if tie.moves else "no"),
    )
    return table_of(f"order of simultaneous events: {counted(ties[0].shuffles, 'shuffle')}", columns, ties, keys=2)


def stack_table(points: Sequence[Point], title: str) -> RenderableType:
    """Layers of the cycle stack, one column per point, their sum, and a bar per point."""
    return _stacks({point.access: point.breakdown_cycles for point in points}, title)


def _stacks(breakdowns: Mapping[str, Mapping[str, float]], title: str) -> RenderableType:
    """Layers of some breakdowns by name; the last line is their sum."""
    stacks = {name: {layer.key: value for layer, value in stack(breakdown)} for name, breakdown in breakdowns.items()}
    table = TextTable(title, ("", *stacks))
    for layer in LAYERS:
        if any(layer.key in heights for heights in stacks.values()):
            name = Text.assemble((layer.letter, f"black on {layer.colour}"), f" {layer.title}")
            table.add_row(name, *(f"{heights.get(layer.key, 0.0):.1f}" for heights in stacks.values()))
    table.add_section()
    table.add_row("total", *(f"{sum(heights.values()):.1f}" for heights in stacks.values()))
    return Group(table, Drawing(lambda width: bars(stacks, width)), Text(""))


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


def comparison_tables(comparison: Comparison, made_up_of: DrawnParts | None = None) -> RenderableType:
    """Gain by size, and what makes up the difference at the first size, with draws with the intervals of its parts."""
    before, after = comparison.before, comparison.after
    shown = [column for column in DIFFERENCE_COLUMNS if column.heading and _filled(column, comparison.differences)]
    columns = [(column.heading.format(before=before, after=after), column.cell) for column in shown]
    gains = table_of(f"{before} -> {after}", columns, comparison.differences, left=0)
    first = comparison.differences[0]
    title = f"what makes up the difference at {first.packet_bytes} B (ns per packet saved)"
    ends = {} if made_up_of is None else {name: _ends(part) for name, part in made_up_of.parts.items()}
    parts = TextTable(title, ("primitive", "ns", *(["parameters"] if made_up_of else []), "share"))
    for name, value in first.made_up_of.items():
        if abs(value) >= _LEAST_SHOWN_NS:
            share = f"{value / first.saved_ns:.0%}" if first.saved_ns else ""
            parts.add_row(name, f"{value:+.2f}", *([ends.get(name, "")] if made_up_of else []), share)
    parts.add_section()
    whole = [_ends(made_up_of.total)] if made_up_of else []
    parts.add_row("total", f"{sum(first.made_up_of.values()):+.2f}", *whole, "100%" if first.saved_ns else "")
    names = (before, after) if before != after else (f"{before} (before)", f"{after} (after)")
    both = dict(zip(names, (_breakdown_ns(first.before), _breakdown_ns(first.after)), strict=True))
    stacks = _stacks(both, f"worker ns per packet at {first.packet_bytes} B")
    return Group(basis_line(first.basis), gains, parts, stacks, *notes(comparison.points()))


def _ends(interval: Interval) -> str:
    return f"[{interval.low:+.2f}, {interval.high:+.2f}]"


def _filled(column: Column[Difference], differences: Sequence[Difference]) -> bool:
    return any(column.value(difference) is not None for difference in differences)


def _breakdown_ns(point: Point) -> dict[str, float]:
    """The breakdown in ns, which two CPUs share where their cycles are not as long."""
    return {name: cycles * point.cycle_ps / 1e3 for name, cycles in point.breakdown_cycles.items()}


def capacity_tables(
    capacities: Capacities, sure: Uncertainty | None = None, with_loss: Uncertainty | None = None
) -> RenderableType:
    """The highest rate without loss of each variant and size, beside the rate of a driver that never runs dry.

    With draws the intervals of these rates stand below, of those with a loss too.
    """
    load = capacities.scenario.traffic.load
    kind = "constant" if load.kind == "saturate" else load.kind
    columns: Columns[Capacity] = (
        ("access", lambda capacity: capacity.access),
        ("bytes", lambda capacity: str(capacity.packet_bytes)),
        ("carries Mpps", lambda capacity: _mpps(capacity.pps)),
        ("loses at Mpps", lambda capacity: _mpps(capacity.loses_at_pps)),
        *_allowed_columns(capacities.results[0].with_loss),
        ("saturated Mpps", lambda capacity: _mpps(capacity.saturated.pps)),
        ("share", lambda capacity: f"{capacity.share:.1%}"),
        ("p50 us", lambda capacity: f"{capacity.below.latency_us['p50']:.1f}"),
        ("p99 us", lambda capacity: f"{capacity.below.latency_us['p99']:.1f}"),
        ("worker", lambda capacity: f"{capacity.below.utilisation['worker']:.0%}"),
        ("trials", lambda capacity: str(capacity.trials)),
    )
    title = f"highest offered rate without loss ({kind} load, backlog {load.backlog})"
    basis = basis_line(capacities.scenario.queues.basis)
    saturated = [result.saturated for result in capacities.results]
    table = table_of(title, columns, capacities.results, keys=2)
    drawn: list[RenderableType] = [uncertainty_tables(sure, "carried without loss")] if sure else []
    allowed = capacities.results[0].with_loss
    if with_loss and allowed:
        drawn.append(uncertainty_tables(with_loss, f"carried with at most {100 * allowed.loss:g} % lost"))
    return Group(basis, table, *notes(saturated), *drawn)


def _allowed_columns(allowed: Carried | None) -> Columns[Capacity]:
    """Return the columns of a search that allows a loss, and names it."""
    if allowed is None:
        return ()

    def rate(capacity: Capacity) -> str:
        return "" if capacity.with_loss is None else _mpps(capacity.with_loss.pps)

    def lost(capacity: Capacity) -> str:
        return "" if capacity.with_loss is None else f"{lost_share(capacity.with_loss.trial):.3%}"

    return ((f"Mpps, at most {100 * allowed.loss:g} % lost", rate), ("lost", lost))


def sweep_table(sweep: Sweep, outcome: Outcome, hint: str) -> RenderableType:
    """What a sweep did, and its first rows when they were not written to a folder."""
    counts = f"{counted(outcome.points, 'point')}: {outcome.computed} computed, {outcome.reused} reused"
    counts += f", {outcome.refused} refused, {outcome.failed} failed"
    said = [Text(f"note: {note}") for note in [*outcome.notes][:_NOTES_SHOWN]]
    if (further := len(outcome.notes) - len(said)) > 0:
        said.append(Text(f"note: {further} more like these"))
    if outcome.folder is not None:
        return Group(Text(f"{sweep.name}: {counts}, in {outcome.folder}/"), *said)
    axes = free_axes(sweep)
    known = gains(sweep, outcome.rows)
    shown = outcome.rows[:_ROWS_SHOWN]
    gain = ["gain"] if any(value is not None for value in known) else []
    errors = [row.get("error") or "" for row in shown]
    last = ["error"] if any(errors) else []
    columns = (*axes, "access", "bytes", "Mpps", *gain, "cycles/packet", "bound by", *last)
    table = TextTable(f"{sweep.name}: {sweep.title}", columns, left=0, keys=len(axes) + 2)
    for row, error, gained in zip(shown, errors, known, strict=False):
        cells = (*(_cell(row[key]) for key in axes), _cell(row.get("access", "")), _cell(row.get("packet_bytes", "")))
        beside = [] if not gain else ["" if gained is None else f"{gained:+.1f} %"]
        numbers = [_mpps(row["pps"]), *beside, f"{row['cycles_per_packet']:.1f}", row["bound_by"]] if not error else []
        numbers += [""] * (3 + len(gain) - len(numbers))
        table.add_row(*cells, *numbers, *([Text(error, style="red")] if any(errors) else []))
    more = len(outcome.rows) - _ROWS_SHOWN
    tail = f" ({counted(more, 'more row')}; {hint})" if more > 0 else ""
    bases = dict.fromkeys(str(row["basis"]) for row in shown if row.get("basis"))
    return Group(table, *map(basis_line, bases), Text(counts + tail), *said)


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def timeline_table(timeline: Timeline) -> RenderableType:
    """What each actor spent its time on; the total of each is the whole time."""
    title = (
        f"{timeline.scenario}, {timeline.access}, {timeline.packet_bytes} B: {timeline.packets} packets in "
        f"{timeline.elapsed_ps / 1e6:.3f} us"
        + (f", from {timeline.start_ps / 1e6:.3f} us on" if timeline.start_ps else "")
    )
    table = TextTable("", ("actor", "", "us", "share"), left=2)
    for track in timeline.tracks:
        for number, (name, time_ps) in enumerate(_largest(track.totals_ps())):
            share = f"{time_ps / timeline.elapsed_ps:.1%}" if timeline.elapsed_ps else ""
            table.add_row(track.actor if number == 0 else "", name, f"{time_ps / 1e6:.3f}", share)
        table.add_section()
    return Group(Text(title, style="bold"), table, *(Text(f"note: {note}") for note in timeline.notes))


def _largest(totals_ps: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """Return the first totals, the rest together, and the sum."""
    shown = list(totals_ps.items())[:_KINDS_SHOWN]
    total = sum(totals_ps.values())
    rest = total - sum(time_ps for _, time_ps in shown)
    return [*shown, *([("everything else", rest)] if rest else []), ("total", total)]
