"""The vhost worker transmitting a split ring: handle_tx_copy with XDP batching, row by row.

Rows stand in the order in which a busy worker meets them, so that reading down the list is reading the handler.
Differences between kernels are switches in `kernel.behaviour`; which primitives a row executes is the kernel's recipe.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario import VNET_HEADER_BYTES, Scenario
from sim.datapath.draft import Draft, add, copy, go, put
from sim.datapath.page_frag import PageFragment
from sim.datapath.plan import Condition, Effect, Jump, Register
from sim.datapath.rings import SplitRing

R = Register

#: Values of MODE: what the worker does after a flush.
CONTINUE, REQUEUE, SLEEP, RECHECK = range(4)

_EMPTY = Jump(R.SEEN, "==", 0, "refill", R.LAST)


def worker_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the worker for packets of one size."""
    ring, kernel = SplitRing(scenario.virtqueue), scenario.kernel
    fragment = PageFragment(kernel.behaviour, packet_bytes)
    return [
        *_wake_rows(scenario, ring),
        *_fetch_rows(scenario, ring),
        *_copy_rows(scenario, packet_bytes),
        *_packet_end_rows(scenario, fragment, packet_bytes),
        *_flush_rows(scenario, ring),
        *_drain_rows(scenario, ring),
    ]


def _row(label: str, step: str, scope: str, kernel_step: str | None = None, **fields: object) -> Draft:
    draft = Draft(label, "worker", step, (scope,), kernel_step=kernel_step)  # type: ignore[arg-type]
    return replace(draft, **fields)  # type: ignore[arg-type]


def _wake_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    disable = "first" if scenario.virtqueue.event_idx else "disable"
    rows = [
        _row(
            "idle", "sleep until kicked, wake up", "wakeup", function="vhost_worker", operation="hold",
            primitives=("worker_wakeup",), condition=Condition(R.KICKS, "!=", 0, R.KICKS_SEEN),
            sample=(R.KICKS_SEEN, R.KICKS),
        ),
        _row(
            "round", "start of a round", "round", "round_start",
            effects=(put(R.SENT, 0), put(R.MODE, CONTINUE)),
            jumps=(Jump(R.QUIET, "==", 0, disable), _EMPTY, go("head")),
        ),
    ]  # fmt: skip
    if scenario.virtqueue.event_idx:
        # With EVENT_IDX disabling notifications is a flag of the worker, nothing is written (kernel-accesses.md B.1).
        first = _row(
            "first", "notifications off", "wakeup", function="vhost_disable_notify", effects=(put(R.QUIET, 1),)
        )
        return [*rows, replace(first, jumps=(_EMPTY, go("head")))]
    return [
        *rows,
        _row(
            "disable", "used->flags = NO_NOTIFY", "wakeup", "disable_notify", accessor="used_flags_write",
            access=ring.used_flags(write=True), effects=(put(R.NO_NOTIFY, 1), put(R.QUIET, 1)),
            jumps=(_EMPTY, go("head")),
        ),
    ]  # fmt: skip


def _fetch_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    empty = "flush_first" if scenario.kernel.behaviour.flush_before_recheck else "enable"
    queue = scenario.virtqueue
    rows = [
        Draft(
            "refill", "worker", "avail->idx", ("refill", "drain"), kernel_step="refill", accessor="avail_index_read",
            access=ring.avail_index(), sample=(R.SEEN, R.AVAIL_INDEX), jumps=(Jump(R.SEEN, "==", 0, empty, R.LAST),),
        ),
        _row("head", "avail->ring[i]", "packet", "head", accessor="avail_entry_read", access=ring.avail_entry(R.LAST)),
        _row(
            "descriptor", "descriptor", "packet", "descriptor", accessor="descriptor_read",
            access=ring.descriptor(R.LAST, 0),
        ),
    ]  # fmt: skip
    if queue.indirect:
        rows.append(_row("indirect_table", "set up the indirect table", "packet", "indirect_table"))
        rows += [
            _row(
                f"indirect_{number}", f"indirect table entry {number}", "packet", "indirect_descriptor",
                accessor="indirect_descriptor_read", access=ring.table_entry(R.LAST, number),
            )
            for number in range(queue.descriptors_per_packet)
        ]  # fmt: skip
    else:
        rows += [
            _row(
                f"descriptor_{number}", f"descriptor {number} of the chain", "packet", "next_descriptor",
                accessor="descriptor_read", access=ring.descriptor(R.LAST, number),
            )
            for number in range(1, queue.descriptors_per_packet)
        ]  # fmt: skip
    return rows


def _copy_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    work = [
        _row("translate", "guest physical to user address", "packet", "translate"),
        _row("iov_iter", "iov_iter bookkeeping", "packet", "iov_iter"),
        _row("build_xdp", "XDP buffer in the page fragment", "packet", "build_xdp"),
        _row("copy_chain", "calls down to the copies", "packet", "copy_chain"),
    ]
    behaviour = scenario.kernel.behaviour
    at_once = behaviour.header_with_payload and scenario.virtqueue.descriptors_per_packet == 1
    payload = _row(
        "payload_copy",
        "packet bytes",
        "packet",
        "payload_copy",
        accessor="payload_copy",
        bytes=packet_bytes,
        copied="rest",
    )
    if at_once:
        return [
            *work,
            replace(
                payload, step="vnet header and packet bytes", bytes=VNET_HEADER_BYTES + packet_bytes, copied="whole"
            ),
        ]
    header_step = "second_segment" if behaviour.header_with_payload else "header_copy"
    header = _row("header_copy", "vnet header", "packet", header_step, accessor="header_copy", copied="first")
    return [*work, header, payload]


def _packet_end_rows(scenario: Scenario, fragment: PageFragment, packet_bytes: int) -> list[Draft]:
    behaviour = scenario.kernel.behaviour
    jumps = (
        Jump(R.SENT, ">=", behaviour.round_packets, "weight"),
        Jump(R.DONE, ">=", scenario.device.batch, "flush"),
        _EMPTY,
        go("head"),
    )
    refill = _row("page_refill", "new page fragment, old pages freed", "page_refill", "page_refill")
    rows = [
        _row("packet_done", "packet into the batch", "packet", "packet_done"),
        _row(
            "get_descriptor", "next descriptor wanted", "packet", "get_descriptor",
            effects=(add(R.LAST), add(R.DONE), add(R.SENT), add(R.FRAGS, -1)),
            jumps=(Jump(R.FRAGS, "<", 1, "page_refill"), *jumps),
        ),
        refill,
    ]  # fmt: skip
    if behaviour.splits_copy_at_page and fragment.crossings:
        rows.append(
            _row(
                "page_split", "copies split at a 4 KiB page", "page_refill", "page_split", accessor="payload_copy",
                bytes=64, times=fragment.crossings,
            )
        )  # fmt: skip
    rows[-1] = replace(rows[-1], effects=(put(R.FRAGS, fragment.buffers),), jumps=jumps)
    weight = _row("weight", "round weight reached", "round", function="handle_tx", effects=(put(R.MODE, REQUEUE),))
    return [*rows, weight]


def _flush_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    event_idx = scenario.virtqueue.event_idx
    size, batch = scenario.virtqueue.size, scenario.device.batch
    elements = _row(
        "used_elements", "used elements", "flush", "used_elements", accessor="used_elements_write", bytes=8 * batch,
        unit=R.DONE, access=ring.used_elements(R.LAST, R.DONE), jumps=(go("used_index"),),
    )  # fmt: skip
    one = replace(
        elements, label="used_element", step="used element (batch of one)", kernel_step="used_element",
        accessor="used_element_write", bytes=8, unit=None,
    )  # fmt: skip
    return [
        _row(
            "flush", "hand the batch to the backend", "flush", "send_batch",
        ),
        _row(
            "backend", "XDP program on each packet", "packet", "backend_packet", unit=R.DONE, per_unit=True,
            extra_instructions=scenario.backend.program_instructions.value,
            jumps=(Jump(R.DONE, "==", 1, "used_element"), Jump(R.DONE, ">=", 1, "used_wrapped", R.ROOM)),
        ),
        elements,
        replace(elements, label="used_wrapped", step="used elements, wrapping at the end of the ring", times=2),
        one,
        _row(
            "used_index", "used->idx", "flush", "used_index", accessor="used_index_write",
            access=ring.used_index(write=True), marks="used",
            effects=(
                copy(R.USED_INDEX, R.LAST), Effect("countdown", R.ROOM, R.DONE, size), put(R.DONE, 0),
            ),
        ),
        _row(
            "notify_barrier", "smp_mb before the notification check", "flush", function="vhost_notify",
            operation="barrier", primitives=("lock_rmw",), drains_stores=True,
        ),
        _row(
            "notify_check", "used_event" if event_idx else "avail->flags", "flush", "notify_check",
            accessor="used_event_read" if event_idx else "avail_flags_read",
            access=ring.used_event() if event_idx else ring.avail_flags(),
            jumps=(
                Jump(R.MODE, "==", REQUEUE, "end_requeue"), Jump(R.MODE, "==", SLEEP, "end_sleep"),
                Jump(R.MODE, "==", RECHECK, "enable"), _EMPTY, go("head"),
            ),
        ),
    ]  # fmt: skip


def _drain_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    event_idx, behaviour = scenario.virtqueue.event_idx, scenario.kernel.behaviour
    enable = _row(
        "enable", "used->flags = 0", "drain", "enable_notify", accessor="used_flags_write",
        access=ring.used_flags(write=True), effects=(put(R.NO_NOTIFY, 0), put(R.QUIET, 0)),
    )  # fmt: skip
    if event_idx:
        enable = replace(
            enable, step="avail_event", accessor="avail_event_write", access=ring.avail_event(write=True),
            effects=(copy(R.AVAIL_EVENT, R.SEEN), put(R.QUIET, 0)),
        )  # fmt: skip
    seen = R.SEEN if behaviour.recheck_updates_cache else R.PEEK
    pending = (Jump(R.DONE, ">=", 1, "final"),) if not behaviour.flush_before_recheck else ()
    flush_first = _row(
        "flush_first", "flush before the recheck", "drain", function="handle_tx",
        effects=(put(R.MODE, RECHECK),), jumps=(Jump(R.DONE, ">=", 1, "flush"),),
    )  # fmt: skip
    found = _row(
        "found", "notifications off again", "drain_found_work", "get_descriptor",
        effects=(put(R.QUIET, 1), put(R.MODE, CONTINUE)), jumps=(_EMPTY, go("head")),
    )  # fmt: skip
    found_write = _row(
        "found_work", "used->flags = NO_NOTIFY again", "drain_found_work", "disable_notify",
        accessor="used_flags_write", access=ring.used_flags(write=True), effects=(put(R.NO_NOTIFY, 1),),
    )  # fmt: skip
    return [
        *([flush_first] if behaviour.flush_before_recheck else []),
        enable,
        _row(
            "enable_barrier", "smp_mb before the recheck", "drain", function="vhost_enable_notify",
            operation="barrier", primitives=("lock_rmw",), drains_stores=True,
        ),
        _row(
            "recheck", "avail->idx, recheck", "drain", "recheck", accessor="avail_index_read",
            access=ring.avail_index(), sample=(seen, R.AVAIL_INDEX),
            jumps=(Jump(seen, "!=", 0, "found" if event_idx else "found_work", R.LAST), *pending, go("end_sleep")),
        ),
        *([] if event_idx else [found_write]),
        found,
        _row(
            "final", "last flush of the round", "drain", function="handle_tx", effects=(put(R.MODE, SLEEP),),
            jumps=(go("flush"),),
        ),
        _row(
            "end_requeue", "end of a round, queued again", "round", "round_end", jumps=(go("round"),),
        ),
        _row(
            "end_sleep", "end of a round, ring empty", "round", "round_end",
            jumps=(Jump(R.KICKS, "!=", 0, "kicked", R.KICKS_SEEN), go("idle")),
        ),
        _row(
            "kicked", "kicked meanwhile", "round", function="vhost_worker", sample=(R.KICKS_SEEN, R.KICKS),
            jumps=(go("round"),),
        ),
    ]  # fmt: skip
