"""Points of a sweep that differ in costs alone are run on one structure, and have the rows that they have alone."""

from __future__ import annotations

from sim.config.loading.load import Scenarios
from sim.config.tables.study import Sweep
from sim.study.questions.run import run
from sim.study.sweep.design import Design
from sim.study.sweep.run import load_sweep
from sim.study.sweep.together import points_together

SEED = "virtio-user-xdp1-tap"


def sweep(axes, design="latin-hypercube", points=12, **settings):
    usual = {"traffic.packet_bytes": 64, "run.packets": 2000}
    table = {"schema_": 1, "kind": "sweep", "name": "mine", "title": "mine", "scenario": SEED, "design": design}
    return Sweep.model_validate({**table, "set": {**usual, **settings}, "axes": axes, "points": points})


def together_and_alone(asked):
    points = dict(enumerate(Design(asked).points(0, asked.points)))
    scenarios = {place: Scenarios(SEED).load({**asked.set, **point}) for place, point in points.items()}
    return points_together(scenarios, points), {
        place: list(run(scenario).points) for place, scenario in scenarios.items()
    }


def test_points_are_those_of_runs_alone_notes_and_all():
    """The lines cost up to four times what the table has, which is said of those that it is true of."""
    axes = {"cpu.primitives.line_transfer": {"low": 10, "high": 200}, "cpu.cpi": {"low": 0.2, "high": 0.5}}
    together, alone = together_and_alone(sweep(axes))
    assert together == alone
    notes = [any("FAR OUTSIDE" in note for point in points for note in point.notes) for points in alone.values()]
    assert 0 < sum(notes) < len(notes)


def test_points_whose_lines_come_from_other_caches_say_what_they_read():
    """Lines of 1024 packets with 192 bytes each come from L2, whose price is far outside, and with 384 they do not."""
    axes = {"device.reuse_bytes_per_packet": {"low": 192, "high": 384}}
    dear = {"virtqueue.size": 1024, "cpu.primitives.l2_hit": 200}
    together, alone = together_and_alone(sweep(axes, points=12, **dear))
    assert together == {place: alone[place] for place in together}
    assert len(together) > 4
    notes = [any("l2_hit" in note for point in points for note in point.notes) for points in alone.values()]
    assert 0 < sum(notes) < len(notes)


def test_other_axes_part_the_points():
    axes = {
        "cpu.primitives.lfence": {"low": 3, "high": 6},
        "virtqueue.size": {"values": [128, 256]},
        "mitigations.smap": {"values": [True, False]},
    }
    together, alone = together_and_alone(sweep(axes, points=24))
    assert len(together) > 12  # of groups that are large enough
    assert together == {place: alone[place] for place in together}


def test_a_point_that_fails_is_left_to_be_run_alone(monkeypatch):
    from sim.engine.drawn import DrawnRuns

    right = DrawnRuns.point

    def fail_once(self, draw):
        if draw == 3:
            raise RuntimeError("no memory")
        return right(self, draw)

    monkeypatch.setattr(DrawnRuns, "point", fail_once)
    axes = {"cpu.primitives.lfence": {"low": 3, "high": 6}}
    together, alone = together_and_alone(sweep(axes, points=8, access="vmap"))
    assert together == {place: points for place, points in alone.items() if place != 3}


def test_most_points_of_the_shipped_sweep_of_costs_are_run_together():
    together, alone = together_and_alone(load_sweep("cost-ranges").model_copy(update={"points": 16}))
    assert len(together) >= 12
    assert together == {place: alone[place] for place in together}
