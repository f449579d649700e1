"""The one error that bad input raises, and the search for the nearest valid name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class ConfigError(ValueError):
    """Bad input, said in one line: what is wrong, where, and the nearest thing that would be right.

    The line is `FILE: KEY: MESSAGE (got GOT)`, without the parts that are not given. A key without a file is an
    argument of the library, for which the command line has a flag.
    """

    def __init__(self, message: str, *, file: object = None, key: str | None = None, got: object = None) -> None:
        self.message, self.file, self.key, self.got = " ".join(message.split()), file, key, got
        super().__init__(self.worded(key))

    def worded(self, key: str | None) -> str:
        """Return the line with other words in the place of the key."""
        parts = [str(part) for part in (self.file, key, self.message) if part is not None]
        got = "" if self.got is None else f" (got {self.got})"
        return " ".join(f"{': '.join(parts)}{got}".split())


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
