"""Every refusal of the datapath is true: what it names is what is in the way, and nothing less is refused."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

import sim
from sim.config import load_scenario
from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.costs import Recipes
from sim.datapath import build_plan
from sim.datapath.features.packed import packed_steps
from sim.datapath.memory.rings import PackedRing, SplitRing, ring_of
from sim.datapath.plan.program import Program
from sim.study.runs.case import with_values

SOURCES = Path(sim.__file__).parent / "datapath"
SHARED_CORE = ("queues.pairs=2",)
SCATTERED = "driver.scatter_bytes=256"
IOTLB_MESSAGES = "virtqueue={iotlb: true, iotlb_updates_per_second: 1000}"
BUFFERS_OF_64 = "receive.buffer_bytes=64"


@dataclass(frozen=True)
class Refusal:
    """A scenario and the settings that it cannot have together; what the error says; the settings alone are fine."""

    scenario: str
    settings: tuple[str, ...]
    key: str
    says: str
    packet_bytes: int = 64

    def __str__(self) -> str:
        return " ".join((self.scenario, *self.settings))


SEED, RX = "virtio-user-xdp1-tap", "virtio-user-receive-skb"
APPLICATION, INTO_GUEST = "tcp-stream-messages", "tcp-stream-to-guest"
NOT_FOR_APPLICATIONS = {
    "driver.forwards": "true",
    "backend.kind": "tap-xdp-drop",
    "virtqueue.layout": "packed",
    "device.zerocopy_tx": "true",
    "queues.pairs": "2",
    "memory.invalidations_per_second": "1000",
}
NOT_FOR_RECEIVE = {
    "virtqueue.layout": "packed",
    "device.zerocopy_tx": "true",
    "device.busyloop_timeout_us": "10",
    "device.schedule_out": "true",
    "device.sndbuf_limited": "true",
}
NOT_FOR_OTHERS = NOT_FOR_RECEIVE | {
    "virtqueue.in_order": "true",
    "virtqueue.iotlb": "true",
    "virtqueue.memory_regions": "4",
    "memory.invalidations_per_second": "1000",
    "placement": "{preempted_us: 10, preempted_every_us: 1000}",
}
#: ... but a back end in user space has them.
IN_USER_SPACE = ("virtqueue.layout", "virtqueue.in_order")
NOT_FOR_FORWARDING = {
    "virtqueue.layout": "packed",
    "virtqueue.in_order": "true",
    "virtqueue.indirect": "true",
    SCATTERED.partition("=")[0]: "256",
    "driver.kind": "lockstep",
    "device.busyloop_timeout_us": "10",
    "device.schedule_out": "true",
    "queues.pairs": "2",
    "traffic.mix": "imix",
    "memory.invalidations_per_second": "1000",
    "virtqueue": "{iotlb: true, iotlb_updates_per_second: 1000}",
    "placement": "{preempted_us: 10, preempted_every_us: 1000}",
}
NOT_FOR_SENDERS = {
    "receive.source.kind": "xdp_frame",
    "receive.source.when_full": "wait",
    "traffic.load": "1e6",
    "driver.kind": "lockstep",
    "driver.forwards": "true",
    "queues": "{pairs: 2, workers: each}",
}

REFUSALS = [
    Refusal(
        *(SEED, ("kernel.behaviour.page_frag_bytes=831",), "kernel.behaviour.page_frag_bytes"),
        "a frame of 64 bytes takes 832 bytes of a page fragment",
    ),
    Refusal(
        *(SEED, ("kernel.behaviour.init_on_alloc=true",), "kernel.behaviour.init_on_alloc"),
        "v5.0 has no init_on_alloc (v5.3 and later do)",
    ),
    Refusal("tap-write", ("backend.kind=tap-bridge",), "backend.kind", "tap-bridge is not modelled behind tap_write"),
    Refusal("tap-write", ("access=uaccess_batched",), "access", "in windows, and tap_write has none"),
    Refusal("tap-write", ("access=vmap",), "access", "tap_write has no ring to map: access 'copy_user'"),
    *(
        Refusal(name, (f"access={access}",), "access", f"needs none of it: access '{own}' (got {access})")
        for name, own in (
            *(("qemu-tx", "user_ring"), ("qemu-rx", "user_ring")),
            *(("vhost-user-tx", "plain"), ("vhost-user-virtio-net-rx", "plain")),
            *(("af-xdp-tx", "plain"), ("af-xdp-rx", "plain")),
        )
        for access in ("copy_user", "vmap", "uaccess_batched")
    ),
    Refusal("tap-write", ("backend.kind=tap-skb",), "backend.kind", "tap-skb is modelled with device.sndbuf_limited"),
    Refusal("tap-write", ("device.direction=rx",), "device.direction", "is not modelled with device.kind tap_write"),
    Refusal("qemu-tx", ("backend.kind=tap-bridge",), "backend.kind", "tap-bridge is not modelled behind qemu"),
    Refusal("qemu-tx", ("backend.kind=tap-skb",), "backend.kind", "tap-skb is modelled with device.sndbuf_limited"),
    Refusal(
        "qemu-rx", ("device.sndbuf_limited=true",), "device.sndbuf_limited", "is not modelled with device.kind qemu"
    ),
    Refusal("qemu-tx", ("driver.kind=virtio-user",), "driver.kind", "its guest is Linux"),
    Refusal("qemu-tx", ("traffic.mix=imix",), "traffic.mix", "is not modelled with device.kind qemu"),
    *(
        Refusal("qemu-tx", (f"{key}={value}",), key, "is not modelled with device.kind qemu")
        for key, value in NOT_FOR_OTHERS.items()
        if key not in ("device.sndbuf_limited", *IN_USER_SPACE)
    ),
    Refusal("tap-write", ("traffic.load=1e6",), "traffic.load", "tap_write sets its own pace"),
    Refusal(SEED, ("backend.kind=tap-down",), "backend.kind", "goes with device.kind tap_write only"),
    Refusal(SEED, (*SHARED_CORE, "traffic.load=1e6"), "queues", "a saturating load of one packet size"),
    Refusal(SEED, (*SHARED_CORE, "traffic.mix=imix"), "queues", "a saturating load of one packet size"),
    Refusal(SEED, (*SHARED_CORE, "device.busyloop_timeout_us=10"), "queues", "busy polling"),
    Refusal(SEED, (*SHARED_CORE, "memory.invalidations_per_second=1000"), "queues", "invalidations or IOTLB messages"),
    Refusal(SEED, (*SHARED_CORE, IOTLB_MESSAGES), "queues", "invalidations or IOTLB messages"),
    Refusal(RX, SHARED_CORE, "queues", "for vhost_net transmit only"),
    Refusal("vhost-user-tx", SHARED_CORE, "queues", "for vhost_net transmit only"),
    *(
        Refusal(RX, (f"{key}={value}",), key, "is not modelled with device.direction rx")
        for key, value in NOT_FOR_RECEIVE.items()
    ),
    *(
        Refusal(name, (f"{key}={value}",), key, f"is not modelled with device.kind {kind}")
        for name, kind in (("vhost-user-tx", "vhost_user"), ("vhost-user-rx", "vhost_user"), ("af-xdp-tx", "af_xdp"))
        for key, value in NOT_FOR_OTHERS.items()
        if kind != "vhost_user" or key not in IN_USER_SPACE
    ),
    *(
        Refusal("virtio-user-l2fwd", (f"{key}={value}",), key, "is not modelled with driver.forwards")
        for key, value in NOT_FOR_FORWARDING.items()
    ),
    Refusal(
        "virtio-user-l2fwd", (BUFFERS_OF_64,), "receive.buffer_bytes", "has packets of one buffer each, and 64 bytes do"
    ),
    *(
        Refusal(name, ("driver.interrupts=true",), "driver.interrupts", "is modelled for driver.kind lockstep")
        for name in (SEED, RX, "virtio-user-packed")
    ),
    Refusal("qemu-tx", ("backend.kind=macvtap",), "backend.kind", "macvtap is not modelled behind qemu"),
    Refusal(
        SEED,
        ("backend.rx_frames=64",),
        "backend.rx_frames",
        "tap-xdp-drop gives no skbs to the receive path, as backend.kind tap-skb does",
    ),
    *(
        Refusal(
            *(SEED, ("backend={kind: tap-skb, rx_frames: 64}",), "backend.rx_frames"),
            "a TAP gathers skbs that are sent one by one",
            packet_bytes=size,
        )
        for size in (64, 9000)
    ),
    Refusal(
        SEED,
        ("virtqueue.in_order=true", "device.zerocopy_tx=true", "backend.kind=tap-bridge"),
        "virtqueue.in_order",
        "zero copy and tap-bridge give buffers back out of order",
        packet_bytes=1500,
    ),
    Refusal(
        SEED,
        ("traffic.mix={bytes: [64, 9000], weights: [1, 1]}",),
        "traffic.mix",
        "all sizes of a mix have to fit an XDP buffer (at most 3380 bytes on v5.0)",
    ),
    Refusal(SEED, ("traffic.mix=imix", SCATTERED), "driver.scatter_bytes", "not with traffic.mix"),
    Refusal(
        SEED,
        (SCATTERED, "virtqueue.size=4"),
        "virtqueue.size",
        "1518 bytes scattered over pages take a chain of 6 descriptors",
        packet_bytes=1518,
    ),
    Refusal(
        SEED,
        ("driver.kind=lockstep", "driver.burst=512"),
        "driver.burst",
        "512 packets do not fit a ring of 256",
    ),
    Refusal(SEED, ("driver.kind=lockstep", "traffic.load=1e6"), "traffic.load", "only saturate is accepted"),
    Refusal(
        RX, ("driver.kind=lockstep", "driver.burst=512"), "driver.burst", "512 packets do not fit the ring of buffers"
    ),
    Refusal(RX, ("driver.kind=lockstep", "traffic.load=1e6"), "traffic.load", "only saturate is accepted"),
    Refusal(
        RX,
        ("driver.kind=lockstep", "receive.source.kind=xdp_frame"),
        "driver.kind",
        "lockstep receives skbs of one buffer",
    ),
    *(
        Refusal(RX, ("receive.source.when_full=wait", other), "receive.source.when_full", "a queue is stopped for skbs")
        for other in ("receive.source.kind=xdp_frame", "driver.kind=lockstep")
    ),
    *(
        Refusal(RX, ("receive.source.senders=2", f"{key}={value}"), key, "is not modelled with several senders")
        for key, value in NOT_FOR_SENDERS.items()
    ),
    Refusal(RX, ("virtqueue.indirect=true",), "virtqueue.indirect", "receive buffers are direct chains"),
    Refusal(
        RX,
        ("traffic.mix=imix", "receive.buffer_bytes=600"),
        "traffic.mix",
        "its sizes take 1 to 3 buffers of 600 bytes each",
    ),
    Refusal(
        RX,
        ("receive.mergeable=false", BUFFERS_OF_64),
        "receive.mergeable",
        "64 bytes do not fit one buffer of 64 bytes",
    ),
    Refusal(
        RX,
        ("virtqueue.size=4", BUFFERS_OF_64),
        "receive.buffer_bytes",
        "a packet of 200 bytes takes 4 buffers, more than half of a ring that holds 4",
        packet_bytes=200,
    ),
    Refusal("vhost-user-rx", ("driver.kind=lockstep",), "driver.kind", "lockstep does not go with device.kind"),
    *(
        Refusal("af-xdp-tx", (f"virtqueue.{key}={value}",), f"virtqueue.{key}", "af_xdp has direct descriptors")
        for key, value in (("event_idx", "true"), ("indirect", "true"), ("descriptors_per_packet", "2"))
    ),
    Refusal(
        *(SEED, ("traffic.application=tcp-stream",), "traffic.application"),
        "an application is modelled above virtio-net and vhost_net",
    ),
    *(
        Refusal(APPLICATION, (f"{key}={value}",), key, "is not modelled with traffic.application tcp-stream")
        for key, value in NOT_FOR_APPLICATIONS.items()
    ),
    *(
        Refusal(INTO_GUEST, (f"{key}={value}",), key, "is not modelled with traffic.application tcp-stream")
        for key, value in (
            ("receive.source.kind", "xdp_frame"),
            ("receive.source.senders", "2"),
        )
    ),
    Refusal(
        *(INTO_GUEST, ("traffic.sessions=2",), "traffic.sessions"),
        "several sessions are modelled from guest to host only",
    ),
    Refusal(
        *(INTO_GUEST, ("traffic={application: udp, message_bytes: 64}",), "traffic.application"),
        "udp is modelled from guest to host only",
    ),
    Refusal(
        *("tcp-request-response", ("sockets.up_to_socket=2000",), "sockets.up_to_socket"),
        "is a part of sockets.arrive, which is less",
    ),
]

#: Refusals of steps and prices, not of settings: each is provoked below.
OF_TABLES = {
    ("features/packed.py", "packed_steps"),
    ("pricing.py", "_besides"),
}


def built(refusal: Refusal, settings: tuple[str, ...]):
    scenario = load_scenario(refusal.scenario, overrides=[f"traffic.packet_bytes={refusal.packet_bytes}", *settings])
    return build_plan(scenario, scenario.access[0].name, refusal.packet_bytes)


def raised(refusal: Refusal) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        built(refusal, refusal.settings)
    return error.value


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_what_is_refused_is_named_and_it_is_that_which_is_in_the_way(refusal):
    error = raised(refusal)
    assert refusal.says in str(error)
    assert str(error.key).partition(".")[0] in {
        "queues",
        *(setting.partition(".")[0].partition("=")[0] for setting in refusal.settings),
    }
    assert error.key == refusal.key or f"{error.key}." in f"{refusal.key}." or error.key.startswith(f"{refusal.key}.")
    for number in range(len(refusal.settings)):
        assert built(refusal, (*refusal.settings[:number], *refusal.settings[number + 1 :])).rows


def places() -> set[tuple[str, str]]:
    """The file and function of every ConfigError that the datapath raises."""
    found = set()
    for file in SOURCES.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Raise) and "ConfigError" in ast.unparse(node):
                    found.add((str(file.relative_to(SOURCES)), function.name, node.lineno))
    return found


def test_every_refusal_is_among_these():
    seen = set()
    for refusal in REFUSALS:
        frame = raised(refusal).__traceback__
        while frame.tb_next is not None:
            frame = frame.tb_next
        file = Path(frame.tb_frame.f_code.co_filename)
        seen.add((str(file.relative_to(SOURCES)), frame.tb_frame.f_code.co_name, frame.tb_lineno))
    spans = {(file, function) for file, function, _ in seen}
    assert spans | OF_TABLES == {(file, function) for file, function, _ in places()}
    assert {line for line in places() if line[:2] not in OF_TABLES} == seen


def test_a_step_that_returns_less_often_than_its_accessor_is_refused():
    scenario = load_scenario(SEED, overrides=["kernel=v6.1", "cpu=zen3", "calibration=null"])
    wrong = with_values(scenario, {"kernel.steps.head.returns": 0.0})
    with pytest.raises(ConfigError, match=r"kernel v6.1: step 'head' has 0 returns, its accessor alone executes 1"):
        build_plan(wrong, "copy_user", 64)


@pytest.mark.parametrize("kernel", paths.names("kernel"))
@pytest.mark.parametrize("name", paths.names("scenario"))
def test_no_shipped_step_executes_less_than_its_accessor(name, kernel):
    scenario = load_scenario(name)
    if scenario.device.kind == "vhost_net":
        scenario = load_scenario(name, overrides=[f"kernel={kernel}", "calibration=null"])
        assert build_plan(scenario, scenario.access[0].name, scenario.traffic.sizes[0]).rows


def test_a_step_in_an_area_that_a_packed_ring_lacks_is_refused_and_any_other_is_not():
    scenario = load_scenario("virtio-user-packed")
    ring = ring_of(scenario.virtqueue)
    assert isinstance(ring, PackedRing)
    split = SplitRing(load_scenario(SEED).virtqueue)
    worker = Program("worker", "vhost_notify")
    with worker.each("flush"):
        worker.read("mine", "avail->flags, once more", split.avail_flags(), "descriptor_read")
    with pytest.raises(ConfigError, match=r"virtqueue.layout: step 'mine' accesses the area 'avail', which a packed"):
        packed_steps(scenario, ring, worker.steps)
    worker = Program("worker", "vhost_notify")
    with worker.each("flush"):
        worker.step("mine", "work of my own")
    assert [step.label for step in packed_steps(scenario, ring, worker.steps)] == ["mine"]


def test_a_step_with_fewer_instructions_than_its_accessor_is_refused_and_one_with_as_many_is_not():
    scenario = load_scenario(SEED)
    recipes = Recipes(scenario.kernel, scenario.variant("copy_user"), scenario.cpu, scenario.mitigations)
    head = recipes.instructions(recipes.counted("avail_entry_read", 2))
    for value, refused in ((head - 1, True), (head, False)):
        changed = with_values(scenario, {"kernel.steps.head.instructions": value})
        if refused:
            with pytest.raises(ConfigError, match=f"step 'head' has {value:g} instructions, its accessor alone"):
                build_plan(changed, "copy_user", 64)
        else:
            assert build_plan(changed, "copy_user", 64).rows


@pytest.mark.parametrize(("primitive", "access"), [("lfence", "copy_user"), ("vmap_page", "vmap")])
def test_a_primitive_without_a_price_is_refused_where_it_is_executed_and_nowhere_else(primitive, access):
    scenario = load_scenario(SEED)
    primitives = {name: entry for name, entry in scenario.cpu.primitives.items() if name != primitive}
    lacking = scenario.model_copy(update={"cpu": scenario.cpu.model_copy(update={"primitives": primitives})})
    with pytest.raises(ConfigError, match=f"no cost for primitive '{primitive}'; an unknown cost is an error"):
        build_plan(lacking, access, 64)
    assert build_plan(lacking, "ideal", 64).rows
