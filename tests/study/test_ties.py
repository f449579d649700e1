"""Shuffled ties: the seed's answer does not depend on who goes first, and a check says so."""

from __future__ import annotations

import pytest

import sim
from sim.study.questions.run import TieCheck, check_ties

SEED = "virtio-user-xdp1-tap"


def test_the_seed_does_not_depend_on_the_order_of_simultaneous_events():
    scenario = sim.load_scenario(SEED, overrides=["access=copy_user,vmap", "traffic.packet_bytes=64,1518"])
    checks = check_ties(scenario, 3)
    assert [(one.access, one.packet_bytes) for one in checks] == [
        (access, size) for access in ("copy_user", "vmap") for size in (64, 1518)
    ]
    assert not any(one.moves for one in checks)


def test_a_rate_that_moves_is_told():
    assert TieCheck("vmap", 64, 2, 100.0, 99.8, 100.0).moves
    assert TieCheck("vmap", 64, 2, 100.0, 100.0, 100.2).moves
    assert not TieCheck("vmap", 64, 2, 100.0, 99.95, 100.05).moves
    assert TieCheck("vmap", 64, 2, 100.0, 99.0, 102.0).spread == pytest.approx(0.02)


def test_no_shuffle_is_refused():
    with pytest.raises(sim.ConfigError, match="at least 1 shuffle"):
        check_ties(sim.load_scenario(SEED), 0)
