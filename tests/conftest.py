"""Settings of all tests: no deadlines, since the machines that run them are shared; the longest start first."""

import pytest
from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first: started last, one keeps a single worker busy while the others have nothing left."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
