"""The sections of the page for a design review, in the order in which a reviewer asks: each one function of the review.

Names of table entries lead to their sources on the same page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from sim.config import dump_scenario
from sim.report.explained import SCOPE_TITLES, executes
from sim.report.html import Cell, Link, chart, escaped, folded, isolated, table, whole
from sim.report.stack import LAYER_OF, LAYERS, stack
from sim.study.explain import Explanation
from sim.study.limits import LINK_GBIT
from sim.study.review import Review
from sim.study.uncertainty import FEW_DRAWS, Gain, Interval

#: Variants beyond the second that get a sentence under the answer; the chart and the table of gains have them all.
_SENTENCES = 2
#: Parts of a difference below this are not worth a line, in ns.
_SEEN_NS = 0.005


def sources_by_key(review: Review) -> dict[str, str]:
    """Return the place on the page of each table entry behind the answer, by its key."""
    return {one.key: f"source-{number}" for number, one in enumerate(review.sources, 1)}


def place(name: str, places: Mapping[str, str]) -> str | None:
    """Return the place of an entry's source, by its key or primitive; of two measured together, that of the first."""
    first = name.split(" + ")[0]
    return next((places[key] for key in (first, f"cpu.primitives.{first}") if key in places), None)


def entry(name: str, places: Mapping[str, str]) -> Cell:
    """Return a name as a cell, which leads to its source where it is that of an entry."""
    found = place(name, places)
    return name if found is None else Link(name, found)


def answer(review: Review) -> str:
    """The question, the answer in one sentence, and the six questions of a review in short."""
    rows = [(question, said) for question, said in review.answers().items()]
    further = "".join(f'<p class="further">{isolated(one)}</p>' for one in review.further_sentences()[:_SENTENCES])
    short = "".join(f"<dt>{escaped(question)}</dt><dd><bdi>{_long(said)}</bdi></dd>" for question, said in rows)
    return (
        f'<header><h1>{isolated(review.question)}</h1>\n<p class="answer">{isolated(review.sentence())}</p>\n{further}'
        f'</header>\n<dl class="short">{short}</dl>\n{_asked(review)}'
    )


def _long(said: str) -> str:
    """Escape a sentence of many names: each word may be hostile, but none of it may be lost to the cut."""
    return " ".join(escaped(word) for word in said.split(" "))


def _asked(review: Review) -> str:
    scenario = review.scenario
    about = (
        ("scenario", f"{scenario.name}: {scenario.title}"),
        ("CPU", scenario.cpu.title or scenario.cpu.name),
        ("kernel", scenario.kernel.title or scenario.kernel.name),
        ("driver, device, backend", f"{scenario.driver.kind}, {scenario.device.kind}, {scenario.backend.kind}"),
        ("ring", f"{scenario.virtqueue.layout}, {scenario.virtqueue.size} entries"),
        *((variant.name, variant.title) for variant in scenario.access),
        ("calibration", scenario.calibration or "none"),
    )
    return (
        f"{table(('', 'what was asked'), about, left=2)}\n"
        f'<p class="small">Intervals are {_kind_of_interval(review.sure.draws)} of {review.sure.draws} draws of every '
        "cost from its range, the same draws for all variants.</p>"
    )


def _kind_of_interval(draws: int) -> str:
    return "the central 90 %" if draws >= FEW_DRAWS else "the lowest and the highest"


def _interval(one: Interval, factor: float, digits: int) -> str:
    return f"{one.value * factor:.{digits}f} [{one.low * factor:.{digits}f}, {one.high * factor:.{digits}f}]"


def rates(review: Review) -> str:
    """Packets per second against packet size, the gains, and what was published for the same."""
    parts = [
        "<h2>How much: packets per second against packet size</h2>",
        chart("rates", "packets per second against packet size with 90 % bands and the rates of full links"),
        '<p class="small">A name in the legend hides its line and shows it again.</p>',
        _rate_table(review),
    ]
    if len(review.first_gains()) > 1:
        parts.append(chart("gains", f"what each variant gains over the first at {review.first_size} B, with intervals"))
    if review.sure.gains:
        gains = [
            (
                f"{one.before} → {one.after}", _sign(one), str(one.packet_bytes),
                _interval(one.gain_percent, 1, 1), _interval(one.saved_ns, 1, 1),
            )
            for one in review.sure.gains
        ]  # fmt: skip
        parts.append(table(("difference", "sign", "bytes", "gain, %", "saved, ns per packet"), gains, left=2))
    parts += [f'<p class="small">{isolated(note)}</p>' for note in review.sure.notes]
    return "\n".join((*parts, *_published(review)))


def _rate_table(review: Review) -> str:
    """Rates with their intervals; of variants and sizes, the more numerous ones are the rows."""
    accesses = list(dict.fromkeys(rate.access for rate in review.sure.rates))
    sizes = review.scenario.traffic.sizes
    found = {(rate.access, rate.packet_bytes): _interval(rate.pps, 1e-6, 3) for rate in review.sure.rates}
    if len(accesses) > len(sizes):
        head = ("Mpps", *(f"{size} B" for size in sizes))
        return table(head, [(access, *(found[access, size] for size in sizes)) for access in accesses])
    head = ("bytes", *(f"{access}, Mpps" for access in accesses))
    return table(head, [(str(size), *(found[access, size] for access in accesses)) for size in sizes])


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
    named = dict.fromkeys(one.source for one in review.published)
    return [
        "<p>Published for exactly this configuration:</p>",
        table(head, rows, left=3),
        *(f'<p class="small">{isolated(source)}</p>' for source in named),
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
            SCOPE_TITLES[row.scopes[0]], row.step, row.function, executes(row), f"{explained.rate(row):.4g}",
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
    first = [one.differences[0] for one in review.comparisons]
    met = dict.fromkeys(name for one in first for name, value in one.made_up_of.items() if abs(value) >= _SEEN_NS)
    rows: list[Sequence[Cell]] = [
        (entry(name, places), *(f"{one.made_up_of.get(name, 0.0):+.2f}" for one in first)) for name in met
    ]
    rows.append(("total", *(f"{one.saved_ns:+.2f}" for one in first)))
    names = [f"{one.before} → {one.after}" for one in review.comparisons]
    more = (
        '<p class="small">The choice above the chart shows another variant against the first.</p>'
        if len(names) > 1
        else ""
    )
    return "\n".join(
        (
            f"<h2>What makes up the difference: {isolated(names[0])}</h2>",
            chart("waterfall", "nanoseconds per packet from the first variant to another, by what saves them"),
            more,
            table(("ns per packet saved", *names), rows, total=True),
        )
    )


def changes(review: Review) -> str:
    """Which inputs move the answer, how far, and what to measure next."""
    found, places = review.tornado, sources_by_key(review)
    factor, unit = (1e-6, "Mpps") if found.output == "pps" else (1.0, "gain, %")
    rows = [
        (entry(one.key, places), *(f"{one.values[name] * factor:.3f}" for name in ("low", "high", "swing")))
        for one in found.indices
    ]
    parts = [
        "<h2>What would change the answer, and what to measure next</h2>",
        *([chart("tornado", "the answer when one input stands at either end of its range")] if rows else []),
        "".join(f'<p class="next">{isolated(one)}</p>' for one in found.findings),
        '<p class="small">Each input moves alone over its range; what a calibration ties together is only in the '
        "intervals above. A bar, and a name in the tables, leads to the source of the entry.</p>",
        folded(
            f"every input alone at the ends of its central 90 % ({unit}; as it is: {found.nominal * factor:.3f})",
            table(("input", "low end", "high end", "swing"), rows),
        ),
    ]
    if review.sure.widest:
        shares: list[Sequence[Cell]] = [
            (entry(name, places), f"{share:.0%}") for name, share in review.sure.widest.items()
        ]
        shares.append(("all entries, as far as a straight line explains it", f"{review.sure.explained:.0%}"))
        parts.append(table(("share of the variance when all vary together", ""), shares, total=True))
    return "\n".join(parts)


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


def validity(review: Review) -> str:
    """What lies outside the evidence, and what bounds any variant."""
    said = review.outside or "inside the evidence: CPU, kernel, variants, sizes and load are those of published figures"
    notes = dict.fromkeys(note for point in review.result.points for note in point.notes)
    rows = []
    for one in review.limits:
        lines = (f"{rate / 1e6:.2f}" for rate in one.line_rates_pps.values())
        copies = "-" if one.copy_pps is None else f"{one.copy_pps / 1e6:.2f}"
        rows.append((str(one.packet_bytes), f"{one.ideal_pps / 1e6:.2f}", copies, *lines))
    head = ("bytes", "no checks", "copies only", *(f"{gbit} GbE" for gbit in LINK_GBIT))
    return (
        f'<h2>How far the evidence reaches</h2>\n<p class="next">{isolated(said)}</p>\n'
        + "".join(f"<p>{isolated(note)}</p>" for note in notes)
        + f"<p>What bounds any variant, in Mpps:</p>{table(head, rows)}"
    )


def assumptions(review: Review) -> str:
    """The assumptions that this scenario rests on, of all that the model makes."""
    rows = [(one.number, one.sentence.replace("`", ""), one.key.replace("`", "")) for one in review.assumptions]
    return "<h2>Assumptions</h2>\n" + folded(
        f"the {len(rows)} assumptions of the model that this scenario rests on, each with the key that changes it",
        table(("", "assumption", "key"), rows, left=3),
    )


def sources(review: Review) -> str:
    """Every table entry behind the answer: value, range, grade, source, and what it adds to each variant."""
    accesses = [variant.name for variant in review.scenario.access]
    rows = []
    for one in review.sources:
        quantity = one.quantity
        value = f"{quantity.value:.4g} [{quantity.low:.4g}, {quantity.high:.4g}] {quantity.unit}"
        cycles = (one.cycles.get(access) for access in accesses)
        shown = ("" if number is None else f"{number:.2f}" for number in cycles)
        rows.append((one.key, value, quantity.grade, quantity.source, *shown))
    head = ("key", "value [range]", "grade", "source", *(f"cycles, {access}" for access in accesses))
    grades = Counter(one.quantity.grade for one in review.sources)
    counts = ", ".join(f"{count} {grade}" for grade, count in sorted(grades.items()))
    ids = list(sources_by_key(review).values())
    return "<h2>Sources of every number used</h2>\n" + folded(
        f"{len(rows)} table entries ({counts})", table(head, rows, left=4, ids=ids)
    )


def scenario(review: Review) -> str:
    """The resolved scenario, whole."""
    text = whole(dump_scenario(review.scenario))
    return "<h2>The resolved scenario</h2>\n" + folded(
        "every table that the answer depends on (printed only when it is open)", text, printed=False
    )


SECTIONS: tuple[Callable[[Review], str], ...] = (
    answer, rates, why, difference, changes, latency, validity, assumptions, sources, scenario,
)  # fmt: skip
