"""The page in a real browser: charts drawn, no console error, nothing wider than the window. Skipped without one."""

from __future__ import annotations

from sim.report.page import page
from tests.browser import assert_fits, look, needs_browser, screenshot

MARKS = """({
  drawn: Number(page.documentElement.dataset.drawn),
  marks: Object.fromEntries([...page.querySelectorAll(".chart")].map((one) => [one.id,
    one.querySelectorAll("g.trace, g.points path, path.point").length])),
  buttons: [...page.querySelectorAll(".modebar-btn")].map((one) => one.dataset.title),
  scripts: page.querySelectorAll("body script").length, calm: page.defaultView.alarm === undefined,
})"""


@needs_browser
def test_the_page_is_drawn_at_desktop_and_phone_width(hostile_review, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page(hostile_review, "vhost-sim report x"), encoding="utf-8")
    seen, said = look(file, tmp_path, MARKS, "page.documentElement.dataset.drawn")
    assert said == []
    assert_fits(seen)
    for one in (one["more"] for one in seen):
        assert one["drawn"] == 5
        assert set(one["marks"]) == {"rates", "stack", "waterfall", "tornado", "latency"}
        assert min(one["marks"].values()) >= 1
        assert not [title for title in one["buttons"] if "loud" in title or "hare" in title]
        assert (one["scripts"], one["calm"]) == (3, True)
    assert set(seen[0]["more"]["buttons"]) == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}
    screenshot(file, tmp_path / "page.png", 1280, 3000)
