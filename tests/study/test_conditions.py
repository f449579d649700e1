"""What was asked, and what of a calibration and of the grades of inputs it rests on."""

from __future__ import annotations

import pytest

import sim
from sim.study.evidence.conditions import conditions, merged, ring_and_batches, worth, worth_text

SEED = "virtio-user-xdp1-tap"


def rows(*overrides, name=SEED):
    asked = conditions(sim.load_scenario(name, overrides=list(overrides)))
    return {row.name: row.text for row in asked.rows}, asked.to_dict()


def test_the_question_of_a_review_is_stated_whole():
    said, values = rows(
        *("cpu=sapphire-rapids", "kernel=v6.12", "traffic.packet_bytes=64,1500", "access=copy_user,vmap"),
        *("queues.pairs=8", "queues.workers=each", "placement.same_socket=false"),
    )
    assert said["CPU"].endswith("(sapphire-rapids) at 3.2 GHz (guess)")
    assert said["kernel"] == "Linux 6.12 (v6.12)"
    assert said["queues"] == "8 queue pairs, 8 workers on 8 cores"
    assert said["placement"] == "driver and worker on two sockets"
    assert said["sizes"] == "64, 1500 B without FCS"
    assert (values["queue_pairs"], values["sockets"], values["packet_bytes"]) == (8, 2, [64, 1500])
    assert values["calibrated"] == ["kernel.work_scale", "backend.program_instructions"]
    assert "2 of its 15 fitted values apply here" in said["calibration"]


def test_a_calibration_applies_whole_where_it_was_fitted_and_not_to_what_is_set_anew():
    said, values = rows()
    assert said["calibration"].endswith(": all of its fitted values apply (15)")
    _, changed = rows("cpu.primitives.lfence=12")
    assert set(values["calibrated"]) - set(changed["calibrated"]) == {"cpu.primitives.lfence"}
    assert rows("calibration=null")[0]["calibration"] == "none"


def test_a_nic_is_said_where_packets_of_the_guest_leave_by_it():
    """A guest that forwards sends by it what it receives; one that only receives inherits it for nothing."""
    for name, direction in (("virtio-user-macvtap", "tx"), ("virtio-user-pvp", "rx"), ("virtio-user-pvp", "tx")):
        assert rows(f"device.direction={direction}", name=name)[0]["datapath"].endswith("NIC of 10 Gbit/s")
    received = rows("device.direction=rx", "access=copy_user", name="virtio-user-macvtap")[0]["datapath"]
    assert received.endswith("split ring of 256; burst 32, batch 64")


@pytest.mark.parametrize(
    ("name", "datapath", "read"),
    [
        ("tap-write", "tap_write -> tap-xdp-drop", {}),
        ("qemu-tx", "virtio-net -> qemu; split ring of 256, indirect; burst 8", {"ring": 256, "burst": 8}),
        ("qemu-rx", "qemu -> virtio-net; split ring of 256", {"ring": 256}),
        (
            "tcp-request-response",
            "virtio-net -> vhost_net -> tap-skb; split ring of 256, indirect; batch 64",
            {"ring": 256, "batch": 64},
        ),
        (SEED, "virtio-user -> vhost_net -> tap-xdp-drop; split ring of 256; burst 32, batch 64", None),
    ],
)
def test_a_ring_and_packets_at_once_are_said_where_they_are_read(name, datapath, read):
    scenario = sim.load_scenario(name)
    text, values = rows(name=name)
    assert text["datapath"] == datapath
    read = {"ring": 256, "burst": 32, "batch": 64} if read is None else read
    assert ring_and_batches(scenario) == read
    assert {key: values[key] for key in ("burst", "batch") if key in values} == {
        key: value for key, value in read.items() if key != "ring"
    }
    assert values.get("ring_size") == read.get("ring")


@pytest.mark.parametrize(
    ("overrides", "name", "text"),
    [
        (["mitigations.smap=false"], "mitigations", "off: smap, hardened_usercopy"),
        (["traffic.load=2e6"], "load", "constant, 2 Mpps"),
        (["placement.smt_siblings=true"], "placement", "driver and worker on two threads of one core"),
        (
            [
                *("kernel=v6.12", "backend.kind=tap-skb"),
                *(f"kernel.behaviour.{switch}=true" for switch in ("init_on_alloc", "memory_cgroups")),
            ],
            "kernel",
            "Linux 6.12 (v6.12), init_on_alloc, memory_cgroups",
        ),
        (["queues.pairs=4"], "queues", "4 queue pairs, 1 worker on 1 core"),
        (
            ["backend={kind: tap-ovs, port: veth}"],
            "datapath",
            "tap-ovs; split ring of 256; burst 32, batch 64; veth pair",
        ),
        (["backend={kind: macvtap, port: dummy}"], "datapath", "dummy device"),
        (["virtqueue.iotlb=true"], "datapath", "split ring of 256, device IOTLB"),
    ],
)
def test_each_condition_says_what_was_set(overrides, name, text):
    assert text in rows(*overrides)[0][name]


def test_of_two_scenarios_what_differs_stands_on_both_sides_of_an_arrow():
    both = [conditions(sim.load_scenario(SEED, overrides=[f"kernel={kernel}"])) for kernel in ("v5.0", "v6.12")]
    said = dict(merged(both))
    assert said["kernel"] == "Linux v5.0 -> Linux 6.12 (v6.12)"
    assert "->" not in said["queues"]


def test_the_width_is_shared_out_to_the_grades_of_the_inputs():
    shares = worth({"a + b": 6.0, "c": 3.0, "d": 1.0, "e": 0.0}, {"a": "guess", "c": "derived", "d": "guess"})
    assert shares == {"guess": pytest.approx((6 + 1) / 10), "derived": pytest.approx(3 / 10)}
    assert worth_text(shares) == "70% of the width is guesses, 30% derived"
