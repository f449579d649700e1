"""The page for a design review: everything in one file, nothing in it but text, the same bytes each time."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html.parser import HTMLParser

import pytest

from sim.report.assumptions import assumptions
from sim.report.charts import label, labels
from sim.report.page import embedded, page
from sim.study.uncertainty import Gain, Interval

COMMAND = "vhost-sim report x -o report.html"
TITLES = (
    "How much", "Why", "What makes up the difference", "What would change the answer", "Latency",
    "How far the evidence reaches", "Assumptions", "Sources of every number used", "The resolved scenario",
    "Make this page again",
)  # fmt: skip


class Reader(HTMLParser):
    """Collects tags, attributes, and text by the element that it stands in."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.headings, self._inside = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append(data)
        if "h2" in self._inside:
            self.headings.append(data)


@pytest.fixture(scope="module")
def text(plain_review):
    return page(plain_review, COMMAND)


@pytest.fixture(scope="module")
def hostile(hostile_review):
    return page(hostile_review, COMMAND)


def figures(text):
    return json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])


def test_the_page_answers_the_questions_of_a_review(text, plain_review):
    read = Reader(text)
    for title in TITLES:
        assert any(one.startswith(title) for one in read.headings), title
    said = " ".join(read.texts)
    assert plain_review.sentence() in said
    assert "measure this next" in said
    assert COMMAND in said
    assert all(one.key in said and one.quantity.grade in said for one in plain_review.sources)
    assert "outside the evidence: 1518 B" in said


def test_the_answer_has_its_interval_and_its_sign(plain_review):
    gain = plain_review.sure.gains[0].gain_percent
    start = f"vmap gains {gain.value:.0f} % [{gain.low:.0f}, {gain.high:.0f}] over copy_user at 64 B on "
    assert plain_review.sentence().startswith(start)
    assert plain_review.sentence().endswith("; the sign is certain: all of 20 draws have it")


def test_a_loss_is_called_one():
    from sim.study.review import _gained

    lost = Gain("a", "b", 64, Interval(-5.2, -8.1, 1.4), Interval(-9, -14, 2), 0.9, 0.1)
    assert _gained(lost) == "b loses 5 % [-1, 8] against a"
    same = Gain("a", "b", 64, Interval(0.01, -0.02, 0.1), Interval(0.05, -0.1, 0.5), 0.5, 0.1)
    assert _gained(same) == "b does not differ from a: +0.0 % [-0.0, +0.1]"


def test_totals_of_the_tables_are_the_points_own(text, plain_review):
    point = plain_review.result.at("copy_user", 64)
    total = re.search(r'<tr class="total">(.*?)</tr>', text)[1]
    assert f"<bdi>{point.cycles_per_packet:.1f}</bdi>" in total
    waterfall = figures(text)["waterfall"]["data"][0]["x"]
    assert waterfall[0] + sum(waterfall[1:-1]) == pytest.approx(waterfall[-1], abs=0.05)


def test_nothing_is_fetched_and_the_page_is_small(text, hostile):
    for one in (text, hostile):
        assert len(one.encode()) < 5_000_000
        read = Reader(one)
        assert not {"link", "img", "iframe", "object", "base", "form"} & set(read.tags)
        assert not {"src", "href"} & {name for name, _ in read.attributes}
        assert "default-src 'none'" in one


def test_the_bundle_is_plotly_itself(text):
    packed = re.search(r'id="plotly">(.*?)</script>', text)[1]
    assert b"plotly.js v" in zlib.decompress(base64.b64decode(packed))[:200]


def test_the_same_review_gives_the_same_bytes(plain_review, text):
    assert page(plain_review, COMMAND) == text


def test_hostile_texts_are_text(hostile, text):
    plain, read = Reader(text), Reader(hostile)
    assert read.tags.count("script") == plain.tags.count("script") == 3
    assert "b" not in read.tags
    assert "onclick" not in {name for name, _ in read.attributes}
    assert any("</script><script>alarm=1</script><b onclick=" in one for one in read.texts)
    for figure in figures(hostile).values():
        assert "<b" not in json.dumps(figure["data"])  # Plotly reads markup in its own texts


def test_what_is_embedded_cannot_end_its_element():
    assert embedded("</script>&") == '"\\u003c/script\\u003e\\u0026"'
    assert json.loads(embedded({"a": "</script>&<!--"})) == {"a": "</script>&<!--"}


def test_names_in_charts_are_short_escaped_and_different():
    assert label("<i>") == "&lt;i&gt;"
    assert len(label("x" * 10_000)) == 48
    assert labels(["x" * 100, "x" * 101, "y"]) == ["x" * 47 + "…", "x" * 47 + "… (2)", "y"]


def test_every_assumption_of_the_documentation_is_listed():
    rows = assumptions()
    assert rows[0][0] == "1"
    assert "instructions x CPI x scale" in rows[0][1]
    assert len(rows) > 50
    assert all(len(sentence) > 10 for _, sentence, _ in rows)


def test_more_variants_than_colours_still_look_different():
    from sim.report.charts import _look

    looks = [_look(number) for number in range(16)]
    assert len(set(looks)) == 16
