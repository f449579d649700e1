"""Notebooks in a real browser: charts drawn, code and tables in boxes of their own, nothing fetched, no complaint."""

from __future__ import annotations

import re

import pytest

from tests.browser import WIDTHS, assert_fits, look, needs_browser, screenshot
from tests.notebooks.test_kept import FOLDER, NAMES

#: Opens what is folded, so that the code is looked at, too.
OPENED = "(page.querySelectorAll('details').forEach((one) => { one.open = true; }), true)"
SEEN = """({
  charts: [...page.querySelectorAll(".jp-RenderedSVG svg")].map((one) => ({
    marks: one.querySelectorAll("[id^='patch_'] path, [id^='line2d_'] path, [id^='line2d_'] use, "
      + "[id*='Collection_'] path, [id*='Collection_'] use").length,
    width: one.getBoundingClientRect().width, height: one.getBoundingClientRect().height,
    says: one.getAttribute("aria-label"),
  })),
  tables: page.querySelectorAll("table").length,
  boxed: [...page.querySelectorAll("table")].filter((one) =>
    page.defaultView.getComputedStyle(one.parentElement).overflowX === "auto").length,
  code: page.querySelectorAll("details.code pre").length,
  fetched: page.defaultView.performance.getEntriesByType("resource").map((one) => one.name),
})"""


@pytest.mark.deep
@needs_browser
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_drawn_at_desktop_and_phone_width(name, tmp_path):
    import nbformat

    from notebooks.pages import page

    kept = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    shown = [output.data for cell in kept.cells if cell.cell_type == "code" for output in cell.outputs]
    file = tmp_path / f"{name}.html"
    file.write_text(page(kept, name), encoding="utf-8")
    seen, said = look(file, tmp_path, SEEN, OPENED)
    assert said == []
    assert_fits(seen)
    for one, width in zip((one["more"] for one in seen), WIDTHS, strict=True):
        assert len(one["charts"]) == sum("image/svg+xml" in data for data in shown) >= 1
        for chart in one["charts"]:
            assert chart["marks"] >= 10
            assert 300 < chart["width"] < width
            assert chart["height"] > 100
            assert chart["says"]
        assert one["boxed"] == one["tables"] == sum("text/html" in data for data in shown)
        assert one["code"] == sum(cell.cell_type == "code" for cell in kept.cells)
        assert one["fetched"] == []
    screenshot(file, tmp_path / "page.png", WIDTHS[NAMES.index(name) % len(WIDTHS)], 3000)


@pytest.mark.deep
def test_a_page_names_nothing_that_it_would_fetch():
    import nbformat

    from notebooks.pages import page

    made = page(nbformat.read(FOLDER / f"{NAMES[0]}.ipynb", as_version=4), NAMES[0])
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', made) == []
    assert "<script" not in made
    assert "import " not in re.sub(r"<pre>.*?</pre>", "", made, flags=re.DOTALL)
