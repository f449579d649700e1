"""What distributions switch on in the allocators: zeroing (init_on_alloc), and the hooks of memory cgroups.

Pages of a fragment or an skb, an skb and its linear part are zeroed when they are allocated. The bytes are priced as
those of a copy whose source costs nothing: `rep stosb` starts and stores as `rep movsb` does. The lines are in the
worker's own cache, where those that were freed last lie. Nothing that vhost_net allocates for a packet is charged to a
memory cgroup (no cache or flag of it is accounted); its objects pass the hooks all the same.
"""

from __future__ import annotations

from operator import index
from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.program import Program

#: A struct sk_buff, and the smallest slab of kmalloc that holds a linear part of n bytes.
SK_BUFF_BYTES = 232
_SMALLEST_SLAB = 64
#: Largest linear part of an skb (SKB_MAX_HEAD of one page): more bytes go into page fragments.
_LINEAR_BYTES = 3584
#: Headroom that an XDP program wants (XDP_PACKET_HEADROOM).
_XDP_HEADROOM_BYTES = 256


def slab_bytes(n_bytes: int) -> int:
    """Return the size of the slab object that kmalloc takes for so many bytes.

    Examples
    --------
    >>> slab_bytes(64 + 320), slab_bytes(1514 + 320)
    (512, 2048)
    """
    return max(_SMALLEST_SLAB, 1 << (n_bytes - 1).bit_length())


def linear_bytes(packet_bytes: int) -> int:
    """Bytes of a packet in the linear part of its skb."""
    return min(packet_bytes, _LINEAR_BYTES)


def zero_pages(worker: Program, scenario: Scenario, label: str, pages: int) -> None:
    """Add the zeroing of new pages, if the kernel does it."""
    if scenario.kernel.behaviour.init_on_alloc:
        worker.copy(label, "zero new pages (init_on_alloc)", "zeroing", function="clear_page_erms")
        worker.change(bytes=scenario.kernel.behaviour.page_bytes, times=pages)


def new_pages_of_skb(worker: Program, scenario: Scenario, packet_bytes: int) -> int:
    """Add the pages of an skb that hold what does not fit its linear part; return how many."""
    pages = index(-(-(packet_bytes - linear_bytes(packet_bytes)) // scenario.kernel.behaviour.page_bytes))
    if pages:
        worker.step("skb_pages", "pages of the skb", "skb_page", times=pages)
        zero_pages(worker, scenario, "skb_pages_zero", pages)
    return pages


def new_skb(worker: Program, scenario: Scenario, label: str, linear: int = 0, **each: Any) -> None:
    """Add what a new skb costs besides its allocation, and what its linear part does.

    `linear` bytes of the packet lie in that; 0 where it is the packet's buffer.
    """
    _hooks(worker, scenario, label, 2 if linear else 1, **each)
    if scenario.kernel.behaviour.init_on_alloc:
        worker.copy(f"{label}_zero", "zero a new skb (init_on_alloc)", "zeroing", function="memset_erms", **each)
        worker.change(bytes=SK_BUFF_BYTES)
        if linear:
            _zero_linear_part(worker, scenario, label, linear, **each)


def new_linear_part(worker: Program, scenario: Scenario, label: str, n_bytes: int) -> None:
    """Add what another linear part of an skb, with the headroom of an XDP program, costs besides its allocation."""
    _hooks(worker, scenario, label, 1)
    if scenario.kernel.behaviour.init_on_alloc:
        _zero_linear_part(worker, scenario, label, _XDP_HEADROOM_BYTES + n_bytes)


def _hooks(worker: Program, scenario: Scenario, label: str, objects: int, **each: Any) -> None:
    if scenario.kernel.behaviour.memory_cgroups:
        worker.step(f"{label}_hooks", "hooks of memory cgroups, nothing is charged", "memcg_skb", **each)
        worker.change(times=objects)


def _zero_linear_part(worker: Program, scenario: Scenario, label: str, n_bytes: int, **each: Any) -> None:
    shared = scenario.kernel.behaviour.shared_info_bytes
    worker.copy(f"{label}_zero_data", "zero its linear part (init_on_alloc)", "zeroing", function="memset_erms")
    worker.change(bytes=slab_bytes(n_bytes + shared), **each)


def freed_skb(worker: Program, scenario: Scenario) -> None:
    """Add the hooks that a packet which the guest has received passes when its skb is freed."""
    if scenario.kernel.behaviour.memory_cgroups:
        worker.step("free_hooks", "hooks of memory cgroups, nothing is uncharged", "memcg_free", times=2)
