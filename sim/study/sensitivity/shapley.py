"""One mechanism switched off at a time, for both variants, and the exact share of each in the gain (Shapley)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

from sim.config.answer import Answer, Record
from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.tables.vocabulary import RETURN_SEQUENCES
from sim.costs.recipes import return_sequence
from sim.study.runs.case import Case, gain_percent, one_point, saved_ns, with_values
from sim.study.runs.pool import run_cases

#: What can be switched off, in the order of tables.
MECHANISMS = {
    "stac_clac": "SMAP toggles: their base cost, and that they wait for loads",
    "lfence": "speculation barriers: their base cost, and that they wait for loads",
    "access_ok": "range checks and masks of addresses",
    "object_size_check": "HARDENED_USERCOPY",
    "returns": "Safe RET and the thunks of other mitigations of returns",
    "misses": "every access finds its line in L1, metadata and payload",
}
_SWITCHES = {"stac_clac": "smap", "lfence": "spectre_v1", "object_size_check": "hardened_usercopy"}
_ADDRESS_CHECKS = ("access_ok", "mask")
#: Latencies that become that of L1 without misses, and prices of further lines that go away.
_LATENCIES_NS = (
    *("l3_hit", "memory_local", "memory_remote"),
    *("line_transfer", "line_transfer_cross_socket", "line_transfer_smt"),
)
_FURTHER_LINES = ("line_stream", "line_stream_copy", "clean_line")


def without(scenario: Scenario, mechanisms: Collection[str]) -> Scenario:
    """Return the scenario with some mechanisms switched off. ConfigError for one that does not exist."""
    for name in mechanisms:
        if name not in MECHANISMS:
            raise ConfigError(f"unknown mechanism '{name}'", key="without", got=name, expected=MECHANISMS)
    switches = {_SWITCHES[name]: False for name in mechanisms if name in _SWITCHES}
    if "returns" in mechanisms:
        switches |= dict.fromkeys(RETURN_SEQUENCES, False)
    changed = scenario.model_copy(update={"mitigations": scenario.mitigations.model_copy(update=switches)})
    table = scenario.cpu.primitives
    values: dict[str, float] = {}
    if "access_ok" in mechanisms:
        values |= dict.fromkeys(_ADDRESS_CHECKS, 0.0)
    if "misses" in mechanisms:
        near_cycles = table["l1_hit"].value
        values |= dict.fromkeys(_LATENCIES_NS, near_cycles / scenario.cpu.core_ghz.value)
        values |= {**dict.fromkeys(_FURTHER_LINES, 0.0), "l2_hit": near_cycles}
    return with_values(changed, {f"cpu.primitives.{name}": value for name, value in values.items() if name in table})


@dataclass(frozen=True)
class Share:
    """One mechanism in a gain: its Shapley share, and what is left of the gain when it alone is switched off.

    `saved_ns` is time of one worker core per packet; the gain is that of all queues together.
    """

    mechanism: str
    saved_ns: float
    gain_points: float
    gain_without_percent: float


@dataclass(frozen=True, repr=False)
class Decomposition(Answer):
    """A gain shared out: the shares and `rest` (what differs with everything switched off) add up to the whole."""

    before: str
    after: str
    packet_bytes: int
    shares: tuple[Share, ...]
    rest_ns: float
    rest_points: float
    saved_ns: float
    gain_percent: float
    basis: str

    def headline(self) -> str:
        """Return the gain that is shared out."""
        gained = f"{self.gain_percent:+.1f} %, {self.saved_ns:+.1f} ns saved per packet"
        return f"{self.before} -> {self.after}, {self.packet_bytes} B: {gained}"

    def records(self) -> list[Record]:
        """Return the shares."""
        return [dict(share.__dict__) for share in self.shares]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**self.__dict__, "shares": [share.__dict__ for share in self.shares]}


def decompose(scenario: Scenario, before: str, after: str, packet_bytes: int) -> Decomposition:
    """Share the gain of one variant over another out to the mechanisms: every set of them is switched off once.

    The share of a mechanism is what switching it on adds, averaged over all orders in which mechanisms can be
    switched on (Shapley 1953): no order is preferred, and the shares add up.
    """
    plain = return_sequence(scenario.kernel, scenario.cpu, scenario.mitigations) is None
    names = tuple(name for name in MECHANISMS if not (plain and name == "returns"))
    sets = [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]
    cases = [
        Case(one_point(without(scenario, set(names) - on), access, packet_bytes))
        for on in sets
        for access in (before, after)
    ]
    rates = dict(zip(sets, run_cases(cases).reshape(-1, 2).tolist(), strict=True))
    saved = {on: saved_ns(first, second, scenario, scenario) for on, (first, second) in rates.items()}
    gain = {on: gain_percent(first, second) for on, (first, second) in rates.items()}
    everything, nothing = frozenset(names), frozenset[str]()

    def share(name: str) -> Share:
        return Share(name, shapley(saved, name, names), shapley(gain, name, names), gain[everything - {name}])

    shares, ends = tuple(map(share, names)), (saved[nothing], gain[nothing], saved[everything], gain[everything])
    return Decomposition(before, after, packet_bytes, shares, *ends, scenario.queues.basis)


def shapley(worth: dict[frozenset[str], float], player: str, players: Iterable[str]) -> float:
    """Return the Shapley value of a player: its marginal worth, averaged over all orders of joining."""
    others = [name for name in players if name != player]
    total = 0.0
    for size in range(len(others) + 1):
        weight = factorial(size) * factorial(len(others) - size) / factorial(len(others) + 1)
        for chosen in combinations(others, size):
            joined = frozenset(chosen)
            total += weight * (worth[joined | {player}] - worth[joined])
    return total
