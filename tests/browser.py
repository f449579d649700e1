"""Pages in a real headless browser, at desktop and phone width: what is wide, what is drawn, what the console says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS = (1280, 390)

#: On CI a missing browser is a failure, never a skip.
needs_browser = pytest.mark.skipif(BROWSER is None and "CI" not in os.environ, reason="no Chromium on this machine")

_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=20000",
)  # fmt: skip

#: One window of each width on one page, and what a script sees in them when READY holds in both.
_PROBE = """<!DOCTYPE html><body>FRAMES<pre id="seen"></pre><script>
const look = () => {
  const pages = [...document.querySelectorAll("iframe")].map((one) => one.contentDocument);
  const there = (page) => page.URL !== "about:blank" && page.readyState === "complete" && (READY);
  if (!pages.every(there)) { setTimeout(look, 50); return; }
  document.getElementById("seen").textContent = JSON.stringify(pages.map((page) => {
    const width = page.documentElement.clientWidth;
    const scrolls = (one) => {
      for (let box = one; box; box = box.parentElement) {
        if (["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX)) return true;
      }
      return false;
    };
    return {
      wide: page.documentElement.scrollWidth, window: width,
      sticking: [...page.querySelectorAll("h1, h2, h3, p, li, table, pre, img, svg, summary")].filter(
        (one) => one.getBoundingClientRect().right > width + 1 && !scrolls(one)
      ).map((one) => one.outerHTML.slice(0, 200)),
      more: MORE,
    };
  }));
};
look();
</script></body>"""


def browse(folder: Path, *options: str) -> tuple[str, list[str]]:
    """Run the browser on a page named in `options`; return its standard output and the lines of its console."""
    assert BROWSER is not None, "no Chromium on this machine"
    command = [BROWSER, *_QUIET, f"--user-data-dir={folder / 'profile'}", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def look(file: Path, folder: Path, more: str = "null", ready: str = "true") -> tuple[list[dict[str, Any]], list[str]]:
    """Open a page at both `WIDTHS`; return what is seen in each, and the lines of the console.

    Seen are `wide` (of the content), `window`, `sticking` (elements that stick out of the window, and of no box that
    scrolls) and `more`, the value of a JavaScript expression about the document `page`. `ready` says when to look.
    """
    seen, said = look_at([file.as_uri()], folder, more, ready)
    return seen[0], said


def look_at(
    pages: Sequence[str], folder: Path, more: str = "null", ready: str = "true"
) -> tuple[list[list[dict[str, Any]]], list[str]]:
    """Open several pages, by address, in one run of the browser; return what `look` does, for each, and the console."""
    frames = "".join(
        f'<iframe src="{page}" width="{width}" height="900"></iframe>' for page in pages for width in WIDTHS
    )
    probe = folder / "probe.html"
    filled = _PROBE.replace("FRAMES", frames).replace("READY", ready).replace("MORE", more)
    probe.write_text(filled, encoding="utf-8")
    shown, said = browse(folder, "--dump-dom", probe.as_uri())
    seen = re.search(r'<pre id="seen">(.*?)</pre>', shown, re.DOTALL)
    assert seen is not None, "the probe itself was not shown"
    assert seen[1], "the page never got ready"
    every = json.loads(seen[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return [every[first : first + len(WIDTHS)] for first in range(0, len(every), len(WIDTHS))], said


def assert_fits(seen: Sequence[dict[str, Any]]) -> None:
    """Assert that nothing is wider than the window, at any of the widths."""
    for one, width in zip(seen, WIDTHS, strict=True):
        assert one["window"] <= width
        assert one["wide"] == one["window"]
        assert one["sticking"] == []


def screenshot(file: Path, picture: Path, width: int, height: int) -> None:
    """Take a picture of a page."""
    browse(picture.parent, f"--window-size={width},{height}", f"--screenshot={picture}", file.as_uri())
    assert picture.read_bytes().startswith(b"\x89PNG")
