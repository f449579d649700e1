"""What an answer was made by: the version of the model, and a digest of the shipped tables that it was priced with."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from sim import __version__
from sim.config.loading import paths

#: Digits of the digest that are shown: enough that no two states of the tables share them.
_DIGITS = 12
#: Tables about tables, which no answer depends on.
_ABOUT = ("assumptions", "sources", "mismatches")


def digest_of(folder: Path) -> str:
    """Return the digest of all tables in a folder with the shape of `configs/`, by name and content.

    Ends of lines do not count, so that a checkout on any system has the same digest.
    """
    whole = hashlib.sha256()
    for place in sorted({place for kind, place in paths.FOLDERS.items() if kind not in _ABOUT}):
        for file in sorted((folder / place).glob("*.yaml")):
            if file.stem not in _ABOUT:
                content = file.read_bytes().replace(b"\r\n", b"\n")
                whole.update(f"{place}/{file.name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()[:_DIGITS]


@cache
def tables_digest() -> str:
    """Return the digest of the shipped tables. Tables of your own stand whole in what is written beside an answer."""
    return digest_of(paths.shipped())


def made_by() -> dict[str, str]:
    """Return version and digest by name, as JSON and CSV have them.

    Examples
    --------
    >>> sorted(made_by())
    ['tables', 'version']
    """
    return {"version": __version__, "tables": tables_digest()}


def made_by_line() -> str:
    """Return version and digest in a line, as pages, plots and `vhost-sim --version` have them."""
    return f"vhost-sim {__version__}, tables {tables_digest()}"
