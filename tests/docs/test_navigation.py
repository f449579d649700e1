"""Every written page has its place in the navigation, so that a new one is not lost."""

from __future__ import annotations

import yaml

from tests.docs.blocks import ROOT


def places(entries):
    """Pages of a navigation, however deep."""
    for entry in entries:
        for value in entry.values():
            yield from places(value) if isinstance(value, list) else (value,)


def test_every_page_of_docs_stands_in_the_navigation_once():
    listed = list(places(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    written = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert written - set(listed) == set()
    assert len(listed) == len(set(listed))
    assert all(place.startswith("reference/") for place in set(listed) - written)  # generated
