"""The flush of transmit: sendmsg hands a batch to the backend, then its buffers go back."""

from __future__ import annotations

from sim.config.scenario import Scenario
from sim.datapath.draft import Draft, worker_row
from sim.datapath.plan import Register
from sim.datapath.rings import SplitRing
from sim.datapath.worker.used import ELEMENTS, used_rows

R = Register


def flush_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return the rows that hand a batch to the backend and give its buffers back."""
    return [
        worker_row(
            "flush", "hand the batch to the backend", "flush", "send_batch",
        ),
        worker_row(
            "backend", "XDP program on each packet", "packet", "backend_packet", unit=R.DONE, per_unit=True,
            extra_instructions=scenario.backend.program_instructions.value, jumps=ELEMENTS,
        ),
        *used_rows(scenario, ring),
    ]  # fmt: skip
