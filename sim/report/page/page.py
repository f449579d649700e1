"""One question and its answer as a single HTML file that needs no network: words, tables, and charts by Plotly.

The same review gives the same bytes. The tables say what the charts show, for print and for readers without scripts.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from sim.config.errors import require
from sim.config.loading.kept import keep, kept
from sim.config.loading.provenance import made_by_line
from sim.report.page import evidence, numbers
from sim.report.page.charts import charts
from sim.report.page.html import chart, embedded, escaped, isolated, table, whole
from sim.report.tables.conditions import needed, variant_name
from sim.study.review.ranking import guarded
from sim.study.review.review import Review
from sim.study.uncertainty.intervals import FEW_DRAWS

#: Nothing is fetched and nothing is sent, whatever a text in the page may try.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)
_MAPPED = {"user": "not mapped", "vmap": "vmap, 4 KiB pages", "direct": "the direct map"}
#: Variants beyond the second that get a sentence under the answer; of more, the chart and the table of gains have them.
_SENTENCES = 2


def answer(review: Review) -> str:
    """The question, the answer in one sentence, and the six questions of a review in short."""
    rows = review.answers().items()
    others = review.further_sentences()
    few = others if len(others) <= _SENTENCES else []
    further = "".join(f'<p class="further">{isolated(sentence)}</p>' for sentence in few)
    ranked = ""
    if others:
        ranked = chart("gains", f"what each variant gains over the first at {review.first_size} B, with intervals")
    questions = "".join(f"<dt>{escaped(question)}</dt><dd><bdi>{_long(short)}</bdi></dd>" for question, short in rows)
    return (
        f"<header><h1>{isolated(review.question)}</h1>\n{_asked(review)}\n"
        f'<p class="answer">{isolated(review.sentence())}</p>\n{further}'
        '<p class="small">Computed by vhost-sim, a cost model of the datapath: nothing was run on this CPU.</p>'
        f'<dl class="short">{questions}</dl>\n</header>\n{ranked}\n{_competing(review)}\n{_accesses(review)}'
    )


def _long(sentence: str) -> str:
    """Escape a sentence of many names: each word may be hostile, but none of it may be lost to the cut."""
    return " ".join(escaped(word) for word in sentence.split(" "))


def _asked(review: Review) -> str:
    """What was asked, a line for each condition, and what the numbers are those of."""
    (asked,) = review.preface.asked
    rows = [(row.name, row.text) for row in asked.rows]
    return table(("asked", asked.scenario), [*rows, ("numbers", review.scenario.queues.basis)], left=2)


def _competing(review: Review) -> str:
    """Every variant that applies, the asked one marked: its gain, what it needs, what is held against it."""
    ranking = review.ranking
    if ranking is None:
        return ""
    stresses = list(ranking.rows[0].stressed)
    rows = []
    for row in ranking.rows:
        under = (row.stressed[name] for name in stresses)
        cells = ("-" if gain is None else f"{gain:+.1f}" for gain in under)
        rows.append((variant_name(row), needed(row), "; ".join(row.objections), row.spelled(), *cells))
    marked = next(number for number, row in enumerate(ranking.rows) if row.asked)
    head = ("variant", "needs", "objections", "gain", *(f"gain {name}, %" for name in stresses))
    notes = [f"{ranking.sentence()}.", *ranking.notes]
    return "\n".join(
        (
            f"<p>Every variant that applies, against {isolated(ranking.before)} at {isolated(review.size_text)}:</p>",
            table(head, rows, left=3, marked=marked),
            *(f'<p class="small">{isolated(note)}</p>' for note in notes),
        )
    )


def _accesses(review: Review) -> str:
    """What each variant that was asked about does, and whether packet bytes keep their checks."""
    titles = [(variant.name, variant.title) for variant in review.scenario.access]
    bare = [variant.name for variant in review.scenario.access if not guarded(variant)]
    kept = isolated("keep their checks" + (f", except in {', '.join(bare)}." if bare else "."))
    return (
        f"{table(('variant', 'what it does'), titles, left=2)}\n"
        f'<p class="small">Intervals are {_kind_of_interval(review.sure.draws)} of {review.sure.draws} draws of every '
        "cost from its range, with the repeats of a rig and the model's own error: of what would be measured. The "
        "draws are the same for all variants. A variant changes how ring metadata is accessed; copies "
        f"of vnet headers and packet bytes {kept}</p>\n"
        f"{_variants(review)}"
    )


def _kind_of_interval(draws: int) -> str:
    return "the central 90 %" if draws >= FEW_DRAWS else "the lowest and the highest"


def _variants(review: Review) -> str:
    """What a variant does to memory beside the fast path."""
    rows = []
    for variant, explained in zip(review.scenario.access, review.explanations, strict=True):
        mapping, setup = variant.mapping, explained.plan.setup
        setup_us = f"{sum(part.cost_ps for part in setup) / 1e6:.1f}" if setup else "-"
        pinned = "yes" if mapping.pinned else "no"
        rows.append((variant.name, _MAPPED[mapping.pages], pinned, mapping.torn_down, setup_us))
    head = ("variant", "ring mapped through", "pages pinned", "torn down by MMU notifiers", "set-up, us")
    return table(head, rows, left=4)


#: The sections of the page, in the order in which a reviewer asks.
SECTIONS: tuple[Callable[[Review], str], ...] = (
    answer,
    *(numbers.rates, numbers.why, numbers.difference),
    evidence.changes,
    numbers.latency,
    *(evidence.validity, evidence.assumptions, evidence.sources, evidence.words, evidence.scenario),
)


def page(review: Review, command: str) -> str:
    """Return the page; `command` is the one that makes it again."""
    body = "\n".join((*(section(review) for section in SECTIONS), _again(command)))
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(review.question)}</title>
<style>
{_beside("page.css")}</style>
</head>
<body>
{body}
<script type="application/json" id="figures">{embedded(charts(review))}</script>
<script type="text/plain" id="plotly">{_plotly()}</script>
<script>
{_beside("page.js")}</script>
</body>
</html>
"""
    return text.encode("utf-8", "replace").decode("utf-8")  # a YAML text may hold half a character


def _again(command: str) -> str:
    return f'<h2>Make this page again</h2>\n{whole(command)}\n<p class="small">{escaped(made_by_line())}</p>'


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return Plotly's own bundle, compressed so that the page stays small: a browser inflates it.

    To compress it takes a fifth of the time of a short run: it is kept as long as bundle and compressor stay the same.
    """
    require("plotly", "a page")
    bundle = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    made_of = hashlib.sha256(zlib.ZLIB_RUNTIME_VERSION.encode() + bundle)
    name = f"plotly.{made_of.hexdigest()[:24]}.zlib"
    if (compressed := kept(name)) is None:
        compressed = zlib.compress(bundle, 9)
        keep(name, compressed)
    return base64.b64encode(compressed).decode()
