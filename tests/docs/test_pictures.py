"""Pictures of the README: they are there, say what they show, and the one that an answer makes is that answer."""

from __future__ import annotations

import re

import pytest

from generate.pictures import ASSETS, pictures
from tests.docs.blocks import ROOT

MOST_BYTES = 200_000
TAGS = re.findall(r"<img [^>]+>", (ROOT / "README.md").read_text(encoding="utf-8"))


def attribute(tag, name):
    found = re.search(rf'{name}="([^"]*)"', tag)
    return found[1] if found else ""


def test_two_pictures_stand_above_the_first_heading_and_are_light():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(TAGS) == 2
    assert readme.rindex("<img ") < readme.index("\n## ")
    for tag in TAGS:
        assert 0 < (ROOT / attribute(tag, "src")).stat().st_size < MOST_BYTES
        assert len(attribute(tag, "alt")) > 40


@pytest.mark.deep
@pytest.mark.parametrize("name", ["pps.svg"])
def test_a_picture_is_what_its_script_draws(name):
    assert pictures()[name] == (ASSETS / name).read_text(encoding="utf-8")


def test_a_picture_has_a_ground_of_its_own_and_reads_on_a_dark_page():
    text = (ASSETS / "pps.svg").read_text(encoding="utf-8")
    assert re.search(r'<g id="patch_1">\s*<path [^>]*style="fill: #ffffff"', text)
