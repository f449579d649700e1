"""Write what commands print now into the pages that show it: `python -m tests.docs.rewrite docs/tutorial.md ...`.

Only output is rewritten, line by line in the shape that the page has: `...` stays, and each line is replaced by the
printed one that looks most like it. Numbers in sentences are for the writer to look after: `git diff` shows which.
"""

from __future__ import annotations

import re
import sys
import tempfile
from difflib import SequenceMatcher
from pathlib import Path

from tests.docs.blocks import NAMES, ROOT
from tests.docs.run import run_page


def rewritten(shown: str, printed: str) -> str:
    """Return the shown output with its lines as they are printed now."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    new, place, anywhere = [], 0, False
    for want in shown.rstrip("\n").split("\n"):
        if want.lstrip().startswith("...") or place >= len(lines):
            new.append(want)
            anywhere = True
            continue
        found = place + _most_alike(want, lines[place:]) if anywhere else place
        new.append(want if want.endswith(" ...") else lines[found])
        place, anywhere = found + 1, False
    return "\n".join(new) + "\n"


def _most_alike(want: str, lines: list[str]) -> int:
    """Return the number of the line that differs least once its numbers are left out; the first of equals."""
    if want in lines:
        return lines.index(want)
    likeness = [SequenceMatcher(None, _shape(want), _shape(line)).ratio() for line in lines]
    return likeness.index(max(likeness))


def _shape(line: str) -> str:
    return re.sub(r"[-+]?\d[\d.,]*", "0", re.sub(r" +", " ", line))


def rewrite(name: str) -> list[str]:
    """Rewrite the outputs of a page; return what was wrong with it."""
    page, outputs = ROOT / name, dict[str, str]()
    with tempfile.TemporaryDirectory() as folder:
        problems = run_page(name, Path(folder), lambda _: True, differing=outputs.__setitem__)
    text = page.read_text(encoding="utf-8")
    for shown, printed in outputs.items():
        text = text.replace(f"```text\n{shown}```", f"```text\n{rewritten(shown, printed)}```")
    page.write_text(text, encoding="utf-8")
    return problems


if __name__ == "__main__":
    for each in sys.argv[1:] or NAMES:
        for problem in rewrite(each):
            print(f"{each}, {problem.splitlines()[0]}")
