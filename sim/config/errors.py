"""The one error that bad input raises, and the search for the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

_FEW = 16

#: Characters of a message, and of a word in it: a path, a key, a text without blanks.
_MOST, _MOST_OF_A_WORD = 400, 160
#: A name with more characters is near to no valid one.
_MOST_OF_A_NAME = 100


def one_line(text: str) -> str:
    """Return a message as it may be shown: one line of at most 400 characters, none of which a terminal obeys.

    Whatever a key or a file holds, a control character, a surrogate or a mark that turns the direction of writing
    stands there as its escape, and the middle of what is too long as `...`.

    Examples
    --------
    >>> one_line("unknown key '\x1b[31mred\u202e'\n")
    "unknown key '\\x1b[31mred\\u202e'"
    """
    words = [_shortened(_printable(_shortened(word, _MOST)), _MOST_OF_A_WORD) for word in text.split()]
    return " ".join(_shortened(" ".join(words), _MOST, cut=" ... ").split())


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def _shortened(text: str, most: int, cut: str = "...") -> str:
    """Return a text without its middle where it is too long: its end may hold the nearest valid name."""
    if len(text) <= most:
        return text
    left = most - len(cut)
    return text[: left * 2 // 3] + cut + text[-(left - left * 2 // 3) :]


class ConfigError(ValueError):
    """Bad input, said in one short line: what is wrong, where, and the nearest thing that would be right.

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
    listed
        The kind of table whose list shows what there is, where no expected name is near and they are many.

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
        listed: str | None = None,
    ) -> None:
        self.message, self.file, self.key, self.got, self.given = message, file, key, got, given
        self.expected = None if expected is None else sorted(set(expected))
        self.nearest = None if self.expected is None else _closest(str(got), self.expected)
        parts = [str(part) for part in (given, file, key, message) if part is not None]
        if self.expected is not None:
            tail = _hint(self.nearest, self.expected)
        else:
            tail = "" if got is None else f" (got {got})"
        self.listed = listed if self.expected is not None and not tail else None
        if self.listed is not None:
            tail = f"; see sim.list_tables('{listed}')"
        super().__init__(one_line(f"{': '.join(parts)}{tail}"))

    def replace(self, **parts: Any) -> ConfigError:
        """Return the same error with other parts."""
        names = ("message", "file", "key", "got", "expected", "given", "listed")
        return ConfigError(**({name: getattr(self, name) for name in names} | parts))


#: Libraries that only some questions need, and the extra of the distribution that brings each.
EXTRAS = {"matplotlib": "plots", "plotly": "page", "SALib": "sobol", "distributed": "cluster", "nicegui": "explore"}


def lacking(library: str) -> str | None:
    """Say that a library of an extra is missing, and how it is had; None where it is there."""
    if find_spec(library) is not None:
        return None
    return f"{library} is not installed; pip install 'vhost-sim[{EXTRAS[library]}]'"


def require(library: str, question: str) -> None:
    """Raise ConfigError, before anything is computed, where a question needs a library that is missing."""
    if (problem := lacking(library)) is not None:
        raise ConfigError(f"{question}: {problem}")


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest valid name, or the list of valid names if none is close."""
    choices = sorted(set(valid))
    return _hint(_closest(name, choices), choices)


def _hint(close: str | None, choices: list[str]) -> str:
    if close is not None:
        return f"; did you mean '{close}'?"
    return f"; valid: {', '.join(choices)}" if 0 < len(choices) <= _FEW else ""


def _closest(name: str, choices: list[str]) -> str | None:
    if len(name) > _MOST_OF_A_NAME:
        return None
    return next(iter(difflib.get_close_matches(name, choices, n=1, cutoff=0.5)), None)
