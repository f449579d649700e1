"""All generated pages, by their place in the site."""

from __future__ import annotations

from generate.commands import commands_page
from generate.datapaths import datapath_pages
from generate.keys import key_pages
from generate.tables import table_pages

_MANY = ("cpus/", "kernels/", "implementations/", "scenarios/")


def generated_pages() -> dict[str, str]:
    """Map the place of each generated page to its Markdown."""
    below = {"commands.md": commands_page(), **key_pages(), **table_pages(), **datapath_pages()}
    return {f"reference/{place}": _found_last(place) + text for place, text in below.items()}


def _found_last(place: str) -> str:
    """Let a search show the page of a single CPU, kernel or scenario, of which there are many, behind the others."""
    return "---\nsearch: {boost: 0.5}\n---\n\n" if place.startswith(_MANY) else ""
