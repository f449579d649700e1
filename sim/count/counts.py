"""What a packet executes: the difference of two stretches of a run, one of twice as many packets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sim.config.errors import ConfigError
from sim.count.code import kind
from sim.host.experiments.symbols import Symbols

#: Time that a lock takes when another CPU holds it: no work of a packet.
_WAITING = "native_queued_spin_lock_slowpath"


@dataclass
class Stretch:
    """What was executed inside the handlers in one stretch of a run.

    Attributes
    ----------
    invocations
        How often a handler was entered.
    outside_window
        Accesses to user memory outside a `stac`..`clac` window.
    user
        Accesses and bytes by area of the virtual machine's memory and direction (`load`, `store`).
    executed
        How often each instruction ran, by its address.
    code
        Its bytes.
    """

    invocations: int = 0
    outside_window: int = 0
    user: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    executed: dict[int, int] = field(default_factory=dict)
    code: dict[int, bytes] = field(default_factory=dict)


def read_stretch(lines: Iterable[str]) -> Stretch:
    """Read what the plugin wrote of a stretch."""
    stretch = Stretch()
    for number, line in enumerate(lines, 1):
        try:
            _add(stretch, line.split())
        except ValueError:
            raise ConfigError(f"counts: line {number} is not of the plugin", got=line.strip()) from None
    return stretch


def _add(stretch: Stretch, words: list[str]) -> None:
    match words:
        case ["invocations", count]:
            stretch.invocations = int(count)
        case ["outside_window", count]:
            stretch.outside_window = int(count)
        case ["user", area, direction, accesses, n_bytes]:
            stretch.user[area, direction] = int(accesses), int(n_bytes)
        case [address, code, count]:
            stretch.executed[int(address, 16)] = int(count)
            stretch.code[int(address, 16)] = bytes.fromhex(code)
        case _:
            raise ValueError(words)


@dataclass(frozen=True)
class Counts:
    """Executed per packet.

    Attributes
    ----------
    kinds
        Instructions by kind (`sim.count.code.KINDS`); a repeated move is one.
    functions
        Instructions by function.
    returns
        Returns by function.
    user
        Accesses and bytes by area of the virtual machine's memory and direction.
    invocations
        Invocations of a handler.
    outside_window
        Accesses to user memory outside a window.
    """

    kinds: Mapping[str, float]
    functions: Mapping[str, float]
    returns: Mapping[str, float]
    user: Mapping[tuple[str, str], tuple[float, float]]
    invocations: float
    outside_window: float

    @property
    def instructions(self) -> float:
        """All instructions."""
        return sum(self.functions.values())


def per_packet(first: Stretch, second: Stretch, packets: int, symbols: Symbols) -> Counts:
    """Return what one packet executes: (count of 2N packets - count of N packets) / N.

    Parameters
    ----------
    first, second
        Stretches of `packets` and twice as many packets.
    packets
        N.
    symbols
        The functions of the kernel.
    """
    kinds, functions, returns = Counter[str](), Counter[str](), Counter[str]()
    code = first.code | second.code
    for address in code:
        difference = second.executed.get(address, 0) - first.executed.get(address, 0)
        function, name = symbols.function(address), kind(code[address])
        if function == _WAITING:
            continue
        kinds[name] += difference
        functions[function] += difference
        if name == "return":
            returns[function] += difference
    nothing = (0, 0)
    user = {
        place: (
            (second.user.get(place, nothing)[0] - first.user.get(place, nothing)[0]) / packets,
            (second.user.get(place, nothing)[1] - first.user.get(place, nothing)[1]) / packets,
        )
        for place in sorted({*first.user, *second.user})
    }
    return Counts(
        kinds=_each(kinds, packets),
        functions=_each(functions, packets),
        returns=_each(returns, packets),
        user=user,
        invocations=(second.invocations - first.invocations) / packets,
        outside_window=(second.outside_window - first.outside_window) / packets,
    )


def _each(counted: Counter[str], packets: int) -> dict[str, float]:
    """Return counts per packet, the largest first, without those that are none."""
    return {name: count / packets for name, count in counted.most_common() if count}
