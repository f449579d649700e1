"""Compare two access variants, or two scenarios, size by size: how much, and what makes up the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sim.config.answer import Answer
from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.config.scenario.scenario import Scenario
from sim.engine import Point
from sim.study.questions.columns import Column, row_of, run_interval
from sim.study.questions.run import run
from sim.study.runs.case import Side, gain_percent, sides_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference:
    """One size of a comparison, under the same random draws.

    Attributes
    ----------
    before, after
        The two points.
    """

    before: Point
    after: Point

    @property
    def packet_bytes(self) -> int:
        """Frame size in bytes."""
        return self.before.packet_bytes

    @property
    def gain_percent(self) -> float:
        """How many more packets per second all queues carry together, in percent."""
        return gain_percent(self.before.pps, self.after.pps)

    @property
    def saved_ns(self) -> float:
        """Nanoseconds that a worker core saves per packet (negative: loses)."""
        return self.before.ns_per_packet - self.after.ns_per_packet

    @property
    def saved_cycles(self) -> float:
        """Cycles that a worker core saves per packet, each side counted at its own clock."""
        return self.before.cycles_per_packet - self.after.cycles_per_packet

    @property
    def made_up_of(self) -> dict[str, float]:
        """Nanoseconds saved per packet by primitive, largest first; they add up to `saved_ns`."""
        before, after = ({n: v / p.packets / 1e3 for n, v in p.breakdown_ps.items()} for p in (self.before, self.after))
        names = {*before, *after}
        parts = {name: before.get(name, 0.0) - after.get(name, 0.0) for name in names}
        return dict(sorted(parts.items(), key=lambda item: (-abs(item[1]), item[0])))

    @property
    def basis(self) -> str:
        """What rates, times and shares are those of, in words; of each side where they differ."""
        before, after = self.before.basis, self.after.basis
        return before if before == after else f"before: {before}. after: {after}"

    @property
    def bound_by(self) -> dict[str, str]:
        """The actor that binds each side."""
        return {"before": self.before.bound_by, "after": self.after.bound_by}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return row_of(self, DIFFERENCE_COLUMNS)


def _bound_by(difference: Difference) -> str:
    return " -> ".join(dict.fromkeys(difference.bound_by.values()))


def _numeric(name: str, heading: str = "", spec: str = "", unit: str = "") -> Column[Difference]:
    value = attrgetter(name)
    return Column(name, float, name, value, heading, lambda difference: f"{value(difference):{spec}}{unit}")


def _offered(name: str, value: Callable[[Difference], float | None], heading: str, percent: bool = False) -> Any:
    """Return a column that is filled where a load is offered."""

    def text(difference: Difference) -> str:
        number = value(difference) or 0.0
        return f"{number:.2%}" if percent else f"{number / 1e6:.3f}"

    return Column(name, float, name, value, heading, text)


def _rate(side: str) -> Column[Difference]:
    def text(difference: Difference) -> str:
        point: Point = getattr(difference, side)
        return f"{point.pps / 1e6:.3f} {run_interval(point)}"

    return Column(f"{side}_pps", float, f"{side}_pps", attrgetter(f"{side}.pps"), f"{{{side}}} Mpps", text)


#: The columns of a comparison, stated once; headings name its sides as {before} and {after}.
DIFFERENCE_COLUMNS: tuple[Column[Difference], ...] = (
    Column("packet_bytes", int, "packet_bytes", attrgetter("packet_bytes"), "bytes"),
    _offered("offered_pps", attrgetter("before.offered_pps"), "offered Mpps"),
    _rate("before"),
    _offered("before_lost_share", attrgetter("before.lost_share"), "{before} loses", percent=True),
    _rate("after"),
    _offered("after_lost_share", attrgetter("after.lost_share"), "{after} loses", percent=True),
    _numeric("gain_percent", "gain", "+.1f", " %"),
    _numeric("saved_ns", "saved ns/packet", "+.1f"),
    _numeric("saved_cycles", "saved cycles/packet", "+.1f"),
    Column("made_up_of_ns", dict, "made_up_of_ns", attrgetter("made_up_of")),
    Column("bound_by", dict, "bound_by", attrgetter("bound_by"), "bound by", _bound_by),
    Column("basis", str, "basis", attrgetter("basis")),
)


@dataclass(frozen=True, repr=False)
class Comparison(Answer):
    """Two access variants or scenarios, and their differences.

    Attributes
    ----------
    before, after
        What the two are called.
    differences
        One for each packet size.

    Examples
    --------
    >>> import sim
    >>> short = ["traffic.packet_bytes=64", "run.packets=20000"]
    >>> scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=short)
    >>> comparison = sim.compare(scenario, access=("copy_user", "vmap"))
    >>> list(comparison.differences[0].made_up_of)[:3]
    ['stac', 'clac', 'line_transfer']
    """

    before: str
    after: str
    differences: tuple[Difference, ...]

    def headline(self) -> str:
        """Return what is compared, and the gain at the first size."""
        first = self.differences[0]
        gained = f"{first.gain_percent:+.1f} %, {first.saved_ns:+.1f} ns saved per packet"
        return f"{self.before} -> {self.after}, {first.packet_bytes} B: {gained}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim compare`."""
        sizes = [difference.to_dict() for difference in self.differences]
        notes = list(dict.fromkeys(note for point in self.points() for note in point.notes))
        return {"schema": 1, "before": self.before, "after": self.after, "results": sizes, "notes": notes}

    def points(self) -> list[Point]:
        """Return the points of both sides, each under the name of its side."""
        before, after = self.sides()
        return before + after

    def sides(self) -> tuple[list[Point], list[Point]]:
        """Return the points of each side, under its name."""
        before = [replace(difference.before, access=self.before) for difference in self.differences]
        return before, [replace(difference.after, access=self.after) for difference in self.differences]

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy table: one row per packet size."""
        import pandas as pd

        rows = []
        for difference in self.differences:
            row = difference.to_dict()
            row.pop("bound_by")
            parts, basis = row.pop("made_up_of_ns"), row.pop("basis")
            rows.append({**row, **{f"saved_{name}_ns": value for name, value in parts.items()}, "basis": basis})
        frame = pd.DataFrame(rows).fillna(0.0)
        return frame[[*(name for name in frame.columns if name != "basis"), "basis"]]


def sides(scenario: Scenario, other: Scenario | None = None) -> list[Side]:
    """Return what `compare` compares, size by size: the first two variants of one scenario, or the first of each."""
    if other is None:
        return sides_of(scenario, [variant.name for variant in scenario.access[:2]])
    sizes = [size for size in scenario.traffic.sizes if size in other.traffic.sizes]
    compared = []
    for each, label in zip((scenario, other), _labels((scenario, other)), strict=True):
        traffic = each.traffic.model_copy(update={"packet_bytes": sizes})
        one_size = sides_of(each.model_copy(update={"traffic": traffic}), [each.access[0].name])
        compared += [replace(side, label=label) for side in one_size]
    return compared


def compared(scenario: Scenario) -> list[tuple[Scenario, str, int]]:
    """Return the points of one scenario that a comparison of its first two variants looks at."""
    return [(side.case.scenario, side.label, side.packet_bytes) for side in sides(scenario)]


def compared_with_another(scenario: Scenario) -> list[tuple[Scenario, str, int]]:
    """Return the points of a scenario that its comparison with another one looks at: those of its first variant."""
    return [(scenario, scenario.access[0].name, size) for size in scenario.traffic.sizes]


def _labels(both: tuple[Scenario, Scenario], chosen: Sequence[str] | None = None) -> list[str]:
    """Name two scenarios by name and variant, numbered where that does not tell them apart."""
    names = chosen or [scenario.access[0].name for scenario in both]
    labels = [f"{side.name} ({name})" for side, name in zip(both, names, strict=True)]
    return labels if labels[0] != labels[1] else [f"{label} [{number}]" for number, label in enumerate(labels, 1)]


def compare(
    scenario: Scenario,
    other: Scenario | None = None,
    *,
    access: tuple[str, str] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two access variants of one scenario, or two scenarios, size by size (`sim.compare`).

    By default the first two variants; of two scenarios the first of each. ConfigError when there are no two variants,
    one is not listed by its scenario, or the scenarios share no packet size.
    """
    if other is None and access is None:
        names = [variant.name for variant in scenario.access]
        if len(names) < 2:
            raise ConfigError(f"two variants of {scenario.name} are needed, or a second scenario", key="access")
        access = (names[0], names[1])
    if other is None:
        assert access is not None
        pair = [scenario.variant(name) for name in dict.fromkeys(access)]
        result = run(scenario.model_copy(update={"access": pair}), progress)
        sizes = scenario.traffic.sizes
        differences = tuple(Difference(result.at(access[0], size), result.at(access[1], size)) for size in sizes)
        return Comparison(access[0], access[1], differences)
    both = (scenario, other)
    chosen = [side.access[0].name if access is None else access[number] for number, side in enumerate(both)]
    sizes = [size for size in scenario.traffic.sizes if size in other.traffic.sizes]
    if not sizes:
        raise ConfigError(f"{scenario.name} and {other.name} have no packet size in common")
    results = []
    for number, (side, name) in enumerate(zip(both, chosen, strict=True)):
        traffic = side.traffic.model_copy(update={"packet_bytes": sizes})
        alone = side.model_copy(update={"access": [side.variant(name)], "traffic": traffic})

        def half(share: float, label: str, number: int = number) -> None:
            if progress is not None:
                progress((number + share) / 2, label)

        results.append(run(alone, half))
    labels = _labels(both, chosen)
    pairs = zip(results[0].points, results[1].points, strict=True)
    return Comparison(labels[0], labels[1], tuple(Difference(first, second) for first, second in pairs))
