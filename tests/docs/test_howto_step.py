"""The how-to of a step, followed in a copy of the checkout: its step runs once per packet and moves the rates."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT

#: One scenario for each way of a packet through the transmit handler, and for each ring that shares its fetch.
PATHS = {
    "into an XDP batch": ("virtio-user-xdp1-tap", []),
    "packed ring": ("virtio-user-xdp1-tap", ["virtqueue.layout=packed"]),
    "IN_ORDER": ("virtio-user-xdp1-tap", ["virtqueue.in_order=true"]),
    "several chains in a window": ("virtio-user-xdp1-tap", ["access=uaccess_batched"]),
    "one sendmsg each": ("virtio-user-xdp1-tap", ["device.xdp_batching=false"]),
    "an skb each": ("virtio-user-xdp1-tap", ["device.sndbuf_limited=true"]),
    "zero copy": ("virtio-user-xdp1-tap", ["device.zerocopy_tx=true", "traffic.packet_bytes=1500"]),
    "receive": ("virtio-user-receive-skb", []),
}
PROGRAM = """
import json, sys
import sim
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.questions.explain import misplaced

answers = {}
for title, (name, overrides) in json.loads(sys.argv[1]).items():
    scenario = sim.load_scenario(name, overrides=["kernel=v5.0", "calibration=null", *overrides])
    variants = [variant.name for variant in scenario.access][:2]
    points = []
    for access in variants:
        plan = build_plan(scenario, access, scenario.traffic.sizes[0], apart=True)
        run = scenario.run.model_copy(update={"packets": 2000, "engine": "reference", "precision": 0})
        points.append((plan, simulate(plan, run)))
    rates = [point.row_rates.get("worker.tracepoint", 0.0) for _, point in points]
    answers[title] = {
        "rates": rates,
        "pps": [point.pps for _, point in points],
        "misplaced": [str(step) for plan, point in points for step in misplaced(plan, point)],
    }
print(json.dumps(answers))
"""


def ask(folder):
    """What the model in a folder says of every path."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(PATHS)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What the model says before the how-to was followed, and after it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("sim", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    before = ask(folder)
    page = (ROOT / "docs/howto/step.md").read_text(encoding="utf-8")
    (diff,) = re.findall(r"```diff\n# step\.diff\n(.*?)```", page, re.DOTALL)
    (folder / "step.diff").write_text(diff, encoding="utf-8")
    applied = subprocess.run(["git", "apply", "step.diff"], cwd=folder, capture_output=True, text=True, check=False)
    assert applied.returncode == 0, applied.stderr
    return before, ask(folder)


@pytest.mark.parametrize("path", PATHS)
def test_the_step_of_the_how_to_runs_once_per_packet_on_every_path(answers, path):
    before, after = answers
    assert before[path]["rates"] == [0.0] * len(before[path]["rates"])
    assert after[path]["rates"] == pytest.approx([1.0] * len(after[path]["rates"]), rel=0.05)
    assert after[path]["misplaced"] == before[path]["misplaced"] == []
    assert all(now < then for now, then in zip(after[path]["pps"], before[path]["pps"], strict=True))


def test_the_step_of_the_how_to_moves_the_gain(answers):
    before, after = ([1e9 / pps for pps in answer["into an XDP batch"]["pps"]] for answer in answers)
    more_ns = 40 * 0.40 / 3.0  # instructions x cycles per instruction / GHz of the seed's CPU
    assert [then - now for now, then in zip(before, after, strict=True)] == pytest.approx([more_ns] * 2, abs=0.5)
    gains = [slow / fast - 1 for slow, fast in (before, after)]
    assert gains[1] == pytest.approx((before[0] + more_ns) / (before[1] + more_ns) - 1, abs=0.002)
    assert gains[1] < gains[0] - 0.003
