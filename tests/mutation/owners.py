"""Which tests own which modules: the only place that says what a mutant is shown to.

Folders rather than files, so that a module that is moved inside its room keeps its tests. Tests that notice fast stand
first, because a mutant is dead at the first failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """Modules below `sources`, and the tests that have to notice a change of them.

    `slow` tests are shown only what the others let live (not at all with --quick).
    """

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    slow: tuple[str, ...] = ()

    def modules(self, root: Path) -> Iterator[Path]:
        """Return the modules, in order."""
        for source in self.sources:
            yield from sorted((root / source).rglob("*.py")) if (root / source).is_dir() else [root / source]


def _in(folder: str, *modules: str) -> tuple[str, ...]:
    return tuple(f"tests/{folder}/test_{module}.py" for module in modules)


#: One part of the search for a scenario that tells the engines apart is enough to see a mutant.
_SEARCH = "tests/engine/test_same_trace.py::test_generated_scenarios_give_the_same_trace[0]"

OWNERS = (
    Owner(
        "costs",
        ("sim/costs",),
        ("tests/costs", *_in("facts", "hardened_usercopy", "access_variants", "counts")),
        ("tests/datapath",),
    ),
    Owner(
        "datapath",
        ("sim/datapath",),
        (
            "tests/datapath",
            *_in("facts", "hardened_usercopy", "iotlb", "in_order", "packed", "traces", "access_variants", "counts"),
            *_in("properties", "rings", "paths"),
        ),
        (
            *_in("engine", "closed_form"),
            *_in("properties", "host", "receive", "conservation"),
            *_in("facts", "one_by_one", "receive_counts", "laws"),
        ),
    ),
    Owner(
        "engine",
        ("sim/engine",),
        (*_in("engine", "order", "checkpoints", "closed_form"), *_in("study", "statistics"), _SEARCH),
        (*_in("engine", "conservation", "shipped"), *_in("datapath", "traffic", "mix")),
    ),
    Owner("count", ("sim/count",), _in("count", "code", "counts", "configurations", "cited", "emulator")),
    Owner("counted", ("sim/study/evidence/counted.py",), _in("count", "fitted")),
    Owner("uncertainty", ("sim/study/uncertainty",), _in("study", "ranges", "uncertainty")),
    Owner("sensitivity", ("sim/study/sensitivity",), _in("study", "sensitivity", "breakeven", "ranges", "switches")),
    Owner("posterior", ("sim/study/evidence/posterior.py",), _in("study", "posterior"), _in("study", "calibrate")),
    Owner("calibrate", ("sim/study/evidence/calibrate.py",), _in("study", "calibrate"), _in("study", "posterior")),
    Owner("live", ("sim/live",), _in("live", "state", "questions", "answers", "server"), _in("live", "browser")),
    Owner("envelope", ("sim/study/evidence/envelope.py",), _in("study", "envelope")),
    Owner(
        "validate",
        ("sim/study/evidence/validate.py", "sim/study/evidence/figures.py"),
        _in("study", "validate", "published"),
        _in("study", "envelope", "calibrate"),
    ),
)
