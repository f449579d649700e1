"""Section `placement` of a scenario: where driver and worker run."""

from __future__ import annotations

from pydantic import Field, model_validator

from sim.config.quantity import Strict


class Placement(Strict):
    """Where driver and worker run."""

    smt_siblings: bool = Field(False, description="driver and worker share a core")
    same_socket: bool = Field(True, description="driver and worker share a socket")

    @model_validator(mode="after")
    def _siblings_share_a_socket(self) -> Placement:
        if self.smt_siblings and not self.same_socket:
            raise ValueError("smt_siblings share a core, so same_socket cannot be false")
        return self
