"""Sections `driver`, `device`, `backend` and `receive` of a scenario: the two ends of the ring and what is behind."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sim.config.scenario.traffic import BytesOrFull
from sim.config.tables.quantity import (
    Bytes,
    Instructions,
    Nanoseconds,
    NanosecondsPerByte,
    Quantity,
    Strict,
    default_entry,
)


class Driver(Strict):
    """The guest side: who fills the ring."""

    kind: Literal["virtio-user", "virtio-net", "xsk", "lockstep"] = Field(
        "virtio-user",
        description="virtio-user: DPDK testpmd; virtio-net: Linux, driven by interrupts; xsk: program on an AF_XDP "
        "socket; lockstep: publishes `burst`, kicks, waits until all are used",
    )
    burst: int = Field(32, ge=1, le=32768, description="packets per index write (virtio-net: per xmit_more) at most")
    packet_cost: Nanoseconds = default_entry("driver.packet_cost", "own work per packet (virtio-net: on receive)")
    sender: Literal["pktgen", "socket"] = Field(
        "socket",
        description="virtio-net: who sends; pktgen: ready packets into start_xmit; socket: an application, through the "
        "guest's stack",
    )
    pktgen_cost: Nanoseconds = default_entry("driver.pktgen_cost", "virtio-net: pktgen and start_xmit per packet")
    stack_cost: Nanoseconds = default_entry(
        "driver.stack_cost", "virtio-net: system call, the guest's stack and start_xmit per packet of a socket"
    )
    route_cost: Nanoseconds = default_entry(
        "driver.route_cost", "virtio-net that forwards: the guest's stack from receive_buf to start_xmit, per packet"
    )
    byte_cost: NanosecondsPerByte = default_entry(
        "driver.byte_cost", "virtio-net: guest's work per byte (an application's copy into the packet)"
    )
    napi_tx: bool = Field(False, description="virtio-net: transmit completions by NAPI (default since v5.3)")
    forwards: bool = Field(
        False,
        description="the guest sends what it receives (virtio-user: l2fwd; virtio-net: it routes), from one ring into "
        "another; device.direction says at which of the two packets are counted",
    )
    ports: Literal[1, 2] = Field(
        1, description="forwards; 1: both rings are of one device, served by one worker; 2: of two, with a worker each"
    )
    interrupts: bool = Field(
        False, description="lockstep: wants a call at every flush, of an eventfd that nobody waits for"
    )
    in_vm: bool | None = Field(
        None, description="driver runs in a virtual machine, a kick exits it (default: virtio-net)"
    )
    scatter_bytes: int | None = Field(
        None, ge=256, le=32768, description="packets beyond that have a descriptor for each so many further bytes"
    )
    free_threshold: int = Field(32, ge=0, description="DPDK tx_free_thresh: reclaim in bulk above size minus this")

    @property
    def send_cost(self) -> Quantity:
        """What a Linux guest spends on a packet that it sends."""
        return self.pktgen_cost if self.sender == "pktgen" else self.stack_cost

    @property
    def kicks_by_exit(self) -> bool:
        """Whether a kick leaves a virtual machine."""
        return self.kind == "virtio-net" if self.in_vm is None else self.in_vm

    def further_descriptors(self, packet_bytes: int) -> int:
        """Descriptors of a packet beyond those of a small one: its bytes lie scattered over pages."""
        return 0 if self.scatter_bytes is None else max(0, -(-packet_bytes // self.scatter_bytes) - 1)


class Device(Strict):
    """The host side: the vhost worker."""

    kind: Literal["vhost_net", "vhost_user", "af_xdp", "tap_write", "qemu"] = Field(
        "vhost_net",
        description="vhost_net: kernel worker; vhost_user: DPDK polling in user space; af_xdp: kernel side of an "
        "AF_XDP socket, whose rings have virtqueue.size entries each; tap_write: no ring, a process that writes frames "
        "to the TAP, one system call each; qemu: QEMU's virtio-net without vhost",
    )
    direction: Literal["tx", "rx"] = Field("tx", description="tx: guest to host; rx: host to guest")
    batch: int = Field(64, ge=1, le=1024, description="VHOST_NET_BATCH: packets per flush")
    zerocopy_tx: bool = Field(False, description="experimental_zcopytx; true by default from v4.20 to v5.2 only")
    max_pending: int = Field(128, ge=1, le=1023, description="VHOST_MAX_PEND: zero-copy packets under way at most")
    xdp_batching: bool = Field(
        True, description="one sendmsg per batch of XDP buffers (since v4.20); false: one per packet"
    )
    sndbuf_limited: bool = Field(False, description="the socket's send buffer is limited: no XDP batching, skbs")
    busyloop_timeout_us: float = Field(0.0, ge=0, le=1e6, description="how long the worker polls an empty ring")
    schedule_out: bool = Field(
        False, description="a worker that finds nothing to do is switched out (context_switch) before it can be woken"
    )
    poll_pause: Nanoseconds = default_entry("device.poll_pause", "pause between two looks at an empty ring")
    element_instructions: Instructions = default_entry(
        "device.element_instructions", "qemu: its own work per buffer, ring accesses and the system call apart"
    )
    loop_instructions: Instructions = default_entry(
        "device.loop_instructions", "qemu: a turn of its main loop, system calls apart"
    )
    reuse_bytes_per_packet: Bytes = default_entry(
        "device.reuse_bytes_per_packet",
        "with the ring size, decides whether a line met again a lap later comes from L1, L2 or L3",
    )

    @model_validator(mode="after")
    def _one_transmit_function(self) -> Device:
        if self.zerocopy_tx and self.busyloop_timeout_us:
            raise ValueError("busyloop_timeout_us: polling is not modelled for zerocopy_tx")
        return self


BackendKind = Literal[
    "tap-xdp-drop",
    "tap-xdp-pass",
    "tap-xdp-redirect",
    "tap-skb",
    "tap-bridge",
    "tap-tc-drop",
    "tap-tc-redirect",
    "tap-ovs",
    "macvtap",
    "tap-down",
]


class Backend(Strict):
    """What happens to a packet behind the worker."""

    kind: BackendKind = Field(
        "tap-xdp-drop",
        description="TAP with a native XDP program that drops, passes or redirects to a NIC; or without one: the skb "
        "goes up the host's stack, is dropped by a tc filter, or is sent on to `port` by a bridge, a tc filter or Open "
        "vSwitch; macvtap: in place of a TAP, above `port`; tap-down: the interface is down (tap_write only)",
    )
    port: Literal["nic", "veth", "dummy"] = Field(
        "nic",
        description="where a bridge, a tc filter, Open vSwitch or macvtap sends to; veth: a pair, whose other end's "
        "stack receives in a softirq on the worker's core; dummy: a device that frees what it is given",
    )
    rx_frames: int = Field(
        0,
        ge=0,
        le=64,
        description="skbs that the TAP gathers before they go up (ethtool -C rx-frames), of those sent one by one",
    )
    program_instructions: Instructions = default_entry(
        "backend.program_instructions", "instructions of the XDP program beyond a bare XDP_DROP"
    )
    line_gbps: float = Field(10.0, ge=1e-3, le=1600, description="line rate of the NIC, in Gbit/s")
    mtu_bytes: int = Field(1500, ge=68, le=65535, description="MTU of the NIC: longer packets are cut into frames")
    queue: int = Field(1024, ge=1, le=65536, description="frames that wait for the NIC or the receiver at most")
    doorbell_cost: Nanoseconds = default_entry(
        "backend.doorbell_cost", "a write to the NIC's doorbell: per batch that is redirected, else per packet"
    )
    stack_cost: Nanoseconds = default_entry(
        "backend.stack_cost",
        "worker's further work per packet in the host's stack (tap-xdp-pass, tap-skb, behind veth)",
    )
    receiver_cost: Nanoseconds = default_entry(
        "backend.receiver_cost",
        "work per packet of the process that reads, on a core of its own (tap-xdp-pass, tap-skb, behind veth)",
    )
    receiver_byte_cost: NanosecondsPerByte = default_entry(
        "backend.receiver_byte_cost", "work per byte of the process that reads (tap-xdp-pass, tap-skb, behind veth)"
    )

    @property
    def runs_xdp(self) -> bool:
        """Whether a native XDP program is attached."""
        return self.kind in ("tap-xdp-drop", "tap-xdp-pass", "tap-xdp-redirect")

    @property
    def forwards(self) -> bool:
        """Whether the host's kernel sends packets on to a port."""
        return self.kind in ("tap-bridge", "tap-tc-redirect", "tap-ovs", "macvtap")

    @property
    def has_nic(self) -> bool:
        """Whether frames leave through a NIC."""
        return self.kind == "tap-xdp-redirect" or (self.forwards and self.port == "nic")

    @property
    def goes_up(self) -> bool:
        """Whether the TAP gives skbs to the host's receive path."""
        return self.kind.startswith("tap-") and self.kind not in ("tap-xdp-drop", "tap-xdp-redirect", "tap-down")

    @property
    def takes_skbs(self) -> bool:
        """Whether packets become skbs: a program that drops or redirects a frame sees it before."""
        return self.goes_up or self.kind == "macvtap"

    @property
    def ends_in_stack(self) -> bool:
        """Whether a stack receives the packets: that of the host, or the one behind a veth pair."""
        return self.kind in ("tap-xdp-pass", "tap-skb") or (self.forwards and self.port == "veth")

    @property
    def has_receiver(self) -> bool:
        """Whether a process reads the packets, at a cost of its own."""
        return self.ends_in_stack and bool(self.receiver_cost.value or self.receiver_byte_cost.value)


#: Senders into one queue of a TAP, at most.
MOST_SENDERS = 8


class Source(Strict):
    """Who sends to the guest: a core of its own that puts packets into the TAP's ptr_ring."""

    kind: Literal["skb", "xdp_frame"] = Field(
        "skb", description="skb: one by one through tun_net_xmit; xdp_frame: redirected in bursts (tun_xdp_xmit)"
    )
    queue: int = Field(1000, ge=2, le=1 << 16, description="packets that the ptr_ring holds (tx_queue_len of the TAP)")
    when_full: Literal["drop", "wait"] = Field(
        "drop",
        description="skb, a full ptr_ring; drop: tail drop; wait: the TAP stops its queue (back-pressure), packets "
        "wait in the queueing discipline (traffic.load.backlog), and the worker wakes the queue",
    )
    burst: int = Field(16, ge=1, le=1024, description="xdp_frame: packets per lock and wake-up (DEV_MAP_BULK_SIZE)")
    senders: int = Field(
        1, ge=1, le=MOST_SENDERS, description="skb: senders on cores of their own, into one queue of the TAP"
    )
    packet_cost: Nanoseconds = default_entry("receive.source.packet_cost", "own work per packet, lines and locks apart")

    @property
    def packets_per_lock(self) -> int:
        """Packets that the source puts into the ptr_ring under one lock."""
        return self.burst if self.kind == "xdp_frame" else 1


class Receive(Strict):
    """How packets come into the guest (device.direction rx)."""

    mergeable: bool = Field(True, description="VIRTIO_NET_F_MRG_RXBUF: a packet may take several buffers")
    buffer_bytes: int = Field(2048, ge=64, le=1 << 20, description="bytes of one receive buffer, vnet header included")
    ring_batch: int = Field(
        64, ge=1, le=1024, description="packets taken from the TAP's ptr_ring at once (VHOST_NET_BATCH)"
    )
    read_bytes: BytesOrFull = Field(42, description="bytes of a packet that the guest reads, or 'full'")
    source: Source = Field(default_factory=Source, description="who sends to the guest")
