"""Returns per packet as counted (returns-and-functions.md, mitigations off), and what a mitigated one costs."""

from __future__ import annotations

import pytest

import sim
from sim.costs.recipes import return_sequence
from sim.datapath import build_plan
from sim.study.runs.case import Case, executed, observe
from sim.study.sensitivity.shapley import without

#: Kernel: RET per packet of tx_xdp_ev0_d1, B = 1, 32, 256; tx_skb and txx_indirect2, B = 32; rx_mrg1, B = 32, 256.
COUNTED = {
    "v6.1": ((57.61, 18.90, 18.07), 40.65, 27.90, (36.00, 35.06)),
    "v6.12": ((61.00, 23.98, 23.19), 44.58, 30.98, (32.98, 31.55)),
    "v7.3": ((58.00, 19.86, 19.05), 40.53, 26.86, (31.37, 29.91)),
}
#: As they were counted: HARDENED_USERCOPY on, no retpolines, a CPU with FSRM, an XDP program that only drops.
AS_COUNTED = {
    "calibration": None,
    "cpu": "sapphire-rapids",
    "mitigations.hardened_usercopy": True,
    "mitigations.retpoline": False,
    "backend.program_instructions": 0,
    "access": ["copy_user"],
    "traffic.packet_bytes": [64],
}


def returns(kernel, scenario="virtio-user-xdp1-tap", **settings):
    table = {**AS_COUNTED, "kernel": kernel, **{key.replace("__", "."): value for key, value in settings.items()}}
    return observe(Case(sim.load_scenario(scenario, settings=table), "returns"))


@pytest.mark.parametrize("kernel", COUNTED)
@pytest.mark.parametrize(("number", "burst"), [(0, 1), (1, 32), (2, 256)])
def test_transmit_returns_as_often_as_counted(kernel, number, burst):
    counted = COUNTED[kernel][0][number]
    assert returns(kernel, driver__kind="lockstep", driver__burst=burst) == pytest.approx(counted, rel=0.01)


@pytest.mark.parametrize("kernel", COUNTED)
def test_the_skb_path_and_indirect_tables_return_as_often_as_counted(kernel):
    _, skb, indirect, _ = COUNTED[kernel]
    lockstep = {"driver__kind": "lockstep", "driver__burst": 32}
    assert returns(kernel, backend__kind="tap-xdp-pass", **lockstep) == pytest.approx(skb, rel=0.01)
    table = {"virtqueue__indirect": True, "virtqueue__descriptors_per_packet": 2}
    assert returns(kernel, **table, **lockstep) == pytest.approx(indirect, rel=0.01)


@pytest.mark.parametrize("kernel", COUNTED)
def test_receive_returns_nearly_as_often_as_counted(kernel):
    """The counted receive waits for each batch, the model's source never stops: the larger batch is nearer to it."""
    assert returns(kernel, "virtio-user-receive-skb") == pytest.approx(COUNTED[kernel][3][1], rel=0.03)


def zen3(kernel="v6.12", **mitigations):
    settings = {f"mitigations.{name}": value for name, value in mitigations.items()}
    table = {"calibration": None, "cpu": "zen3", "kernel": kernel, "traffic.packet_bytes": [64], **settings}
    return sim.load_scenario("virtio-user-xdp1-tap", settings=table)


@pytest.mark.parametrize("access", ["copy_user", "vmap"])
@pytest.mark.parametrize("hardened", [False, True])
def test_safe_ret_costs_each_return_what_the_table_says(access, hardened):
    """Zen 3, 6.12: the difference is returns x 19 cycles / 3.3 GHz, but for what the longer rows hide of a wait."""
    on, off = zen3(hardened_usercopy=hardened), zen3(hardened_usercopy=hardened, spec_rstack_overflow=False)
    counted = executed(build_plan(on, access, 64), on)["returns"]
    times = [sim.run(scenario).at(access, 64) for scenario in (on, off)]
    assert times[0].ns_per_packet - times[1].ns_per_packet == pytest.approx(counted * 19 / 3.3, rel=0.02)
    assert times[0].breakdown_cycles["safe_ret"] == pytest.approx(counted * 19, rel=0.01)
    assert "safe_ret" not in times[1].breakdown_cycles


@pytest.mark.parametrize(
    ("cpu", "kernel", "off", "sequence"),
    [
        ("zen2", "v6.12", (), "safe_ret"),
        ("zen2", "v6.12", ("spec_rstack_overflow",), "return_thunk"),
        ("zen2", "v6.12", ("spec_rstack_overflow", "retbleed"), None),
        ("zen3", "v6.1", (), "safe_ret"),
        ("zen3", "v5.0", (), None),
        ("zen4", "v7.3", (), "safe_ret"),
        ("zen5", "v7.3", (), None),
        ("cascade-lake", "v6.12", (), "return_thunk"),
        ("cascade-lake", "v6.12", ("indirect_target_selection",), None),
        ("sapphire-rapids", "v6.12", (), None),
        ("granite-rapids", "v6.12", (), None),
        ("broadwell-2.6ghz", "v5.0", (), None),
    ],
)
def test_a_kernel_chooses_by_cpu_and_command_line(cpu, kernel, off, sequence):
    settings = {"cpu": cpu, "kernel": kernel, "calibration": None, **{f"mitigations.{name}": False for name in off}}
    scenario = sim.load_scenario("virtio-user-xdp1-tap", settings=settings)
    assert return_sequence(scenario.kernel, scenario.cpu, scenario.mitigations) == sequence
    rows = build_plan(scenario, "copy_user", 64).rows
    paid = {part.primitive for row in rows for part in (*row.components, *row.unit_components)}
    assert paid & {"safe_ret", "return_thunk"} == ({sequence} if sequence else set())
    plain = without(scenario, ["returns"])
    assert return_sequence(plain.kernel, plain.cpu, plain.mitigations) is None


def test_a_mapping_saves_the_returns_of_what_it_does_not_call():
    """vmap reads the avail entry itself: __get_user_nocheck_2 and its return are gone, and one in 64 x 3 of a flush."""
    scenario = zen3()
    before, after = (
        executed(build_plan(scenario, access, 64), scenario)["returns"] for access in ("copy_user", "vmap")
    )
    assert before - after == pytest.approx(1 + 1 / 64, abs=0.02)


@pytest.mark.parametrize(
    ("instructions", "count", "measured_ns"),
    [(727, 18, 407), (2275, 51.5, 1067), (2560, 51.5, 1127)],
    ids=["native XDP", "skb", "generic XDP"],
)
def test_writes_to_a_tap_take_what_their_counts_cost(instructions, count, measured_ns):
    """A TAP of a Zen 3 guest at 3.15 GHz (6.18, Safe RET), writes of 64 B less writes to /dev/null, counts of 6.12."""
    cpu = zen3().cpu
    cycles = instructions * cpu.cpi.value + count * cpu.primitives["safe_ret"].value
    assert cycles / 3.15 == pytest.approx(measured_ns, rel=0.12)
