"""What the answer rests on: inputs that move it, the reach of the evidence, assumptions, sources, the scenario."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sim.config import dump_scenario
from sim.config.answer import counted
from sim.config.tables.quantity import Quantity
from sim.report.page.html import Cell, Link, chart, entry, folded, isolated, sources_by_key, table, table_of, whole
from sim.report.tables.sources import cited
from sim.report.tables.terminal import Columns
from sim.study.questions.limits import LINK_GBIT
from sim.study.review.review import Review
from sim.study.sensitivity.tornado import Switch

#: The words of a report that somebody who knows vhost and not this tool may not know.
WORDS = (
    ("worker", "the kernel thread that runs vhost_net's handler (vhost-PID); the driver is the guest's side"),
    ("table entry", "one number of a CPU, kernel or scenario file: value, range, source and grade"),
    ("draw", "one run with every table entry drawn anew from its range; all variants meet the same draws"),
    ("fitted", "moved by a calibration within its range, so that published rates are met; before: the prior"),
    ("primitive", "the smallest thing that has a price: stac, lfence, a call, a line moved between caches, a load"),
    ("row", "one step of an actor, such as the read of a descriptor: primitives, and instructions around them"),
    ("round", "one run of the handler, until the ring is found empty or 256 packets are sent"),
    ("refill, flush, drain", "the avail index is read; used elements are handed back; the ring is found empty"),
    ("line_transfer", "waiting for a cache line that the other core has just modified"),
    ("l1_hit and other hits", "waiting for a load behind which a barrier (lfence, stac, clac) lets nothing overlap"),
    ("cpu.overlap", "how much of a load's latency later work hides when no barrier stands between them"),
    ("cpu.payload_exposed", "how much of the latency of a packet's first line its copy waits for"),
    ("cpu.copy_tail", "what of a copy runs only once its first dirty line is there; the rest runs while that travels"),
    ("cpu.next_line_prefetch", "how far a miss on a line of a ring brings the next one along, so that it is a hit"),
    ("kernel.work_scale", "factor on all counted instructions, for another kernel configuration than the one counted"),
    ("ideal", "no checks, fences or SMAP toggles at all, on metadata and on copies: a bound and no patch"),
)


def changes(review: Review) -> str:
    """Which inputs move the answer, how far, and what to measure next."""
    tornado, targets = review.tornado, sources_by_key(review)
    factor, unit = (1e-6, "Mpps") if tornado.output == "pps" else (1.0, "gain, %")
    rows = [
        (entry(index.key, targets), *(f"{index.values[name] * factor:.3f}" for name in ("low", "high", "swing")))
        for index in tornado.indices
    ]
    parts = [
        "<h2>What would change the answer, and what to measure next</h2>",
        *([chart("tornado", "the answer when one input stands at either end of its range")] if rows else []),
        "".join(f'<p class="next">{isolated(finding)}</p>' for finding in tornado.findings),
        f'<p class="small">Of {isolated(_pair(review))}. Each input moves alone between the ends of the central 90 % '
        "of its range, as if no calibration tied them together: the bars do not add up. Shares of the width are of the "
        "squared lengths. A bar, and a name in the tables, leads to the source of the entry.</p>",
        folded(
            f"every input alone at the ends of its central 90 % ({unit}; as it is: {tornado.nominal * factor:.3f})",
            table(("input", "low end", "high end", "swing"), rows),
        ),
    ]
    parts.append(_switches(review, factor, unit))
    if review.sure.widest:
        shares: list[Sequence[Cell]] = [
            (entry(name, targets), f"{share:.0%}") for name, share in review.sure.widest.items()
        ]
        shares.append(("all entries, as far as a straight line explains it", f"{review.sure.explained:.0%}"))
        parts.append(table(("share of the variance when all vary together", ""), shares, total=True))
    return "\n".join(parts)


def _pair(review: Review) -> str:
    pair = review.comparison
    return f"{pair.before} → {pair.after}" if pair else review.scenario.access[0].name


def _switches(review: Review, factor: float, unit: str) -> str:
    """What the answer becomes when one yes-or-no setting is turned over."""
    columns: Columns[Switch] = (
        ("switch", lambda switch: switch.key),
        ("as it is", lambda switch: "on" if switch.is_on else "off"),
        ("source", lambda switch: " ".join(part for part in (switch.grade, switch.source) if part)),
        (f"{unit} when turned over", lambda switch: f"{switch.answer * factor:.1f}"),
    )
    if not review.switches:
        return ""
    return f"<p>Switches, each turned over alone:</p>{table_of(columns, review.switches, left=3)}"


def validity(review: Review) -> str:
    """What lies outside the evidence, and what bounds any variant."""
    reach = (
        review.outside or "inside the evidence: CPU, kernel, variants, sizes and load are those of published figures"
    )
    notes = dict.fromkeys(note for point in review.result.points for note in point.notes)
    rows = []
    for limit in review.limits:
        links = (f"{rate / 1e6:.2f}" for rate in limit.line_rates_pps.values())
        copies = "-" if limit.copy_pps is None else f"{limit.copy_pps / 1e6:.2f}"
        rows.append((str(limit.packet_bytes), f"{limit.ideal_pps / 1e6:.2f}", copies, *links))
    head = ("bytes", "no checks", "copies only", *(f"{gbit} GbE" for gbit in LINK_GBIT))
    return (
        f'<h2>How far the evidence reaches</h2>\n<p class="next">{isolated(reach)}</p>\n'
        + "".join(f"<p>{isolated(note)}</p>" for note in notes)
        + f"<p>What bounds any variant, in Mpps:</p>{table(head, rows)}"
        + "".join(f"<p>{isolated(limit.note)}</p>" for limit in review.limits if limit.note)
    )


def assumptions(review: Review) -> str:
    """The assumptions that this scenario rests on, of all that the model makes."""
    rows = [
        (assumption.number, assumption.sentence.replace("`", ""), assumption.key.replace("`", ""))
        for assumption in review.assumptions
    ]
    return "<h2>Assumptions</h2>\n" + folded(
        f"the {len(rows)} assumptions of the model that this scenario rests on, each with the key that changes it",
        table(("", "assumption", "key"), rows, left=3),
    )


def sources(review: Review) -> str:
    """Every table entry behind the answer: value, range, grade, source, and what it adds to each variant."""
    accesses = [variant.name for variant in review.scenario.access]
    rows: list[Sequence[Cell]] = []
    for source in review.sources:
        quantity = source.quantity
        value = f"{quantity.value:.4g} [{quantity.low:.4g}, {quantity.high:.4g}] {quantity.unit}"
        cycles = (source.cycles.get(access) for access in accesses)
        shown = ("" if number is None else f"{number:.2f}" for number in cycles)
        links = tuple(Link(row.key, f"reference-{row.anchor}") for row in cited(quantity.source))
        rows.append((source.key, value, *_origin(quantity, review.priors.get(source.key)), links, *shown))
    head = ("key", "value [range]", "grade", "source", "cites", *(f"cycles, {access}" for access in accesses))
    grades = Counter("fitted" if source.key in review.priors else source.quantity.grade for source in review.sources)
    counts = ", ".join(f"{count} {grade}" for grade, count in sorted(grades.items()))
    ids = list(sources_by_key(review).values())
    return (
        "<h2>Sources of every number used</h2>\n"
        + folded(f"{len(rows)} table entries ({counts})", table(head, rows, left=5, ids=ids))
        + _references(review)
    )


def _references(review: Review) -> str:
    """What the sources cite: the rows of docs/sources.md, so that a number can be followed without the repository."""
    texts = [*(source.quantity.source for source in review.sources), *(rate.source for rate in review.published)]
    references = list(dict.fromkeys(row for text in texts for row in cited(text)))
    rows = [(row.key, *(text.replace("`", "") for text in (row.finding, row.where, row.sure))) for row in references]
    head = ("cited as", "what was found", "where", "how sure")
    ids = [f"reference-{row.anchor}" for row in references]
    return folded(f"what they cite: {counted(len(rows), 'source')}", table(head, rows, left=4, ids=ids))


def _origin(quantity: Quantity, prior: Quantity | None) -> tuple[str, str]:
    """Return grade and source of an entry; of a fitted one also what the table said before."""
    if prior is None:
        return quantity.grade, quantity.source
    before = f"{prior.value:.4g} [{prior.low:.4g}, {prior.high:.4g}] {prior.unit}, {prior.grade}"
    return "fitted", f"{quantity.source} (prior {before})"


def words(review: Review) -> str:
    """The words that a reader may not know."""
    del review
    return f"<h2>Words</h2>\n{table(('', ''), WORDS, left=2)}"


def scenario(review: Review) -> str:
    """The resolved scenario, whole."""
    text = whole(dump_scenario(review.scenario))
    return "<h2>The resolved scenario</h2>\n" + folded(
        "every table that the answer depends on (printed only when it is open)", text, printed=False
    )
