"""Prices by hand: cycles scale with the clock, ns do not, instructions cost cycles per instruction."""

from __future__ import annotations

import pytest

import sim
from sim.config import ConfigError, load_scenario
from sim.config.scenario.scenario import Placement
from sim.costs import CostTable

SEED = "virtio-user-xdp1-tap"
HERE = Placement()


def cpu(*overrides):
    """Broadwell with round numbers: 2 GHz, so 500 ps per cycle, and half a cycle per instruction."""
    round_numbers = ("cpu.core_ghz=2", "cpu.cpi=0.5", "cpu.overlap=0.5", "cpu.reorder_buffer=200")
    return load_scenario(SEED, overrides=[*round_numbers, *overrides]).cpu


def table(*overrides, work_scale=1.0, placement=HERE):
    return CostTable(cpu(*overrides), work_scale, placement)


@pytest.mark.parametrize(
    ("override", "primitive", "ps"),
    [
        ("cpu.primitives.lfence=12", "lfence", 12 * 500),
        ("cpu.primitives.line_transfer=23", "line_transfer", 23 * 1000),
        ("cpu.primitives.worker_wakeup=1.5", "worker_wakeup", 1.5 * 1e6),
        ("cpu.primitives.branch=2", "branch", 2 * 0.5 * 500),
        ("cpu.primitives.copy_bytes=30", "copy_bytes", 500 / 30),
        ("cpu.primitives.stac=0", "stac", 0),
    ],
    ids=["cycles", "ns", "us", "instructions", "bytes per cycle", "free"],
)
def test_a_price_follows_from_its_unit(override, primitive, ps):
    assert table(override).price_ps(primitive) == pytest.approx(ps)


def test_twice_the_clock_halves_cycles_and_leaves_ns():
    slow, fast = table(), table("cpu.core_ghz=4")
    for primitive in ("lfence", "branch", "copy_bytes", "instruction"):
        assert fast.price_ps(primitive) == pytest.approx(slow.price_ps(primitive) / 2), primitive
    for primitive in ("line_transfer", "clean_line", "worker_wakeup"):
        assert fast.price_ps(primitive) == slow.price_ps(primitive), primitive


def test_the_work_scale_multiplies_the_work_between_accesses_only():
    plain, scaled = table(), table(work_scale=0.8)
    assert plain.price_ps("instruction") == 0.5 * 500
    assert scaled.price_ps("instruction") == pytest.approx(0.8 * 0.5 * 500)
    for primitive in ("copy_loop", "load", "branch", "lfence"):
        assert scaled.price_ps(primitive) == plain.price_ps(primitive), primitive


def test_a_component_is_count_times_price_rounded_once():
    component = table("cpu.primitives.copy_bytes=30").component("copy_bytes", 64)
    assert component.cost_ps == round(64 * 500 / 30) == 1067
    assert component.formula == "64 x 1/30 cycle"


def test_a_component_can_be_paid_in_part_and_says_why():
    component = table("cpu.primitives.line_transfer=23").component("line_transfer", 1, 0.6, "exposed part")
    assert component.cost_ps == round(23_000 * 0.6)
    assert component.formula == "1 x 23 ns x 0.6 (exposed part)"


def test_an_unknown_cost_is_an_error_that_names_it_and_never_a_default():
    lacking = cpu()
    lacking = lacking.model_copy(update={"primitives": {k: v for k, v in lacking.primitives.items() if k != "lfence"}})
    with pytest.raises(ConfigError, match="no cost for primitive 'lfence'; an unknown cost is an error"):
        CostTable(lacking, 1.0, HERE).price_ps("lfence")


def test_a_missing_cost_stops_a_run_before_it_starts(tmp_path):
    from sim.config import dump_scenario
    from sim.study.questions.run import run

    text = dump_scenario(load_scenario(SEED, overrides=["access=copy_user"]))
    head, tail = text.split("    lfence:\n", 1)
    file = tmp_path / "lacking.yaml"
    file.write_text(head + tail[tail.index("    mfence:\n") :])
    with pytest.raises(sim.ConfigError) as error:
        run(load_scenario(file))
    assert str(error.value) == "broadwell-2.6ghz: no cost for primitive 'lfence'; an unknown cost is an error"


@pytest.mark.parametrize(
    ("placement", "name"),
    [
        (Placement(), "line_transfer"),
        (Placement(same_socket=False), "line_transfer_cross_socket"),
        (Placement(smt_siblings=True), "line_transfer_smt"),
    ],
)
def test_a_line_comes_from_where_the_other_actor_runs(placement, name):
    assert table(placement=placement).transfer_primitive == name


@pytest.mark.parametrize(
    ("instructions", "ps"),
    [
        (0, 0),
        (100, 0.5 * 100 * 0.5 * 500),
        (200, 0.5 * 200 * 0.5 * 500),
        (10_000, 0.5 * 200 * 0.5 * 500),
    ],
    ids=["barrier right behind", "some work", "as much as the reorder buffer holds", "more than it holds"],
)
def test_work_behind_a_miss_hides_overlap_x_min_of_window_and_work_x_cpi(instructions, ps):
    assert table().hidden_ps(instructions) == ps


@pytest.mark.parametrize("overlap", [0, 1])
def test_the_ends_of_overlap_hide_nothing_and_the_whole_window(overlap):
    assert table(f"cpu.overlap={overlap}").hidden_ps(1000) == overlap * 200 * 0.5 * 500


CACHES = ("cpu.l1_bytes=32768", "cpu.l2_bytes=262144")


@pytest.mark.parametrize(
    ("footprint", "level"),
    [(0, "l1_hit"), (32_768, "l1_hit"), (32_769, "l2_hit"), (262_144, "l2_hit"), (262_145, "l3_hit")],
)
def test_a_line_met_again_comes_from_the_first_level_that_holds_what_lay_between(footprint, level):
    priced = table(*CACHES, "cpu.primitives.l1_hit=4", "cpu.primitives.l2_hit=12", "cpu.primitives.l3_hit=20")
    hits = priced.reuse_hits(footprint)
    assert [name for name, comes in hits.items() if comes] == [level]
    assert priced.reuse_hit_ps(hits) == {"l1_hit": 4 * 500, "l2_hit": 12 * 500, "l3_hit": 20 * 1000}[level]
