"""The page in a real browser: charts drawn, no console error, nothing wider than the window. Skipped without one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from sim.report.page import page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=20000",
)  # fmt: skip
MARKS = "g.trace, g.points path, path.point"
#: Two windows of different width on one page, and what a script sees in them when the charts are drawn.
PROBE = """<!DOCTYPE html><body><iframe src="report.html" width="1280" height="900"></iframe>
<iframe src="report.html" width="390" height="900"></iframe><pre id="seen"></pre><script>
const look = () => {
  const pages = [...document.querySelectorAll("iframe")].map((one) => one.contentDocument);
  if (!pages.every((one) => one.documentElement && one.documentElement.dataset.drawn)) { setTimeout(look, 50); return; }
  document.getElementById("seen").textContent = JSON.stringify(pages.map((one) => ({
    wide: one.documentElement.scrollWidth, window: one.documentElement.clientWidth,
    drawn: Number(one.documentElement.dataset.drawn),
    marks: Object.fromEntries([...one.querySelectorAll(".chart")].map((c) => [c.id,
      c.querySelectorAll("MARKS").length])),
    sticking: [...one.querySelectorAll("h1, h2, p, .chart, .chart svg, summary, pre")].filter(
      (c) => c.getBoundingClientRect().right > one.documentElement.clientWidth + 1).length,
    buttons: [...one.querySelectorAll(".modebar-btn")].map((c) => c.dataset.title),
    scripts: one.querySelectorAll("body script").length, alarm: one.defaultView.alarm === undefined,
  })));
};
look();
</script></body>""".replace("MARKS", MARKS)


def browse(folder, *options):
    command = [BROWSER, *QUIET, f"--user-data-dir={folder / 'profile'}", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_the_page_is_drawn_at_desktop_and_phone_width(hostile_review, tmp_path):
    (tmp_path / "report.html").write_text(page(hostile_review, "vhost-sim report x"), encoding="utf-8")
    (tmp_path / "probe.html").write_text(PROBE, encoding="utf-8")
    shown, said = browse(tmp_path, "--dump-dom", (tmp_path / "probe.html").as_uri())
    assert said == []
    seen = json.loads(re.search(r'<pre id="seen">(.*?)</pre>', shown, re.DOTALL)[1])
    for one, width in zip(seen, (1280, 390), strict=True):
        assert one["window"] <= width
        assert (one["wide"], one["sticking"]) == (one["window"], 0)
        assert one["drawn"] == 5
        assert set(one["marks"]) == {"rates", "stack", "waterfall", "tornado", "latency"}
        assert min(one["marks"].values()) >= 1
        assert not [title for title in one["buttons"] if "loud" in title or "hare" in title]
        assert (one["scripts"], one["alarm"]) == (3, True)
    assert set(seen[0]["buttons"]) == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}
    browse(
        tmp_path,
        "--window-size=1280,3000",
        f"--screenshot={tmp_path / 'page.png'}",
        (tmp_path / "report.html").as_uri(),
    )
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
