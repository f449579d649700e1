"""What was published for exactly the question asked: only the same configuration counts, tables and all."""

from __future__ import annotations

import pytest

import sim
from sim.study.evidence.envelope import published_for

SEED = "virtio-user-xdp1-tap"


def found(*overrides, configs=None):
    scenario = sim.load_scenario(SEED, overrides=["run.packets=2000", "access=copy_user,vmap", *overrides])
    result = sim.run(scenario)
    published = published_for(scenario, result.points, configs)
    return tuple(one for one in published if not one.name.startswith("page-frag-bias")), result


def test_another_session_of_the_same_configuration_was_published_too():
    scenario = sim.load_scenario(SEED, overrides=["run.packets=2000", "access=copy_user", "traffic.packet_bytes=64"])
    published = {one.name: one.used for one in published_for(scenario, sim.run(scenario).points)}
    assert published == {"seed-vmap/A1 before": True, "page-frag-bias/B10 after": False}


def test_the_seed_was_published_twice_and_the_calibration_was_fitted_to_both():
    (before, after), result = found("traffic.packet_bytes=64,128")
    assert (before.name, before.access, before.packet_bytes) == ("seed-vmap/A1 before", "copy_user", 64)
    assert (after.name, after.access, after.packet_bytes) == ("seed-vmap/A1 after", "vmap", 64)
    assert (before.used, after.used) == (True, True)
    assert before.predicted_pps == result.at("copy_user", 64).pps
    assert before.error == pytest.approx(result.at("copy_user", 64).pps / 5.0e6 - 1)


def test_a_figure_that_the_calibration_did_not_use_is_a_prediction():
    (before, after), _ = found("traffic.packet_bytes=64", "calibration=seed-copy-user")
    assert (before.used, after.used) == (True, False)


@pytest.mark.parametrize("change", ["traffic.packet_bytes=128", "cpu.primitives.lfence=12", "driver.burst=64"])
def test_another_configuration_was_not_published(change):
    (published, _) = found("traffic.packet_bytes=64", change)
    assert published == ()


def test_what_a_run_is_called_and_how_long_it_is_do_not_matter():
    assert len(found("traffic.packet_bytes=64", "name=mine", "run.seed=7")[0]) == 2


def test_a_measurement_table_that_cannot_be_read_leaves_nothing(tmp_path):
    (tmp_path / "measurements").mkdir()
    (tmp_path / "measurements" / "broken.yaml").write_text("schema: 1\nkind: measurement\nnmae: broken\n")
    assert found("traffic.packet_bytes=64", configs=tmp_path)[0] == ()
