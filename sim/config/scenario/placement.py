"""Section `placement` of a scenario: where driver and worker run, and who else runs there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sim.config.tables.quantity import Strict


class Placement(Strict):
    """Where driver and worker run."""

    smt_siblings: bool = Field(False, description="driver and worker share a core: short transfers, slower work")
    same_socket: bool = Field(True, description="driver and worker share a socket")
    numa_rebalancing: bool = Field(
        False, description="with two sockets: threads and pages are brought together, pinned pages stay behind"
    )
    idle_state: Literal["poll", "c1", "c1e", "c6"] = Field(
        "poll", description="idle state that the worker's core reaches when it sleeps; leaving it delays the wake-up"
    )
    preempted_us: float = Field(0.0, ge=0, le=1e6, description="time slice of another task on the worker's core")
    preempted_every_us: float = Field(
        0.0, ge=0, le=1e9, description="period of that other task (with preempted_us; takes effect between rounds)"
    )

    @model_validator(mode="after")
    def _coherent(self) -> Placement:
        if self.smt_siblings and not self.same_socket:
            raise ValueError("smt_siblings share a core, so same_socket cannot be false")
        if self.numa_rebalancing and self.same_socket:
            raise ValueError("numa_rebalancing goes with two sockets (same_socket: false)")
        if not self.preempted_us <= self.preempted_every_us:
            raise ValueError("preempted_us: another task cannot run longer than preempted_every_us")
        if 0 < self.preempted_every_us == self.preempted_us:
            raise ValueError("preempted_us: another task that always runs leaves nothing to the worker")
        if (self.preempted_us == 0) != (self.preempted_every_us == 0):
            raise ValueError("preempted_us and preempted_every_us go together")
        return self

    @property
    def together(self) -> bool:
        """Whether driver and worker run on one socket in the end."""
        return self.same_socket or self.numa_rebalancing
