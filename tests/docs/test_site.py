"""The site as a reader opens it from disk: built strictly, every page looked at, nothing from the network."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys

import pytest

from sim.config import load_scenario
from sim.report.plots.picture import shown_rows
from tests.browser import assert_fits, look_at, needs_browser, screenshot
from tests.docs.blocks import ROOT

pytestmark = pytest.mark.deep

#: The page of a scenario whose drawing is counted.
DRAWN = "reference/scenarios/virtio-user-receive-skb.html"
#: Pages that one run of the browser opens at once.
AT_ONCE = 12
WHAT_IS_THERE = """({
  title: page.title,
  equations: page.querySelectorAll("math").length,
  arrows: page.querySelectorAll("svg.datapath path[data-row]").length,
  rows: page.querySelectorAll("svg.datapath g.row").length,
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site that `make docs` has just built (SITE), else one that is built as it builds it."""
    if "SITE" in os.environ:
        return ROOT / os.environ["SITE"]
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def seen(site, tmp_path_factory):
    """What is seen on the first pages at both widths, by its place, and the lines of the console; looked at once."""
    run = tmp_path_factory.getbasetemp()
    shared = run.parent if "PYTEST_XDIST_WORKER" in os.environ else run
    with (shared / "seen.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = shared / "seen.json"
        if not kept.exists():
            kept.write_text(json.dumps(looked_at(site, pages_of(site)[0], tmp_path_factory.mktemp("looked"))))
    return json.loads(kept.read_text())


def pages_of(site):
    """Return the pages to look at first, of those that are written alike the largest, and the rest of those."""
    folders = {}
    for file in sorted(site.rglob("*.html")):
        folders.setdefault(file.parent, []).append(file)
    alike = {folder: files for folder, files in folders.items() if folder.parent == site / "reference"}
    largest = {max(files, key=lambda file: file.stat().st_size) for files in alike.values()} | {site / DRAWN}
    rest = [file for files in alike.values() for file in files if file not in largest]
    return [file for files in folders.values() for file in files if file not in rest], rest


def looked_at(site, files, folder):
    """Open pages, some at a time."""
    found, lines = {}, []
    for first in range(0, len(files), AT_ONCE):
        some, place = files[first : first + AT_ONCE], folder / str(first)
        place.mkdir()
        pages, said = look_at([page.as_uri() for page in some], place, WHAT_IS_THERE, "page.readyState === 'complete'")
        found |= {page.relative_to(site).as_posix(): one for page, one in zip(some, pages, strict=True)}
        lines += said
    return found, lines


def test_nothing_is_loaded_from_the_network(site):
    loads = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=["']?(https?:[^"'\s>]+)""")
    assert loads.findall('<script src="https://a.example/b.js"></script><link rel="x" href=http://c.example/>')
    assert {one for page in site.rglob("*.html") for one in loads.findall(page.read_text("utf-8"))} == set()


def test_generated_pages_and_those_of_docs_are_there(site):
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    written = {
        page.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for page in (ROOT / "docs").rglob("*.md")
    }
    assert written <= pages
    assert {"reference/scenarios/virtio-user-xdp1-tap.html", "reference/keys/scenario.html"} <= pages
    assert {f"notebooks/{one.stem}.html" for one in (ROOT / "notebooks").glob("*.ipynb")} <= pages
    assert not list(site.rglob("*.py"))


def assert_pages_fit(found, lines):
    assert lines == []
    for place, one in found.items():
        assert one[0]["more"]["title"].endswith("vhost-sim"), place
        assert_fits(one)


@needs_browser
def test_pages_fit_and_say_nothing_on_the_console(seen):
    found, lines = seen
    assert len(found) > 35
    assert_pages_fit(found, lines)


@needs_browser
@pytest.mark.slow
def test_so_do_the_other_pages_of_each_kind(site, tmp_path):
    rest = pages_of(site)[1]
    assert len(rest) > 75
    assert_pages_fit(*looked_at(site, rest, tmp_path))


@needs_browser
def test_equations_and_pictures_are_drawn(seen):
    found, _ = seen
    text = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    assert found["model.html"][1]["more"]["equations"] >= text.count("$$") // 2 + 20
    from generate.datapaths import plan_of

    scenario = load_scenario("virtio-user-receive-skb")
    plan = plan_of(scenario, scenario.access[0].name)
    drawn = found[DRAWN][0]["more"]
    assert drawn["rows"] == len(shown_rows(plan))
    assert drawn["arrows"] == sum(
        one is not None for row in shown_rows(plan) for one in (row.access, row.payload_access)
    )


@needs_browser
def test_the_search_works_from_disk(site, tmp_path):
    results = """({results: [...page.querySelectorAll(".md-search-result__item a")].map((one) => one.href)})"""
    ready = """page.querySelectorAll(".md-search-result__item a").length"""
    seen, said = look_at([f"{(site / 'index.html').as_uri()}?q=smap_waits_for_loads"], tmp_path, results, ready)
    assert said == []
    for one in seen[0]:
        assert any("assumptions.html" in link for link in one["more"]["results"])


PICTURED = [
    (page, width)
    for page in ("index", "tutorial", "model", "reference/scenarios/virtio-user-xdp1-tap")
    for width in (1280, 390)
]
#: One page at each width; the others are the same look at further pages.
ALWAYS = [("index", 390), ("reference/scenarios/virtio-user-xdp1-tap", 1280)]


@needs_browser
@pytest.mark.parametrize(
    ("page", "width"), [pytest.param(*one, marks=() if one in ALWAYS else pytest.mark.slow) for one in PICTURED]
)
def test_main_pages_make_a_picture(site, tmp_path, page, width):
    screenshot(site / f"{page}.html", tmp_path / "page.png", width, 1600)
