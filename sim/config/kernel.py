"""Schema of `configs/kernels/*.yaml`: what a kernel executes. What an access variant changes is in `access`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.config.errors import ConfigError, nearest
from sim.config.primitives import PRIMITIVES
from sim.config.quantity import Quantity, Strict, require_unit

#: Accessors of kernel-accesses.md A.2 (its letter), and the two payload copies.
METADATA_ACCESSORS = {
    "avail_index_read": "A",
    "avail_entry_read": "H",
    "descriptor_read": "D",
    "indirect_descriptor_read": "I",
    "used_element_write": "U1",
    "used_head_write": "U1",
    "used_elements_write": "Un",
    "used_index_write": "X",
    "avail_flags_read": "F",
    "used_event_read": "E",
    "avail_event_write": "V",
    "used_flags_write": "W",
    "used_index_read": "R",
    "packed_flags_read": "PF",
    "packed_descriptor_read": "PD",
    "packed_whole_read": "PW",
    "packed_used_write": "PU",
    "packed_used_flags_write": "PX",
    "packed_driver_event_read": "PE",
    "packed_device_event_write": "PV",
}
PAYLOAD_ACCESSORS = {
    "header_copy": "vnet header",
    "payload_copy": "packet bytes",
    "single_header": "first 10 bytes of the vnet header",
    "single_copy": "packet bytes, one packet at a time",
    "skb_copy": "packet bytes into an skb",
    "kernel_copy": "packet bytes, from kernel memory",
    "rx_header_copy": "vnet header, to the guest",
    "rx_payload_copy": "packet bytes, to the guest",
    "rx_num_buffers_copy": "num_buffers, to the guest",
}

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
ACCESSORS = tuple(name for name in (*METADATA_ACCESSORS, *PAYLOAD_ACCESSORS) if name not in OPTIONAL_ACCESSORS)

#: Steps of the transmit path whose instructions a kernel file must count.
STEPS = (
    "round_start",
    "disable_notify",
    "get_descriptor",
    "head",
    "refill",
    "descriptor",
    "translate",
    "iov_iter",
    "build_xdp",
    "next_descriptor",
    "indirect_table",
    "indirect_descriptor",
    "copy_chain",
    "header_copy",
    "payload_copy",
    "second_segment",
    "page_split",
    "packet_done",
    "page_refill",
    "send_batch",
    "backend_packet",
    "used_element",
    "used_elements",
    "used_index",
    "notify_check",
    "enable_notify",
    "recheck",
    "round_end",
)

#: Steps that only some datapaths take; a kernel file may leave them out, and a plan that needs one says so.
OPTIONAL_STEPS: tuple[str, ...] = (
    "packed_used",
    "iotlb_cache_hit",
    "iotlb_tree_access",
    "iotlb_tree_copy",
    "iotlb_level",
    "iotlb_prefetch",
    "single_send",
    "single_header",
    "single_build",
    "single_copy",
    "skb_alloc",
    "skb_page",
    "skb_copy",
    "skb_receive",
    "generic_xdp",
    "redirect_packet",
    "redirect_flush",
    "bridge_packet",
    "zerocopy_select",
    "zerocopy_send",
    "zerocopy_page",
    "zerocopy_orphan",
    "zerocopy_signal",
    "busy_poll",
    "rx_round_start",
    "rx_peek",
    "rx_take",
    "rx_taken",
    "rx_packet",
    "rx_tun_skb",
    "rx_tun_frame",
    "rx_header_copy",
    "rx_payload_copy",
    "rx_free_skb",
    "rx_free_frame",
    "rx_num_buffers",
    "rx_packet_done",
    "rx_poll_start",
    "dpdk_burst",
    "dpdk_mbuf",
    "dpdk_copy",
    "dpdk_packet_done",
    "dpdk_flush",
    "dpdk_free",
    "dpdk_nic",
    "xsk_poll",
    "xsk_peek",
    "xsk_descriptor",
    "xsk_nic_descriptor",
    "xsk_release",
    "xsk_complete",
    "xsk_complete_index",
    "xsk_need_wakeup",
    "xsk_program",
    "xsk_rx_descriptor",
    "xsk_fill",
    "xsk_rx_index",
)

#: Items that a recipe may hold besides primitives: `copy` becomes a loop or `rep movsb` by size, kernel and CPU;
#: `vector_copy` is the memcpy of a program in user space.
RECIPE_WORDS = ("copy", "vector_copy")
_RECIPE_VALID = frozenset((*PRIMITIVES, *RECIPE_WORDS))

SWITCHES = ("smap", "spectre_v1", "hardened_usercopy", "retpoline")


def check_recipe(recipe: list[str]) -> list[str]:
    """Return a recipe with its repetitions (`9 instruction`) written out; ValueError names an unknown item."""
    items: list[str] = []
    for item in recipe:
        count, _, name = item.rpartition(" ")
        if name not in _RECIPE_VALID or (count and not count.isdecimal()):
            raise ValueError(f"unknown primitive '{item}' in a recipe{nearest(name, _RECIPE_VALID)}")
        items += [name] * int(count or 1)
    return items


class Accessor(Strict):
    """What one access executes, in order. `bytes` 0 means that the row says how many; `parts` repeats the recipe."""

    recipe: list[str]
    bytes: int = Field(default=0, ge=0)
    parts: int = Field(default=1, ge=1)
    source: str = Field(min_length=1)

    _recipe = field_validator("recipe")(check_recipe)


class Step(Strict):
    """Instructions of one step, its accessor included, and the kernel function that a profiler would show."""

    instructions: Quantity
    function: str
    calls: list[str] = Field(default_factory=list, description="primitives executed besides the accessor's recipe")

    _calls = field_validator("calls")(check_recipe)


class Mitigation(Strict):
    """What switching one mitigation off takes away, or puts in place of something."""

    removes: list[str] = Field(default_factory=list)
    replaces: dict[str, str] = Field(default_factory=dict)

    _removes = field_validator("removes")(check_recipe)


class CountedWith(Strict):
    """The configuration in which the instruction counts of `steps` were taken."""

    smap: bool
    spectre_v1: bool
    hardened_usercopy: bool
    retpoline: bool
    fsrm: bool


class Behaviour(Strict):
    """Where the transmit handlers differ in order, not in cost."""

    flush_before_recheck: bool = Field(description="a drain flushes first, then enables notifications and rechecks")
    recheck_updates_cache: bool = Field(description="a recheck that finds work caches the avail index it has read")
    header_with_payload: bool = Field(description="vnet header and packet of one segment are one copy")
    splits_copy_at_page: bool = Field(description="a copy splits where the page fragment crosses a 4 KiB page")
    page_frag_bytes: int = Field(gt=0, description="bytes of a page fragment")
    headroom_bytes: int = Field(ge=0, description="bytes in front of the vnet header with an XDP program")
    headroom_without_xdp_bytes: int = Field(ge=0, description="bytes in front of the vnet header without a program")
    shared_info_bytes: int = Field(ge=0, description="bytes of skb_shared_info behind the packet")
    page_bytes: int = Field(gt=0, description="bytes of a page: an XDP buffer fits one")
    round_packets: int = Field(gt=0, description="packets after which a round ends (VHOST_NET_PKT_WEIGHT)")
    round_bytes: int = Field(gt=0, description="bytes after which a round ends (VHOST_NET_WEIGHT)")


class CopyRoutine(Strict):
    """How copy_user moves bytes: loop below `loop_below` bytes unless FSRM is used, else `rep movsb`."""

    loop_below: int = Field(ge=0)
    uses_fsrm: bool
    inline_with_fsrm: bool
    source: str = Field(min_length=1)


class Kernel(Strict):
    """One kernel version: recipes of its accessors and instructions of its steps."""

    schema_: Literal[1]
    kind: Literal["kernel"] = "kernel"
    name: str
    title: str
    device: Literal["vhost_net", "vhost_user", "af_xdp"] = Field(
        "vhost_net",
        description="device whose work the steps are; for another than vhost_net a table names what it uses",
    )
    work_scale: Quantity
    zerocopy_tx_default: bool
    counted_with: CountedWith
    behaviour: Behaviour
    copy_routine: CopyRoutine
    object_size_check_instructions: Quantity
    mitigations: dict[str, Mitigation]
    accessors: dict[str, Accessor]
    steps: dict[str, Step]

    @model_validator(mode="after")
    def _complete(self) -> Kernel:
        for what, table, needed, more in (
            ("accessor", self.accessors, ACCESSORS, OPTIONAL_ACCESSORS),
            ("step", self.steps, STEPS, OPTIONAL_STEPS),
            ("mitigation", self.mitigations, SWITCHES, ()),
        ):
            valid = (*needed, *more)
            for name in table:
                if name not in valid:
                    raise ValueError(f"unknown {what} '{name}'{nearest(name, valid)}")
            missing = [
                name for name in needed if name not in table and (self.device == "vhost_net" or what == "mitigation")
            ]
            if missing:
                raise ValueError(
                    f"no entry for {what} '{missing[0]}' ({len(missing)} missing); an unknown cost is an error"
                )
        require_unit("work_scale", self.work_scale, "ratio")
        require_unit("object_size_check_instructions", self.object_size_check_instructions, "instructions")
        for name, step in self.steps.items():
            require_unit(f"steps.{name}.instructions", step.instructions, "instructions")
        return self

    def accessor(self, name: str) -> Accessor:
        """Return what one access executes; ConfigError when this kernel's file does not say."""
        if name not in self.accessors:
            raise ConfigError(f"kernel {self.name}: no entry for accessor '{name}'; an unknown cost is an error")
        return self.accessors[name]

    def step(self, name: str) -> Step:
        """Return the count of a step; ConfigError when this kernel's file does not say."""
        if name not in self.steps:
            raise ConfigError(f"kernel {self.name}: no entry for step '{name}'; an unknown cost is an error")
        return self.steps[name]
