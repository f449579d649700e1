"""One question and its answer as a single HTML file that needs no network: words, tables, and charts by Plotly.

The same review gives the same bytes. The tables say what the charts show, for print and for readers without scripts.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from sim import __version__
from sim.report.page import answer, evidence, numbers
from sim.report.page.charts import charts
from sim.report.page.html import embedded, escaped, whole
from sim.study.review.review import Review

#: The sections of the page, in the order in which a reviewer asks.
SECTIONS: tuple[Callable[[Review], str], ...] = (
    answer.answer,
    *(numbers.rates, numbers.why, numbers.difference),
    evidence.changes,
    numbers.latency,
    *(evidence.validity, evidence.assumptions, evidence.sources, evidence.words, evidence.scenario),
)

#: Nothing is fetched and nothing is sent, whatever a text in the page may try.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
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
    return f'<h2>Make this page again</h2>\n{whole(command)}\n<p class="small">vhost-sim {escaped(__version__)}</p>'


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return Plotly's own bundle, compressed so that the page stays small: a browser inflates it."""
    bundle = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return base64.b64encode(zlib.compress(bundle, 9)).decode()
