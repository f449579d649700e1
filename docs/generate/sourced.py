"""Source texts of the tables, as they stand on a page: what they cite leads to the page of sources.

The names in a text stay as they are written; behind it stands a link for each source that it cites.
"""

from __future__ import annotations

from generate.markdown import plain
from sim.report.tables.sources import cited

#: The page of sources, seen from a page that stands in a folder of `docs/reference`, and from `docs/reference` itself.
_FROM = {2: "../../sources.md", 1: "../sources.md"}


def sourced(source: str, depth: int = 2) -> str:
    """Return a source text with links to what it cites; `depth` says how many folders below `docs` its page stands."""
    rows = cited(source)
    if not rows:
        return plain(source)
    links = ", ".join(f"[{plain(row.key)}]({_FROM[depth]}#{row.anchor})" for row in rows)
    return f"{plain(source)} (see {links})"
