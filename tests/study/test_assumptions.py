"""Which assumptions a scenario rests on: the conditions of `docs/assumptions.md`, each of them readable."""

from __future__ import annotations

import pytest

import sim
from sim.config import ConfigError
from sim.config.loading import paths
from sim.study.evidence.assumptions import ALWAYS, Assumption, assumed_by, assumptions

SEED = "virtio-user-xdp1-tap"


def numbers(name, *overrides):
    return {int(one.number) for one in assumed_by(sim.load_scenario(name, overrides=list(overrides)))}


def holds(condition, *overrides):
    return Assumption("1", "", "", condition).holds_for(sim.load_scenario(SEED, overrides=list(overrides)))


def test_every_assumption_is_read_and_numbered_once():
    found = assumptions()
    assert [int(one.number) for one in found] == list(range(1, len(found) + 1))
    assert "instructions x CPI x scale" in found[0].sentence
    assert all(len(one.sentence) > 10 and one.applies for one in found)


def test_every_condition_can_be_asked_of_every_shipped_scenario():
    for name in paths.names("scenario", None):
        scenario = sim.load_scenario(name)
        assert assumed_by(scenario)


def test_no_condition_is_dead():
    """Each applies to some shipped scenario, or to one with a switch that no shipped scenario turns."""
    met = set().union(*(numbers(name) for name in paths.names("scenario", None)))
    met |= numbers(SEED, "mitigations.hardened_usercopy=true", "traffic.mix=imix", "kernel=v6.12")
    met |= numbers(SEED, "cpu=comet-lake")
    allocators = [f"kernel.behaviour.{switch}=true" for switch in ("init_on_alloc", "memory_cgroups")]
    met |= numbers("virtio-user-xdp-pass", "kernel=v6.1", *allocators)
    met |= numbers("qemu-tx", "queues.pairs=2", "queues.workers=each")
    asked_for = {int(one.number) for one in assumptions() if one.applies.startswith("with --")}
    assert met | asked_for == {int(one.number) for one in assumptions()}


def test_the_seed_rests_on_transmit_and_not_on_receive():
    found = numbers(SEED)
    texts = {int(one.number): one.sentence for one in assumptions()}
    assert any("testpmd txonly" in texts[number] for number in found)
    assert not any("receive handler" in texts[number] for number in found)
    assert any("receive handler" in texts[number] for number in numbers("virtio-user-receive-skb"))


@pytest.mark.parametrize(
    ("condition", "overrides", "met"),
    [
        (ALWAYS, (), True),
        ("with --without", (), False),
        ("driver.kind=virtio-user", (), True),
        ("driver.kind=virtio-net or virtio-user", (), True),
        ("not driver.kind=virtio-user", (), False),
        ("virtqueue.iotlb", (), False),
        ("virtqueue.iotlb", ("virtqueue.iotlb=true",), True),
        ("not virtqueue.iotlb", (), True),
        ("traffic.mix", (), False),
        ("traffic.mix", ("traffic.mix=imix",), True),
        ("memory.locked_limit_kib", (), False),
        ("access.name=vmap", ("access=copy_user,vmap",), True),
        ("access.name=vmap", ("access=copy_user",), False),
        ("access.mapping.pinned", ("access=vmap",), True),
        ("way=batch", (), True),
        ("way=single", (), False),
        ("way=single", ("traffic.packet_bytes=64,9000",), True),
        ("way=batch and way=single", ("traffic.packet_bytes=64,9000",), True),
        ("way=zerocopy", ("device.zerocopy_tx=true",), True),
        ("device.direction=tx and driver.kind=virtio-net", (), False),
    ],
)
def test_a_condition_holds_when_each_of_its_terms_does(condition, overrides, met):
    assert holds(condition, *overrides) is met


def test_a_key_that_no_scenario_has_is_an_error():
    with pytest.raises(ConfigError, match=r"no scenario has the key 'driver\.knid'"):
        holds("driver.knid=virtio-net")
