"""Small sweeps for the tests, and executors that keep account of what they are given."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any

from sim.config.tables.study import Sweep

SEED = "virtio-user-xdp1-tap"
FEW_PACKETS = {"run.packets": 2000, "run.precision": 0, "traffic.packet_bytes": 64}


def sweep(axes: dict[str, Any], **fields: Any) -> Sweep:
    """Return a sweep of the seed scenario with short runs."""
    fields = {"design": "grid", "set": FEW_PACKETS, **fields}
    return Sweep.model_validate({"schema_": 1, "name": "test", "scenario": SEED, "axes": axes, **fields})


class Inline(Executor):
    """Runs each call at once, in this process; counts calls and points."""

    def __init__(self) -> None:
        self.points: list[int] = []

    def submit(self, function, /, *args, **kwargs):
        future: Future[Any] = Future()
        results = function(*args, **kwargs)
        self.points += [args[2] + place for place, (_, rows) in enumerate(results) if rows is not None]
        future.set_result(results)
        return future


class Late(Executor):
    """Runs nothing until as many calls wait as it can hold, then the last one first."""

    def __init__(self, hold: int) -> None:
        self.hold = hold
        self.waiting: list[tuple[Future[Any], Any, tuple[Any, ...]]] = []
        self.most = 0

    def submit(self, function, /, *args, **kwargs):
        future: Future[Any] = Future()
        self.waiting.append((future, function, args))
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) >= self.hold or args[2] + len(args[3]) == self.total:
            self.flush()
        return future

    total = 0

    def flush(self) -> None:
        while self.waiting:
            future, function, args = self.waiting.pop()
            future.set_result(function(*args))
