"""Settings of all tests: no deadlines, since the machines that run them are shared; the longest start first."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from sim.study.evidence.validate import Validation, validate

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


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
    return made_once("nominal", lambda: validate(draws=0))
