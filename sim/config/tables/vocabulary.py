"""The vocabulary of tables: primitives of costs, accessors of rings and packets, steps of the handlers.

Here stands only what does not depend on a CPU or a kernel. A primitive costs what each CPU table says
(`configs/cpus/`); an accessor executes, and a step counts, what each kernel's table says. The count of a step includes
its accessor's instructions; waiting for cache lines is never part of it. The letter of an accessor is that of the
accessor catalogue (kernel-accesses.md A.2 in docs/sources.md; the packed ring has letters of its own).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["cycles", "instructions", "ns", "us", "bytes/cycle"]


@dataclass(frozen=True)
class Primitive:
    """One kind of cost: `instructions` are those executed each time (0 for a pure wait)."""

    name: str
    unit: Unit
    instructions: int
    group: str
    meaning: str


_TABLE = (
    # name, unit, instructions, group, meaning
    (
        "stac",
        "cycles",
        1,
        "smap",
        "open a SMAP window, right behind another barrier (waiting for loads apart)",
    ),
    ("clac", "cycles", 1, "smap", "close a SMAP window, right behind another barrier"),
    ("lfence", "cycles", 1, "barrier", "speculation barrier barrier_nospec(), right behind another barrier"),
    ("mfence", "cycles", 1, "barrier", "full memory fence instruction"),
    ("lock_rmw", "cycles", 1, "barrier", "locked read-modify-write on an owned line; smp_mb() is one"),
    (
        "spin_lock",
        "cycles",
        8,
        "barrier",
        "uncontended spin_lock(): its locked cmpxchg; the unlock is a store",
    ),
    ("access_ok", "cycles", 4, "check", "range check of a user address"),
    ("mask", "cycles", 3, "check", "cmp/sbb/and (or cmp/cmov) on an address or index"),
    ("object_size_check", "cycles", 90, "check", "HARDENED_USERCOPY check of a heap or page object"),
    ("object_size_check_stack", "cycles", 25, "check", "HARDENED_USERCOPY check that ends at the stack test"),
    ("call", "cycles", 2, "call", "direct call and return"),
    ("indirect_call", "cycles", 2, "call", "indirect call and return, predicted, no retpoline"),
    ("retpoline", "cycles", 5, "call", "indirect call through a retpoline, and return"),
    ("safe_ret", "cycles", 3, "return", "what Safe RET (spec_rstack_overflow) adds to one return of the kernel"),
    ("return_thunk", "cycles", 1, "return", "what an untrained or aligned return thunk (retbleed, ITS) adds to one"),
    (
        "load",
        "instructions",
        1,
        "work",
        "one load instruction (its latency depends on the cache line and is counted apart)",
    ),
    ("store", "instructions", 1, "work", "one store instruction (ownership of the line is counted apart)"),
    ("branch", "instructions", 2, "work", "compare with memory and conditional jump (the test of vq->iotlb)"),
    ("test", "instructions", 2, "work", "test of a return code or pointer and conditional jump"),
    ("pointer_load", "instructions", 1, "work", "load of a mapped address from the virtqueue structure (L1)"),
    ("instruction", "instructions", 1, "work", "one instruction of the work between accesses"),
    (
        "user_instruction",
        "instructions",
        1,
        "work",
        "one instruction of a process of the host, which a kernel's work_scale says nothing of",
    ),
    ("copy_startup", "cycles", 1, "copy", "rep movsb: start, until the first byte moves"),
    ("copy_startup_short", "cycles", 1, "copy", "rep movsb of up to 128 bytes on a CPU with FSRM"),
    ("copy_loop", "instructions", 1, "copy", "one instruction of a copy by 8-byte and 1-byte loops"),
    ("copy_bytes", "bytes/cycle", 0, "copy", "rep movsb: bytes moved, source and destination in L1"),
    ("l1_hit", "cycles", 0, "cache", "load-to-use latency, line in L1"),
    ("l2_hit", "cycles", 0, "cache", "load-to-use latency, line in L2"),
    ("l3_hit", "ns", 0, "cache", "load-to-use latency, line in L3"),
    ("memory_local", "ns", 0, "cache", "load-to-use latency, memory of the same node"),
    ("memory_remote", "ns", 0, "cache", "load-to-use latency, memory of another node"),
    ("line_transfer", "ns", 0, "cache", "line modified in another core of the socket (load or request for ownership)"),
    ("line_transfer_cross_socket", "ns", 0, "cache", "line modified in a core of another socket"),
    ("line_transfer_smt", "ns", 0, "cache", "line modified by the SMT sibling"),
    ("line_stream", "ns", 0, "cache", "each further modified line while one transfer is under way"),
    ("line_stream_copy", "ns", 0, "cache", "each further modified line of a copy, beside or behind the first one"),
    ("clean_line", "ns", 0, "cache", "each clean payload line of a copy, beyond the time that the bytes take in L1"),
    ("stlb_hit", "cycles", 0, "tlb", "L1 dTLB miss that hits the second-level TLB"),
    ("page_walk", "cycles", 0, "tlb", "page walk with its tables in L1 or L2"),
    ("syscall", "cycles", 0, "notify", "system call entry and exit"),
    ("pti", "cycles", 0, "notify", "added by page-table isolation per system call"),
    ("ibrs_entry", "cycles", 0, "notify", "added by IBRS: two writes of its register per entry of the kernel"),
    ("clear_bhb", "cycles", 0, "notify", "added by clearing the branch history (BHI) per entry of the kernel"),
    ("verw", "cycles", 0, "notify", "added by clearing CPU buffers (MDS, TAA) on the way out of the kernel"),
    ("eventfd_signal", "ns", 0, "notify", "eventfd write inside the kernel, wake-up of the other side excluded"),
    ("worker_wakeup", "us", 0, "notify", "from the kick until the woken vhost worker runs"),
    ("vm_exit_kick", "cycles", 0, "notify", "ioeventfd kick of a virtual machine: exit, bus lookup, eventfd"),
    ("interrupt_inject", "cycles", 0, "notify", "interrupt to a running vCPU"),
    ("context_switch", "us", 0, "notify", "switch to another task on the same CPU"),
    ("idle_exit_c1", "us", 0, "notify", "leaving idle state C1, added to the wake-up of a sleeping worker"),
    ("idle_exit_c1e", "us", 0, "notify", "leaving idle state C1E"),
    ("idle_exit_c6", "us", 0, "notify", "leaving idle state C6"),
    ("pin_page", "ns", 0, "setup", "get_user_pages_fast and put_page, per page, in a batch"),
    ("vmap_fixed", "us", 0, "setup", "one vmap() call without its pages"),
    ("vmap_page", "cycles", 0, "setup", "vmap(), per 4 KiB page"),
    ("tlb_shootdown", "us", 0, "setup", "TLB shootdown on one remote core"),
    ("vunmap", "us", 0, "setup", "vunmap() of one area (the flush is lazy)"),
    ("dirty_page", "cycles", 0, "setup", "set_page_dirty_lock() of one used-ring page"),
    ("notifier_register", "us", 0, "setup", "mmu_notifier_register(): mmap lock for writing, all locks of the mm"),
    ("synchronize_srcu", "us", 0, "setup", "waiting for the readers of a notifier list"),
    ("synchronize_rcu", "us", 0, "setup", "waiting for an RCU grace period"),
)

#: Primitives that no CPU table lists: they cost one instruction each, at the CPU's cycles per instruction.
PRICED_BY_CPI = ("instruction", "user_instruction", "copy_loop")

#: Returns that a primitive executes. A check of an object returns from its helpers: __virt_addr_valid(),
#: check_stack_object(), is_vmalloc_addr() (returns-and-functions.md).
RETURNS = {"call": 1, "indirect_call": 1, "retpoline": 1, "object_size_check": 4, "object_size_check_stack": 2}

#: Mitigations that put a sequence in the place of every return of the kernel, and the primitive that stands for it; of
#: several that a CPU needs a kernel takes the first.
RETURN_SEQUENCES = {
    "spec_rstack_overflow": "safe_ret",
    "retbleed": "return_thunk",
    "indirect_target_selection": "return_thunk",
}

#: Mitigations at the border of the kernel, and the primitive that each adds to a system call or an exit of a guest.
BORDER_SEQUENCES = {"ibrs": "ibrs_entry", "bhi": "clear_bhb", "mds": "verw"}

#: What a system call, a kick by an exit of the virtual machine, and an interrupt to a running vCPU execute.
SYSTEM_CALL = ("syscall", "pti", *BORDER_SEQUENCES.values())
KICK_BY_EXIT = ("vm_exit_kick", *BORDER_SEQUENCES.values())
INTERRUPT = ("interrupt_inject", *BORDER_SEQUENCES.values())
#: A call by a process: write(2) to the eventfd that injects the interrupt.
CALL_BY_WRITE = (*SYSTEM_CALL, "eventfd_signal")

PRIMITIVES: dict[str, Primitive] = {row[0]: Primitive(*row) for row in _TABLE}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Reach:
    """What an accessor reaches, whatever a kernel executes for it.

    An access variant that gives whole recipes by `direction` (a mapping of the ring does) changes `mapped` accessors
    only. The letter is that of the catalogue.
    """

    meaning: str
    family: Literal["metadata", "payload"]
    direction: Literal["read", "write"]
    mapped: bool
    letter: str = ""


#: Accessors that read ring metadata: name, letter, meaning.
_METADATA_READS = (
    ("avail_index_read", "A", "avail->idx: how far the driver has posted, read when the cached copy is used up"),
    ("avail_entry_read", "H", "avail->ring[i]: number of the first descriptor of the next chain (its head)"),
    ("descriptor_read", "D", "one 16-byte entry of the descriptor table: address, length, flags, next"),
    ("indirect_descriptor_read", "I", "one 16-byte entry of an indirect table in guest memory, never mapped"),
    ("avail_flags_read", "F", "avail->flags: whether the driver wants a call (without EVENT_IDX)"),
    ("used_event_read", "E", "used_event behind the avail ring: the used index at which the driver wants a call"),
    ("used_index_read", "R", "used->idx, read by the device once, when the ring is set up"),
    ("packed_flags_read", "PF", "packed ring: flags of the next descriptor, which say whether it is available"),
    ("packed_descriptor_read", "PD", "packed ring: the other 14 bytes of a descriptor, after its flags"),
    ("packed_whole_read", "PW", "packed ring: a whole 16-byte descriptor in one read"),
    ("packed_driver_event_read", "PE", "packed ring: the driver's event structure, whether it wants a call"),
)

#: Accessors that write ring metadata: name, letter, meaning.
_METADATA_WRITES = (
    ("used_element_write", "U1", "id and length of one used buffer, at the end of a batch of one"),
    ("used_head_write", "U1", "id and length of one used buffer, where each packet is given back by itself"),
    ("used_elements_write", "Un", "ids and lengths of a batch of used buffers, one copy of 8 bytes each"),
    ("used_index_write", "X", "used->idx: publishes the used elements that have just been written"),
    ("avail_event_write", "V", "avail_event behind the used ring: the avail index at which the device wants a kick"),
    ("used_flags_write", "W", "used->flags: whether the device wants kicks (without EVENT_IDX)"),
    ("packed_used_write", "PU", "packed ring: one used buffer, written over a descriptor"),
    ("packed_used_flags_write", "PX", "packed ring: flags of the first used element of a batch, which publish it"),
    ("packed_device_event_write", "PV", "packed ring: the device's event structure, whether it wants kicks"),
)

#: Accessors of packet bytes that the guest has written: name, meaning.
_PAYLOAD_READS = (
    ("header_copy", "the vnet header, from the guest's buffer in front of the XDP buffer"),
    ("payload_copy", "the packet's bytes, from the guest's buffers into the XDP buffer (vhost-user: into an mbuf)"),
    ("single_header", "the first 10 bytes of the vnet header, where packets are sent one by one"),
    ("single_copy", "the packet's bytes, from the guest into a page fragment, where packets are sent one by one"),
    ("skb_copy", "the packet's bytes, from the guest into an skb"),
    ("kernel_copy", "the packet's bytes once more, between kernel pages: not a user access"),
)

#: Accessors that write packet bytes, for the guest to read or over what the kernel has allocated: name, meaning.
_PAYLOAD_WRITES = (
    ("rx_header_copy", "receive: the vnet header, into the guest's buffer"),
    ("rx_header_zero", "receive: zeroes behind the first 10 bytes of the vnet header, into the guest's buffer"),
    ("rx_payload_copy", "receive: the packet's bytes, into the guest's buffers"),
    ("user_copy", "receive without vhost: the packet's bytes once more, by a process, into the guest's buffers"),
    ("rx_num_buffers_copy", "receive: num_buffers of the vnet header, into the guest's buffer (MRG_RXBUF)"),
    ("zeroing", "zeroes over pages or objects of the kernel that are allocated (init_on_alloc): not a user access"),
)

#: In guest memory outside the ring areas, so a mapping of the ring does not reach it (kernel-accesses.md A.5).
_UNMAPPED_METADATA = ("indirect_descriptor_read",)

#: What every accessor of the vocabulary reaches. Packet bytes are never mapped.
REACHES: dict[str, Reach] = {
    **{
        name: Reach(meaning, "metadata", "read", name not in _UNMAPPED_METADATA, letter)
        for name, letter, meaning in _METADATA_READS
    },
    **{name: Reach(meaning, "metadata", "write", True, letter) for name, letter, meaning in _METADATA_WRITES},
    **{name: Reach(meaning, "payload", "read", False) for name, meaning in _PAYLOAD_READS},
    **{name: Reach(meaning, "payload", "write", False) for name, meaning in _PAYLOAD_WRITES},
}

#: Letter of each accessor of ring metadata.
METADATA_ACCESSORS = {name: reach.letter for name, reach in REACHES.items() if reach.family == "metadata"}

#: Accessors of packet bytes.
PAYLOAD_ACCESSORS = tuple(name for name, reach in REACHES.items() if reach.family == "payload")

#: Accessors that only some datapaths use; a kernel file may leave them out, and a plan that needs one says so.
OPTIONAL_ACCESSORS: tuple[str, ...] = (
    *(name for name in METADATA_ACCESSORS if name.startswith("packed_")),
    "used_head_write",
    *("single_header", "single_copy", "skb_copy", "kernel_copy"),
    *(name for name, _ in _PAYLOAD_WRITES),
)
ACCESSORS = tuple(name for name in REACHES if name not in OPTIONAL_ACCESSORS)


#: Steps of the transmit path whose instructions a kernel file must count.
STEPS = {
    "round_start": "per round: from the entry of the handler to its first ring access (mutex, prefetch test)",
    "disable_notify": "per wake-up: switch the driver's kicks off",
    "get_descriptor": "per packet: top of the packet loop, up to the read of the next head",
    "head": "per packet: read the next head from the avail ring, check it against the ring's size",
    "refill": "per refill: read the avail index, because every chain that was known of has been fetched",
    "descriptor": "per packet: read the first descriptor of the chain and check it",
    "translate": "per descriptor: find its address among the guest's memory regions (translate_desc)",
    "iov_iter": "per packet: set up the iterator over the packet's buffers",
    "build_xdp": "per packet: room in the page fragment and the xdp_buff in front of the copies",
    "next_descriptor": "per further descriptor of a chain: read and translate it",
    "indirect_table": "per packet with an indirect table: find the table and set up its iterator",
    "indirect_descriptor": "per entry of an indirect table: read and translate it",
    "copy_chain": "per packet: calls from the handler down to the copy of the vnet header",
    "header_copy": "per packet: copy of the vnet header, the calls around it included",
    "payload_copy": "per packet: copy of the packet's bytes (those that move by `rep movsb` count once)",
    "second_segment": "per packet with a buffer of its own for the header: further work of its copy",
    "page_split": "per crossing of a 4 KiB page: one more copy where a kernel splits there",
    "packet_done": "per packet: end of the packet loop (limits of the round, cond_resched)",
    "page_refill": "per page fragment: free the used-up one, allocate another",
    "send_batch": "per flush: sendmsg to the TAP around the packets of the batch",
    "backend_packet": "per packet: the TAP's work on an XDP buffer, and the bare XDP program",
    "used_element": "per flush of one packet: write its used element",
    "used_elements": "per flush of several packets: write their used elements",
    "used_index": "per flush: write the used index, without the full barrier behind it",
    "notify_check": "per flush: read whether the driver wants a call",
    "enable_notify": "per drain: switch the driver's kicks on again, without the full barrier behind it",
    "recheck": "per drain: read the avail index once more, in case a kick was missed",
    "round_end": "per round: from the last ring access to the end of the handler",
}

#: Steps that only some datapaths take; a kernel file may leave them out, and a plan that needs one says so.
OPTIONAL_STEPS = {
    "packed_used": "packed ring, per used buffer: build and write its element",
    "unheard_signal": "packed ring or driver.interrupts, per flush: signal an eventfd that nobody waits for",
    "iotlb_cache_hit": "device IOTLB, per ring access: address from the O(1) metadata cache",
    "iotlb_tree_access": "device IOTLB without that cache, per ring access: walk of the interval tree, levels apart",
    "iotlb_tree_copy": "device IOTLB without that cache, per copy from or to the ring: walk, and an iterator for it",
    "iotlb_level": "per walk and doubling of a tree's entries (device IOTLB, memory regions): one level further down",
    "iotlb_prefetch": "device IOTLB, per ring area after a message: fill the metadata cache",
    "single_send": "one sendmsg per packet: sendmsg and the checks of tun_get_user",
    "single_header": "one sendmsg per packet: copy of the vnet header's first 10 bytes, calls included",
    "single_build": "one sendmsg per packet: room in the TAP's page fragment (tun_build_skb)",
    "single_copy": "one sendmsg per packet: copy of the packet's bytes behind that",
    "write_call": "write to a TAP, per call: what a write to /dev/null executes",
    "write_tap": "write to a TAP, per call: from the file down to the TAP (tun_chr_write_iter)",
    "write_program": "write to a TAP, per frame in the TAP's own buffer: tun_xdp_act and the bare XDP program",
    "write_skb": "write to a TAP, per frame that becomes an skb: allocate it, charge it to the socket, free it",
    "write_stack": "write to a TAP, per skb that goes up: the host's receive path, which drops it",
    "write_generic": "write to a TAP, per skb that meets an XDP program in its generic form: expanded, run, dropped",
    "skb_alloc": "per skb: allocate it and charge it to the socket",
    "memcg_skb": "memory cgroups, per object of an skb that is allocated and freed: hooks that charge nothing",
    "memcg_free": "memory cgroups, receive, per object of an skb that is freed: its hook",
    "skb_page": "per further page of an skb: allocate and free it",
    "skb_copy": "per segment copied into an skb",
    "slab_check": "HARDENED_USERCOPY, per check of a slab object: __check_heap_object, beside every check",
    "backend_skb": "per packet without an XDP program: the TAP's work on an XDP buffer that becomes an skb",
    "skb_receive": "per packet that goes up: the host's receive path, without the protocols behind it",
    "generic_xdp": "per skb that meets an XDP program in its generic form",
    "redirect_packet": "per packet redirected to a NIC: map look-up, frame, its place in the NIC's ring",
    "redirect_flush": "per batch redirected to a NIC: hand-over to the driver, doorbell",
    "bridge_packet": "per packet bridged: from the receive path to the transmit path of the port",
    "filter_drop": "per packet dropped by a tc filter at the TAP's ingress: classifier and action",
    "filter_redirect": "per packet redirected by a tc filter at the TAP's ingress: up to the port's transmit path",
    "ovs_packet": "per packet of Open vSwitch: key, flow look-up, action, the port's transmit path",
    "macvtap_packet": "per packet of a macvtap device: its transmit path and queueing discipline, the port's path",
    "pick_queue": "per packet from macvtap to a NIC: the flow's hash, which picks one of several queues",
    "nic_packet": "per packet to a NIC from its transmit path on: queueing discipline, driver, its completion apart",
    "veth_packet": "per packet through a veth pair: its transmit, the backlog, the receive path of the other end",
    "veth_softirq": "per batch (macvtap: per packet) through a veth pair: the softirq that takes its backlog",
    "gather_packet": "per skb that a TAP gathers (rx-frames): into a list and out of it",
    "zerocopy_select": "zero copy, per packet: decide whether its pages are sent or its bytes are copied",
    "zerocopy_send": "zero copy, per packet sent from the guest's pages: sendmsg, skb, completion record",
    "zerocopy_page": "zero copy, per page: fill the fragment, its pinning apart",
    "zerocopy_orphan": "zero copy, per packet that the host copies after all: new pages, the callback",
    "zerocopy_signal": "zero copy, per look: which packets' pages have been released",
    "busy_poll": "busy polling, per look at an empty ring: clock, work list, test",
    "rx_round_start": "receive, per round: from the entry of the handler to its first ring access",
    "rx_peek": "receive, per packet: its length (vhost_net_buf_peek)",
    "rx_take": "receive, per visit to the ptr_ring: take up to a batch of packets, lock apart",
    "rx_wake_queue": "receive with back-pressure, per stop of the TAP's queue: the worker wakes it again",
    "rx_taken": "receive, per packet taken from the ptr_ring: one turn of its loop",
    "rx_buffer": "receive, per buffer fetched for a packet: the loop of get_rx_bufs",
    "rx_packet": "receive, per packet: the handler's loop up to the TAP's recvmsg",
    "rx_tun_skb": "receive, per packet: the TAP's work on an skb",
    "rx_tun_frame": "receive, per packet: the TAP's work on an xdp_frame",
    "rx_header_copy": "receive, per packet: copy of the vnet header, calls included",
    "rx_header_zero": "receive, per packet: zeroes over the rest of the vnet header (iov_iter_zero)",
    "rx_payload_copy": "receive, per segment: copy of the packet's bytes, calls included",
    "rx_free_skb": "receive, per packet: free its skb",
    "rx_free_frame": "receive, per packet: give its xdp_frame back",
    "rx_num_buffers": "receive, per packet (MRG_RXBUF): write how many buffers it took",
    "rx_packet_done": "receive, per packet: end of the packet loop",
    "rx_no_buffers": "receive, per drain: put the heads of the packet back (vhost_discard_vq_desc), leave the loop",
    "rx_round_end": "receive, per round: from the last ring access to the end of the handler",
    "rx_poll_start": "receive, per empty socket: get onto its wait queue and look once more, lock apart",
    "dpdk_burst": "vhost-user, per burst: checks of the queue, lock, prefetch",
    "dpdk_mbuf": "vhost-user, per packet: an mbuf from its pool",
    "dpdk_copy": "vhost-user, per packet: loop and offloads around the copy",
    "dpdk_packet_done": "vhost-user, per packet: shadow used ring and end of the loop",
    "dpdk_flush": "vhost-user, per burst: write the shadow used ring back",
    "dpdk_free": "vhost-user, per dropped packet: its mbuf back into the pool",
    "dpdk_nic": "vhost-user, per packet from a NIC: the NIC driver's receive function",
    "xsk_poll": "AF_XDP, per poll: entry of the NIC driver's NAPI poll",
    "xsk_peek": "AF_XDP, per batch: how many descriptors of the transmit ring may be taken",
    "xsk_descriptor": "AF_XDP, per packet: read and check a descriptor of the transmit ring",
    "xsk_nic_descriptor": "AF_XDP, per packet: fill the NIC's descriptor",
    "xsk_release": "AF_XDP, per batch: consumer index of the transmit ring",
    "xsk_complete": "AF_XDP, per packet: its address into the completion ring",
    "xsk_complete_index": "AF_XDP, per batch: producer index of the completion ring",
    "xsk_need_wakeup": "AF_XDP, per end of a poll: whether the program has to wake the kernel",
    "xsk_program": "AF_XDP, per received packet: the XDP program and the redirect to the socket",
    "xsk_rx_descriptor": "AF_XDP, per received packet: its descriptor into the receive ring",
    "xsk_fill": "AF_XDP, per received packet: the next buffer from the fill ring",
    "xsk_rx_index": "AF_XDP, per batch of received packets: producer index of the receive ring",
}

#: What every step is.
STEP_MEANINGS = STEPS | OPTIONAL_STEPS
