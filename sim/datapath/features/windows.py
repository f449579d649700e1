"""A batch of chains read in one user access window: user_access_begin, avail ring entries, descriptors, end."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Window
from sim.costs import tree_levels
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Effect, Jump, Register
from sim.datapath.plan.step import Draft, copy, go, put, worker_row

R = Register


def with_windows(scenario: Scenario, ring: SplitRing, window: Window, drafts: list[Draft]) -> list[Draft]:
    """Let up to `window.chains` chains be read at once into an array of the worker.

    The loads inside the window overlap; `clac` waits for all of them at once. Rows that read a ring entry or a
    descriptor keep the work of their steps and read the array instead of the ring.
    """
    rows: list[Draft] = []
    for row in drafts:
        if row.label == "head":
            rows += [*_window_rows(scenario, ring, window), _from_array(replace(row, label="window_head"))]
        elif row.label == "used_wrapped":
            rows.append(replace(row, times=1))  # both parts in the window that writes the used index too
        else:
            rows.append(_from_array(row))
    return rows


def _window_rows(scenario: Scenario, ring: SplitRing, window: Window) -> list[Draft]:
    open_, close = (
        worker_row(
            label, step, "window", function="vhost_get_vq_desc", operation="window", primitives=tuple(primitives)
        )
        for label, step, primitives in (
            ("window_open", "user_access_begin", window.open),
            ("window_close", "user_access_end", window.close),
        )
    )
    entries, descriptors = (
        worker_row(
            label, step, "packet", function="vhost_get_vq_desc", operation="window", primitives=tuple(primitives),
            access=access, unit=R.WINDOW_CHAINS, per_unit=True,
        )
        for label, step, primitives, access in (
            (
                "window_entries", "avail->ring[i] of the window", window.entry,
                ring.entries_before(R.WINDOW_END, R.WINDOW_CHAINS),
            ),
            (
                "window_descriptors", "descriptors of the window", window.descriptor * ring.chain,
                ring.chains_before(R.WINDOW_END, R.WINDOW_CHAINS),
            ),
        )
    )  # fmt: skip
    return [
        worker_row(
            "head", "chain from the array, if one is left", "packet", function="vhost_get_vq_desc",
            jumps=(Jump(R.WINDOW_END, "!=", 0, "window_head", R.LAST_AVAIL_IDX),),
        ),
        worker_row(
            "window_size", "chains to read", "window", function="vhost_get_vq_desc",
            jumps=(Jump(R.AVAIL_IDX, ">=", window.chains, "window_full", R.LAST_AVAIL_IDX),),
        ),
        worker_row(
            "window_rest", "as many as are available", "window", function="vhost_get_vq_desc",
            effects=(
                copy(R.WINDOW_END, R.AVAIL_IDX), copy(R.WINDOW_CHAINS, R.AVAIL_IDX), Effect("countdown", R.WINDOW_CHAINS, R.LAST_AVAIL_IDX),
            ),
            jumps=(go("window_translate" if scenario.virtqueue.iotlb else "window_open"),),
        ),
        worker_row(
            "window_full", "a full window", "window", function="vhost_get_vq_desc",
            effects=(Effect("copy", R.WINDOW_END, R.LAST_AVAIL_IDX, window.chains), put(R.WINDOW_CHAINS, window.chains)),
        ),
        *_translate_rows(scenario),
        open_,
        *([] if scenario.virtqueue.skips_avail_ring else [entries]),
        descriptors,
        close,
    ]  # fmt: skip


def _translate_rows(scenario: Scenario) -> list[Draft]:
    """With a device IOTLB: where the areas lie that the window reads, once per window."""
    queue = scenario.virtqueue
    if not queue.iotlb:
        return []
    areas = 1 if queue.skips_avail_ring else 2
    step = "iotlb_cache_hit" if queue.iotlb_cache else "iotlb_tree_access"
    deeper = 0.0 if queue.iotlb_cache else areas * tree_levels(scenario.kernel, queue)
    return [
        worker_row(
            "window_translate", "addresses of the areas", "window", step, times=areas, extra_instructions=deeper
        )
    ]  # fmt: skip


def _from_array(row: Draft) -> Draft:
    if row.accessor not in ("avail_entry_read", "descriptor_read"):
        return row
    return replace(row, accessor=None, spared=row.accessor, access=None, primitives=("load", "test"))
