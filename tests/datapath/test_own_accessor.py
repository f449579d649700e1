"""An accessor with a name of one's own is varied like the kernel's: by what it reaches, not by how it is called."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.costs import CostTable, Recipes
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.pricing import Pricer

#: As someone would write it in `mine/kernels/patched.yaml`; the name ends in neither `_read` nor `_write`.
PATCHED = """schema: 1
kind: kernel
name: patched
extends: v5.0
accessors:
  avail_flags_again:
    recipe: [branch, stac, lfence, load, clac, test]
    bytes: 2
    source: our patch
    meaning: avail->flags once more
    family: {family}
    direction: {direction}
    mapped: {mapped}
"""


def executed(folder, access, family="metadata", direction="read", mapped="true"):
    """How often a step with the accessor executes each primitive under a variant."""
    (folder / "kernels").mkdir()
    file = folder / "kernels/patched.yaml"
    file.write_text(PATCHED.format(family=family, direction=direction, mapped=mapped), encoding="utf-8")
    settings = ["kernel=patched", "calibration=null", f"access={access}"]
    scenario = load_scenario("virtio-user-xdp1-tap", overrides=settings, configs=folder)
    worker = Program("worker", "vhost_notify")
    with worker.each("flush"):
        flags = SplitRing(scenario.virtqueue).avail_flags()
        worker.read("again", "avail->flags, once more", flags, "avail_flags_again")
    recipes = Recipes(scenario.kernel, scenario.access[0], scenario.cpu, scenario.mitigations, scenario.virtqueue)
    table = CostTable(scenario.cpu, scenario.kernel.work_scale.value, scenario.placement)
    (row,) = Pricer(scenario, recipes, table, 64).price(worker.steps)
    return {part.primitive: part.count for part in row.components}, row.family


def test_the_kernel_executes_its_recipe(tmp_path):
    counts, family = executed(tmp_path, "copy_user")
    assert family == "metadata"
    assert {name: counts[name] for name in ("stac", "lfence", "clac", "load")} == dict.fromkeys(
        ("stac", "lfence", "clac", "load"), 1
    )


@pytest.mark.parametrize("direction", ["read", "write"])
def test_a_mapping_takes_its_toggles_and_its_barrier_away(tmp_path, direction):
    counts, _ = executed(tmp_path, "vmap", direction=direction)
    assert not {"stac", "lfence", "clac"} & counts.keys()
    assert counts["pointer_load"] == 1  # the mapped address is loaded and tested at each access


def test_what_no_mapping_reaches_keeps_them(tmp_path):
    counts, _ = executed(tmp_path, "vmap", mapped="false")
    assert counts["stac"] == counts["lfence"] == counts["clac"] == 1


def test_packet_bytes_are_another_family(tmp_path):
    counts, family = executed(tmp_path, "vmap", family="payload", mapped="false")
    assert family == "payload"
    assert counts["stac"] == counts["clac"] == 1
