"""Section `queues` of a scenario: how many queue pairs the device has, and who serves them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sim.config.tables.quantity import Strict


class Queues(Strict):
    """Queue pairs, the workers that serve them, and the cores that those run on. All queues are loaded alike."""

    pairs: int = Field(1, ge=1, le=64, description="queue pairs, of one device or of many; each has its own driver")
    workers: Literal["shared", "each"] = Field("shared", description="one worker for all pairs, or one for each")
    cores: int | None = Field(None, ge=1, le=64, description="cores of the workers (default: one for each worker)")

    @model_validator(mode="after")
    def _coherent(self) -> Queues:
        if self.cores is not None and self.cores > self._worker_count:
            raise ValueError(f"cores: {self.cores} cores for {self._worker_count} worker(s); the others would idle")
        if self.pairs % self.lanes:
            raise ValueError(f"pairs: {self.pairs} pairs do not divide evenly among {self.lanes} cores")
        return self

    @property
    def _worker_count(self) -> int:
        return 1 if self.workers == "shared" else self.pairs

    @property
    def lanes(self) -> int:
        """Cores that serve queues side by side, each like the others."""
        return self.cores or self._worker_count

    @property
    def per_core(self) -> int:
        """Queue pairs that one core serves in turn."""
        return self.pairs // self.lanes

    @property
    def switching(self) -> bool:
        """Whether going to the next queue is going to another worker on the same core."""
        return self.workers == "each" and self.per_core > 1
