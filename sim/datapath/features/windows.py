"""A batch of chains read in one user access window: user_access_begin, avail ring entries, descriptors, end."""

from __future__ import annotations

from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Window
from sim.costs import tree_levels
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program, insert_before
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, LineAccess, Step


def with_windows(scenario: Scenario, ring: SplitRing, window: Window, steps: list[Step]) -> list[Step]:
    """Let up to `window.chains` chains be read at once into an array of the worker.

    The loads inside the window overlap; `clac` waits for all of them at once. Steps that read a ring entry or a
    descriptor keep their work and read the array instead of the ring. The used index is written in a window of its own,
    with both parts of a batch that wraps. Raises ConfigError for a device that fetches no chains.
    """
    heads = [step.label for step in steps if Anchor.PACKET in step.anchors and step.actor == "worker"]
    if not heads:
        name, kind = scenario.access[0].name, scenario.device.kind
        raise ConfigError(f"{name} reads chains of a virtqueue in windows, and {kind} has none", key="access", got=name)
    whole = [replace(step, times=1) if step.accessor == "used_elements_write" else _from_array(step) for step in steps]
    return insert_before(whole, Anchor.PACKET, _window(scenario, ring, window, heads[0]))


def _window(scenario: Scenario, ring: SplitRing, window: Window, head: str) -> list[Step]:
    """Return the steps of a window; `head` takes the next chain from the array."""
    worker, end, chains = Program("worker", "vhost_get_vq_desc"), R.WINDOW_END, R.WINDOW_CHAINS

    def read(label: str, title: str, primitives: list[str], access: LineAccess) -> None:
        with worker.each("packet"):
            worker.read(label, title, access, operation="window", unit=chains, per_unit=True)
            worker.change(primitives=tuple(primitives))

    with worker.each("packet"):
        worker.step("window_chain", "chain from the array, if one is left")
        worker.jump(head, end.differs(R.LAST_AVAIL_IDX))
    with worker.each("window"):
        worker.step("window_size", "chains to read")
        worker.jump("window_full", R.AVAIL_IDX.minus(R.LAST_AVAIL_IDX).at_least(window.chains))
        worker.step("window_rest", "as many as are available", sometimes="fewer than a full window are")
        worker.then(end.copy(R.AVAIL_IDX), chains.copy(R.AVAIL_IDX), chains.count_down(R.LAST_AVAIL_IDX))
        worker.jump("window_translate" if scenario.virtqueue.iotlb else "window_open")
        worker.step("window_full", "a full window", sometimes="enough chains are available")
        worker.then(end.copy(R.LAST_AVAIL_IDX, plus=window.chains), chains.put(window.chains))
        _translate(worker, scenario)
        worker.step("window_open", "user_access_begin", operation="window", primitives=tuple(window.open))
    if not scenario.virtqueue.skips_avail_ring:
        read("window_entries", "avail->ring[i] of the window", window.entry, ring.entries_before(end, chains))
    descriptors = ring.chains_before(end, chains)
    read("window_descriptors", "descriptors of the window", window.descriptor * ring.chain, descriptors)
    with worker.each("window"):
        worker.step("window_close", "user_access_end", operation="window", primitives=tuple(window.close))
    return worker.steps


def _translate(worker: Program, scenario: Scenario) -> None:
    """With a device IOTLB: where the areas lie that the window reads, once per window."""
    queue = scenario.virtqueue
    if queue.iotlb:
        areas = 1 if queue.skips_avail_ring else 2
        counted = "iotlb_cache_hit" if queue.iotlb_cache else "iotlb_tree_access"
        deeper = 0.0 if queue.iotlb_cache else areas * tree_levels(scenario.kernel, queue)
        worker.step("window_translate", "addresses of the areas", counted, times=areas, extra_instructions=deeper)


def _from_array(step: Step) -> Step:
    if step.accessor not in ("avail_entry_read", "descriptor_read"):
        return step
    step = replace(step, accessor=None, counted_accessor=step.accessor, access=None)
    return replace(step, primitives=("load", "test"))
