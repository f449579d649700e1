"""What distributions switch on in the allocators, beside what was counted on Debian's 6.1.192 under emulation."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import sim
from sim.config.errors import ConfigError
from sim.datapath.vhost_net.allocation import SK_BUFF_BYTES, slab_bytes

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
