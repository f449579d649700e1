"""The numbers of the answer: rates and gains, where the cycles go, what makes up the difference, latency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sim.report.notebook.frames import interval, unsigned
from sim.report.page.html import Cell, chart, folded, isolated, table
from sim.report.page.links import entry, sources_by_key
from sim.report.tables.explained import SCOPE_TITLES, executes
from sim.report.tables.stack import LAYER_OF, LAYERS, stack
from sim.study.questions.explain import Explanation
from sim.study.review.review import Review
from sim.study.uncertainty.intervals import Gain

#: Parts of a difference below this are not worth a line, in ns.
_SEEN_NS = 0.005


def rates(review: Review) -> str:
    """Packets per second against packet size, the gains, and what was published for the same."""
    parts = [
        "<h2>How much: packets per second against packet size</h2>",
        chart("rates", "packets per second against packet size with 90 % bands and the rates of full links"),
        '<p class="small">A name in the legend hides its line and shows it again.</p>',
        _rate_table(review),
    ]
    if review.sure.gains:
        gains = [_gain_row(one) for one in review.sure.gains]
        parts.append(table(("difference", "sign", "bytes", "gain, %", "saved, ns per packet"), gains, left=2))
    if review.sure.pairs:
        pairs = [_gain_row(one) for one in sorted(review.sure.pairs, key=lambda one: (one.before, one.after))]
        head = ("difference", "sign", "bytes", "gain, %", "saved, ns per packet")
        parts.append(folded("every other pair of variants, draw by draw", table(head, pairs, left=2)))
    parts += [f'<p class="small">{isolated(note)}</p>' for note in review.sure.notes]
    return "\n".join((*parts, *_published(review)))


def _rate_table(review: Review) -> str:
    """Rates with their intervals; of variants and sizes, the more numerous ones are the rows."""
    accesses = list(dict.fromkeys(rate.access for rate in review.sure.rates))
    sizes = review.scenario.traffic.sizes
    found = {(rate.access, rate.packet_bytes): interval(rate.pps, 3, 1e-6) for rate in review.sure.rates}
    if len(accesses) > len(sizes):
        head = ("Mpps", *(f"{size} B" for size in sizes))
        return table(head, [(access, *(found[access, size] for size in sizes)) for access in accesses])
    head = ("bytes", *(f"{access}, Mpps" for access in accesses))
    return table(head, [(str(size), *(found[access, size] for access in accesses)) for size in sizes])


def _gain_row(one: Gain) -> tuple[str, ...]:
    return (
        f"{one.before} → {one.after}", _sign(one), str(one.packet_bytes), interval(one.gain_percent),
        interval(one.saved_ns),
    )  # fmt: skip


def _sign(one: Gain) -> str:
    if not one.resolved:
        return "none that the runs resolve"
    return "certain" if one.certain else f"in {one.same_sign:.0%} of the draws"


def _published(review: Review) -> list[str]:
    if not review.published:
        return []
    rows = [
        (
            one.access, one.name, "the calibration was fitted to it" if one.used else "predicted",
            str(one.packet_bytes), f"{one.measured_pps / 1e6:.2f}", f"{one.predicted_pps / 1e6:.3f}",
            f"{one.error:+.1%}",
        )
        for one in review.published
    ]  # fmt: skip
    head = ("variant", "figure", "", "bytes", "published, Mpps", "model, Mpps", "error")
    notes = [
        note
        for one in review.published
        for note in (
            one.source,
            f"not stated there: {', '.join(one.not_stated)}" if one.not_stated else "",
            f"assumed here: {'; '.join(one.assumed)}" if one.assumed else "",
        )
    ]
    return [
        "<p>Published for this configuration, as far as it is stated:</p>",
        table(head, rows, left=3),
        *(f'<p class="small">{isolated(note)}</p>' for note in dict.fromkeys(notes) if note),
    ]


def why(review: Review) -> str:
    """Where the cycles go, layer by layer and primitive by primitive, and row by row for each variant."""
    places = sources_by_key(review)
    points = [point for point in review.result.points if point.packet_bytes == review.first_size]
    names = [point.access for point in points]
    stacks = [{layer.key: value for layer, value in stack(point.breakdown_cycles)} for point in points]
    layers = [layer for layer in LAYERS if any(layer.key in one for one in stacks)]
    rows = [(layer.group, layer.title, *_cycles(one.get(layer.key, 0.0) for one in stacks)) for layer in layers]
    total = ("total", "", *_cycles(sum(one.values()) for one in stacks))
    primitives = sorted(
        {name for point in points for name in point.breakdown_cycles},
        key=lambda name: (LAYERS.index(LAYER_OF[name]), -max(p.breakdown_cycles.get(name, 0.0) for p in points), name),
    )
    parts = [
        (entry(name, places), LAYER_OF[name].title, *_cycles(p.breakdown_cycles.get(name, 0.0) for p in points))
        for name in primitives
    ]
    return "\n".join(
        (
            f"<h2>Why: where the cycles go at {review.first_size} B</h2>",
            chart("stack", "worker cycles per packet of each variant, by layer"),
            table(("", "worker cycles per packet", *names), [*rows, total], left=2, total=True),
            folded(
                "by primitive and kind of waiting, each with its source",
                table(("", "layer", *names), [*parts, total], left=2, total=True),
            ),
            *map(_rows, review.explanations),
        )
    )


def _cycles(values: Iterable[float]) -> list[str]:
    return [f"{value:.1f}" for value in values]


def _rows(explained: Explanation) -> str:
    """The rows of the worker that ran, as `vhost-sim explain` prints them."""
    plan = explained.plan
    rows = [
        (
            SCOPE_TITLES[row.scopes[0]], row.title, row.function, executes(row), f"{explained.rate(row):.4g}",
            f"{explained.wait_cycles(row):.2f}", f"{explained.time_cycles(row):.2f}",
        )
        for row in plan.rows
        if row.actor == "worker" and explained.rate(row)
    ]  # fmt: skip
    total = sum(explained.time_cycles(row) for row in plan.rows if row.actor == "worker")
    head = ("", "row", "kernel function", "executes", "times/packet", "waits, cycles", "cycles/packet")
    return folded(
        f"row by row: {plan.access} at {plan.packet_bytes} B",
        table(head, [*rows, ("total", "", "", "", "", "", f"{total:.2f}")], left=4, total=True),
        printed=False,
    )


def difference(review: Review) -> str:
    """What makes up the difference between the first variant and each later one."""
    if not review.comparisons:
        return ""
    places = sources_by_key(review)
    comparisons = review.ordered()
    first = [one.differences[0] for one in comparisons]
    met = dict.fromkeys(name for one in first for name, value in one.made_up_of.items() if abs(value) >= _SEEN_NS)
    rows: list[Sequence[Cell]] = [
        (entry(name, places), *(_change(one.made_up_of.get(name, 0.0)) for one in first)) for name in met
    ]
    rows.append(("total", *(_change(one.saved_ns) for one in first)))
    names = [f"{one.before} → {one.after}" for one in comparisons]
    more = (
        '<p class="small">The choice above the chart shows another variant against the first.</p>'
        if len(names) > 1
        else ""
    )
    return "\n".join(
        (
            f"<h2>What makes up the difference from {isolated(comparisons[0].before)}</h2>",
            chart("waterfall", "nanoseconds per packet from the first variant to another, by what saves them"),
            more,
            '<p class="small">With the tables as they are: the parts have no intervals of their own.</p>',
            table(("change, ns per packet", *names), rows, total=True),
        )
    )


def _change(saved_ns: float) -> str:
    """Return what is saved as a change; what rounds to nothing has the sign of a zero."""
    return f"{unsigned(-saved_ns, 2):+.2f}"


def latency(review: Review) -> str:
    """Latency from posting to use, by variant and size."""
    rows = [
        (
            point.access, point.bound_by, str(point.packet_bytes),
            *(f"{point.latency_us[name]:.2f}" for name in ("p50", "p99", "p999")),
            f"{point.occupancy['mean']:.0f}", f"{point.utilisation['worker']:.0%}",
        )
        for point in review.result.points
    ]  # fmt: skip
    head = ("variant", "bound by", "bytes", "median us", "99 % us", "99.9 % us", "packets in the ring", "worker busy")
    full = (
        '<p class="small">The load is saturate: the sender never runs dry, so a packet waits behind those in the '
        "ring, and latency is their number over the rate.</p>"
        if review.scenario.traffic.load.kind == "saturate"
        else ""
    )
    return (
        f"<h2>Latency from posting to use at {review.first_size} B</h2>\n"
        f"{chart('latency', 'median, 99 % and 99.9 % latency of each variant')}\n{full}{table(head, rows, left=2)}"
    )
