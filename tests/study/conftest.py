"""The seed scenario as shipped: nothing is overridden but the list of sizes."""

from __future__ import annotations

import pytest

import sim
from sim.config import Scenario
from sim.study.questions.run import Result

SEED = "virtio-user-xdp1-tap"


@pytest.fixture(scope="session")
def seed() -> Scenario:
    return sim.load_scenario(SEED, overrides=["traffic.packet_bytes=64,1518"])


@pytest.fixture(scope="session")
def result(seed: Scenario) -> Result:
    return sim.run(seed)
