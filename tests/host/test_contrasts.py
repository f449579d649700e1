"""What is shown besides the entries."""

from __future__ import annotations

from sim.host.contrasts import contrasts

from .conftest import RECORDINGS, recording_of


def test_readings_are_medians_in_ns_beside_each_other(made_up):
    (one,) = contrasts(made_up({"loop_dirty 64": [10.0, 20.0, 30.0, 30.0, 40.0, 50.0], "loop_warm 64": 4.0}))
    assert one.title == "8-byte loop of 64 bytes, source modified by the other core"
    assert (one.ns, one.beside, one.beside_ns) == (30 / 2, "warm", 4 / 2)


def test_each_pair_of_calls_is_shown_beside_the_body_of_the_access(quiet, sandboxed):
    seen = {one.title: one for one in contrasts(quiet)}
    put = seen["put_user: getcpu(&cpu, &node)"]
    assert put.ns > put.beside_ns > 1  # Safe RET makes the body dear, too
    assert seen["copy_to_user of 8 bytes: gettimeofday(0, &zone)"].ns > put.beside_ns
    assert not [one for one in contrasts(sandboxed) if "put_user" in one.title]


def test_a_fence_behind_a_miss_costs_the_miss_on_every_recorded_machine():
    for name in RECORDINGS:
        seen = {one.title: one for one in contrasts(recording_of(name))}
        memory = seen["independent loads from memory, an lfence behind each"]
        assert memory.ns > 2 * memory.beside_ns, name  # DESIGN 6: without it misses overlap
