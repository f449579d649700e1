"""Terminal, page and Python say the same numbers of one question: the same draws, the same seed."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

import sim
from sim.study.runs.case import sides_of
from sim.study.uncertainty.parts import parts_of
from sim.study.uncertainty.uncertainty import uncertainty

from .conftest import COMMAND

pytestmark = pytest.mark.deep

SEED, DRAWS = 3, 12
#: A kernel whose counts depend on each other, a third variant and a second size that no comparison of two looks at.
SETS = ("kernel=v6.12", "cpu=sapphire-rapids", "run.packets=3000", "run.precision=0")
ACCESS, SIZES = "copy_user,vmap,uaccess_batched", "64,1518"
NAME = "virtio-user-xdp1-tap"


@pytest.fixture(scope="module")
def scenario():
    sizes, access = f"traffic.packet_bytes={SIZES}", f"access={ACCESS}"
    return sim.load_scenario(NAME, overrides=[access, sizes, f"run.seed={SEED}", *SETS])


@pytest.fixture(scope="module")
def told(compiled, tmp_path_factory):
    """The JSON of each command about the question, and the page."""
    asked = [part for change in SETS for part in ("--set", change)]
    asked += ["--sizes", SIZES, "--seed", str(SEED), "--json"]
    page = tmp_path_factory.mktemp("page") / "page.html"
    calls = {
        "run": ("run", NAME, "--access", ACCESS, *asked, "--uncertainty", DRAWS),
        "compare": ("compare", NAME, "--access", ACCESS.rpartition(",")[0], *asked, "--uncertainty", DRAWS),
        "report": ("report", NAME, "--access", ACCESS, *asked, "--draws", DRAWS, "-o", page),
    }
    answers = {}
    for call, arguments in calls.items():
        command = [str(COMMAND), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        answers[call] = json.loads(done.stdout)
    return answers | {"page": page.read_text(encoding="utf-8")}


def test_rates_and_gains_with_their_intervals(told, scenario):
    sure = uncertainty(sides_of(scenario), DRAWS, SEED).to_dict()
    assert told["run"]["uncertainty"] == told["report"]["uncertainty"] == sure
    compared = told["compare"]["uncertainty"]
    assert compared["gains"] == [gain for gain in sure["gains"] if gain["after"] == "vmap"]
    assert compared["rates"] == [rate for rate in sure["rates"] if rate["access"] != "uaccess_batched"]


def test_the_runs_themselves(told, scenario):
    result = json.loads(json.dumps(sim.run(scenario).to_dict()))["results"]
    assert told["run"]["results"] == told["report"]["results"] == result
    compared = json.loads(json.dumps(sim.compare(scenario).to_dict()))["results"]
    assert told["compare"]["results"] == told["report"]["comparisons"][0]["results"] == compared
    explained = sim.explain(scenario, "copy_user")
    assert explained.point.pps == result[0]["pps"]


def test_the_parts_of_the_difference(told, scenario):
    parts = parts_of(sides_of(scenario), DRAWS, SEED).to_dict()
    assert told["compare"]["parts"] == told["report"]["parts"] == parts


def test_the_ranking_and_what_the_evidence_is_worth(told):
    first, second = (dict(told[call]["ranking"]) for call in ("compare", "report"))
    for ranks in (first, second):
        ranks["rows"] = [{key: value for key, value in row.items() if key != "stressed"} for row in ranks["rows"]]
    assert first == second
    assert told["compare"]["width_by_grade"] == told["report"]["width_by_grade"]
    for call in ("compare", "report"):
        assert told[call]["ranking"]["rows"][0]["gain"]


def test_the_page_prints_what_the_terminal_prints(told):
    text = re.sub(r"<[^>]+>", " ", told["page"])
    gain = next(gain for gain in told["compare"]["uncertainty"]["gains"] if gain["packet_bytes"] == 64)
    value, low, high = (gain["gain_percent"][end] for end in ("value", "low", "high"))
    assert f"vmap gains {value:.0f} % [{low:.0f}, {high:.0f}] over copy_user at 64 B" in re.sub(r"\s+", " ", text)
    for rate in told["compare"]["uncertainty"]["rates"]:
        ends = (rate["pps"][end] / 1e6 for end in ("value", "low", "high"))
        assert "{:.3f} [{:.3f}, {:.3f}]".format(*ends) in text
