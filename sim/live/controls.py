"""The controls of a page: which key each moves, between which values, and what stands there now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Literal

from sim.config.scenario.scenario import Mitigations, Scenario
from sim.config.scenario.traffic import NAMED, Load
from sim.config.tables.quantity import Quantity, inconceivable
from sim.live.questions import Tables
from sim.live.state import DRAWS, State, as_yaml, draws_in
from sim.study.evidence.conditions import applying
from sim.study.runs.case import value_of
from sim.study.sensitivity.tornado import Sensitivities
from sim.study.uncertainty.distributions import calibration_of

Kind = Literal["pick", "several", "switch", "slide"]

ACCESS, SIZES, MIX, LOAD, CALIBRATION = "access", "traffic.packet_bytes", "traffic.mix", "traffic.load", "calibration"
#: What a picker shows where nobody has chosen a number of draws.
UNTIL_PRECISE = "until precise"
#: What a picker shows for a mix that has no name.
OWN_MIX = "as in the scenario"
#: So many inputs get a slider of their own, those that move the answer furthest; besides them the barrier that a
#: review asks about first, where the answer depends on it.
MOST_INPUTS = 6
_ALWAYS = "cpu.primitives.lfence"
#: Steps of an input's slider between its ends.
_STEPS = 200


@dataclass(frozen=True)
class Control:
    """One control: the key that it moves, and the texts (or numbers, of a slider) that it moves between.

    Of a switch the first is off and the second on. A slider stops at its numbers; any other can be typed.
    """

    key: str
    label: str
    kind: Kind
    choices: tuple[str, ...] = ()
    stops: tuple[float, ...] = ()
    unit: str = ""


def _switch(key: str, label: str, off: str = "false", on: str = "true") -> Control:
    return Control(key, label, "switch", (off, on))


def _slide(key: str, label: str, stops: Sequence[float], unit: str = "") -> Control:
    return Control(key, label, "slide", stops=tuple(map(float, stops)), unit=unit)


_LABELS = {
    **{name: name.upper() for name in ("smap", "ibrs", "bhi", "mds", "hardened_usercopy")},
    "pti": "page-table isolation",
}
_POWERS = [1 << power for power in range(16)]

MITIGATIONS = tuple(
    _switch(f"mitigations.{name}", _LABELS.get(name, name.replace("_", " "))) for name in Mitigations.model_fields
)
RING = (
    _switch("virtqueue.layout", "packed ring", "split", "packed"),
    _switch("virtqueue.event_idx", "EVENT_IDX"),
    _switch("virtqueue.in_order", "IN_ORDER"),
    _switch("virtqueue.indirect", "indirect descriptors"),
    _switch("virtqueue.iotlb", "device IOTLB"),
    _slide("virtqueue.size", "ring", _POWERS[4:], "entries"),
    _slide("driver.burst", "burst", _POWERS[:9], "packets"),
    _slide("device.batch", "batch", _POWERS[:11], "packets"),
)
HOST = (
    _switch("placement.same_socket", "driver and worker on two sockets", "true", "false"),
    _switch("placement.smt_siblings", "driver and worker share a core"),
    Control(
        "backend.kind",
        "behind the worker",
        "pick",
        (
            *("tap-xdp-drop", "tap-xdp-pass", "tap-xdp-redirect", "tap-skb"),
            *("tap-bridge", "tap-tc-drop", "tap-tc-redirect", "tap-ovs", "macvtap"),
        ),
    ),
    Control(
        "backend.port",
        "port behind a bridge, a filter, Open vSwitch or macvtap",
        "pick",
        ("nic", "veth", "dummy"),
    ),
    _slide("backend.line_gbps", "NIC", (10, 25, 40, 100, 200, 400), "Gbit/s"),
    _slide("queues.pairs", "queue pairs", (1, 2, 4, 8, 16, 32, 64)),
    _switch("queues.workers", "a worker for each queue pair", "shared", "each"),
    _slide("memory.invalidations_per_second", "invalidations", (0, 1, 10, 100, 1000, 10_000, 100_000), "per second"),
)
TRAFFIC = (
    _slide(SIZES, "packet size", (60, 64, 128, 256, 512, 1024, 1500, 1518, 2048, 4096, 9000), "bytes"),
    Control(MIX, "mix", "pick", ("null", *NAMED)),
    Control(f"{LOAD}.kind", "load", "pick", ("saturate", "constant", "poisson")),
    _slide(f"{LOAD}.pps", "offered", [step * 2.5e5 for step in range(1, 61)], "packets/s"),
)
#: Of the answer, not of the scenario.
PRECISION = Control(DRAWS, "draws of each interval", "pick", (UNTIL_PRECISE, "20", "100", "400", "1600"))


def tables_of(tables: Tables) -> tuple[Control, ...]:
    """Return the pickers of tables: scenario apart, what runs and what is compared."""
    kernels = (*tables.names("kernel"), *tables.names("implementation"))
    return (
        Control("cpu", "CPU", "pick", tuple(tables.names("cpu"))),
        Control("kernel", "kernel", "pick", kernels),
        Control(CALIBRATION, "calibration", "pick", ("null", *tables.names("calibration"))),
        Control(ACCESS, "access variants, the first is compared with", "several", tuple(tables.names("access"))),
    )


def shown(control: Control, state: State, scenario: Scenario) -> str:
    """Return the text of what stands under a control's key; of sizes the first, of a mix its name."""
    key = control.key
    if key == DRAWS:
        return UNTIL_PRECISE if state.draws is None else str(state.draws)
    if key == ACCESS:
        return ",".join(variant.name for variant in scenario.access)
    if key in ("cpu", "kernel"):
        return str(getattr(scenario, key).name)
    if key == SIZES:
        return str(scenario.traffic.sizes[0])
    if key == MIX and scenario.traffic.mix is not None:
        named = state.text(MIX)
        return named if named in NAMED else OWN_MIX
    return as_yaml(value_of(scenario, key))


def moved(control: Control, state: State, scenario: Scenario, text: str) -> State:
    """Return the state after a control was moved to a text; what the scenario has by itself is no change."""
    key = control.key
    if key == DRAWS:
        return replace(state, draws=draws_in("" if text == UNTIL_PRECISE else text))
    if key == SIZES:
        rest = [size for size in scenario.traffic.packet_bytes[1:] if str(size) != text]
        return state.changed(MIX, None).changed(SIZES, ",".join((text, *map(str, rest))))
    if key.startswith(f"{LOAD}."):
        return state.changed(LOAD, _load(scenario.traffic.load, key.removeprefix(f"{LOAD}."), text))
    if key == MIX and text == OWN_MIX:
        return state.changed(MIX, None)
    return state.changed(key, text)


def beside(control: Control, state: State, scenario: Scenario) -> list[str]:
    """Return the texts one step from where a control stands: a switch turned, a slider at the stops next to its own."""
    now = shown(control, state, scenario)
    if control.kind == "switch":
        return [text for text in control.choices if text != now]
    if control.kind != "slide":
        return []
    place = nearest(control.stops, float(now))
    return [plain(stop) for stop in (*control.stops[place + 1 : place + 2], *control.stops[:place][-1:])]


def nearest(stops: Sequence[float], number: float) -> int:
    """Return the place of the stop that is nearest to a number."""
    return min(range(len(stops)), key=lambda place: abs(stops[place] - number))


def half_up(number: float) -> int:
    """Return the nearest whole number, of two the higher one, as a browser does."""
    return floor(number + 0.5)


def plain(number: float) -> str:
    """Return the text of a number as a slider gives it."""
    return f"{number:.0f}" if float(number).is_integer() else f"{number:.6g}"


def _load(load: Load, name: str, text: str) -> str:
    """Return the offered load with another kind or another rate; a rate of its own is needed but for saturate."""
    kind = text if name == "kind" else load.kind
    pps = text if name == "pps" else f"{load.pps or 4e6:.0f}"
    return "saturate" if kind == "saturate" else f"{{kind: {kind}, pps: {pps}}}"


def keys_of(control: Control) -> tuple[str, ...]:
    """Return the key whose change a control makes, and those that it may take back."""
    if control.key.startswith(f"{LOAD}."):
        return (LOAD,)
    return (SIZES, MIX) if control.key == SIZES else (control.key,)


@dataclass(frozen=True)
class MovableInput:
    """A table entry that can be moved: its range in the table, and the ends that its slider has."""

    key: str
    entry: Quantity
    grade: str
    low: float
    high: float
    least: float
    most: float

    @property
    def step(self) -> float:
        """A step of its slider: a round number."""
        return float(f"{(self.most - self.least) / _STEPS:.0e}") or 1e-6

    def at(self, part: float) -> float:
        """Return the number at a part of its slider's length, 0 to 1: a step from the least on, as a browser rounds."""
        decimals = len(f"{self.step:.12f}".rstrip("0").partition(".")[2])
        number = self.least + half_up(part * (self.most - self.least) / self.step) * self.step
        shifted = 10.0**decimals
        return min(max(half_up(number * shifted) / shifted, self.least), self.most)

    @property
    def label(self) -> str:
        """What it is called, without the parts that most keys share."""
        shared = ("cpu.primitives.", "kernel.steps.", "cpu.", "kernel.")
        prefix = next((part for part in shared if self.key.startswith(part)), "")
        return self.key.removeprefix(prefix).removesuffix(".instructions")

    @property
    def range_text(self) -> str:
        """The range of the table with its unit."""
        return f"{self.low:g} to {self.high:g} {self.entry.unit}"


def inputs(state: State, scenario: Scenario, tornado: Sensitivities, tables: Tables) -> list[MovableInput]:
    """Return the inputs to move: those that are set, those that move the answer furthest, the barrier."""
    keys = [key for key, _ in state.changes if isinstance(value_of(scenario, key), Quantity)]
    for index in tornado.indices:
        first, *others = index.key.split(" + ")
        keys += [first, *(f"{first.rpartition('.')[0]}.{other}" for other in others)]
    known = [key for key in dict.fromkeys(keys) if isinstance(value_of(scenario, key), Quantity)]
    calibration = calibration_of(scenario, tables.configs)
    fitted = applying(scenario, calibration) if calibration else ()
    chosen = dict.fromkeys((*known[:MOST_INPUTS], *(key for key in known if key == _ALWAYS)))
    return [_input(key, scenario, key in fitted) for key in chosen]


def _input(key: str, scenario: Scenario, is_fitted: bool) -> MovableInput:
    entry = value_of(scenario, key)
    assert isinstance(entry, Quantity)
    low, high = entry.table_range or (entry.low, entry.high)
    reach = (high - low) / 2 or abs(high) / 2 or 1.0
    least, most = max(0.0, low - reach) if low >= 0 else low - reach, high + reach
    least, most = min(least, entry.value), max(most, entry.value)
    while inconceivable(most, entry.unit) and most > max(high, entry.value):
        most = max(high, entry.value)
    least = max(least, low) if inconceivable(least, entry.unit) else least
    return MovableInput(key, entry, "fitted" if is_fitted else entry.grade, low, high, min(least, entry.value), most)
