"""The driver of the executed counts: publishes a burst, kicks once, waits until all are used."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.drivers.post import kick_primitives, publish_row, write_rows
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Jump, Register
from sim.datapath.plan.step import Draft, add, copy, driver_row, go, put

R = Register


def lockstep_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return a driver that publishes `burst` packets with one index write, kicks once and waits until all are used."""
    return [
        driver_row(
            "burst", "start of a burst", "burst", "lockstep", effects=(put(R.BURST_LEFT, scenario.driver.burst),),
        ),
        *write_rows(scenario, ring, (Jump(R.BURST_LEFT, ">=", 1, "write"), go("publish"))),
        publish_row(ring),
        driver_row(
            "kick", "kick: write to the eventfd", "kick", "lockstep",
            primitives=kick_primitives(scenario), effects=(add(R.KICKS),),
        ),
        driver_row(
            "wait", "wait until all are used, and the worker sleeps", "burst", "lockstep",
            condition=Condition(R.RING_USED_IDX, "==", 0, R.RING_AVAIL_IDX),
        ),
        driver_row("settle", "wait for notifications on", "burst", "lockstep", condition=Condition(R.NOTIFY_OFF, "==", 0)),
        driver_row(
            "reclaim", "used->idx", "burst", "lockstep", access=ring.used_index(), sample=(R.USED_IDX_SEEN, R.RING_USED_IDX),
            effects=(copy(R.LAST_USED_IDX, R.USED_IDX_SEEN), put(R.NUM_FREE, ring.packets * ring.chain)), jumps=(go("burst"),),
        ),
    ]  # fmt: skip
