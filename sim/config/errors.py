"""The one error that bad input raises, and the search for the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

_FEW = 16


class ConfigError(ValueError):
    """Bad input, said in one line: what is wrong, where, and the nearest thing that would be right.

    The line is `GIVEN: FILE: KEY: MESSAGE (got GOT)`, without the parts that are not known. The command line words
    the parts anew: an assignment as `--set KEY=VALUE`, an argument of the library as the option that stands for it.

    Parameters
    ----------
    message
        What is wrong, without where.
    file
        The file at fault.
    key
        The key of the file that is at fault; without a file, the argument of the library that is.
    got
        The value that was found there.
    expected
        The names that are valid there; the line ends with the nearest of them, or all if they are few and none is
        near. The message says what was got.
    given
        The assignment `KEY=VALUE` that brought the value in.

    Attributes
    ----------
    nearest : str or None
        The expected name that is nearest to what was got.

    Examples
    --------
    >>> str(ConfigError("at least 1 is needed", key="draws", got=0))
    'draws: at least 1 is needed (got 0)'
    >>> error = ConfigError("unknown cpu 'zen9'", file="mine.yaml", got="zen9", expected=["zen4", "broadwell"])
    >>> str(error), error.nearest
    ("mine.yaml: unknown cpu 'zen9'; did you mean 'zen4'?", 'zen4')
    """

    def __init__(
        self,
        message: str,
        *,
        file: object = None,
        key: str | None = None,
        got: object = None,
        expected: Iterable[str] | None = None,
        given: str | None = None,
    ) -> None:
        self.message, self.file, self.key, self.got, self.given = message, file, key, got, given
        self.expected = None if expected is None else sorted(set(expected))
        self.nearest = None if self.expected is None else _closest(str(got), self.expected)
        parts = [str(part) for part in (given, file, key, message) if part is not None]
        if self.expected is not None:
            tail = _hint(self.nearest, self.expected)
        else:
            tail = "" if got is None else f" (got {got})"
        super().__init__(" ".join(f"{': '.join(parts)}{tail}".split()))

    def replace(self, **parts: Any) -> ConfigError:
        """Return the same error with other parts."""
        names = ("message", "file", "key", "got", "expected", "given")
        return ConfigError(**({name: getattr(self, name) for name in names} | parts))


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest valid name, or the list of valid names if none is close."""
    choices = sorted(set(valid))
    return _hint(_closest(name, choices), choices)


def _hint(close: str | None, choices: list[str]) -> str:
    if close is not None:
        return f"; did you mean '{close}'?"
    return f"; valid: {', '.join(choices)}" if 0 < len(choices) <= _FEW else ""


def _closest(name: str, choices: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, choices, n=1, cutoff=0.5)), None)
