"""Notebooks run anew: the same cells and the same outputs, to the byte, as those that are kept."""

from __future__ import annotations

import pytest

from tests.notebooks.test_kept import FOLDER, NAMES

STALE = "is stale: write it anew with `make notebooks-write`, and look at what has changed"


@pytest.mark.deep
@pytest.mark.parametrize("name", NAMES)
def test_text_form_and_notebook_hold_the_same_cells(name):
    import nbformat

    from notebooks.write import cells_of

    kept = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    pairs = [[(cell.cell_type, cell.source) for cell in one.cells] for one in (cells_of(FOLDER / f"{name}.py"), kept)]
    assert pairs[0] == pairs[1], f"{name}.ipynb {STALE}"


#: Notebooks that simulate longest: what-ifs by the dozen, draws by the thousand, all of the published figures.
SLOW = ("02-what-if", "03-sensitivity", "04-design-review", "05-validation")


@pytest.mark.deep
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NAMES]
)
def test_running_the_text_form_gives_what_is_kept(name):
    import nbformat

    from notebooks.write import as_text, executed

    file = FOLDER / f"{name}.ipynb"
    made = executed(FOLDER / f"{name}.py")
    for number, (now, kept) in enumerate(zip(made.cells, nbformat.read(file, as_version=4).cells, strict=True)):
        assert now == kept, f"cell {number} of {name}.ipynb {STALE}"
    assert as_text(made) == file.read_text(encoding="utf-8"), f"{name}.ipynb {STALE}"


@pytest.mark.deep
def test_a_name_that_is_none_is_refused_before_anything_runs(capsys):
    from notebooks.write import main

    assert main(["07-nothing"]) == 2
    assert capsys.readouterr().err == f"unknown notebook '07-nothing'; valid: {', '.join(NAMES)}\n"
