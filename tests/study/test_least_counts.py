"""A step executes no less than its own accessor: what is drawn fits together, over every kernel and access variant."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from sim.config.loading import paths
from sim.config.tables.quantity import Quantity
from sim.datapath import build_plan
from sim.study.runs.case import sides_of, with_values
from sim.study.sensitivity.tornado import swing_entries
from sim.study.uncertainty.distributions import draws_of, used_entries
from sim.study.uncertainty.least_counts import (
    CountedEntry,
    LeastCount,
    fitted_together,
    least_counts,
    values_fitted_together,
)

KERNELS = sorted(paths.names("kernel"))
VARIANTS = sorted(paths.names("access"))
CHECK, ELEMENT = "kernel.object_size_check_instructions", "kernel.steps.used_element.instructions"


def cases(kernel, scenario, access):
    settings = {"kernel": kernel, "calibration": None, "access": access, "traffic.packet_bytes": 64}
    return [side.case for side in sides_of(sim.load_scenario(scenario, settings=settings))]


def count(low=144.0, value=180.0, high=216.0):
    return Quantity(value=value, unit="instructions", low=low, high=high, source="test", grade="derived")


def test_a_count_is_drawn_from_what_its_range_leaves_above_its_least():
    least = LeastCount("whole", count(), 160.0, {"part": CountedEntry(1.0, 153.0)})
    columns = {"whole": np.array([144.0, 180.0, 216.0, 180.0]), "part": np.array([153.0, 153.0, 153.0, 100.0])}
    fitted = fitted_together(columns, [least])["whole"]
    # The least is 160 where the part is 153: of [160, 216] the same share as before of [144, 216].
    assert fitted == pytest.approx([160.0, 160 + 56 * 36 / 72, 216.0, 180.0])
    assert columns["whole"][0] == 144.0


def test_a_part_that_is_drawn_above_the_whole_range_lifts_the_count():
    least = LeastCount("whole", count(), 160.0, {"part": CountedEntry(2.0, 100.0)})
    assert values_fitted_together({"part": 140.0}, [least])["whole"] == pytest.approx(160 + 2 * 40)
    assert values_fitted_together({"part": 90.0}, [least]) == {"part": 90.0}


def test_what_an_accessor_reads_is_derived_from_the_tables():
    (least,) = [
        one for one in least_counts(cases("v6.12", "virtio-user-xdp1-tap", ["copy_user"])) if one.key == ELEMENT
    ]
    assert {key: part.times for key, part in least.parts.items()} == {CHECK: pytest.approx(1.0)}
    assert least.at({CHECK: np.array(190.0)}) == pytest.approx(least.nominal + 190 - least.parts[CHECK].value)


@pytest.mark.parametrize("scenario", ["virtio-user-xdp1-tap", "virtio-user-receive-skb"])
@pytest.mark.parametrize(
    "kernel", [pytest.param(name, marks=() if name in ("v5.0", "v7.3") else pytest.mark.deep) for name in KERNELS]
)
def test_the_worst_corner_of_the_ranges_is_run(kernel, scenario):
    """Every count at its lowest and every part of one at its highest, under every variant that the kernel takes."""
    asked = cases(kernel, scenario, VARIANTS)
    least = least_counts(asked)
    parts = {key for count in least for key in count.parts}
    entries = {entry.key: entry.quantity for case in asked for entry in used_entries(case.scenario, [case.plan])}
    corner = {key: known.high if key in parts else known.low for key, known in entries.items()}
    corner = values_fitted_together(corner, least)
    for count in least:
        assert corner.get(count.key, count.quantity.value) >= count.at({key: np.array(corner[key]) for key in corner})
    for case in asked:
        drawn = with_values(case.scenario, {key: value for key, value in corner.items() if key.startswith("kernel.")})
        build_plan(drawn, drawn.access[0].name, 64)


def test_no_draw_of_a_checking_kernel_is_refused():
    asked = cases("v6.12", "virtio-user-xdp1-tap", ["copy_user"])
    drawn = draws_of(asked, 50, 1)
    for number in range(50):
        (case,) = asked
        changed = with_values(case.scenario, drawn.row(number))
        assert changed.kernel.steps["used_element"].instructions.value >= 144
        build_plan(changed, "copy_user", 64)


@pytest.mark.deep
@pytest.mark.parametrize("kernel", KERNELS)
def test_no_draw_of_any_kernel_and_variant_is_refused(kernel):
    for scenario in ("virtio-user-xdp1-tap", "virtio-user-receive-skb"):
        asked = cases(kernel, scenario, VARIANTS)
        drawn = draws_of(asked, 10, 2)
        for number in range(10):
            for case in asked:
                changed = with_values(case.scenario, drawn.row(number))
                build_plan(changed, changed.access[0].name, 64)


@pytest.mark.deep
def test_no_end_of_a_range_is_left_out_of_the_tornado():
    sides = sides_of(
        sim.load_scenario(
            "virtio-user-xdp1-tap",
            settings={
                "kernel": "v6.12",
                "calibration": None,
                "access": ["copy_user", "vmap"],
                "traffic.packet_bytes": 64,
                "run.packets": 3000,
                "run.precision": 0,
            },
        )
    )
    swung = swing_entries(sides)
    assert ELEMENT in {index.key for index in swung.indices}
    assert not [finding for finding in swung.findings if "left out" in finding]
