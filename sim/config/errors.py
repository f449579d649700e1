"""The one error that bad input raises, and the search for the nearest valid name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class ConfigError(ValueError):
    """Bad input, said in one line: what is wrong, where, and the nearest thing that would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest valid name, or the list of valid names if none is close."""
    choices = sorted(set(valid))
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    if 0 < len(choices) <= 16:
        return f"; valid: {', '.join(choices)}"
    return ""


def without_file(message: str) -> str:
    """Return what a message says, without the file that it names first."""
    return re.sub(r"^\S+\.ya?ml: ", "", message)
