"""What the evidence covers, and the line that says when a question lies outside."""

from __future__ import annotations

import sim
from sim.study.envelope import envelope, outside

SEED = "virtio-user-xdp1-tap"


def load(*overrides):
    return sim.load_scenario(SEED, overrides=["access=copy_user,vmap", "traffic.packet_bytes=64", *overrides])


def test_the_envelope_is_that_of_the_published_rates():
    covered = envelope()
    assert {"broadwell-2.6ghz", "broadwell-ep-e5-2650v4"} <= covered.cpus
    assert "zen4" not in covered.cpus
    assert "sapphire-rapids" not in covered.cpus  # counts on it say nothing of its costs
    assert {"v4.20", "v5.0", "v5.3"} <= covered.kernels
    assert {"copy_user", "vmap"} <= covered.access
    assert 64 in covered.packet_bytes


def test_inside_nothing_is_said():
    assert outside([load()]) is None


def test_outside_it_says_in_what():
    said = outside([load("cpu=zen4", "traffic.packet_bytes=64,512,1518", "traffic.load=1000000")])
    assert said is not None
    assert said.startswith("outside the evidence: CPU zen4 (measured: ")
    assert "512, 1518 B (measured: 64, 65535 B)" in said
    assert "load constant (measured: saturate)" in said


def test_a_scale_that_was_fitted_elsewhere_is_named():
    said = outside([load("cpu=zen4", "kernel=v6.12")])
    assert said is not None
    assert "calibration seed-two-rates was fitted on broadwell-2.6ghz, v5.0, not on zen4, v6.12, and gives it" in said
    assert "kernel.work_scale" in said
    same_core = outside([load("cpu=broadwell-ep-e5-2650v4")])
    assert same_core is not None
    assert "cpu.cpi" in same_core
    assert "cpu.core_ghz" not in same_core


def test_your_own_measurements_widen_it(tmp_path):
    folder = tmp_path / "measurements"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "schema: 1\nkind: measurement\nname: mine\ntitle: mine\nsource: me\nread: full\n"
        "set: {cpu: zen4, traffic.packet_bytes: 64}\n"
        "entries: [{id: a, quantity: pps, value: 5.0e+6, low: 5.0e+6, high: 5.0e+6}]\n"
    )
    said = outside([load("cpu=zen4")], tmp_path)
    assert said is not None
    assert not said.startswith("outside the evidence")
