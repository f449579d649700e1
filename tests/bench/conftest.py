"""One table of all benchmarks of a run, printed at its end."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figures

FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config):
    config.stash[FIGURES] = Figures()


@pytest.fixture(scope="session")
def figures(request) -> Figures:
    """What the benchmarks of this run have measured."""
    return request.config.stash[FIGURES]


@pytest.fixture(scope="session")
def measuring(request) -> bool:
    """Tell whether this run measures; otherwise a benchmark is a test of its counts, and a short one will do."""
    return bool(request.config.getoption("--benchmark-enable"))


def pytest_terminal_summary(terminalreporter, config):
    table = config.stash[FIGURES].table()
    if table and config.getoption("--benchmark-enable"):
        terminalreporter.write_line("")
        terminalreporter.write_line(table)
