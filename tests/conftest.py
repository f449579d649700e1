"""Settings of all tests: no deadlines, since the machines that run them are shared; the longest start first.

Garbage is looked for as seldom as in a command: as often as Python does takes a twelfth of their time.
"""

from __future__ import annotations

import fcntl
import gc
import os
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from sim.cli import YOUNG_OBJECTS

if TYPE_CHECKING:
    from sim.study.evidence.validate import Validation
    from sim.study.review.review import Review

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
gc.set_threshold(YOUNG_OBJECTS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first: started last, one keeps a single worker busy while the others have nothing left."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[], Any]], Any]:
    """Make a result once for all processes of a session that ask for it by its name."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder

    def once(name: str, make: Callable[[], Any]) -> Any:
        file = shared / f"{name}.pickle"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                file.write_bytes(pickle.dumps(make()))
        return pickle.loads(file.read_bytes())

    return once


@pytest.fixture(scope="session")
def nominal(made_once) -> Validation:
    """Every published figure beside its prediction, without intervals."""
    from sim.study.evidence.validate import validate  # more than a second, for the few tests that ask for it

    return made_once("nominal", lambda: validate(draws=0))


@pytest.fixture(scope="session")
def plain_review(made_once) -> Review:
    """The review of the seed at two sizes, from short runs and twenty draws."""
    from sim import load_scenario
    from sim.study.review.ask import review

    short = ["run.packets=3000", "run.precision=0", "traffic.packet_bytes=64,1518", "access=copy_user,vmap"]
    return made_once("plain-review", lambda: review(load_scenario("virtio-user-xdp1-tap", overrides=short), 20))
