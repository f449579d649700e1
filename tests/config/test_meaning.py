"""Names by their meaning: the nearest kernel by version and CPU by family, `mitigations=off` as the kernel has it."""

from __future__ import annotations

import pytest
import yaml

from sim.config import ConfigError
from sim.config.loading.load import Scenarios, load_table
from sim.config.tables.vocabulary import BORDER_SEQUENCES
from sim.costs.recipes import without_effect
from sim.datapath import build_plan

SEED = "virtio-user-xdp1-tap"


def load(*overrides, name=SEED, **settings):
    return Scenarios(name).load(settings, overrides)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kernel=5.10", "that version is 'v5.10'"),  # YAML reads 5.1
        ("kernel=v6.1.55", "that version is 'v6.1'; levels of a stable series have no table of their own"),
        ("kernel=5.15", "the nearest by version is 'v5.10', between 'v5.10' and 'v6.1', which differ in "),
        ("kernel=6.8", "the nearest by version is 'v6.12', between 'v6.1' and 'v6.12', which differ in "),
        ("kernel=v4.19", "the nearest by version is 'v4.20', the oldest that there is: what differs is not known"),
        ("kernel=6.19-rc1", "the nearest by version is 'v6.18', between 'v6.18' and 'v7.3', which differ in "),
        ("kernel=9.0", "the nearest by version is 'v7.3', the newest that there is: what differs is not known"),
        ("cpu=milan", "that is 'zen3' (AMD EPYC 7003 (Zen 3))"),
        ("cpu=sapphire_rapids", "that is 'sapphire-rapids' (Intel Xeon Scalable 4th generation (Sapphire Rapids))"),
        ("cpu=alder-lake", "the nearest by family is 'raptor-lake' (Alder Lake: Golden Cove instead of Raptor Cove"),
        ("cpu=hygon-dhyana", "the nearest by family is 'zen1' (Hygon Dhyana: built from Zen 1)"),
    ],
)
def test_a_name_without_a_table_gets_the_nearest_by_meaning_with_what_differs(text, says):
    with pytest.raises(ConfigError) as refused:
        load(text)
    kind, _, name = text.partition("=")
    assert str(refused.value).startswith(f"{text}: unknown {kind} '{name}'; {says}")


@pytest.mark.parametrize(("text", "close"), [("cpu=zen9", "zen5"), ("cpu=emeraldrapids", "emerald-rapids")])
def test_a_name_without_a_meaning_gets_the_nearest_by_letters(text, close):
    with pytest.raises(ConfigError, match=f"did you mean '{close}'"):
        load(text)


def test_neighbours_differ_in_what_their_tables_do():
    with pytest.raises(ConfigError) as refused:
        load("kernel=6.8")
    older, newer = (load_table("kernel", name) for name in ("v6.1", "v6.12"))
    steps = older.steps.keys() | newer.steps.keys()
    changed = [name for name in steps if older.steps.get(name) != newer.steps.get(name)]
    assert f"{len(changed)} of {len(steps)} steps" in str(refused.value)


def test_a_version_as_a_number_is_refused():
    with pytest.raises(
        ConfigError, match=r"kernel: a name is needed, written as text: 5.10 is the number 5.1 \(got 5.1"
    ):
        load(kernel=5.10)


RETURNS = {"spec_rstack_overflow", "retbleed", "indirect_target_selection"}
OFF = {"retpoline", "pti", "ibrs", "bhi", "mds", *RETURNS}


def test_mitigations_off_and_auto_are_the_kernels_own_switch():
    off, auto = load("mitigations=off").mitigations, load("mitigations=auto").mitigations
    assert {name for name, on in off if not on} == OFF | {"hardened_usercopy"}  # which it does not touch
    assert {name for name, on in auto if not on} == {"hardened_usercopy"}
    assert not load("mitigations.smap=false", "mitigations=auto").mitigations.smap
    one_back_on = load("mitigations=off", "mitigations.retpoline=true").mitigations
    assert {name for name, on in one_back_on if not on} == OFF - {"retpoline"} | {"hardened_usercopy"}
    assert load(mitigations="off").mitigations == off
    with pytest.raises(ConfigError, match=r"mitigations=none: unknown mitigations 'none'; valid: auto, off"):
        load("mitigations=none")


def test_mitigations_off_in_a_file_of_ones_own(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("{schema: 1, kind: scenario, name: mine, extends: virtio-user-xdp1-tap, mitigations: off}")
    assert yaml.safe_load(file.read_text())["mitigations"] is False
    assert {name for name, on in load(name=str(file)).mitigations if not on} == OFF | {"hardened_usercopy"}


def executed(cpu, kernel, *texts):
    """Primitives of a packet's rows."""
    plan = build_plan(load(f"cpu={cpu}", f"kernel={kernel}", *texts), "copy_user", 64)
    return {part.primitive for row in plan.rows for part in (*row.components, *row.unit_components)}


def test_mitigations_off_leave_the_barrier_and_the_window_of_user_accesses():
    with_them, without = (executed("zen3", "v6.12", f"mitigations={name}") for name in ("auto", "off"))
    assert with_them - without == {"retpoline", "safe_ret"}
    assert without - with_them == {"indirect_call"}
    assert {"stac", "clac", "lfence"} <= without


def at_the_border(cpu, kernel, *texts):
    """Cycles that mitigations add to the driver's kick."""
    scenario = load(f"cpu={cpu}", f"kernel={kernel}", *texts)
    (kick,) = [row for row in build_plan(scenario, "copy_user", 64).rows if row.label == "kick"]
    return {
        part.primitive: round(part.cost_ps * scenario.cpu.core_ghz.value / 1000)
        for part in kick.components
        if part.primitive in BORDER_SEQUENCES.values()
    }


@pytest.mark.parametrize("exits", ["driver.in_vm=true", "driver.in_vm=false"])
@pytest.mark.parametrize(
    ("cpu", "kernel", "added"),
    [
        ("skylake-sp", "v6.12", {"ibrs_entry": 200, "verw": 518}),
        ("skylake-sp", "v5.3", {"verw": 518}),
        ("broadwell-ep-e5-2650v4", "v6.1", {"verw": 610}),
        ("broadwell-ep-e5-2650v4", "v5.0", {}),  # of before May 2019
        ("cascade-lake", "v6.1", {"clear_bhb": 80, "verw": 458}),
        ("ice-lake-sp", "v7.3", {"clear_bhb": 80}),
        ("sapphire-rapids", "v7.3", {}),
        ("zen3", "v7.3", {}),
    ],
)
def test_a_kick_pays_what_cpu_and_kernel_agree_on_at_the_kernels_border(cpu, kernel, added, exits):
    assert at_the_border(cpu, kernel, exits) == added
    assert at_the_border(cpu, kernel, exits, "mitigations=off") == {}


def test_each_mitigation_at_the_border_has_a_switch_of_its_own():
    for name, sequence in (("ibrs", "ibrs_entry"), ("mds", "verw")):
        both = at_the_border("skylake-sp", "v6.12")
        assert both.keys() - at_the_border("skylake-sp", "v6.12", f"mitigations.{name}=false").keys() == {sequence}


def test_interrupts_of_a_guest_pay_for_their_exits():
    rows = build_plan(load("cpu=skylake-sp", "kernel=v6.12", name="virtio-net-low-load"), "copy_user", 64).rows
    taken = next(row for row in rows if row.label == "interrupt")
    assert {"ibrs_entry", "verw"} <= {part.primitive for part in taken.components}


def test_a_kick_costs_page_table_isolation_where_the_cpu_needs_it_and_it_is_on():
    def added(cpu, text):
        rows = build_plan(load(f"cpu={cpu}", text), "copy_user", 64).rows
        (kick,) = [row for row in rows if row.actor == "driver" and row.label == "kick"]
        return sum(part.cost_ps for part in kick.components if part.primitive == "pti")

    assert added("skylake-sp", "mitigations.pti=true") > 0 == added("skylake-sp", "mitigations.pti=false")
    assert added("zen3", "mitigations.pti=true") == 0


def test_a_kernel_that_relies_on_ibrs_has_no_retpolines():
    """As v6.12 does on Skylake by itself; without IBRS it falls back to retpolines."""
    assert "retpoline" not in executed("skylake-sp", "v6.12")
    assert "retpoline" in executed("skylake-sp", "v6.12", "mitigations.ibrs=false")
    assert "retpoline" in executed("skylake-sp", "v5.3")
    assert "retpoline" in executed("broadwell-ep-e5-2650v4", "v6.12")


def test_page_tables_are_not_isolated_on_a_cpu_that_needs_it_not():
    needs_it_not, needs_it = load("cpu=sapphire-rapids", "kernel=v6.12"), load("cpu=skylake-sp")
    assert "pti" in without_effect(needs_it_not.kernel, needs_it_not.cpu)
    assert "pti" not in without_effect(needs_it.kernel, needs_it.cpu)
    ledger = build_plan(needs_it_not, "copy_user", 64).ledger
    assert ledger.keys_read(near="mitigations.pti") == set()
    assert build_plan(needs_it, "copy_user", 64).ledger.keys_read(near="mitigations.pti") == {"mitigations.pti"}
