"""The accessors of a device: every way in which ring metadata and packet bytes are reached, and what each reaches.

What an accessor executes stands in each kernel's table (`accessors`). Here stands only what does not depend on it: what
the name means, and the letter that the accessor catalogue gives it (kernel-accesses.md A.2 in docs/sources.md; the
packed ring has letters of its own).
"""

from __future__ import annotations

#: Accessors of ring metadata: name, letter, meaning.
_METADATA = (
    ("avail_index_read", "A", "avail->idx: how far the driver has posted, read when the cached copy is used up"),
    ("avail_entry_read", "H", "avail->ring[i]: number of the first descriptor of the next chain (its head)"),
    ("descriptor_read", "D", "one 16-byte entry of the descriptor table: address, length, flags, next"),
    ("indirect_descriptor_read", "I", "one 16-byte entry of an indirect table in guest memory, never mapped"),
    ("used_element_write", "U1", "id and length of one used buffer, at the end of a batch of one"),
    ("used_head_write", "U1", "id and length of one used buffer, where each packet is given back by itself"),
    ("used_elements_write", "Un", "ids and lengths of a batch of used buffers, one copy of 8 bytes each"),
    ("used_index_write", "X", "used->idx: publishes the used elements that have just been written"),
    ("avail_flags_read", "F", "avail->flags: whether the driver wants a call (without EVENT_IDX)"),
    ("used_event_read", "E", "used_event behind the avail ring: the used index at which the driver wants a call"),
    ("avail_event_write", "V", "avail_event behind the used ring: the avail index at which the device wants a kick"),
    ("used_flags_write", "W", "used->flags: whether the device wants kicks (without EVENT_IDX)"),
    ("used_index_read", "R", "used->idx, read by the device once, when the ring is set up"),
    ("packed_flags_read", "PF", "packed ring: flags of the next descriptor, which say whether it is available"),
    ("packed_descriptor_read", "PD", "packed ring: the other 14 bytes of a descriptor, after its flags"),
    ("packed_whole_read", "PW", "packed ring: a whole 16-byte descriptor in one read"),
    ("packed_used_write", "PU", "packed ring: one used buffer, written over a descriptor"),
    ("packed_used_flags_write", "PX", "packed ring: flags of the first used element of a batch, which publish it"),
    ("packed_driver_event_read", "PE", "packed ring: the driver's event structure, whether it wants a call"),
    ("packed_device_event_write", "PV", "packed ring: the device's event structure, whether it wants kicks"),
)  # fmt: skip

#: Accessors of packet bytes, which no access variant maps: name, meaning.
_PAYLOAD = (
    ("header_copy", "the vnet header, from the guest's buffer in front of the XDP buffer"),
    ("payload_copy", "the packet's bytes, from the guest's buffers into the XDP buffer (vhost-user: into an mbuf)"),
    ("single_header", "the first 10 bytes of the vnet header, where packets are sent one by one"),
    ("single_copy", "the packet's bytes, from the guest into a page fragment, where packets are sent one by one"),
    ("skb_copy", "the packet's bytes, from the guest into an skb"),
    ("kernel_copy", "the packet's bytes once more, between kernel pages: not a user access"),
    ("rx_header_copy", "receive: the vnet header, into the guest's buffer"),
    ("rx_payload_copy", "receive: the packet's bytes, into the guest's buffers"),
    ("rx_num_buffers_copy", "receive: num_buffers of the vnet header, into the guest's buffer (MRG_RXBUF)"),
)

#: Letter of each accessor of ring metadata.
METADATA_ACCESSORS = {name: letter for name, letter, _ in _METADATA}

#: What each accessor of packet bytes copies.
PAYLOAD_ACCESSORS = dict(_PAYLOAD)

#: What every accessor reaches.
MEANINGS = {name: meaning for name, _, meaning in _METADATA} | PAYLOAD_ACCESSORS

#: Accessors that only some datapaths use; a kernel file may leave them out, and a plan that needs one says so.
OPTIONAL_ACCESSORS: tuple[str, ...] = (
    *(name for name in METADATA_ACCESSORS if name.startswith("packed_")),
    "used_head_write",
    "single_header",
    "single_copy",
    "skb_copy",
    "kernel_copy",
    "rx_header_copy",
    "rx_payload_copy",
    "rx_num_buffers_copy",
)
ACCESSORS = tuple(name for name in MEANINGS if name not in OPTIONAL_ACCESSORS)
