"""From a number to the note that it cites: every citation leads to a place that exists."""

from __future__ import annotations

import re

import pytest

from generate.markdown import plain
from generate.notes import NOTES, link, names, places, slug
from generate.pages import generated_pages
from generate.sourced import sourced
from generate.words import terms, with_meanings
from sim.report.tables.sources import references
from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"
#: What is cited by a word of its own, and is no part of a note; the page of sources says what it is.
WORDS = re.compile(
    r"[0-9a-f]{12}|\d+\.\d+|group|traces?|span|gap|(?:sim/host/)?\w+\.c|counted under emulation|vendor"
    r"|(?:not|no figure) in the fact files"
)


@pytest.mark.parametrize("citation", [name for row in references() for name in row.names])
def test_a_citation_leads_to_its_note_or_is_a_word_of_its_own(citation):
    place = link(citation)
    assert (place is None) == bool(WORDS.fullmatch(citation))
    if place is not None:
        file, _, anchor = place.partition("#")
        text = (DOCS / file).read_text(encoding="utf-8")
        assert not anchor or f'<a id="{anchor}"></a>' in text


def test_sections_and_sources_lead_to_their_own_place():
    assert link("primitive-costs.md 2.3") == "facts/primitive-costs.md#2-3"
    assert link("S5") == "facts/primitive-costs.md#s5"
    assert link("DESIGN 6b.17") == "facts/decisions.md#6b-17"
    assert link("published-measurements.md B9") == "facts/published-measurements.md#b9"
    assert link("primitive-costs.md 4.1") == "facts/primitive-costs.md#4"  # of which it is a part
    assert link("kernel-accesses.md A.2 U1") == f"facts/kernel-accesses.md#{slug('A.2 U1')}"


@pytest.mark.parametrize("note", names())
def test_each_place_of_a_note_is_there_once_and_the_page_is_in_the_navigation(note):
    text = (NOTES / f"{note}.md").read_text(encoding="utf-8")
    assert len(places(note)) == len(re.findall(r'<a id="', text))
    assert f"facts/{note}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not re.search(r"/(?:work|tmp|root|home)/", text)


def test_links_between_notes_lead_somewhere():
    for note in names():
        targets = re.findall(r"\]\(([\w./-]+\.md)", (NOTES / f"{note}.md").read_text(encoding="utf-8"))
        assert [target for target in targets if not (NOTES / target).resolve().is_file()] == []


def test_a_source_on_a_page_of_tables_leads_to_a_place_of_the_page_of_sources():
    anchors = set(re.findall(r'<a id="([^"]+)"', (DOCS / "sources.md").read_text(encoding="utf-8")))
    linked = 0
    for path, text in generated_pages().items():
        for target, anchor in re.findall(r"\]\(([./]*sources\.md)#([^)]+)\)", text):
            assert (DOCS / path).parent.joinpath(target).resolve() == DOCS / "sources.md"
            assert anchor in anchors
            linked += 1
    assert linked > 100


def test_a_source_that_cites_nothing_stands_as_it_is():
    assert sourced("guess: nothing is known") == plain("guess: nothing is known")


def test_terms_of_several_words_have_their_meaning_behind_them_where_they_are_used():
    assert terms()["avail ring"] == "what the driver makes available: flags, index, ring[], used_event"
    page = with_meanings("The avail ring is read.")
    assert page.splitlines() == ["The avail ring is read.", "", f"*[avail ring]: {terms()['avail ring']}"]
    assert with_meanings("A mapping of values.") == "A mapping of values."
