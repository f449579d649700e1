"""What mkdocs asks of this site: generated pages, notebooks, and links to files that are no pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

from generate.datapaths import drawn
from generate.pages import generated_pages
from generate.words import GLOSSARY, with_meanings

_HERE = Path(__file__).parent
_NOTEBOOKS = _HERE.parent / "notebooks"
#: A page asks for a picture by a comment of its own: <!-- picture: SCENARIO ACCESS -->
_PICTURE = re.compile(r"<!-- picture: (\S+) (\S+) -->")
#: What the converter of notebooks loads for LaTeX from the network; notebooks here have none.
_REMOTE = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)


def notebooks() -> list[Path]:
    """Return the notebooks that the site shows, in the order of their numbers."""
    return sorted(_NOTEBOOKS.glob("*.ipynb"))


def on_config(config: Any) -> Any:
    """Give the notebooks a place in the navigation, if there are any."""
    if notebooks():
        config.nav.insert(-1, {"Notebooks": [f"notebooks/{file.name}" for file in notebooks()]})
    return config


@event_priority(100)
def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages and the notebooks to the files of the site, before others look at those."""
    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    for file in notebooks():
        files.append(File(f"notebooks/{file.name}", str(_HERE.parent), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Draw the pictures that a page asks for, and put the meaning of terms behind them, except where they are said."""
    text = _PICTURE.sub(lambda comment: drawn(comment[1], comment[2]), markdown)
    return text if page.file.src_uri == GLOSSARY.name or page.file.src_uri.endswith(".ipynb") else with_meanings(text)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Leave out what a notebook would load from the network."""
    return _REMOTE.sub("", html) if page.file.src_uri.endswith(".ipynb") else html
