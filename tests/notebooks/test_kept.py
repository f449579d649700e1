"""Notebooks as they are kept, without running anything: in pairs, whole, and free of the machine that made them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ["01-the-patch", "02-what-if", "03-sensitivity", "04-design-review", "05-validation", "06-traffic"]
#: A path from the root of a file system, as a traceback or a warning would show it.
MACHINE = re.compile(r"(?<![\w.])(?:/(?:home|root|tmp|usr|opt|work|var|Users|builds)/|[A-Z]:\\\\)")


def code_cells(name):
    kept = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in kept["cells"] if cell["cell_type"] == "code"]


def test_the_six_are_kept_in_pairs():
    assert sorted(file.stem for file in FOLDER.glob("[0-9]*.py")) == NAMES
    assert sorted(file.stem for file in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_has_run_in_order_and_none_failed(name):
    cells = code_cells(name)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert kinds == {"execute_result"}, "an error, a print or a warning is kept"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_cell_shows_is_a_chart_a_table_or_a_sentence(name):
    forms = [set(output["data"]) for cell in code_cells(name) for output in cell["outputs"]]
    known = ({"image/svg+xml", "text/plain"}, {"text/html", "text/plain"}, {"text/markdown", "text/plain"})
    assert all(form in known for form in forms)
    assert all(form in forms for form in known)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_machine_is_kept(name):
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert MACHINE.search(text) is None
    metadata = json.loads(text)["metadata"]
    assert set(metadata) == {"jupytext", "kernelspec", "language_info"}
    assert metadata["language_info"] == {"name": "python"}


def test_a_path_of_a_machine_would_be_found():
    assert MACHINE.search('File "/home/someone/sim/run.py", line 1')
    assert MACHINE.search('"/usr/lib/python3"')
    assert not MACHINE.search("times / packet, docs/usr/x, before/tmp/after")


@pytest.mark.parametrize("name", NAMES)
def test_prose_says_the_question_what_was_shown_and_what_cannot_be_said(name):
    kept = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    first = "".join(kept["cells"][0]["source"])
    assert first.startswith(f"# {int(name[:2])}. ")
    assert "**The question:**" in first
    assert "## What it cannot say" in json.dumps(kept["cells"], ensure_ascii=False)
