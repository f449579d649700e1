"""The page in a real browser: charts drawn, no console error, nothing wider than the window. Skipped without one."""

from __future__ import annotations

from sim.report.page.page import page
from tests.browser import assert_fits, browse, look, needs_browser, screenshot

MARKS = """({
  drawn: Number(page.documentElement.dataset.drawn),
  marks: Object.fromEntries([...page.querySelectorAll(".chart")].map((one) => [one.id,
    one.querySelectorAll("g.trace, g.points path, path.point").length])),
  buttons: [...page.querySelectorAll(".modebar-btn")].map((one) => one.dataset.title),
  opened: (page.defaultView.dispatchEvent(new Event("beforeprint")),
    [...page.querySelectorAll("details")].map((one) => [one.className, one.open])),
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
        assert {("printed", True), ("", False)} == {(kind, opened) for kind, opened in one["opened"]}
    assert set(seen[0]["more"]["buttons"]) == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}
    screenshot(file, tmp_path / "page.png", 1280, 3000)


@needs_browser
def test_the_answer_is_on_the_first_screen_of_a_phone(plain_review, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page(plain_review, "vhost-sim report x"), encoding="utf-8")
    (how_much,) = (number for number, question in enumerate(plain_review.answers()) if question == "How much")
    assert "saved per packet of a worker core" in plain_review.answers()["How much"]
    ends = f"""[page.querySelector(".answer"), page.querySelectorAll(".short dd")[{how_much}]].map(
      (one) => one.getBoundingClientRect().bottom)"""
    (_, phone), said = look(file, tmp_path, ends)
    assert said == []
    assert max(phone["more"]) < 844  # of a phone that is 390 wide


@needs_browser
def test_a_link_opens_what_is_folded_away(plain_review, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page(plain_review, "vhost-sim report x"), encoding="utf-8")
    ready = """page.documentElement.dataset.drawn && (page.defaultView.location.hash = "#source-2",
      page.querySelector("#source-2").closest("details").open)"""
    seen, said = look(file, tmp_path, "page.querySelectorAll('tr:target').length", ready)
    assert said == []
    assert [one["more"] for one in seen] == [1, 1]


@needs_browser
def test_the_page_can_be_printed(plain_review, tmp_path):
    file, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    file.write_text(page(plain_review, "vhost-sim report x"), encoding="utf-8")
    browse(tmp_path, f"--print-to-pdf={printed}", file.as_uri())
    data = printed.read_bytes()
    assert data.startswith(b"%PDF-")
    assert 4 <= data.count(b"/Type /Page\n") <= 30
