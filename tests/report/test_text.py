"""Tables for the terminal: the totals that they print are the sums of what stands above."""

from __future__ import annotations

import re

import pytest

import sim
from sim.config.loading.load import load_table
from sim.report.tables import catalogue, evidence, results
from sim.report.tables.explained import count_table, explanation_tables, function_table, numbers, source_table
from sim.report.tables.results import _BAR_CELLS
from sim.report.tables.stack import LAYERS, stack
from sim.study.catalogue import check, list_tables
from sim.study.sweep.run import Outcome

SEED = "virtio-user-xdp1-tap"


def figures(line):
    """The numbers of a line, signs and separators included."""
    return [float(number.replace(",", "")) for number in re.findall(r"[-+]?\d[\d,]*\.?\d*", line)]


def after(lines, start):
    """The lines below the first that begins so."""
    place = next(number for number, line in enumerate(lines) if line.strip().startswith(start))
    return lines[place + 1 :]


@pytest.fixture(scope="module")
def explanation():
    return sim.explain(sim.load_scenario(SEED), "copy_user")


@pytest.mark.parametrize(
    ("name", "access", "units"),
    [
        ("vhost-user-tx", "plain", {"packet of the batch"}),
        ("virtio-net-receive-in-order", "copy_user", {"packet of the batch"}),
        ("four-queues-one-worker", "copy_user", {"packet of the batch"}),
        ("invalidation-storm", "vmap_notifier", {"packet of the batch", "invalidation"}),
        ("virtio-user-access-variants", "uaccess_batched", {"packet of the batch", "chain of the window"}),
    ],
)
def test_a_row_says_what_it_is_paid_for_each_of(name, access, units, lines):
    text = " ".join(line.strip() for line in lines(explanation_tables(sim.explain(sim.load_scenario(name), access))))
    assert {
        unit for unit in ("packet of the batch", "invalidation", "chain of the window") if f") for each {unit}" in text
    } == units


def test_the_result_table_shows_each_point(result, lines):
    shown = lines(results.result_tables(result))
    for access in result.scenario.access:
        table = after(shown, f"{access.name}: {access.title}")
        for size in (64, 512, 1518):
            point = result.at(access.name, size)
            row = next(line for line in table if line.split() and line.split()[0] == str(size))
            assert f"{point.pps / 1e6:.3f}" in row
            assert row.endswith(point.bound_by) or point.bound_by in row


def test_the_stack_table_prints_the_sum_of_its_layers(result, lines):
    points = [point for point in result.points if point.packet_bytes == 64]
    shown = after(lines(results.stack_table(points, "cycles")), "cycles")
    total = next(line for line in shown if line.strip().startswith("total"))
    layers = [line for line in shown[: shown.index(total)] if any(layer.title in line for layer in LAYERS)]
    assert len(layers) == len({layer for point in points for layer, _ in stack(point.breakdown_cycles)})
    for column, point in enumerate(points):
        sums = sum(float(line.split()[column - len(points)]) for line in layers)
        assert float(total.split()[1 + column]) == pytest.approx(point.cycles_per_packet, abs=0.05)
        assert sums == pytest.approx(point.cycles_per_packet, abs=0.05 * (len(layers) + 1))


def test_the_bars_are_as_long_as_the_cycles(result, lines):
    points = [point for point in result.points if point.packet_bytes == 64]
    shown = lines(results.stack_table(points, "cycles"))
    most = max(point.cycles_per_packet for point in points)
    for point in points:
        name, bar, total = next(
            line for line in shown if re.match(rf"{point.access} +[a-zA-Z.]+ [\d.]+$", line)
        ).split()
        assert (name, total) == (point.access, f"{point.cycles_per_packet:.1f}")
        assert len(bar) == pytest.approx(point.cycles_per_packet / most * _BAR_CELLS, abs=1)


def test_bars_keep_the_difference_of_long_names_and_a_narrow_terminal():
    stacks = {"uaccess_batched": {"work": 30.0, "smap": 10.0}, "uaccess_batched_and_masked": {"work": 20.0}}
    assert [line.plain for line in results.bars(stacks, 80)] == [
        # 80 cells less " 40.0" and the longer name with a space behind it; 3/4 of the longer bar is work.
        "uaccess_batched            " + "w" * round(0.75 * (80 - 5 - 27)) + "S" * round(0.25 * (80 - 5 - 27)) + " 40.0",
        "uaccess_batched_and_masked " + "w" * round(0.5 * (80 - 5 - 27)) + " 20.0",
    ]
    assert [line.plain for line in results.bars(stacks, 25)] == [
        *("uaccess_batched", "w" * 15 + "S" * 5 + " 40.0"),
        *("uaccess_batched_and_masked", "w" * 10 + " 20.0"),
    ]


def test_bars_of_nothing_are_empty():
    assert [line.plain for line in results.bars({"idle": {}}, 80)] == ["idle  0.0"]


def test_the_comparison_prints_the_sum_of_its_parts(lines):
    scenario = sim.load_scenario(SEED, overrides=["run.packets=4000", "traffic.packet_bytes=64"])
    comparison = sim.compare(scenario)
    shown = after(lines(results.comparison_tables(comparison)), "what makes up the difference")
    total = next(line for line in shown if line.strip().startswith("total"))
    parts = [figures(line) for line in shown[: shown.index(total)] if line.strip().endswith("%")]
    saved = comparison.differences[0].saved_ns
    assert figures(total)[0] == pytest.approx(saved, abs=0.005)
    # Parts below 0.005 ns are left out, the others are rounded to 0.01.
    assert sum(values[-2] for values in parts) == pytest.approx(saved, abs=0.02 + 0.005 * len(parts))


def test_the_comparison_draws_both_sides_in_ns(lines):
    scenario = sim.load_scenario(SEED, overrides=["run.packets=2000", "traffic.packet_bytes=64"])
    comparison = sim.compare(scenario)
    shown = after(lines(results.comparison_tables(comparison)), "worker ns per packet at 64 B")
    first = comparison.differences[0]
    for name, point in ((comparison.before, first.before), (comparison.after, first.after)):
        bar = next(line for line in shown if line.startswith(f"{name} "))
        assert float(bar.split()[-1]) == pytest.approx(point.ns_per_packet, abs=0.05)


def test_a_comparison_without_a_difference_can_be_shown(lines):
    scenario = sim.load_scenario(SEED, overrides=["run.packets=2000", "traffic.packet_bytes=64"])
    shown = lines(results.comparison_tables(sim.compare(scenario, access=("vmap", "vmap"))))
    assert any("+0.0 %" in line for line in shown)
    # Two names for the same variant, so that neither bar hides the other.
    assert [line.split()[:2] for line in shown if line.startswith("vmap (")] == [
        ["vmap", "(before)"],
        ["vmap", "(after)"],
    ]


@pytest.mark.parametrize("actor", ["worker", "driver"])
def test_the_rows_of_an_explanation_add_up_to_the_printed_total(explanation, actor, lines):
    shown = after(lines(explanation_tables(explanation, actor)), "row")
    total = next(line for line in shown if line.startswith(f"total of the {actor}"))
    rows = [line for line in shown if re.match(r"^  \S", line)]
    count = sum(row.actor == actor for row in explanation.plan.rows)
    assert len(rows) == count
    assert sum(float(line.split()[-1]) for line in rows) == pytest.approx(float(total.split()[-1]), abs=0.005 * count)
    if actor == "worker":
        assert float(total.split()[-1]) == pytest.approx(explanation.point.cycles_per_packet, abs=0.005)


def test_the_numbers_of_a_row_add_up_to_its_cost(explanation):
    cycle_ps = explanation.plan.cycle_ps
    for row in explanation.plan.rows:
        if len(row.components) > 1:
            sum_ = float(re.findall(r"= ([\d.]+)", numbers(row, cycle_ps))[0])
            assert sum_ == pytest.approx(row.cost_ps / cycle_ps, abs=0.05)


def test_the_function_table_adds_up(explanation, lines):
    shown = after(lines(function_table(explanation)), "kernel function")
    rows = [line.split() for line in shown if line.strip().endswith("%")]
    *parts, total = rows
    assert total[0] == "total"
    assert float(total[1]) == pytest.approx(explanation.point.cycles_per_packet, abs=0.005)
    assert sum(float(row[1]) for row in parts) == pytest.approx(float(total[1]), abs=0.005 * len(rows))


def test_the_count_table_shows_zeros_too(explanation, lines):
    shown = lines(count_table(explanation))
    stac = next(line for line in shown if line.strip().startswith("stac")).split()
    access_ok = next(line for line in shown if line.strip().startswith("access_ok")).split()
    assert stac[-1] == "2"  # header and payload
    assert access_ok[1] == "0"  # none per packet on metadata: the ring was validated once


def test_the_source_table_names_each_input(explanation, lines):
    shown = "\n".join(lines(source_table(explanation)))
    for one in explanation.inputs():
        assert one.key in shown
        assert one.quantity.grade in shown


def test_findings_are_counted_and_guesses_listed_on_demand(lines):
    checked = check(["zen4"])
    guesses = len(checked.of("guess"))
    assert lines(catalogue.findings(checked, False, "--guesses lists them")) == [
        f"1 table: 0 errors, 0 warnings, {guesses} guessed entries (--guesses lists them)"
    ]
    listed = lines(catalogue.findings(checked, True))
    assert sum(line.startswith("guess: cpu zen4") for line in listed) == guesses


def test_the_list_shows_every_name(lines):
    tables = list_tables("cpu")
    shown = "\n".join(lines(catalogue.listing("cpu", tables)))
    assert all(one.name in shown for one in tables)


def test_a_calibration_shows_value_range_prior_and_pull(lines):
    calibration = load_table("calibration", "seed-copy-user")
    (one,) = calibration.parameters
    shown = lines(evidence.calibration_tables(calibration))
    row = next(line for line in shown if one.key in line)
    share = 100 * one.error / one.value
    expected = [one.value, one.error, share, one.low, one.high, 0.4, 0.28, 0.6, one.pull]
    assert figures(row) == pytest.approx(expected, abs=0.01, rel=0.2)
    assert any("1 measurements identify 1 combination of 1 values" in line for line in shown)


def test_a_point_that_fails_stands_beside_the_others_with_its_error(lines):
    study = load_table("sweep", "cost-ranges").model_copy(update={"axes": {"driver.burst": None}})
    fine = {"driver.burst": 32, "access": "vmap", "packet_bytes": 64, "pps": 6.1e6, "cycles_per_packet": 496.5}
    rows = [fine | {"bound_by": "worker"}, {"driver.burst": 512, "access": "vmap", "error": "does not fit the ring"}]
    shown = lines(results.sweep_table(study, Outcome(study, 2, 2, 0, 1, rows=rows), ""))
    (first,) = [line.split() for line in shown if "6.100" in line]
    (second,) = [line.split() for line in shown if "512" in line]
    assert first == ["32", "vmap", "64", "6.100", "496.5", "worker"]
    assert second == ["512", "vmap", *["does", "not", "fit", "the", "ring"]]
    assert shown[-1] == "2 points: 2 computed, 0 reused, 1 refused, 0 failed"
