"""Which configurations are counted, what the program is told, and what the model makes of them."""

from __future__ import annotations

import pytest

from sim.config.errors import ConfigError
from sim.config.loading.load import Scenarios
from sim.count.configurations import chosen, configurations
from sim.study.evidence.counted import AS_COUNTED, SCENARIO, overrides

EVERY = configurations()


def test_names_say_what_is_counted():
    settings = {"xdp": 1, "event_idx": 1, "descriptors": 2, "burst": 128, "size": 1500}
    assert EVERY["tx_xdp_ev1_d2_b128_s1500"].settings == settings
    assert EVERY["rx_ev0_mrg1_b32_s64"].receives
    assert not EVERY["tx_skb_ev0_d1_b1_s64"].receives


def test_the_program_is_told_to_mark_and_to_wait():
    assert EVERY["txb_xdp_ev0_d1_b2_s64"].command == (
        *("vhost", "marks=1", "lockstep=1", "check=0", "xdp=1", "burst=2", "size=64"),
    )
    assert EVERY["write_native_s64"].command == (*("writes", "marks=1", "cpu=1", "way=5", "size=64", "writes=1000"),)


def test_one_operation_of_a_socket_runs_on_the_cpu_that_is_counted():
    assert EVERY["sock_read_s1448"].command == (
        *("messages", "marks=1", "cpu=1", "operation=3", "size=1448", "count=400"),
    )
    assert EVERY["sock_gather17_s64"].settings["each"] == 17


def test_something_stands_behind_the_tap():
    assert EVERY["txn_ovs_veth_b32_s64"].command == (
        *("vhost", "marks=1", "lockstep=1", "check=0", "xdp=0", "behind=4", "port=1", "burst=32", "size=64"),
    )
    # A filter that drops has no port, and a program redirects to what has rings for it: a NIC.
    assert {name for name in EVERY if name.startswith(("txn_tcdrop", "txn_redirect"))} == {
        *("txn_tcdrop_dummy_b1_s64", "txn_tcdrop_dummy_b32_s64"),
        *("txn_redirect_nic_b1_s64", "txn_redirect_nic_b32_s64"),
    }
    assert EVERY["txn_frames64_b32_s64"].settings["rx_frames"] == 64


def test_a_chain_of_two_fits_the_ring():
    for each in EVERY.values():
        descriptors = 1 if each.settings.get("indirect") else each.settings.get("descriptors", 1)
        assert each.settings.get("burst", 1) * descriptors <= 256, each.name


def test_some_are_chosen_by_how_their_names_begin():
    assert [each.name for each in chosen(["txb_xdp_ev0_d1_b2_", "txo_inorder_xdp_b1_s64"])] == [
        "txb_xdp_ev0_d1_b2_s64",
        "txo_inorder_xdp_b1_s64",
    ]
    assert len(chosen([])) == len(EVERY)
    with pytest.raises(ConfigError, match=r"only: no configuration begins so \(got tx_xpd\)"):
        chosen(["tx_xpd"])


@pytest.mark.parametrize("name", EVERY)
def test_the_model_has_a_scenario_of_it_or_says_that_it_has_none(name):
    given = overrides(EVERY[name])
    if given is None:
        without = ("in_order", "packets")
        assert name.startswith(("write_null", "write_program", "sock_")) or any(
            EVERY[name].settings.get(key) for key in without
        )
    else:
        assert AS_COUNTED.items() <= given.items()


@pytest.mark.parametrize("name", ["tx_xdp_ev1_d2_b128_s1500", "rx_ev0_mrg0_b32_s64", "txx_nobatch_sndbuf_skb_b32_s64"])
def test_a_scenario_is_one_of_this_configuration(name):
    given = overrides(EVERY[name])
    assert given is not None
    scenario = Scenarios(SCENARIO, None).load(given)
    assert scenario.driver.burst == EVERY[name].settings["burst"]
    assert scenario.traffic.sizes == [EVERY[name].settings["size"]]
    assert scenario.device.direction == ("rx" if EVERY[name].receives else "tx")
