"""All variants that could be had in the place of the asked one, ranked: what each gains, what it needs, what stands
against it.

Rates with the tables as they are, or with intervals from draws that all variants meet alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sim.config.answer import counted
from sim.config.errors import ConfigError
from sim.config.loading.load import load_of
from sim.config.loading.paths import names
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Access
from sim.study.runs.case import Case, Side, gain_percent, one_point, saved_ns
from sim.study.runs.pool import Job, run_jobs
from sim.study.uncertainty.distributions import BLOCK
from sim.study.uncertainty.intervals import Gain
from sim.study.uncertainty.nominal import Nominal, tried
from sim.study.uncertainty.runs import drawn_runs
from sim.study.uncertainty.uncertainty import Uncertainty

#: So many draws at most rank the variants: one Latin hypercube, the first of those that the answer rests on.
RANKING_DRAWS = BLOCK
#: What stands against a variant of which there is no count and no published rate.
NOT_EXECUTED = "nobody has executed it: its accessors are by analogy"
#: What the host may do to a ring, and what is asked of each variant under it.
_STRESSES: dict[str, tuple[str, dict[str, Any]]] = {
    "behind a device IOTLB": ("virtqueue", {"iotlb": True}),
    "at 1000 invalidations/s": ("memory", {"invalidations_per_second": 1000.0}),
}


@dataclass(frozen=True)
class Ranked:
    """One variant against the first: rates in packets/s, what it needs, objections; `gain` where there are draws.

    `stressed` is its gain in percent under what a host may do (None: it cannot be run). It is `guarded` where SMAP
    still guards packet bytes.
    """

    access: str
    title: str
    role: str
    pps: float
    gain_percent: float
    saved_ns: float
    gain: Gain | None
    needs: tuple[str, ...]
    objections: tuple[str, ...]
    guarded: bool
    asked: bool
    stressed: Mapping[str, float | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        gain = self.gain.to_dict() if self.gain else None
        lists = {"needs": list(self.needs), "objections": list(self.objections), "stressed": dict(self.stressed)}
        return {**self.__dict__, **lists, "gain": gain}

    def spelled(self) -> str:
        """Spell the gain in percent, with its interval where there is one."""
        return f"{self.gain_percent:+.1f} %" if self.gain is None else self.gain.gain_percent.signed("%")


@dataclass(frozen=True)
class Ranking:
    """The variants in the order of their gain over `before` at one size; `left_out` says why others are not there.

    All meet the same `draws` draws (0: none), the first of the answer's; the asked one keeps the interval of the
    answer, which may have more. `over_asked` is the better variant against the asked one in them.
    """

    before: str
    asked: str
    packet_bytes: int
    rows: tuple[Ranked, ...]
    left_out: dict[str, str]
    resolution: float
    draws: int = 0
    over_asked: Gain | None = None

    @property
    def better(self) -> Ranked | None:
        """The variant that gains most, and more than the asked one by what the runs resolve; None if there is none.

        A bound is no candidate, nor is what takes SMAP away from packet bytes.
        """
        asked = self.at(self.asked)
        for row in self.rows:
            candidate = row.role == "variant" and row.guarded and row.access not in (self.before, self.asked)
            if candidate and row.pps > asked.pps * (1 + self.resolution):
                return row
        return None

    def at(self, access: str) -> Ranked:
        """Return the row of a variant."""
        return next(row for row in self.rows if row.access == access)

    def sentence(self) -> str:
        """Name the better variant, or say that there is none."""
        asked, better = self.at(self.asked), self.better
        if better is None:
            number = sum(row.role == "variant" for row in self.rows)
            kept = "none that keeps SMAP on packet bytes gains more"
            return f"Of the {number} variants that apply, {kept} than {self.asked}"
        pins = "" if "pinned pages" in better.needs else ", and pins nothing"
        drawn = f" in {self.over_asked.same_sign:.0%} of {self.draws} draws" if self.over_asked else ""
        untried = f"; {NOT_EXECUTED}" if NOT_EXECUTED in better.objections else ""
        return (
            f"{better.access} gains more over {self.before} than {self.asked}{drawn}: {better.spelled()} against "
            f"{asked.spelled()} at {self.packet_bytes} B{pins if 'pinned pages' in asked.needs else ''}{untried}"
        )

    @property
    def notes(self) -> list[str]:
        """What to know of the table: how many draws, what the hosts do, why variants are left out."""
        rest = f"; the interval of {self.asked} is the answer's" if self.draws == RANKING_DRAWS else ""
        said = [f"{counted(self.draws, 'draw')}, the same for every variant{rest}"] if self.draws else []
        if self.rows[0].stressed:
            said.append(f"gains {' and '.join(self.rows[0].stressed)} are with the tables as they are")
        return [*said, *(f"left out: {name}: {why}" for name, why in self.left_out.items())]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "draws": self.draws,
            "before": self.before,
            "asked": self.asked,
            "packet_bytes": self.packet_bytes,
            "better": self.better.access if self.better else None,
            "over_asked": self.over_asked.to_dict() if self.over_asked else None,
            "rows": [row.to_dict() for row in self.rows],
            "left_out": self.left_out,
        }


def objections(variant: Access) -> tuple[str, ...]:
    """Return what a reviewer holds against a variant: what its table says, and that nobody has executed it."""
    untried = variant.role == "variant" and variant.changes and not variant.executed
    return (*variant.objections, *((NOT_EXECUTED,) if untried else ()))


def needs(variant: Access) -> tuple[str, ...]:
    """Return what a variant needs beyond the kernel as it is."""
    mapping = variant.mapping
    said = {
        "a kernel change": variant.changes,
        "pinned pages": mapping.pinned,
        "MMU notifiers": mapping.torn_down != "never",
        "no device IOTLB": mapping.maps,
        "packet bytes without SMAP": not guarded(variant),
    }
    return tuple(need for need, wanted in said.items() if wanted)


def guarded(variant: Access) -> bool:
    """Return whether packet bytes are copied behind SMAP as before."""
    return "stac" not in variant.payload.remove


def ranks(scenario: Scenario) -> bool:
    """Return whether variants compete in a scenario: a Linux kernel's worker reaches a ring in guest memory."""
    return scenario.device.kind == "vhost_net" and scenario.kernel.kind == "kernel"


def ranking(
    scenario: Scenario,
    before: str,
    asked: str,
    *,
    sure: Uncertainty | None = None,
    stressed: bool = False,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> Ranking | None:
    """Rank every variant that applies against `before`, at the first size; None where variants do not compete.

    With `sure` the others meet its first draws. `stressed` adds the gain under what a host may do to a ring.
    """
    if not ranks(scenario):
        return None
    variants, left_out = _candidates(scenario, before, configs)
    known: dict[str, Nominal] = {}
    sides = _sides(scenario, variants)
    if sure is None:
        rates, failed = _rates(sides, executor, progress)
    else:
        known, failed = _known(sides, executor, progress)
        rates = {name: nominal.point.pps for name, nominal in known.items()}
    left_out |= failed
    variants = [variant for variant in variants if variant.name in rates]
    if before not in rates or asked not in rates:
        return None
    number = min(sure.draws, RANKING_DRAWS) if sure else 0
    sides = [side for side in sides if side.label in rates]
    drawn = _drawn(sides, known, asked, sure, number, configs, executor, progress) if sure else {}
    under = {name: _stress(scenario, variants, name, executor, progress) for name in _STRESSES} if stressed else {}
    rows = [
        Ranked(
            access=variant.name,
            title=variant.title,
            role=variant.role,
            pps=rates[variant.name],
            gain_percent=gain_percent(rates[before], rates[variant.name]),
            saved_ns=saved_ns(rates[before], rates[variant.name], scenario, scenario),
            gain=drawn.get((before, variant.name)),
            needs=needs(variant),
            objections=objections(variant),
            guarded=guarded(variant),
            asked=variant.name == asked,
            stressed={name: stress.get(variant.name) for name, stress in under.items()},
        )
        for variant in variants
    ]
    rows.sort(key=lambda row: -row.gain_percent)
    size, resolution = scenario.traffic.sizes[0], scenario.run.precision
    ranked = Ranking(
        before, asked, size, tuple(rows), left_out, resolution, min(sure.draws, RANKING_DRAWS) if sure else 0
    )
    return replace(ranked, over_asked=drawn.get((asked, ranked.better.access))) if ranked.better else ranked


def _candidates(scenario: Scenario, before: str, configs: Path | None) -> tuple[list[Access], dict[str, str]]:
    """Return the variants that apply, `before` first: those of the scenario, and every table that is one."""
    known, left_out = {variant.name: variant for variant in scenario.access}, {}
    for name in names("access", configs):
        if name in known:
            continue
        try:
            known[name] = load_of(Access, name, configs)
        except ConfigError as error:
            left_out[name] = str(error)
    fit = [variant for variant in known.values() if variant.role != "userspace" or variant in scenario.access]
    return sorted(fit, key=lambda variant: variant.name != before), left_out


def _with(scenario: Scenario, variants: Iterable[Access]) -> Scenario:
    return scenario.model_copy(update={"access": list(variants)})


def _sides(scenario: Scenario, variants: Sequence[Access]) -> list[Side]:
    whole, size = _with(scenario, variants), scenario.traffic.sizes[0]
    return [Side(variant.name, size, Case(one_point(whole, variant.name, size))) for variant in variants]


def _rates(
    sides: Sequence[Side], executor: Executor | None, progress: Counted | None
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the rate of each variant in packets/s, and the error of each that cannot be run."""
    cases = [side.case for side in sides]
    outcomes = run_jobs(cases, [Job(number, {}) for number in range(len(cases))], executor, progress)
    errors = {sides[number].label: text for number, text in outcomes.errors.items()}
    rates = zip((side.label for side in sides), outcomes.figures.tolist(), strict=True)
    return {name: rate for name, rate in rates if name not in errors}, errors


def _known(
    sides: Sequence[Side], executor: Executor | None, progress: Counted | None
) -> tuple[dict[str, Nominal], dict[str, str]]:
    """Return what each variant gives and what its draws rest on, and the error of each that cannot be run."""
    given = tried([side.case for side in sides], executor, progress)
    named = {side.label: nominal for side, nominal in zip(sides, given, strict=True)}
    errors = {name: nominal for name, nominal in named.items() if isinstance(nominal, str)}
    return {name: nominal for name, nominal in named.items() if not isinstance(nominal, str)}, errors


def _drawn(
    sides: Sequence[Side],
    known: Mapping[str, Nominal],
    asked: str,
    sure: Uncertainty,
    number: int,
    configs: Path | None,
    executor: Executor | None,
    progress: Counted | None,
) -> dict[tuple[str, str], Gain]:
    """Return the gains over the first variant and over the asked one with their intervals, by both names.

    What `sure` has is taken from there: an interval of the answer is the same wherever it stands.
    """
    first, *others = sides
    sides = [first, *sorted(others, key=lambda side: side.label != asked)]
    runs = drawn_runs(
        sides,
        number,
        sure.seed,
        configs=configs,
        executor=executor,
        progress=progress,
        known=[known[side.label] for side in sides],
    )
    made, size = runs.measured(), first.packet_bytes
    over = [(start, other) for start in (0, 1) for other in range(start + 1, len(sides))]  # the first, and the asked
    every = (*(made.gain(*pair) for pair in over), *(gain for gain in sure.gains if gain.packet_bytes == size))
    return {(gain.before, gain.after): gain for gain in every}


def _stress(
    scenario: Scenario, variants: Sequence[Access], name: str, executor: Executor | None, progress: Counted | None
) -> dict[str, float | None]:
    """Return the gain of each variant over the first, in percent, under one thing that a host may do."""
    section, update = _STRESSES[name]
    changed = scenario.model_copy(update={section: getattr(scenario, section).model_copy(update=update)})
    rates, _ = _rates(_sides(changed, variants), executor, progress)
    first = rates.get(variants[0].name)
    return {access: gain_percent(first, rate) for access, rate in rates.items()} if first else {}
