"""What the evidence covers, and the line that says when a question lies outside."""

from __future__ import annotations

import sim
from sim.study.evidence.envelope import envelope, outside

SEED = "virtio-user-xdp1-tap"


def load(*overrides):
    return sim.load_scenario(SEED, overrides=["access=copy_user,vmap", "traffic.packet_bytes=64", *overrides])


#: What a packet of the seed goes through.
WAY = "virtio-user -> vhost_net -> tap-xdp-drop"


def test_the_envelope_is_that_of_the_published_rates():
    covered = envelope()[WAY]
    assert {"broadwell-2.6ghz", "broadwell-ep-e5-2650v4"} <= covered.cpus
    assert "zen4" not in covered.cpus
    assert "sapphire-rapids" not in covered.cpus  # counts on it say nothing of its costs
    assert {"v4.20", "v5.0", "v5.3"} <= covered.kernels
    assert {"copy_user", "vmap"} <= covered.access
    assert covered.packet_bytes == {64}


def test_a_figure_is_evidence_for_its_own_way_of_the_packet_only():
    covered = envelope()
    tcp = covered["virtio-net -> vhost_net -> tap-skb"]  # iperf and netperf TCP_STREAM by message size
    assert tcp.packet_bytes == {1514, *(size + 66 for size in (2048, 4096, 8192, 16384, 32768, 65160))}
    assert tcp.access == {"copy_user", "direct_map_rcu"}
    assert "direct_map_refcount" not in covered[WAY].access
    assert covered["skb -> vhost_net -> virtio-user"].kernels == {"v5.0"}  # receive, the ratios of the IOTLB cache


def test_sizes_of_another_driver_are_not_said_to_be_measured():
    said = outside([load("traffic.packet_bytes=64,1518")])
    assert said == f"outside the evidence: 1518 B (measured: 64 B), compared with figures of {WAY}"
    mapped = outside([load("access=copy_user,direct_map_refcount")])
    measured = ", ".join(sorted(envelope()[WAY].access))
    assert mapped == (
        f"outside the evidence: access direct_map_refcount (measured: {measured}), compared with figures of {WAY}"
    )


def test_sizes_between_measured_ones_are_not_said_to_be_among_them():
    said = outside([sim.load_scenario("tcp-stream-guest-to-host", overrides=["access=copy_user"])])
    assert said.startswith("outside the evidence: 16384, 65535 B (measured: 7 sizes from 1514 to 65226 B), compared")


def test_a_way_that_nobody_measured_is_said_and_nothing_is_compared():
    guest = sim.load_scenario("virtio-net-xdp1-tap", overrides=["traffic.packet_bytes=64,1518"])
    assert outside([guest]) == "outside the evidence: no published rate of virtio-net -> vhost_net -> tap-xdp-drop"


def test_scenarios_are_each_compared_with_figures_of_their_own_way():
    other = sim.load_scenario("vhost-user-tx", overrides=["traffic.packet_bytes=64"])
    said = outside([load("traffic.packet_bytes=128"), other, load("traffic.packet_bytes=256")])
    assert said == (
        f"outside the evidence: 128, 256 B (measured: 64 B), compared with figures of {WAY}. "
        "outside the evidence: no published rate of virtio-user -> vhost_user"
    )


def test_inside_nothing_is_said():
    assert outside([load()]) is None


def test_outside_it_says_in_what():
    said = outside([load("cpu=zen4", "traffic.packet_bytes=64,512,1518", "traffic.load=1000000")])
    assert said is not None
    assert said.startswith("outside the evidence: CPU zen4 (measured: ")
    assert "512, 1518 B (measured: 64 B)" in said
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
