"""Schema of `configs/scenarios/*.yaml`: one question, fully stated.

A `Scenario` is resolved: the CPU, kernel and access tables that its file names stand inside it, so that a resolved
scenario written to disk says everything that its numbers depend on.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from sim.config.errors import ConfigError
from sim.config.scenario.application import Sockets
from sim.config.scenario.endpoints import Backend, Device, Driver, Receive
from sim.config.scenario.traffic import Load, Traffic
from sim.config.scenario.virtqueue import PerSecond, Queues, Virtqueue
from sim.config.tables.access import Access
from sim.config.tables.cpu import Cpu
from sim.config.tables.kernel import Kernel
from sim.config.tables.quantity import Entries, Headed, Microseconds, Strict, default_entry

MAX_PACKETS = 10**9
#: The shortest period of another task, and the most that it has of the core.
LEAST_PERIOD_US, MOST_OF_A_CORE = 1.0, 0.99


class Mitigations(Strict):
    """What is switched on in the host kernel; `off` or `auto` in its place is the kernel's switch `mitigations=`."""

    smap: bool = Field(True, description="SMAP: stac and clac around every user access (needs a CPU that has it)")
    spectre_v1: bool = Field(True, description="barrier_nospec(): lfence in the getters that use it")
    hardened_usercopy: bool = Field(False, description="HARDENED_USERCOPY: object size checks")
    retpoline: bool = Field(True, description="retpolines on indirect calls; false: spectre_v2=off")
    pti: bool = Field(True, description="page-table isolation where the CPU needs it; false: pti=off")
    ibrs: bool = Field(
        True, description="IBRS at entries of the kernel where CPU and kernel agree; false: retbleed=off"
    )
    bhi: bool = Field(
        True, description="branch history cleared at entries where CPU and kernel agree; false: spectre_bhi=off"
    )
    mds: bool = Field(
        True,
        description="CPU buffers cleared on the way out where CPU and kernel agree; false: mds=off, "
        "tsx_async_abort=off",
    )
    spec_rstack_overflow: bool = Field(
        True, description="Safe RET where the CPU needs it and the kernel has it; false: spec_rstack_overflow=off"
    )
    retbleed: bool = Field(True, description="untrained return thunks where CPU and kernel agree; false: retbleed=off")
    indirect_target_selection: bool = Field(
        True, description="aligned return thunks where CPU and kernel agree; false: indirect_target_selection=off"
    )


#: What `mitigations=off` of the kernel's command line switches off of what the model has, and `auto` on. SMAP and
#: HARDENED_USERCOPY are no mitigations to it; of Spectre v1 it leaves the barrier of user accesses.
_SWITCHED = (
    *("retpoline", "spec_rstack_overflow", "retbleed", "indirect_target_selection"),
    *("pti", "ibrs", "bhi", "mds"),
)


def switched(value: Any, known: Any, given: str | None = None) -> Any:
    """Return the section `mitigations` where it is given as the kernel's switch, `off` or `auto`, on top of `known`.

    Anything that is no name stays as it is. ConfigError for another name.
    """
    name = "off" if value is False else value
    if not isinstance(name, str):
        return {} if value is None else value
    if name not in ("off", "auto"):
        raise ConfigError(f"unknown mitigations '{name}'", got=name, expected=("off", "auto"), given=given)
    return {**(known if isinstance(known, dict) else {}), **dict.fromkeys(_SWITCHED, name == "auto")}


class Placement(Strict):
    """Where driver and worker run."""

    smt_siblings: bool = Field(False, description="driver and worker share a core: short transfers, slower work")
    same_socket: bool = Field(True, description="driver and worker share a socket")
    numa_rebalancing: bool = Field(
        False, description="two sockets: threads and pages come together, pinned pages do not"
    )
    idle_state: Literal["poll", "c1", "c1e", "c6"] = Field(
        "poll", description="idle state that the worker's core reaches when it sleeps; leaving it delays the wake-up"
    )
    preempted_us: float = Field(0.0, ge=0, le=1e6, description="time slice of another task on the worker's core")
    preempted_every_us: float = Field(
        0.0, ge=0, le=1e9, description="period of that other task (with preempted_us; takes effect between rounds)"
    )

    @model_validator(mode="after")
    def _coherent(self) -> Placement:
        if self.smt_siblings and not self.same_socket:
            raise ValueError("smt_siblings share a core, so same_socket cannot be false")
        if self.numa_rebalancing and self.same_socket:
            raise ValueError("numa_rebalancing goes with two sockets (same_socket: false)")
        if not self.preempted_us <= self.preempted_every_us:
            raise ValueError("preempted_us: another task cannot run longer than preempted_every_us")
        if 0 < self.preempted_every_us < LEAST_PERIOD_US:
            raise ValueError(f"preempted_every_us: 0 (never), or at least {LEAST_PERIOD_US:g}")
        if 0 < self.preempted_every_us * MOST_OF_A_CORE < self.preempted_us:
            raise ValueError("preempted_us: another task that always runs leaves nothing to the worker")
        if (self.preempted_us == 0) != (self.preempted_every_us == 0):
            raise ValueError("preempted_us and preempted_every_us go together")
        return self

    @property
    def together(self) -> bool:
        """Whether driver and worker run on one socket in the end."""
        return self.same_socket or self.numa_rebalancing


class Memory(Strict):
    """What the host's memory management does, and what the ring's pages are."""

    guest_pages: Literal["4k", "2m", "1g"] = Field("2m", description="pages that back the ring in the guest's memory")
    other_pages: Entries = default_entry("memory.other_pages", "TLB entries that the worker uses besides the ring's")
    invalidations_per_second: PerSecond = Field(
        0.0, description="invalidations that hit the ring (fork, KSM, THP, NUMA balancing, swap)"
    )
    invalidation_window: Microseconds = default_entry("memory.invalidation_window", "time without a mapping")
    invalidation_stall: Microseconds = default_entry("memory.invalidation_stall", "cost of one, mapped or not")
    locked_limit_kib: int | None = Field(
        None, ge=0, description="RLIMIT_MEMLOCK: a variant that would pin more keeps to copy_user (default: no limit)"
    )

    @model_validator(mode="after")
    def _rates(self) -> Memory:
        if self.invalidations_per_second * self.invalidation_stall.value >= 0.9e6:
            raise ValueError(
                f"invalidations_per_second: {self.invalidations_per_second:g} stalls of "
                f"{self.invalidation_stall.value:g} us leave the worker no time"
            )
        return self


class Run(Strict):
    """How long and how to simulate."""

    packets: int = Field(200_000, ge=1, le=MAX_PACKETS, description="packets at most, per access variant and size")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="key of the random draws (0 is a seed)")
    engine: Literal["fast", "reference"] = Field(
        "fast", description="fast: compiled; reference: SimPy, written to be read; both give the same trace"
    )
    precision: float = Field(
        0.002, ge=0, le=1, description="stop when the 95 % interval of pps is within this fraction (0: run all packets)"
    )


class Scenario(Headed):
    """A resolved scenario: every table that the answer depends on stands inside it.

    It is a pydantic model, validated and strict; `load_scenario` makes it, and a copy with other values is made by
    `load_scenario(..., overrides=[...])`. Its keys, with type, bounds, default and meaning, are on a page of the
    documentation.

    Examples
    --------
    >>> from sim import load_scenario
    >>> scenario = load_scenario("virtio-user-xdp1-tap")
    >>> scenario.virtqueue.size, scenario.cpu.core_ghz.value, scenario.traffic.sizes[0]
    (256, 3.0215, 64)
    """

    kind: Literal["scenario"] = "scenario"
    name: str = Field(description="name by which commands refer to it")
    title: str = Field("", description="what tables and reports call it")
    source: str = Field("", description="where the configuration comes from, and what of it is assumed")
    cpu: Cpu = Field(description="CPU of driver and worker: a name of `list cpus`, a file, or the table itself")
    kernel: Kernel = Field(description="kernel of the host: a name of `list kernels`, a file, or the table itself")
    calibration: str | None = Field(None, description="calibration whose fitted values replace those of the tables")
    mitigations: Mitigations = Field(default_factory=Mitigations, description="what is switched on in the host kernel")
    virtqueue: Virtqueue = Field(default_factory=Virtqueue, description="the ring and its features")
    driver: Driver = Field(default_factory=Driver, description="guest side: who fills the ring")
    device: Device = Field(default_factory=Device, description="host side: who empties it")
    backend: Backend = Field(default_factory=Backend, description="what happens to a packet behind the device")
    receive: Receive = Field(default_factory=Receive, description="the guest's buffers and who sends to them")
    placement: Placement = Field(default_factory=Placement, description="where driver and worker run, and who else")
    queues: Queues = Field(default_factory=Queues, description="how many queue pairs there are, and who serves them")
    memory: Memory = Field(default_factory=Memory, description="the host's memory management, and the ring's pages")
    traffic: Traffic = Field(description="what is sent")
    sockets: Sockets = Field(default_factory=Sockets, description="what an application's calls execute on both sides")
    access: list[Access] = Field(min_length=1, description="access variants to run: names of `list access`, or tables")
    run: Run = Field(default_factory=Run, description="how long and how to simulate")

    @model_validator(mode="after")
    def _coherent(self) -> Scenario:
        names = [variant.name for variant in self.access]
        if len(set(names)) != len(names):
            raise ValueError("access: a variant is named twice")
        described = "vhost_net" if self.device.kind in ("tap_write", "qemu") else self.device.kind
        if self.kernel.device != described:
            raise ValueError(
                f"kernel: '{self.kernel.name}' describes {self.kernel.device}, but device.kind is {self.device.kind}"
            )
        if (self.device.kind == "af_xdp") != (self.driver.kind == "xsk"):
            raise ValueError("driver.kind: xsk goes with device.kind af_xdp, and it needs it")
        load = self.queue_load
        if load.kind == "on-off" and load.packets_per_period < 1:
            raise ValueError(
                f"traffic.load.on_us: no packet arrives at each of {self.queues.pairs} queues within {load.on_us:g} us"
            )
        return self

    def __repr__(self) -> str:
        variants = ", ".join(variant.name for variant in self.access)
        sizes = ", ".join(map(str, self.traffic.sizes))
        return f"<Scenario {self.name}: {self.cpu.name}, {self.kernel.name}; {variants}; {sizes} B>"

    @property
    def receives_from_tap(self) -> bool:
        """Whether packets for the guest come out of a TAP, where a source of its own puts them."""
        return self.device.direction == "rx" and self.device.kind in ("vhost_net", "qemu")

    @property
    def reaches_backend(self) -> bool:
        """Whether vhost_net hands packets of the guest to the backend."""
        return self.device.kind == "vhost_net" and (self.device.direction == "tx" or self.driver.forwards)

    @property
    def leaves_by_nic(self) -> bool:
        """Whether packets of the guest leave through a NIC."""
        return self.reaches_backend and self.backend.has_nic

    @property
    def queue_load(self) -> Load:
        """Load offered to one queue pair: all are loaded alike, and the rate of a load is that of all together."""
        load, pairs = self.traffic.load, self.queues.pairs
        if load.kind == "saturate" or pairs == 1:
            return load
        if load.kind == "on-off":
            return load.model_copy(update={"pps": load.pps / pairs, "on_us": load.on_us, "off_us": load.off_us})
        return load.model_copy(update={"pps": load.pps / pairs})

    def variant(self, name: str) -> Access:
        """Return the access variant of that name.

        Raises
        ------
        ConfigError
            When the scenario does not list it.
        """
        variants = {variant.name: variant for variant in self.access}
        if name not in variants:
            raise ConfigError(f"access variant '{name}' is not in scenario {self.name}", got=name, expected=variants)
        return variants[name]
