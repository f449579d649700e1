"""What is an extra is needed by its own questions only, and is named in one line where it is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sim.config.errors import EXTRAS, ConfigError, lacking, require

ROOT = Path(__file__).parents[2]
SEED = "virtio-user-xdp1-tap"
SHORT = ("--sizes", "64", "--access", "copy_user,vmap", "--set", "run.packets=500")
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(requirements):
    return {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements}


@pytest.fixture
def without(empty, compiled):
    """Run the command where libraries are not installed; return its exit code and its two outputs."""

    def run(libraries, *arguments):
        code = (
            f"import sys\nfor name in {libraries!r}: sys.modules[name] = None\n"
            f"sys.argv = ['vhost-sim', *{[str(argument) for argument in arguments]!r}]\n"
            "from sim.cli import main\nmain()\n"
        )
        return subprocess.run([sys.executable, "-c", code], cwd=empty, capture_output=True, text=True, check=False)

    return run


def test_each_extra_brings_the_library_that_is_said_to_be_its_own():
    declared = DECLARED["optional-dependencies"]
    for library, extra in EXTRAS.items():
        assert names(declared[extra]) - {"vhost-sim"} == {library}  # one may need another
        assert library not in names(DECLARED["dependencies"])
    assert names(declared["all"]) == {"vhost-sim"}
    assert declared["all"] == [f"vhost-sim[{','.join(EXTRAS.values())}]"]


def test_what_is_installed_is_not_lacking_and_what_is_not_is_named(monkeypatch):
    assert [library for library in EXTRAS if lacking(library)] == []
    monkeypatch.setitem(sys.modules, "SALib", None)
    assert lacking("SALib") == "SALib is not installed; pip install 'vhost-sim[sobol]'"
    with pytest.raises(ConfigError, match=r"^morris: SALib is not installed; pip install 'vhost-sim\[sobol\]'$"):
        require("SALib", "morris")


NO_PLOTS = "plots are left out: matplotlib is not installed; pip install 'vhost-sim[plots]'"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", SEED, *SHORT),
        ("run", SEED, *SHORT, "--uncertainty", "5"),
        ("compare", SEED, *SHORT, "--json"),
        ("explain", SEED, "--sizes", "64"),
        ("sweep", "sweep.yaml", "--out", "sweep"),
        ("sensitivity", SEED, *SHORT),
        ("capacity", SEED, *SHORT, "--resolution", "0.3", "--out", "capacity"),
        ("check", "zen4"),
    ],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_the_core_needs_no_extra(arguments, without, empty):
    (empty / "sweep.yaml").write_text(
        f"schema: 1\nkind: sweep\nname: two\nscenario: {SEED}\nset: {{run.packets: 500, traffic.packet_bytes: 64}}\n"
        "axes: {access: {values: [vmap]}, virtqueue.size: {values: [128, 256]}}\n"
    )
    done = without([*EXTRAS], *arguments)
    assert done.returncode == 0, done.stderr
    assert "not installed" not in done.stderr.replace(NO_PLOTS, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("library", "arguments", "line"),
    [
        (
            "plotly",
            ("report", SEED, "-o", "page.html"),
            "a page: plotly is not installed; pip install 'vhost-sim[page]'",
        ),
        (
            "SALib",
            ("sensitivity", "seed-gain", "--method", "sobol"),
            "sobol: SALib is not installed; pip install 'vhost-sim[sobol]'",
        ),
        (
            "SALib",
            ("sensitivity", SEED, *SHORT, "--method", "morris"),
            "morris: SALib is not installed; pip install 'vhost-sim[sobol]'",
        ),
        (
            "distributed",
            ("sweep", "cost-ranges", "--dask", "127.0.0.1:1"),
            "--dask: Dask is not installed; pip install 'vhost-sim[cluster]'",
        ),
    ],
)
def test_a_question_that_needs_an_extra_is_refused_in_one_line(library, arguments, line, without, empty):
    done = without([library], *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"vhost-sim: {line}\n")
    assert list(empty.iterdir()) == []


def test_tables_are_written_without_plots_and_that_is_said(without, empty):
    done = without(["matplotlib"], "run", SEED, *SHORT, "--out", "out")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "written to out/: results.csv, results.parquet, scenario.yaml",
        "vhost-sim: plots are left out: matplotlib is not installed; pip install 'vhost-sim[plots]'",
    ]
    assert sorted(file.name for file in (empty / "out").iterdir()) == [
        "results.csv",
        "results.parquet",
        "scenario.yaml",
    ]


def test_a_page_needs_no_matplotlib(without, empty):
    done = without(["matplotlib", "SALib"], "report", SEED, *SHORT, "--draws", "2", "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert (empty / "page.html").stat().st_size > 1_000_000
