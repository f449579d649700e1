"""The built wheel in an empty environment, used from an empty folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, cwd):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.deep
def test_the_wheel_runs_the_seed_scenario_by_name(tmp_path, empty):
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    source = tmp_path / "source"
    for name in tracked:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "dist", ".", cwd=source)
    (wheel,) = (tmp_path / "dist").glob("vhost_sim-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    documents = {f"sim/configs/{name}.yaml" for name in ("assumptions", "sources", "mismatches", "defaults")}
    assert "sim/py.typed" in inside
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)
    assert documents | {"sim/report/page/page.css", "sim/report/page/page.js"} <= inside
    shared = {name.partition(".data/data/")[2] for name in inside}
    completions = {"bash-completion/completions/vhost-sim", "fish/vendor_completions.d/vhost-sim.fish"}
    assert {
        f"share/{name}" for name in (*completions, "zsh/site-functions/_vhost-sim", "man/man1/vhost-sim.1")
    } <= shared
    for room in ("host", "count"):
        assert {f"sim/{room}/{file.name}" for file in (ROOT / "sim" / room).glob("*.[ch]")} <= inside

    venv.create(tmp_path / "fresh")
    binaries = tmp_path / "fresh" / ("Scripts" if sys.platform == "win32" else "bin")
    into = ("--python", binaries / "python", "--constraint", ROOT / "constraints.txt")
    uv, asked = Path(sys.executable).with_name("uv"), {"cwd": empty, "capture_output": True, "text": True}
    run(uv, "pip", "install", "--quiet", *into, wheel, cwd=empty)

    shown = run(binaries / "vhost-sim", "run", "virtio-user-xdp1-tap", "--sizes", "64", "--json", cwd=empty)
    results = {point["access"]: point for point in json.loads(shown)["results"]}
    assert results["copy_user"]["pps"] == pytest.approx(5.0e6, rel=0.01)
    assert results["vmap"]["pps"] == pytest.approx(6.1e6, rel=0.01)
    assert list(empty.iterdir()) == []
    assert "0 errors, 0 warnings" in run(binaries / "vhost-sim", "check", cwd=empty)
    short = ("--sizes", "64", "--draws", "2", "--out", tmp_path / "report.html")
    refused = subprocess.run([binaries / "vhost-sim", "report", "virtio-user-xdp1-tap", *short], **asked, check=False)
    assert (refused.returncode, refused.stderr) == (
        2,
        "vhost-sim: a page: plotly is not installed; pip install 'vhost-sim[page]'\n",
    )

    run(uv, "pip", "install", "--quiet", *into, f"vhost-sim[all] @ {wheel.as_uri()}", cwd=empty)
    run(binaries / "vhost-sim", "report", "virtio-user-xdp1-tap", *short, cwd=empty)
    assert "instructions x CPI x scale" in (tmp_path / "report.html").read_text(encoding="utf-8")
