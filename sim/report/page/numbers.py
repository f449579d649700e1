"""The numbers of the answer: rates and gains, where the cycles go, what makes up the difference, latency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sim.datapath.plan.step import Row
from sim.engine import Point
from sim.report.page.html import Cell, chart, entry, folded, isolated, sources_by_key, table, table_of
from sim.report.tables.evidence import interval, unsigned
from sim.report.tables.explained import SCOPE_TITLES, executes
from sim.report.tables.stack import LAYER_OF, LAYERS, stack
from sim.report.tables.terminal import Columns
from sim.study.evidence.envelope import Published
from sim.study.questions.explain import Explanation
from sim.study.review.review import Review
from sim.study.uncertainty.intervals import Gain, Interval

_PARTS_HAVE = (
    "In brackets, and where the mouse rests: 90 % intervals of the parameters alone, of what the headline is about. "
    "How far the model and a rig are off is known of wholes, not of parts."
)
#: Parts of a difference below this are not worth a line, in ns.
_SEEN_NS = 0.005


def rates(review: Review) -> str:
    """Packets per second against packet size, the gains, and what was published for the same."""
    parts = [
        "<h2>How much: packets per second against packet size</h2>",
        chart("rates", "packets per second against packet size with 90 % bands and the rates of full links"),
        '<p class="small">A name in the legend hides its line and shows it again.</p>',
        rate_table(review),
    ]
    if review.sure.gains:
        parts.append(table_of(_GAIN_COLUMNS, review.sure.gains, left=2))
    if review.sure.pairs:
        pairs = sorted(review.sure.pairs, key=lambda gain: (gain.before, gain.after))
        parts.append(folded("every other pair of variants, draw by draw", table_of(_GAIN_COLUMNS, pairs, left=2)))
    if review.scenario.traffic.load.kind != "saturate":
        parts.append(table_of(_OFFERED_COLUMNS, review.result.points))
    parts += [f'<p class="small">{isolated(note)}</p>' for note in review.sure.notes]
    return "\n".join((*parts, *_published(review)))


def rate_table(review: Review) -> str:
    """Rates with their intervals; of variants and sizes, the more numerous ones are the rows."""
    accesses = list(dict.fromkeys(rate.access for rate in review.sure.rates))
    sizes = review.scenario.traffic.sizes
    rates = {(rate.access, rate.packet_bytes): interval(rate.pps, 3, 1e-6) for rate in review.sure.rates}
    if len(accesses) > len(sizes):
        head = ("Mpps", *(f"{size} B" for size in sizes))
        return table(head, [(access, *(rates[access, size] for size in sizes)) for access in accesses])
    head = ("bytes", *(f"{access}, Mpps" for access in accesses))
    return table(head, [(str(size), *(rates[access, size] for access in accesses)) for size in sizes])


def _sign(gain: Gain) -> str:
    if not gain.resolved:
        return "none that the runs resolve"
    return "certain" if gain.certain else f"in {gain.same_sign:.0%} of the draws"


_GAIN_COLUMNS: Columns[Gain] = (
    ("difference", lambda gain: f"{gain.before} → {gain.after}"),
    ("sign", _sign),
    ("bytes", lambda gain: str(gain.packet_bytes)),
    ("gain, %", lambda gain: interval(gain.gain_percent)),
    ("saved, ns per packet of a worker core", lambda gain: interval(gain.saved_ns)),
)
_PUBLISHED_COLUMNS: Columns[Published] = (
    ("variant", lambda rate: rate.access),
    ("figure", lambda rate: rate.name),
    ("", lambda rate: "the calibration was fitted to it" if rate.used else "predicted"),
    ("bytes", lambda rate: str(rate.packet_bytes)),
    ("published, Mpps", lambda rate: f"{rate.measured_pps / 1e6:.2f}"),
    ("model, Mpps", lambda rate: f"{rate.predicted_pps / 1e6:.3f}"),
    ("error", lambda rate: f"{rate.error:+.1%}"),
)
_LATENCY_COLUMNS: Columns[Point] = (
    ("variant", lambda point: point.access),
    ("bound by", lambda point: point.bound_by),
    ("bytes", lambda point: str(point.packet_bytes)),
    ("median us", lambda point: f"{point.latency_us['p50']:.2f}"),
    ("99 % us", lambda point: f"{point.latency_us['p99']:.2f}"),
    ("99.9 % us", lambda point: f"{point.latency_us['p999']:.2f}"),
    ("in the ring", lambda point: f"{point.occupancy['mean']:.0f}"),
    ("worker busy", lambda point: f"{point.utilisation['worker']:.0%}"),
)
_OFFERED_COLUMNS: Columns[Point] = (
    ("variant", lambda point: point.access),
    ("bytes", lambda point: str(point.packet_bytes)),
    ("offered, Mpps", lambda point: f"{(point.offered_pps or 0.0) / 1e6:.3f}"),
    ("carried, Mpps", lambda point: f"{point.pps / 1e6:.3f}"),
    ("lost, Mpps", lambda point: f"{(point.lost_pps or 0.0) / 1e6:.3f}"),
    ("lost", lambda point: f"{point.lost_share or 0.0:.2%}"),
)


def _published(review: Review) -> list[str]:
    if not review.published:
        return []
    notes = []
    for rate in review.published:
        notes.append(rate.source)
        notes += [f"not stated there: {', '.join(rate.not_stated)}"] if rate.not_stated else []
        notes += [f"assumed here: {'; '.join(rate.assumed)}"] if rate.assumed else []
    return [
        "<p>Published for this configuration, as far as it is stated:</p>",
        table_of(_PUBLISHED_COLUMNS, review.published, left=3),
        *(f'<p class="small">{isolated(note)}</p>' for note in dict.fromkeys(notes)),
    ]


def why(review: Review) -> str:
    """Where the cycles go, layer by layer and primitive by primitive, and row by row for each variant."""
    targets = sources_by_key(review)
    points = [point for point in review.result.points if point.packet_bytes == review.first_size]
    names = [point.access for point in points]
    stacks = [{layer.key: value for layer, value in stack(point.breakdown_cycles)} for point in points]
    layers = [layer for layer in LAYERS if any(layer.key in heights for heights in stacks)]
    rows = [(layer.group, layer.title, *_cycles(heights.get(layer.key, 0.0) for heights in stacks)) for layer in layers]
    total = ("total", "", *_cycles(sum(heights.values()) for heights in stacks))
    primitives = sorted(
        {name for point in points for name in point.breakdown_cycles},
        key=lambda name: (LAYERS.index(LAYER_OF[name]), -max(p.breakdown_cycles.get(name, 0.0) for p in points), name),
    )
    parts = [
        (entry(name, targets), LAYER_OF[name].title, *_cycles(p.breakdown_cycles.get(name, 0.0) for p in points))
        for name in primitives
    ]
    by_primitive = table(("", "layer", *names), [*parts, total], left=2, total=True)
    return "\n".join(
        (
            f"<h2>Why: where the cycles go at {review.first_size} B</h2>",
            chart("stack", "worker cycles per packet of each variant, by layer"),
            table(("", "worker cycles per packet", *names), [*rows, total], left=2, total=True),
            folded("by primitive and kind of waiting, each with its source", by_primitive),
            *map(_rows, review.explanations),
        )
    )


def _cycles(values: Iterable[float]) -> list[str]:
    return [f"{value:.1f}" for value in values]


def _rows(explained: Explanation) -> str:
    """The rows of the worker that ran, as `vhost-sim explain` prints them."""
    plan = explained.plan
    columns: Columns[Row] = (
        ("", lambda row: SCOPE_TITLES[row.scopes[0]]),
        ("row", lambda row: row.title),
        ("kernel function", lambda row: row.function),
        ("executes", executes),
        ("times/packet", lambda row: f"{explained.rate(row):.4g}"),
        ("waits, cycles", lambda row: f"{explained.wait_cycles(row):.2f}"),
        ("cycles/packet", lambda row: f"{explained.time_cycles(row):.2f}"),
    )
    ran = [row for row in plan.rows if row.actor == "worker" and explained.rate(row)]
    rows = [[text(row) for _, text in columns] for row in ran]
    total = sum(explained.time_cycles(row) for row in plan.rows if row.actor == "worker")
    head = [heading for heading, _ in columns]
    return folded(
        f"row by row: {plan.access} at {plan.packet_bytes} B",
        table(head, [*rows, ("total", "", "", "", "", "", f"{total:.2f}")], left=4, total=True),
        printed=False,
    )


def difference(review: Review) -> str:
    """What makes up the difference between the first variant and each later one."""
    if not review.comparisons:
        return ""
    targets = sources_by_key(review)
    comparisons = review.ordered()
    first = [comparison.differences[0] for comparison in comparisons]
    parts = [difference.made_up_of for difference in first]
    seen = dict.fromkeys(name for saved in parts for name, value in saved.items() if abs(value) >= _SEEN_NS)
    known = review.parts.parts if review.parts else {}
    rows: list[Sequence[Cell]] = []
    for name in seen:
        changes = [_change(saved.get(name, 0.0)) for saved in parts]
        rows.append((entry(name, targets), changes[0] + _changed_by(known.get(name)), *changes[1:]))
    totals = [_change(difference.saved_ns) for difference in first]
    rows.append(("total", totals[0] + _changed_by(review.parts.total if review.parts else None), *totals[1:]))
    names = [f"{comparison.before} → {comparison.after}" for comparison in comparisons]
    choice = '<p class="small">The choice above the chart shows another variant against the first.</p>'
    return "\n".join(
        (
            f"<h2>What makes up the difference from {isolated(comparisons[0].before)}</h2>",
            chart("waterfall", "nanoseconds per packet from the first variant to another, by what saves them"),
            choice if len(names) > 1 else "",
            f'<p class="small">{_PARTS_HAVE}</p>' if review.parts else "",
            table(("change, ns per packet of a worker core", *names), rows, total=True),
        )
    )


def _changed_by(saved: Interval | None) -> str:
    """Return the ends between which a saving lies as those of a change."""
    return f" [{_change(saved.high)}, {_change(saved.low)}]" if saved else ""


def _change(saved_ns: float) -> str:
    """Return what is saved as a change; what rounds to nothing has the sign of a zero."""
    return f"{unsigned(-saved_ns, 2):+.2f}"


def latency(review: Review) -> str:
    """Latency from posting to use, by variant and size."""
    full = ""
    if review.scenario.traffic.load.kind == "saturate":
        full = (
            '<p class="small">The load is saturate: the sender never runs dry, so a packet waits behind those in the '
            "ring, and latency is their number over the rate.</p>"
        )
    title = f"<h2>Latency from posting to use at {review.first_size} B</h2>"
    drawn = chart("latency", "median, 99 % and 99.9 % latency of each variant")
    return f"{title}\n{drawn}\n{full}{table_of(_LATENCY_COLUMNS, review.result.points, left=2)}"
