"""The page for a design review: everything in one file, nothing in it but text, the same bytes each time."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html.parser import HTMLParser

import pytest

from sim.report.page.charts import label, labels
from sim.report.page.html import Link, embedded, table
from sim.report.page.page import page
from sim.report.tables.sources import cited
from sim.study.uncertainty.intervals import Gain, Interval
from tests.damage import changed

COMMAND = "vhost-sim report x -o report.html"
TITLES = (
    *("How much", "Why", "What makes up the difference", "What would change the answer", "Latency"),
    *("How far the evidence reaches", "Assumptions", "Sources of every number used", "The resolved scenario"),
    "Make this page again",
)


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
def made(plain_review):
    return page(plain_review, COMMAND)


@pytest.fixture(scope="module")
def text(made):
    return made.replace("<wbr>", "")  # as it is read


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
    from sim.study.review.review import gained

    lost = Gain(
        "a",
        "b",
        64,
        Interval(-5.2, -8.1, 1.4),
        Interval(-9, -14, 2),
        Interval(-5.2, -8.1, 1.4),
        Interval(-9, -14, 2),
        0.9,
        0.1,
        "executed",
    )
    assert gained(lost) == "b loses 5.2 % [-1.4, 8.1] against a"
    more = Gain(
        "a",
        "b",
        64,
        Interval(-15.2, -18.1, -11.4),
        Interval(-29, -34, -22),
        Interval(-15.2, -18.1, -11.4),
        Interval(-29, -34, -22),
        1.0,
        0.1,
        "executed",
    )
    assert gained(more) == "b loses 15 % [11, 18] against a"
    same = Gain(
        "a",
        "b",
        64,
        Interval(0.01, -0.02, 0.1),
        Interval(0.05, -0.1, 0.5),
        Interval(0.01, -0.02, 0.1),
        Interval(0.05, -0.1, 0.5),
        0.5,
        0.1,
        "executed",
    )
    assert gained(same) == "b does not differ from a: +0.0 % [-0.0, +0.1]"


def test_totals_of_the_tables_are_the_points_own(text, plain_review):
    point = plain_review.result.at("copy_user", 64)
    total = re.search(r'<tr class="total">(.*?)</tr>', text)[1]
    assert f"<bdi>{point.cycles_per_packet:.1f}</bdi>" in total
    (one,) = figures(text)["waterfall"]["data"]
    waterfall = one["x"]
    assert waterfall[0] + sum(waterfall[1:-1]) == pytest.approx(waterfall[-1], abs=0.05)


def test_nothing_is_fetched_and_the_page_is_small(text, hostile):
    for one in (text, hostile):
        assert len(one.encode()) < 5_000_000
        read = Reader(one)
        assert not {"link", "img", "iframe", "object", "base", "form"} & set(read.tags)
        assert "src" not in {name for name, _ in read.attributes}
        assert all(value.startswith("#") for name, value in read.attributes if name == "href")
        assert "default-src 'none'" in one


def test_the_bundle_is_plotly_itself(text):
    packed = re.search(r'id="plotly">(.*?)</script>', text)[1]
    assert b"plotly.js v" in zlib.decompress(base64.b64decode(packed))[:200]


def test_the_bundle_is_compressed_once(made, plain_review, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert page(plain_review, COMMAND) == made
    (file,) = tmp_path.glob("plotly.*.zlib")
    begun = file.stat().st_mtime_ns
    assert page(plain_review, COMMAND) == made
    assert file.stat().st_mtime_ns == begun
    changed(file)
    assert page(plain_review, COMMAND) == made


def test_the_same_review_gives_the_same_bytes(plain_review, made):
    assert page(plain_review, COMMAND) == made


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


def test_the_assumptions_are_those_that_the_scenario_rests_on(text, plain_review):
    said = " ".join(Reader(text).texts)
    assert f"the {len(plain_review.assumptions)} assumptions of the model that this scenario rests on" in said
    assert "testpmd txonly spends 45 ns" in said
    assert "The receive handler was not executed" not in said


def test_names_part_behind_their_words(made):
    assert "<bdi>cpu.primitives.line_<wbr>transfer</bdi>" in made
    assert re.sub("_<wbr>", "_", made).count("<wbr>") == 0, "nowhere else"


def test_every_link_leads_to_the_source_of_what_it_names(text, plain_review):
    rows = dict(re.findall(r'<tr id="(source-\d+)"><td class="text"><bdi>(.*?)</bdi>', text))
    assert list(rows.values()) == [one.key for one in plain_review.sources]
    links = re.findall(r'<a href="#(source-\d+)"><bdi>(.*?)</bdi></a>', text)
    assert {"stac", "clac", "lfence", "cpu.primitives.lfence", "cpu.primitives.stac + clac"} <= {
        one for _, one in links
    }
    for target, name in links:
        assert rows[target] in (name, f"cpu.primitives.{name}", name.split(" + ")[0])


def test_a_source_leads_to_what_it_cites(text, plain_review):
    links = set(re.findall(r'<a href="#(reference-[^"]+)">', text))
    places = re.findall(r'<tr id="(reference-[^"]+)">', text)
    assert links <= set(places)
    assert len(places) == len(set(places))
    lfence = next(one.quantity.source for one in plain_review.sources if one.key == "cpu.primitives.lfence")
    assert {f"reference-{row.anchor}" for row in cited(lfence)} <= links
    assert cited(lfence)


def test_bars_lead_to_sources_too(text):
    places = set(re.findall(r'<tr id="(source-\d+)">', text))
    shown = figures(text)
    (fall,) = shown["waterfall"]["data"]
    assert (fall["customdata"][0], fall["customdata"][-1]) == (None, None)
    assert fall["customdata"][fall["y"].index("lfence")] in places
    assert {place for bar in shown["tornado"]["data"] for _, place in bar["customdata"]} <= places


def test_the_questions_of_a_review_are_answered_at_the_top(text, plain_review):
    top = text[: text.index("<h2>")]
    for question, said in plain_review.answers().items():
        assert f"<dt>{question}</dt>" in top
        assert said in " ".join(Reader(top).texts)


def test_the_interval_of_a_single_size_is_drawn_as_a_bar():
    import sim
    from sim.study.review.ask import review
    from tests.report.conftest import SEED, SHORT

    found = review(sim.load_scenario(SEED, overrides=[*SHORT, "traffic.packet_bytes=64"]), 5)
    line = next(one for one in figures(page(found, COMMAND))["rates"]["data"] if one.get("name") == "copy_user")
    pps = found.sure.rates[0].pps
    assert line["error_y"]["array"] == [pytest.approx((pps.high - pps.value) / 1e6)]
    assert line["error_y"]["arrayminus"] == [pytest.approx((pps.value - pps.low) / 1e6)]


def test_a_third_variant_has_its_gain_and_its_waterfall():
    import sim
    from sim.study.review.ask import review
    from tests.report.conftest import SEED, SHORT

    found = review(sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap,ideal"]), 5)
    whole = page(found, COMMAND)
    assert "<bdi>+0.00</bdi>" in whole  # vmap executes as many access_ok as copy_user, ideal fewer
    assert "<bdi>-0.00</bdi>" not in whole
    shown = figures(whole)
    assert shown["gains"]["data"][0]["y"] == ["ideal", "vmap"]  # the largest gain first
    assert [one["visible"] for one in shown["waterfall"]["data"]] == [True, False]
    (choice,) = shown["waterfall"]["layout"]["updatemenus"]
    assert [one["label"] for one in choice["buttons"]] == ["vmap", "ideal"]
    for comparison, button in zip(found.comparisons, choice["buttons"], strict=True):
        low, high = button["args"][1]["xaxis.range"]
        first = comparison.differences[0]
        assert low < first.after.ns_per_packet < first.before.ns_per_packet < high


def test_a_table_marks_its_total_and_the_places_of_its_rows():
    made = table(("a", "b"), [(Link("<x>", "here"), "1"), ("y", "2")], ids=["here", "there"], total=True)
    assert '<tr id="here"><td class="text"><a href="#here"><bdi>&lt;x&gt;</bdi></a></td>' in made
    assert '<tr id="there" class="total"><td class="text"><bdi>y</bdi></td><td class="number"><bdi>2</bdi></td>' in made


def test_more_variants_than_colours_still_look_different():
    from sim.report.page.charts import _look

    looks = [_look(number) for number in range(16)]
    assert len(set(looks)) == 16
