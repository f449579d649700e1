"""All generated pages, by their path in the site."""

from __future__ import annotations

from pathlib import Path

from generate.commands import commands_page
from generate.datapaths import datapath_pages
from generate.keys import key_pages
from generate.tables import table_pages

_MANY = ("cpus/", "kernels/", "implementations/", "scenarios/")
_CHANGES = Path(__file__).parents[2] / "CHANGELOG.md"


def generated_pages() -> dict[str, str]:
    """Map the path of each generated page to its Markdown."""
    below = {"commands.md": commands_page(), **key_pages(), **table_pages(), **datapath_pages()}
    pages = {f"reference/{path}": _found_last(path) + text for path, text in below.items()}
    return {**pages, "reference/changes.md": _CHANGES.read_text(encoding="utf-8").replace("](docs/", "](../")}


def _found_last(path: str) -> str:
    """Let a search show the page of a single CPU, kernel or scenario, of which there are many, behind the others."""
    return "---\nsearch: {boost: 0.5}\n---\n\n" if path.startswith(_MANY) else ""
