"""`calibrate --here`: what was measured on a host becomes the baseline of its what-ifs."""

from __future__ import annotations

import pytest
import yaml

import sim
from sim.config.errors import ConfigError
from sim.config.loading.load import load_of
from sim.config.tables.calibration import Calibration
from sim.host.profile import build_profile
from sim.host.recording import read_recording
from sim.study.evidence import baseline
from sim.study.evidence.envelope import outside
from tests.host.constructed import DATA

MEASURED_PPS = 1.4e6  # the profile alone predicts less
FIGURES = {
    "schema": 1,
    "kind": "measurement",
    "name": "mine",
    "title": "frames written to a TAP here",
    "source": "this host",
    "read": "executed",
    "grade": "measured-here",
    "scenario": "tap-write",
    "set": {"cpu": "host", "kernel": "v6.18", "access": ["copy_user"], "backend.program_instructions": 0},
    "spread": 0.0,
    "noise": 0.005,
    "entries": [
        {
            "id": "native 64",
            "quantity": "pps",
            "value": MEASURED_PPS,
            "low": MEASURED_PPS,
            "high": MEASURED_PPS,
            "set": {"traffic.packet_bytes": 64},
        }
    ],
}


@pytest.fixture
def mine(tmp_path):
    """A folder as `measure` fills it: the profile of a host, and one rate."""
    for name in ("cpus", "measurements"):
        (tmp_path / name).mkdir()
    recording = read_recording(DATA / "zen3-vm-tap.json")
    (tmp_path / "cpus/host.yaml").write_text(build_profile(recording, "host").to_yaml())
    (tmp_path / "measurements/mine.yaml").write_text(yaml.safe_dump(FIGURES))
    return tmp_path


def change(folder, **keys):
    (folder / "measurements/mine.yaml").write_text(yaml.safe_dump(FIGURES | keys))


def test_a_what_if_starts_from_the_rate_that_was_measured_and_says_so(mine, monkeypatch):
    monkeypatch.setattr(baseline, "TRIALS", 64)
    monkeypatch.setattr(baseline, "_MOST_PARAMETERS", 3)
    own = baseline.own_baseline(mine)
    calibration = baseline.fit_baseline(own, "from-here")
    file = mine / "calibrations/from-here.yaml"
    baseline.check_place(own, file)
    assert baseline.write_baseline(own, calibration, file) == [file, mine / "scenarios/from-here.yaml"]
    assert load_of(Calibration, "from-here", mine).host == own.profile.measured.machine.model

    scenario = sim.load_scenario("from-here", configs=mine)
    assert scenario.backend.program_instructions.value == 0
    uncalibrated = sim.load_scenario("from-here", configs=mine, overrides=["calibration=null"])
    (fitted,), (prior,) = sim.run(scenario).points, sim.run(uncalibrated).points
    assert abs(fitted.pps / MEASURED_PPS - 1) < 0.02 < abs(prior.pps / MEASURED_PPS - 1)
    said = outside([scenario], mine)
    assert f"the baseline is measured on {calibration.host}: calibration from-here is fitted to mine" in said
    assert "the baseline is measured" not in (outside([uncalibrated], mine) or "")


def test_every_parameter_moves_a_figure_and_the_first_moves_it_most(mine):
    own = baseline.own_baseline(mine)
    keys = [parameter.key for parameter in baseline._free(own, None, None)]
    assert 3 < len(keys) <= baseline._MOST_PARAMETERS
    assert len(set(keys)) == len(keys)
    assert "cpu.cpi" in keys[:3]
    assert not [key for key in keys if key.startswith(("cpu.primitives.line_transfer", "driver."))]  # no ring


def test_a_folder_is_needed():
    with pytest.raises(ConfigError, match="the folder with the profile and the measurements of this host is needed"):
        baseline.own_baseline(None)


def test_a_folder_without_measurements_is_refused(mine):
    (mine / "measurements/mine.yaml").unlink()
    with pytest.raises(ConfigError, match="no rate, ratio or share of your own that the model makes"):
        baseline.own_baseline(mine)


def test_counts_are_nothing_to_fit_costs_to(mine):
    change(mine, entries=[{"id": "stac", "quantity": "stac", "value": 1, "low": 1, "high": 1}])
    with pytest.raises(ConfigError, match="no rate, ratio or share of your own"):
        baseline.own_baseline(mine)


def test_a_shipped_cpu_is_not_this_host(mine):
    change(mine, set=FIGURES["set"] | {"cpu": "zen3"})
    with pytest.raises(ConfigError, match="measurements of mine name cpu=zen3, which is no profile of this host"):
        baseline.own_baseline(mine)


def test_a_place_where_the_scenario_does_not_look_is_refused(mine, tmp_path):
    own = baseline.own_baseline(mine)
    with pytest.raises(ConfigError, match=r"a baseline belongs into .*calibrations, where its scenario looks for it"):
        baseline.check_place(own, tmp_path / "here.yaml")
