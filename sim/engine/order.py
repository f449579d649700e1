"""Who goes first when events are simultaneous: a stated order of the actors, or a shuffle to see whether it matters."""

from __future__ import annotations

from dataclasses import dataclass

from sim.datapath.traffic import GAMMA, WORD, splitmix64

#: The top bits of a hash make a priority: a 64-bit integer then has room for the actor behind them.
PRIORITY_SHIFT = 40


@dataclass(frozen=True)
class TieOrder:
    """Order of simultaneous events: `ranks` of the actors (lowest first), or the shuffle of number `fuzz` above 0.

    A shuffle draws a priority for each event from a hash of its number and the count of events scheduled before it, so
    that both engines draw the same one. No two actors ever have the same priority, which is at least 1.
    """

    ranks: tuple[int, ...]
    fuzz: int = 0

    def __post_init__(self) -> None:
        if sorted(self.ranks) != list(range(len(self.ranks))):
            raise ValueError(f"tie order {self.ranks} is not a permutation of 0 to {len(self.ranks) - 1}")
        if self.fuzz < 0:
            raise ValueError(f"tie fuzz {self.fuzz} must be at least 0 (0: the stated order)")

    @classmethod
    def stated(cls, actors: int, fuzz: int = 0) -> TieOrder:
        """Return the order of the actors themselves, or a shuffle of them."""
        return cls(tuple(range(actors)), fuzz)

    @property
    def start(self) -> int:
        """Where the shuffle's stream of hashes begins."""
        return splitmix64(self.fuzz & WORD)

    def priority(self, actor: int, scheduled: int) -> int:
        """Return the priority of an actor's next event when `scheduled` events came before it."""
        if not self.fuzz:
            return self.ranks[actor] + 1
        drawn = splitmix64((self.start + scheduled * GAMMA) & WORD) >> PRIORITY_SHIFT
        return drawn * len(self.ranks) + self.ranks[actor] + 1
