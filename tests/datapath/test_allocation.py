"""What distributions switch on in the allocators, beside what was counted on Debian's 6.1.192 under emulation."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import sim
from sim.config.errors import ConfigError
from sim.datapath import build_plan
from sim.datapath.vhost_net.allocation import SK_BUFF_BYTES, slab_bytes
from sim.engine import simulate

COUNTS = Path(__file__).parents[1] / "data" / "counts" / "allocation.csv"
ZEROES, CGROUPS = "kernel.behaviour.init_on_alloc=true", "kernel.behaviour.memory_cgroups=true"


def counted(boot, column):
    with COUNTS.open() as file:
        return {row["configuration"]: float(row[column]) for row in csv.DictReader(file) if row["boot"] == boot}


def load(name, size, *overrides):
    common = ["access=copy_user", "kernel=v6.1", "run.packets=20000", f"traffic.packet_bytes={size}"]
    return sim.load_scenario(name, overrides=[*common, *overrides])


def run(name, size, *overrides):
    return sim.run(load(name, size, *overrides)).points[0]


@pytest.mark.parametrize("size", [64, 1500])
def test_as_many_pages_are_zeroed_as_were_counted(size):
    """Eight pages of each fragment; what was counted is a mean of 2048 packets, no whole number of fragments."""
    point = run("virtio-user-xdp1-tap", size, ZEROES)
    pages = counted("init_on_alloc=1", "clear_page")[f"tx_xdp_ev0_d1_b32_s{size}"]
    assert 8 * point.row_rates["worker.page_zero"] == pytest.approx(pages, rel=0.07)


def test_an_skb_is_zeroed_with_its_linear_part_if_that_is_allocated_too():
    built, allocated = run("virtio-user-xdp-pass", 64, ZEROES), run("virtio-user-sndbuf-limited", 64, ZEROES)
    calls = counted("init_on_alloc=1", "memset")
    assert "worker.skb_zero_data" not in built.row_rates
    rates = [
        sum(rate for label, rate in point.row_rates.items() if "skb_zero" in label) for point in (built, allocated)
    ]
    assert rates == [pytest.approx(calls["tx_skb_ev0_d1_b32_s64"]), calls["txx_nobatch_sndbuf_skb_b32_s64"]]


def zeroed(name, size, *overrides):
    """Bytes that are zeroed for each packet, by what runs there."""
    scenario = load(name, size, "kernel=v6.12", "run.precision=0", ZEROES, *overrides)
    plan, rates = build_plan(scenario, scenario.access[0].name, size, apart=True), {}
    result = simulate(plan, scenario.run)
    for step in plan.rows:
        if step.accessor == "zeroing":
            rates[step.label] = result.row_rates.get(f"worker.{step.label}", 0) * step.bytes * step.times
    return {label: n_bytes for label, n_bytes in rates.items() if n_bytes}


def test_an_skb_above_macvtap_is_zeroed_as_that_of_a_tap():
    """The receive path of the host is left out, the skb is not."""
    tap, macvtap = (zeroed("virtio-user-xdp1-tap", 64, f"backend.kind={kind}") for kind in ("tap-skb", "macvtap"))
    assert tap["skb_zero"] == macvtap["skb_zero"] == pytest.approx(SK_BUFF_BYTES)


@pytest.mark.parametrize("kind", ["vhost", "write", "qemu"])
def test_a_frame_that_is_copied_into_an_skb_has_it_zeroed_whoever_sends_it(kind):
    """64 bytes and 320 of skb_shared_info from a slab of 512; a page for what 9000 bytes are beyond 3584, each."""
    name, settings = {
        "vhost": ("virtio-user-sndbuf-limited", ["backend.kind=tap-skb"]),
        "write": ("tap-write", ["backend.kind=tap-skb", "device.sndbuf_limited=true"]),
        "qemu": ("qemu-tx", ["backend.kind=tap-skb", "device.sndbuf_limited=true", "access=user_ring"]),
    }[kind]
    assert zeroed(name, 64, *settings) == pytest.approx({"skb_zero": SK_BUFF_BYTES, "skb_zero_data": 512})
    pages = -(-(9000 - 3584) // 4096)
    assert zeroed(name, 9000, *settings) == pytest.approx(
        {"skb_zero": SK_BUFF_BYTES, "skb_zero_data": 4096, "skb_pages_zero": pages * 4096}
    )


@pytest.mark.parametrize("name", ["virtio-user-sndbuf-limited", "tap-write"])
def test_an_skb_that_an_xdp_program_wants_with_headroom_gets_another_linear_part(name):
    """256 bytes of headroom, 1514 of the frame and 320 of skb_shared_info do not fit a slab of 2048."""
    found = zeroed(name, 1514, "backend.kind=tap-xdp-drop", "device.sndbuf_limited=true")
    assert found == pytest.approx({"skb_zero": SK_BUFF_BYTES, "skb_zero_data": 2048, "expand_zero_data": 4096})


def test_an_skb_of_pinned_pages_is_zeroed_and_so_are_pages_that_replace_them():
    """Of 1514 bytes 256 are in its linear part; where a local reader keeps none, a page takes the rest, once in 64."""
    bridge = zeroed("virtio-user-zerocopy-bridge", 1514)
    pinned = bridge["pin_skb_zero"] / SK_BUFF_BYTES
    assert pinned > 0
    assert bridge["pin_skb_zero_data"] == pytest.approx(1024 * pinned)
    local = zeroed("virtio-user-zerocopy-bridge", 1514, "backend.kind=tap-skb")
    assert 64 * local["pin_orphan_zero"] == pytest.approx(4096, rel=0.01)


def test_memory_cgroups_hook_every_object_of_an_skb_wherever_it_is_made_and_freed():
    steps = load("virtio-user-xdp-pass", 64, "kernel=v6.12").kernel.steps
    one, freed = steps["memcg_skb"].instructions.value, steps["memcg_free"].instructions.value
    limited = ("device.sndbuf_limited=true", "backend.kind=tap-xdp-drop")
    for name, more, overrides in (
        ("virtio-user-xdp1-tap", one, ("backend.kind=macvtap",)),
        ("qemu-tx", 3 * one, limited),  # sk_buff, its linear part, and another one for the program
        ("virtio-user-xdp1-tap", 3 * one, limited),
        ("qemu-rx", 2 * freed, ()),
    ):
        common = ("kernel=v6.12", f"access={'user_ring' if name.startswith('qemu') else 'copy_user'}", *overrides)
        plain, grouped = run(name, 64, *common), run(name, 64, *common, CGROUPS)
        assert grouped.instructions_per_packet - plain.instructions_per_packet == pytest.approx(more, abs=0.01)


def test_zeroing_costs_what_its_bytes_do():
    """Per packet of 1500 bytes 8 pages of a fragment, each the start of a copy and its bytes."""
    plain, zeroes = run("virtio-user-xdp1-tap", 1500), run("virtio-user-xdp1-tap", 1500, ZEROES)
    cpu = load("virtio-user-xdp1-tap", 1500).cpu.primitives
    page = cpu["copy_startup"].value + 4096 / cpu["copy_bytes"].value + cpu["call"].value
    rate = zeroes.row_rates["worker.page_zero"]
    assert zeroes.cycles_per_packet - plain.cycles_per_packet == pytest.approx(8 * page * rate, rel=0.03)


def test_objects_come_from_slabs_of_powers_of_two():
    assert [slab_bytes(n) for n in (1, 64, 65, 384, 1834)] == [64, 64, 128, 512, 2048]
    assert 0 < SK_BUFF_BYTES <= 256


def test_a_kernel_before_5_3_does_not_zero_what_it_allocates():
    with pytest.raises(ConfigError, match=r"init_on_alloc.*v5.3"):
        sim.run(sim.load_scenario("virtio-user-xdp1-tap", overrides=["kernel=v5.0", "access=copy_user", ZEROES]))


@pytest.mark.parametrize("setting", [ZEROES, CGROUPS])
def test_a_setting_without_effect_says_so(setting):
    """Packets that the guest receives were allocated by who sent them; a frame that XDP drops is no skb."""
    name = "virtio-user-receive-skb" if setting == ZEROES else "virtio-user-xdp1-tap"
    with pytest.raises(ConfigError, match="is not read in this scenario"):
        run(name, 64, setting)


def test_memory_cgroups_cost_hooks_and_charge_nothing_of_a_packet():
    """Each count less the same one without a group: objects allocated and freed, and two freed on receive."""
    without, within = counted("init_on_alloc=1", "instructions"), counted("cgroup=counted", "instructions")
    more = {name: within[name] - without[name] for name in within if name in without}
    assert more["tx_xdp_ev0_d1_b32_s64"] == pytest.approx(0, abs=0.5)
    steps = load("virtio-user-xdp-pass", 64).kernel.steps
    one, freed = steps["memcg_skb"].instructions.value, steps["memcg_free"].instructions.value
    assert more["tx_skb_ev0_d1_b32_s64"] == pytest.approx(one, abs=0.5)
    assert more["txx_nobatch_sndbuf_skb_b32_s64"] == pytest.approx(2 * one, abs=3)
    assert more["rx_ev0_mrg1_b32_s64"] == pytest.approx(2 * freed, abs=0.5)
    for name, objects in (("virtio-user-xdp-pass", one), ("virtio-user-receive-skb", 2 * freed)):
        plain, grouped = run(name, 64), run(name, 64, CGROUPS)
        assert grouped.instructions_per_packet - plain.instructions_per_packet == pytest.approx(objects, abs=0.01)
