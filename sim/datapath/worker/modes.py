"""What the row modules of the worker agree on: values of MODE, and the test for an empty cached index."""

from __future__ import annotations

from sim.datapath.plan import Jump, Register

#: Values of MODE: what the worker does after a flush.
CONTINUE, REQUEUE, SLEEP, RECHECK, SEND, POLL = range(6)

#: The cached avail index is used up: read it again.
EMPTY = Jump(Register.SEEN, "==", 0, "refill", Register.LAST)
