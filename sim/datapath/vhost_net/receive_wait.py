"""Where handle_rx begins, waits and ends: no packets (the socket), no buffers (the ring), or the round's weight."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Jump, Register
from sim.datapath.plan.step import Draft, copy, go, put, worker_row
from sim.datapath.vhost_net.drain import kicked_row, look_again_rows
from sim.datapath.vhost_net.modes import CONTINUE, SLEEP, SOCKET
from sim.datapath.vhost_net.wake import wake_primitives

R = Register


def wake_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return the rows from sleep to the first packet of a round."""
    idle = worker_row(
        "idle", "sleep until kicked, wake up", "wakeup", function="vhost_worker", operation="hold",
        primitives=wake_primitives(scenario), condition=Condition(R.KICKS, "!=", 0, R.KICKS_SEEN),
        sample=(R.KICKS_SEEN, R.KICKS), jumps=(go("round"),),
    )  # fmt: skip
    disable = worker_row(
        "disable", "used->flags = NO_NOTIFY", "wakeup", "disable_notify", accessor="used_flags_write",
        access=ring.used_flags(write=True), effects=(put(R.USED_FLAGS_NO_NOTIFY, 1), put(R.NOTIFY_OFF, 1)), jumps=(go("next"),),
    )  # fmt: skip
    if scenario.virtqueue.event_idx:
        disable = worker_row(
            "disable", "notifications off", "wakeup", function="vhost_disable_notify", effects=(put(R.NOTIFY_OFF, 1),),
            jumps=(go("next"),),
        )  # fmt: skip
    return [
        # The first packet wakes a worker that waits for the socket.
        worker_row(
            "idle_socket", "sleep until a packet comes, wake up", "wakeup", function="vhost_worker", operation="hold",
            primitives=wake_primitives(scenario), condition=Condition(R.WAKES, "!=", 0, R.WAKES_SEEN),
            sample=(R.WAKES_SEEN, R.WAKES), jumps=(go("round"),),
        ),
        idle,
        worker_row(
            "round", "start of a round, socket polling off", "round", "rx_round_start",
            effects=(put(R.SENT_PKTS, 0), put(R.AFTER_FLUSH, CONTINUE), put(R.SOCKET_WAIT, 0)),
            jumps=(Jump(R.NOTIFY_OFF, "==", 1, "next"),),
        ),
        disable,
    ]  # fmt: skip


def empty_ring_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """No buffer: notifications on, recheck; the heads fetched for the packet are put back; sleep until kicked.

    Flushes last on every kernel: the flush before the recheck of v7.3 is in the transmit handler only.
    """
    return [
        *look_again_rows(scenario, ring, go("final")),
        worker_row(
            "found", "notifications off again, heads put back", "drain_found_work", function="vhost_discard_vq_desc",
            effects=(put(R.NOTIFY_OFF, 1), copy(R.LAST_AVAIL_IDX, R.SAVED_AVAIL_IDX)), jumps=(go("next"),),
        ),
        worker_row(
            "final", "heads put back", "drain", function="vhost_discard_vq_desc",
            effects=(put(R.AFTER_FLUSH, SLEEP), copy(R.LAST_AVAIL_IDX, R.SAVED_AVAIL_IDX)),
            jumps=(Jump(R.DONE_IDX, ">=", 1, "flush"), go("end_sleep")),
        ),
        worker_row(
            "end_requeue", "end of a round, queued again", "round", "round_end", function="handle_rx",
            jumps=(go("round"),),
        ),
        worker_row(
            "end_sleep", "end of a round, no buffers", "round", "round_end", function="handle_rx",
            jumps=(Jump(R.KICKS, "!=", 0, "kicked", R.KICKS_SEEN), go("idle")),
        ),
        kicked_row(),
    ]  # fmt: skip


def empty_socket_rows(memory: ReceiveMemory) -> list[Draft]:
    """No packet: onto the socket's wait queue, look once more (tun_chr_poll), flush, sleep until the source wakes."""
    return [
        worker_row(
            "poll_socket", "wait queue of the socket", "socket_empty", "rx_poll_start", primitives=("spin_lock",),
            drains_stores=True, effects=(put(R.SOCKET_WAIT, 1), put(R.AFTER_FLUSH, SOCKET)),
        ),
        worker_row(
            "poll_check", "slot of the ptr_ring, once more", "socket_empty", function="tun_chr_poll",
            access=memory.slot(R.GRABBED), jumps=(Jump(R.DONE_IDX, ">=", 1, "flush"),),
        ),
        worker_row(
            "end_socket", "end of a round, no packets", "round", "round_end", function="handle_rx",
            jumps=(
                Jump(R.WAKES, "!=", 0, "woken", R.WAKES_SEEN), Jump(R.PRODUCED, "!=", 0, "round", R.GRABBED),
                go("idle_socket"),
            ),
        ),
        worker_row(
            "woken", "woken meanwhile", "round", function="vhost_worker", sample=(R.WAKES_SEEN, R.WAKES),
            jumps=(go("round"),),
        ),
    ]  # fmt: skip
