"""What a packet executes behind its TAP: the model beside what was counted under emulation, kernel by kernel."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sim.config.loading.load import Scenarios
from sim.count.configurations import configurations
from sim.datapath import build_plan
from sim.study.evidence.counted import SCENARIO, overrides
from sim.study.runs.case import executed

COUNTS = Path(__file__).parents[1] / "data" / "counts" / "behind.csv"
with COUNTS.open(encoding="utf-8") as file:
    ROWS = {(row["kernel"], row["configuration"]): row for row in csv.DictReader(file)}
KERNELS = sorted({kernel for kernel, _ in ROWS})
#: A batch is what tables are made of; one packet a kick also has what a call of sendmsg executes once.
OF_BATCHES, ONE_BY_ONE = 0.03, 0.045
#: Through macvtap one by one, an skb is allocated as a TAP does it.
AS_A_TAP = 0.07


def table_of(release):
    return f"v{'.'.join(release.split('.')[:2])}"


def model(release, name):
    """What the model executes per packet in a configuration."""
    scenario = Scenarios(SCENARIO, None).load({**overrides(configurations()[name]), "kernel": table_of(release)})
    return executed(build_plan(scenario, "copy_user", scenario.traffic.sizes[0]), scenario)


def counted(release, name, column="instructions"):
    return float(ROWS[release, name][column])


@pytest.mark.parametrize(("release", "name"), [key for key in ROWS if key[1].startswith("txn_")])
def test_the_model_executes_what_was_counted(release, name):
    share = AS_A_TAP if "macvtapone" in name else ONE_BY_ONE if "_b1_" in name else OF_BATCHES
    found = model(release, name)
    assert found["instructions"] == pytest.approx(counted(release, name), rel=share)


@pytest.mark.parametrize("release", KERNELS)
@pytest.mark.parametrize(
    ("step", "configuration"),
    [
        ("bridge_packet", "txn_bridge_dummy_b32_s64"),
        ("filter_drop", "txn_tcdrop_dummy_b32_s64"),
        ("filter_redirect", "txn_tc_dummy_b32_s64"),
        ("ovs_packet", "txn_ovs_dummy_b32_s64"),
    ],
)
def test_a_step_is_what_a_forwarder_adds_to_an_skb_that_ends_in_the_stack(release, step, configuration):
    entry = Scenarios(SCENARIO, None).load({"kernel": table_of(release)}).kernel.steps[step]
    for name, quantity in (("instructions", entry.instructions), ("returns", entry.returns)):
        added = counted(release, configuration, name) - counted(release, "tx_skb_ev0_d1_b32_s64", name)
        assert quantity.value == pytest.approx(added, abs=0.2)
    added = counted(release, configuration, "indirect_calls") - counted(
        release, "tx_skb_ev0_d1_b32_s64", "indirect_calls"
    )
    assert entry.calls.count("retpoline") == round(added)


@pytest.mark.parametrize("release", KERNELS)
def test_a_veth_pair_is_a_part_of_each_packet_and_one_of_each_softirq(release):
    steps = Scenarios(SCENARIO, None).load({"kernel": table_of(release)}).kernel.steps
    for burst in (1, 32):
        added = counted(release, f"txn_tc_veth_b{burst}_s64") - counted(release, f"txn_tc_dummy_b{burst}_s64")
        per_packet = steps["veth_packet"].instructions.value + steps["veth_softirq"].instructions.value / burst
        assert per_packet == pytest.approx(added, abs=0.2)
