"""All generated pages, by their path in the site."""

from __future__ import annotations

import re
from pathlib import Path

from generate.commands import commands_page
from generate.datapaths import datapath_pages
from generate.keys import key_pages
from generate.tables import table_pages

_MANY = ("cpus/", "kernels/", "implementations/", "scenarios/")
_ROOT = Path(__file__).parents[2]
#: Pages of the site that stand beside the README in the repository.
_AT_THE_ROOT = {"reference/changes.md": "CHANGELOG.md", "reference/contributing.md": "CONTRIBUTING.md"}


def generated_pages() -> dict[str, str]:
    """Map the path of each generated page to its Markdown."""
    below = {"commands.md": commands_page(), **key_pages(), **table_pages(), **datapath_pages()}
    pages = {f"reference/{path}": _found_last(path) + text for path, text in below.items()}
    return pages | {path: _of_the_root(name) for path, name in _AT_THE_ROOT.items()}


def _of_the_root(name: str) -> str:
    """Return a page of the repository's root as a page of the site: its links lead to pages of the site, or nowhere."""
    text = (
        (_ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](../").replace("](CHANGELOG.md", "](changes.md")
    )
    return re.sub(r"\[([^]]+)\]\((?:LICENSE|SECURITY\.md|CODE_OF_CONDUCT\.md)\)", r"\1", text)


def _found_last(path: str) -> str:
    """Let a search show the page of a single CPU, kernel or scenario, of which there are many, behind the others."""
    return "---\nsearch: {boost: 0.5}\n---\n\n" if path.startswith(_MANY) else ""
