"""The shipped scenarios as parameters of a test."""

from __future__ import annotations

import pytest

from sim.config.loading import paths

NAMES = sorted(paths.names("scenario"))


def every_third(first: int) -> list[object]:
    """Every shipped scenario as a parameter; only each third one, from number `first` on, outside the deep tests."""
    return [
        name if number % 3 == first else pytest.param(name, marks=pytest.mark.deep) for number, name in enumerate(NAMES)
    ]
