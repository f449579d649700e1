"""Blocks of code in Markdown pages, and what each is for: a command, its output, a file, Python.

```console   lines `$ COMMAND  # comment`, run in order; `# exit 2` states another exit code than 0
```text      behind a console block: what it prints, `...` standing for any lines; else a file
```yaml      a file whose first line is a comment with its path; so are diff and text
```python    run by itself
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

_FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"# ([\w./-]+\.\w+)$")
_EXIT = re.compile(r"#.*\bexit (\d+)")


@dataclass(frozen=True)
class Command:
    """One command line, and the exit code that the page states."""

    line: str
    code: int = 0


@dataclass(frozen=True)
class Block:
    """One fenced block of a page: commands, the output that they should have, a file, or Python."""

    line: int
    commands: tuple[Command, ...] = ()
    output: str | None = None
    file: str | None = None
    python: bool = False
    text: str = ""


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page; ValueError names one that is none of the four kinds."""
    found: list[Block] = []
    for fence in _FENCE.finditer(page):
        language, text = fence[1], fence[2]
        line = page.count("\n", 0, fence.start()) + 1
        first = text.split("\n", 1)[0]
        path = _PATH.match(first)
        if language == "console":
            found.append(Block(line, _commands(text, line)))
        elif language in ("yaml", "diff", "text") and path:
            found.append(Block(line, file=path[1], text=text))
        elif language == "text" and found and found[-1].commands:
            found[-1] = Block(found[-1].line, found[-1].commands, text)
        elif language == "python":
            found.append(Block(line, python=True, text=text))
        else:
            raise ValueError(f"line {line}: a block of '{language}' that is neither run, written nor compared")
    return found


def _commands(text: str, line: int) -> tuple[Command, ...]:
    lines = text.replace("\\\n", " ").splitlines()
    wrong = [one for one in lines if not one.startswith("$ ")]
    if wrong or not lines:
        raise ValueError(f"line {line}: a command starts with '$ ' (found {wrong[:1]})")
    made = []
    for one in lines:
        stated = _EXIT.search(one)
        made.append(Command(one[2:], int(stated[1]) if stated else 0))
    return tuple(made)


def differs(shown: str, printed: str) -> str | None:
    """Return the first shown line that was not printed where it should be, None when all were.

    A line of `...` (and what stands behind it) is any number of lines; one that ends in ` ...` is the start of one. A
    title may be printed in two lines: it is wrapped at the width of its table.
    """
    lines = _lines(printed)
    places = {0}  # where the printed lines may stand when all shown lines so far are found
    for want in _lines(shown):
        if want.lstrip().startswith("..."):
            places = set(range(min(places), len(lines) + 1))
            continue
        ends = {(place, place + taken) for place in places for taken in (1, 2) if place + taken <= len(lines)}
        found = {end for place, end in ends if _same(want, " ".join(lines[place:end]))}
        if not found:
            return want
        places = found
    return None if len(lines) in places else f"(end; printed: {lines[max(places)]})"


def _same(want: str, line: str) -> bool:
    return line.startswith(want.removesuffix("...")) if want.endswith(" ...") else want == line


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]
