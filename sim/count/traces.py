"""What the worker did with user memory during one invocation of its handler, in order: the trace that `import-trace`
reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from sim.config.errors import ConfigError
from sim.host.experiments.symbols import Symbols, source_name

COLUMNS = ("instruction", "event", "region", "offset", "bytes", "function")
_TOGGLES = ("stac", "clac", "lfence")
_ACCESSES = {"load": "load", "store": "store", "rep_load": "copy_from", "rep_store": "copy_to"}


@dataclass(frozen=True)
class Event:
    """One line of a trace.

    Attributes
    ----------
    instruction
        Its number within the invocation, from 1.
    name
        `stac`, `clac`, `lfence`; `load`, `store` of one instruction; `copy_from`, `copy_to` of a `rep movs`; `call`,
        the first instruction of a function.
    address
        Of the instruction.
    caller
        Address of the last call (toggles), or of the call that led here (`call`).
    region, offset, bytes
        What an access reaches.
    """

    instruction: int
    name: str
    address: int
    caller: int = 0
    region: str = ""
    offset: int = 0
    bytes: int = 0


@dataclass
class Invocation:
    """One invocation of a handler: its events, and how many instructions it executed."""

    handler: int
    events: list[Event] = field(default_factory=list)
    instructions: int = 0

    @property
    def moves_packets(self) -> bool:
        """Whether it copied packet bytes."""
        return any(event.region == "buf" for event in self.events)


def read_invocations(lines: Iterable[str]) -> list[Invocation]:
    """Read what the plugin wrote of the first invocations of a run; those that did not end are left out."""
    invocations: list[Invocation] = []
    for number, line in enumerate(lines, 1):
        match line.split():
            case ["invocation", handler]:
                invocations.append(Invocation(int(handler, 16)))
            case ["end", instructions]:
                invocations[-1].instructions = int(instructions)
            case [count, ("stac" | "clac" | "lfence" | "call") as name, address, caller]:
                event = Event(int(count), name, int(address, 16), int(caller, 16))
                invocations[-1].events.append(event)
            case [count, access, region, offset, n_bytes, address] if access in _ACCESSES:
                event = Event(int(count), _ACCESSES[access], int(address, 16), 0, region, int(offset, 16), int(n_bytes))
                invocations[-1].events.append(event)
            case _:
                raise ConfigError(f"trace: line {number} is not of the plugin", got=line.strip())
    return [invocation for invocation in invocations if invocation.instructions]


def joined(events: Iterable[Event]) -> Iterator[Event]:
    """Yield events with the turns of a `rep movs` as one access, without the starts of functions."""
    shown = (event for event in events if event.name != "call")
    for _, group in groupby(shown, key=lambda event: (event.instruction, event.name)):
        first, *others = group
        total = first.bytes + sum(event.bytes for event in others)
        yield Event(first.instruction, first.name, first.address, first.caller, first.region, first.offset, total)


def representative(invocations: Iterable[Invocation], receives: bool) -> Invocation:
    """Return the invocation that is kept: of transmit the second that moves packets, of receive the first.

    The second of transmit stands behind a whole burst; on receive a handler that the first frame wakes finds no buffer.
    """
    moving = [invocation for invocation in invocations if invocation.moves_packets]
    wanted = 0 if receives else 1
    if len(moving) <= wanted:
        raise ConfigError(f"trace: {len(moving)} invocations move packets, {wanted + 1} are needed")
    return moving[wanted]


def as_csv(invocation: Invocation, symbols: Symbols) -> str:
    """Return an invocation as a trace: a header, one line an event, and how many instructions it executed."""
    lines = [",".join(COLUMNS)]
    for event in joined(invocation.events):
        function = source_name(symbols.function(event.address))
        if event.name in _TOGGLES:
            caller = source_name(symbols.function(event.caller))
            lines.append(f"{event.instruction},{event.name},,,,{function}<{caller}")
        else:
            place = f"{event.region},0x{event.offset:x},{event.bytes}"
            lines.append(f"{event.instruction},{event.name},{place},{function}")
    lines.append(f"#end, instructions executed in this invocation = {invocation.instructions}")
    return "\n".join(lines) + "\n"
