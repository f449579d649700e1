"""One question and its answer as a single HTML file that needs no network: words, tables, and charts by Plotly.

Everything that comes from a file or an option is text: escaped in HTML, and in the JSON that the charts are drawn from.
The same review gives the same bytes. The tables say what the charts show, for print and for readers without scripts.
"""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from sim.config import dump_scenario
from sim.report.assumptions import assumptions
from sim.report.charts import charts
from sim.report.stack import LAYERS, stack
from sim.study.limits import LINK_GBIT
from sim.study.review import Review
from sim.study.uncertainty import FEW_DRAWS, Interval

#: Nothing is fetched and nothing is sent, whatever a text in the page may try.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)
_LONGEST = 300


def page(review: Review, command: str) -> str:
    """Return the page; `command` is the one that makes it again."""
    body = "\n".join(
        (
            _answer(review), _rates(review), _why(review), _changes(review), _latency(review), _validity(review),
            _assumptions(), _sources(review), _scenario(review), _command(command),
        )
    )  # fmt: skip
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_escaped(review.question)}</title>
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


def embedded(data: object) -> str:
    """Return JSON that may stand inside a script element: no text in it can close the element."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return Plotly's own bundle, compressed so that the page stays small: a browser inflates it."""
    bundle = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return base64.b64encode(zlib.compress(bundle, 9)).decode()


def _escaped(text: str) -> str:
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return html.escape(short.replace("\0", "\ufffd"))


def _text(text: str) -> str:
    """Return a text of unknown direction: whatever it is written in, what stands beside it stays where it is."""
    return f"<bdi>{_escaped(text)}</bdi>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1, total: bool = False) -> str:
    """Return a table whose first `left` columns are text and whose others are numbers; `total` marks the last row."""

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = ("text" if number < left else "number" for number in range(len(cells)))
        made = (f'<{tag} class="{kind}">{_text(one)}</{tag}>' for kind, one in zip(kinds, cells, strict=True))
        return f"<tr>{''.join(made)}</tr>"

    lines = [line(row, "td") for row in rows]
    if total and lines:
        lines[-1] = lines[-1].replace("<tr>", '<tr class="total">', 1)
    body = "\n".join(lines)
    return f'<div class="wide"><table><thead>{line(head, "th")}</thead><tbody>\n{body}</tbody></table></div>'


def _chart(name: str, says: str) -> str:
    return f'<div class="chart" id="{name}" role="img" aria-label="{html.escape(says)}"></div>'


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary>\n{content}\n</details>"


def _interval(one: Interval, factor: float, digits: int) -> str:
    return f"{one.value * factor:.{digits}f} [{one.low * factor:.{digits}f}, {one.high * factor:.{digits}f}]"


def _answer(review: Review) -> str:
    scenario = review.scenario
    about = (
        ("scenario", f"{scenario.name}: {scenario.title}"),
        ("CPU", scenario.cpu.title or scenario.cpu.name),
        ("kernel", scenario.kernel.title or scenario.kernel.name),
        ("driver, device, backend", f"{scenario.driver.kind}, {scenario.device.kind}, {scenario.backend.kind}"),
        ("ring", f"{scenario.virtqueue.layout}, {scenario.virtqueue.size} entries"),
        ("variants", ", ".join(variant.name for variant in scenario.access)),
        ("calibration", scenario.calibration or "none"),
    )
    next_one = "".join(f'<p class="next">{_text(one)}</p>' for one in review.tornado.findings[-1:])
    return (
        f'<header><h1>{_text(review.question)}</h1>\n<p class="answer">{_text(review.sentence())}</p>\n'
        f"{next_one}</header>\n{_table(('', 'what was asked'), about, left=2)}\n"
        f'<p class="small">Intervals are {_kind_of_interval(review.sure.draws)} of {review.sure.draws} draws of every '
        "cost from its range, the same draws for all variants.</p>"
    )


def _kind_of_interval(draws: int) -> str:
    return "the central 90 %" if draws >= FEW_DRAWS else "the lowest and the highest"


def _rates(review: Review) -> str:
    accesses = list(dict.fromkeys(rate.access for rate in review.sure.rates))
    found = {(rate.access, rate.packet_bytes): rate.pps for rate in review.sure.rates}
    sizes = review.scenario.traffic.sizes
    rows = [(str(size), *(_interval(found[access, size], 1e-6, 3) for access in accesses)) for size in sizes]
    parts = [
        "<h2>How much: packets per second against packet size</h2>",
        _chart("rates", "packets per second against packet size with 90 % bands and the rates of full links"),
        _table(("bytes", *(f"{access}, Mpps" for access in accesses)), rows),
    ]
    if review.sure.gains:
        gains = [
            (
                f"{one.before} → {one.after}", str(one.packet_bytes), _interval(one.gain_percent, 1, 1),
                _interval(one.saved_ns, 1, 1), one.sentence(review.sure.draws),
            )
            for one in review.sure.gains
        ]  # fmt: skip
        parts.append(_table(("difference", "bytes", "gain, %", "saved, ns", "sign"), gains))
    parts += [f'<p class="small">{_text(note)}</p>' for note in review.sure.notes]
    return "\n".join(parts)


def _why(review: Review) -> str:
    points = [point for point in review.result.points if point.packet_bytes == review.first_size]
    stacks = [{layer.key: value for layer, value in stack(point.breakdown_cycles)} for point in points]
    rows = [
        (layer.title, *(f"{one.get(layer.key, 0.0):.1f}" for one in stacks))
        for layer in LAYERS
        if any(layer.key in one for one in stacks)
    ]
    rows.append(("total", *(f"{sum(one.values()):.1f}" for one in stacks)))
    head = ("worker cycles per packet", *(point.access for point in points))
    parts = [
        f"<h2>Why: where the cycles go at {review.first_size} B</h2>",
        _chart("stack", "worker cycles per packet of each variant, by layer"),
        _table(head, rows, total=True),
    ]
    if review.comparison is not None:
        one = review.comparison.differences[0]
        shown = [(name, f"{value:+.2f}") for name, value in one.made_up_of.items() if abs(value) >= 0.005]
        parts += [
            f"<h2>What makes up the difference: {_text(review.comparison.before)} → "
            f"{_text(review.comparison.after)}</h2>",
            _chart("waterfall", "nanoseconds per packet from the first variant to the second, by what saves them"),
            _table(("", "ns per packet saved"), [*shown, ("total", f"{one.saved_ns:+.2f}")], total=True),
        ]
    return "\n".join(parts)


def _changes(review: Review) -> str:
    found = review.tornado
    factor, unit = (1e-6, "Mpps") if found.output == "pps" else (1.0, "gain, %")
    rows = [
        (one.key, *(f"{one.values[name] * factor:.3f}" for name in ("low", "high", "swing"))) for one in found.indices
    ]
    parts = [
        "<h2>What would change the answer</h2>",
        *([_chart("tornado", "the answer when one input stands at either end of its range")] if rows else []),
        "".join(f'<p class="next">{_text(one)}</p>' for one in found.findings),
        '<p class="small">Each input moves alone over its range; what a calibration ties together is only in the '
        "intervals above.</p>",
        _folded(
            f"every input alone at the ends of its central 90 % ({unit}; as it is: {found.nominal * factor:.3f})",
            _table(("input", "low end", "high end", "swing"), rows),
        ),
    ]
    if review.sure.widest:
        shares = [(name, f"{share:.0%}") for name, share in review.sure.widest.items()]
        shares.append(("all entries, as far as a straight line explains it", f"{review.sure.explained:.0%}"))
        parts.append(_table(("share of the variance when all vary together", ""), shares, total=True))
    return "\n".join(parts)


def _latency(review: Review) -> str:
    rows = [
        (
            point.access, point.bound_by, str(point.packet_bytes),
            *(f"{point.latency_us[name]:.2f}" for name in ("p50", "p99", "p999")),
            f"{point.occupancy['mean']:.0f}", f"{point.utilisation['worker']:.0%}",
        )
        for point in review.result.points
    ]  # fmt: skip
    head = ("variant", "bound by", "bytes", "median us", "99 % us", "99.9 % us", "packets in the ring", "worker busy")
    return (
        f"<h2>Latency from posting to use at {review.first_size} B</h2>\n"
        f"{_chart('latency', 'median, 99 % and 99.9 % latency of each variant')}\n{_table(head, rows, left=2)}"
    )


def _validity(review: Review) -> str:
    said = review.outside or "inside the evidence: CPU, kernel, variants, sizes and load are those of published figures"
    notes = dict.fromkeys(note for point in review.result.points for note in point.notes)
    rows = []
    for one in review.limits:
        lines = (f"{rate / 1e6:.2f}" for rate in one.line_rates_pps.values())
        copies = "-" if one.copy_pps is None else f"{one.copy_pps / 1e6:.2f}"
        rows.append((str(one.packet_bytes), f"{one.ideal_pps / 1e6:.2f}", copies, *lines))
    head = ("bytes", "no checks", "copies only", *(f"{gbit} GbE" for gbit in LINK_GBIT))
    return (
        f'<h2>How far the evidence reaches</h2>\n<p class="next">{_text(said)}</p>\n'
        + "".join(f"<p>{_text(note)}</p>" for note in notes)
        + f"<p>What bounds any variant, in Mpps:</p>{_table(head, rows)}"
    )


def _assumptions() -> str:
    rows = assumptions()
    return "<h2>Assumptions</h2>\n" + _folded(
        f"{len(rows)} assumptions of the model, each with the key that changes it",
        _table(("", "assumption", "key"), rows, left=3),
    )


def _sources(review: Review) -> str:
    accesses = [variant.name for variant in review.scenario.access]
    rows = []
    for one in review.sources:
        quantity = one.quantity
        value = f"{quantity.value:.4g} [{quantity.low:.4g}, {quantity.high:.4g}] {quantity.unit}"
        cycles = (one.cycles.get(access) for access in accesses)
        shown = ("" if number is None else f"{number:.2f}" for number in cycles)
        rows.append((one.key, value, quantity.grade, quantity.source, *shown))
    head = ("key", "value [range]", "grade", "source", *(f"cycles, {access}" for access in accesses))
    graded: dict[str, int] = {}
    for one in review.sources:
        graded[one.quantity.grade] = graded.get(one.quantity.grade, 0) + 1
    counts = ", ".join(f"{count} {grade}" for grade, count in sorted(graded.items()))
    return "<h2>Sources of every number used</h2>\n" + _folded(
        f"{len(rows)} table entries ({counts})", _table(head, rows, left=4)
    )


def _scenario(review: Review) -> str:
    text = html.escape(dump_scenario(review.scenario).replace("\0", "\ufffd"))
    return f"<h2>The resolved scenario</h2>\n{_folded('every table that the answer depends on', f'<pre>{text}</pre>')}"


def _command(command: str) -> str:
    return f"<h2>Make this page again</h2>\n<pre>{html.escape(command)}</pre>"
