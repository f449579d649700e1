"""Profiles from recorded machines: complete, valid, honest about what they do not know."""

from __future__ import annotations

import re

import pytest
import yaml

import sim
from sim.config.errors import ConfigError
from sim.config.loading.load import load_table
from sim.config.tables.vocabulary import PRICED_BY_CPI, PRIMITIVES
from sim.costs.audit import audit, quantities
from sim.host.entries import RULES
from sim.host.profile import NOT_MEASURED, build_profile, features, rounded
from sim.host.user_access import Toggles

from .agreement import outside
from .conftest import RECORDINGS, recording_of

TOGGLES = ("stac", "clac")
OF_KERNEL = ("syscall", "eventfd_signal", "worker_wakeup", "pin_page")


@pytest.fixture(scope="module", params=RECORDINGS)
def profile(request):
    return build_profile(recording_of(request.param), "this-host")


def test_a_profile_loads_from_its_file_as_it_was_built(profile, tmp_path):
    file = tmp_path / "this-host.yaml"
    file.write_text(profile.to_yaml(), encoding="utf-8")
    assert load_table("cpu", str(file)) == profile.cpu
    assert yaml.safe_load(profile.to_yaml())["extends"] == profile.nearest


def test_the_audit_finds_no_error_in_a_profile(profile):
    assert [finding for finding in audit(profile.cpu) if finding.severity == "error"] == []
    assert set(profile.cpu.primitives) == set(PRIMITIVES) - set(PRICED_BY_CPI)


def test_the_seed_scenario_runs_on_a_profile(profile):
    settings = {"cpu": {key: value for key, value in profile.table.items() if key != "extends"}}
    short = ["traffic.packet_bytes=64", "run.packets=4000"]
    scenario = sim.load_scenario("virtio-user-xdp1-tap", settings=settings, overrides=short)
    assert all(point.pps > 1e5 for point in sim.run(scenario).points)


def test_every_entry_says_whether_it_was_measured(profile):
    assert profile.cpu.measured is not None
    for key, entry in quantities(profile.cpu):
        if key in profile.cpu.measured.entries:
            assert entry.grade in ("measured-here", "derived"), key
        elif entry.grade == "measured-here":
            assert re.match(r"/sys/|.+ is (not needed|on, and inside the measured system call) \(vuln", entry.source), (
                key
            )
        else:
            assert re.match(r"not measured \(.+\); table zen5: ", entry.source), key


def test_measured_entries_keep_their_repeats_and_the_state_of_the_machine(profile):
    measured = profile.cpu.measured
    assert measured is not None
    assert "primitives.lfence" in measured.entries
    assert all(len(repeated.repeats) >= 5 for repeated in measured.entries.values())
    assert (measured.machine.model, measured.machine.virtualised) == (
        measured.machine.model,
        profile.cpu.measured.machine.virtualised,
    )
    assert measured.machine.kernel
    assert measured.machine.cpus == [0, 1]


def test_unstable_entries_are_marked_in_the_source_and_wide(profile):
    assert profile.cpu.measured is not None
    for key, repeated in profile.cpu.measured.entries.items():
        entry = profile.entry(key)
        assert entry.source.startswith("UNSTABLE") == (not repeated.stable)
        if not repeated.stable:
            assert entry.low <= rounded(min(repeated.repeats))
            assert rounded(max(repeated.repeats)) <= entry.high


def test_a_measured_machine_with_smap_has_toggles_that_cost_something(quiet):
    profile = build_profile(quiet, "this-host")
    assert profile.refused == {}
    pair = sum(profile.cpu.primitives[side].value for side in TOGGLES)
    assert 2 < pair < 60
    assert profile.cpu.features.smap.value is True
    assert "with the return thunk of Safe RET" in profile.cpu.primitives["stac"].source


def test_a_host_without_smap_yields_zero_and_says_so(no_smap):
    profile = build_profile(no_smap, "this-host")
    for side in TOGGLES:
        entry = profile.cpu.primitives[side]
        assert (entry.value, entry.low, entry.high, entry.grade) == (0, 0, 0, "measured-here")
        assert "no SMAP on this host" in entry.source
    assert profile.cpu.features.smap.value is False
    assert not [finding for finding in audit(profile.cpu) if "SMAP" in finding.message]


def test_under_a_sandbox_the_entries_of_the_kernel_are_refused_and_the_rest_is_kept(sandboxed, quiet):
    profile, whole = build_profile(sandboxed, "this-host"), build_profile(quiet, "this-host")
    assert set(profile.refused) == {f"primitives.{name}" for name in (*TOGGLES, *OF_KERNEL)}
    assert all("system calls are intercepted" in why for why in profile.refused.values())
    for name in (*TOGGLES, *OF_KERNEL):
        entry = profile.cpu.primitives[name]
        assert entry.source.startswith("not measured (refused: system calls are intercepted")
        assert entry.value == load_table("cpu", "zen5").primitives[name].value
    assert profile.cpu.primitives["lfence"] == whole.cpu.primitives["lfence"]
    assert profile.cpu.features.smap.grade == load_table("cpu", "zen5").features.smap.grade


def test_a_busy_machine_marks_what_its_repeats_disagree_about_and_keeps_what_they_agree_about(busy):
    profile = build_profile(busy, "this-host")
    assert "primitives.line_transfer" in profile.unstable  # 22 ns in some rounds, 125 in others
    assert profile.cpu.primitives["line_transfer"].low < 22 < 125 < profile.cpu.primitives["line_transfer"].high
    assert not {"primitives.lfence", "primitives.l1_hit", "primitives.copy_bytes"} & set(profile.unstable)


def test_cpus_that_are_far_apart_have_a_steady_long_way(far, quiet):
    profile, near = build_profile(far, "this-host"), build_profile(quiet, "this-host")
    assert "primitives.line_transfer" not in profile.unstable
    assert profile.cpu.primitives["line_transfer"].value > 5 * near.cpu.primitives["line_transfer"].value
    # Each holds the other in its range: a hypervisor may move them.
    for here, there in ((profile, near), (near, profile)):
        entry = here.cpu.primitives["line_transfer"]
        assert entry.low <= there.cpu.primitives["line_transfer"].value <= entry.high
    assert profile.cpu.primitives["lfence"].value == pytest.approx(near.cpu.primitives["lfence"].value, rel=0.02)


@pytest.mark.parametrize("names", [("zen5-vm", "zen5-vm-far"), ("zen5-vm-far", "zen5-vm"), ("zen5-vm", "zen5-vm-busy")])
def test_what_two_sessions_find_stable_lies_within_the_interval_of_the_first(names):
    count, lines = outside(*(recording_of(name) for name in names))
    assert count > 15
    assert lines == []


def test_an_impossible_value_is_refused_by_name_and_the_tables_is_used(quiet):
    first = quiet.series["chase_huge 24"]  # half of L1; "chase_huge 512" is half of L2
    faster = first.model_copy(update={"ticks": [value and 0.9 * value for value in first.ticks]})
    broken = quiet.model_copy(update={"series": {**quiet.series, "chase_huge 512": faster}})
    profile = build_profile(broken, "this-host")
    assert "is not faster than l2_hit" in profile.refused["primitives.l1_hit"]
    assert profile.cpu.primitives["l2_hit"].source.startswith("not measured (refused: l1_hit")
    assert profile.cpu.primitives["l2_hit"].value == load_table("cpu", "zen5").primitives["l2_hit"].value


def test_without_core_cycles_nothing_that_needs_the_clock_is_measured(quiet):
    chain = quiet.series["imul_chain 0"]
    wrong = chain.model_copy(update={"ticks": [value and 1.4 * value for value in chain.ticks]})
    profile = build_profile(quiet.model_copy(update={"series": {**quiet.series, "imul_chain 0": wrong}}), "this-host")
    assert "these are not core cycles" in profile.refused["core_ghz"]
    assert profile.summaries == {}


@pytest.mark.parametrize(
    ("name", "vulnerability", "active"),
    [
        ("pti", "meltdown", "Mitigation: PTI"),
        ("ibrs", "retbleed", "Mitigation: IBRS"),
        ("mds", "mds", "Mitigation: Clear CPU buffers; SMT vulnerable"),
        ("spec_rstack_overflow", "spec_rstack_overflow", "Vulnerable: Safe RET, no microcode"),
        ("retbleed", "retbleed", "Mitigation: untrained return thunk; SMT enabled with STIBP protection"),
        ("indirect_target_selection", "indirect_target_selection", "Mitigation: Aligned branch/return thunks"),
    ],
)
def test_a_mitigation_that_is_off_does_not_say_that_the_cpu_needs_none(name, vulnerability, active, machine):
    def feature(state, needed):
        table = load_table("cpu", "zen3")
        flags = table.features.model_copy(update={name: getattr(table.features, name).model_copy(update=needed)})
        states = {} if state is None else {vulnerability: state}
        host = machine.model_copy(update={"vulnerabilities": states})
        return features(host, table.model_copy(update={"features": flags}), Toggles([], None, ""))[name]

    for listed in (True, False):
        assert feature(active, {"value": listed})["value"] is True
        assert feature("Not affected", {"value": listed})["value"] is False
        off = feature("Vulnerable", {"value": listed})
        assert (off["value"], off["source"]) == (
            listed,
            f"not measured (vulnerabilities/{vulnerability}: Vulnerable); table zen3",
        )
        unknown = feature(None, {"value": listed})
        assert (unknown["value"], unknown["source"]) == (
            listed,
            "not measured (the kernel does not show it); table zen3",
        )


def test_the_branch_history_is_a_part_of_spectre_v2_and_taa_clears_buffers_too(machine):
    def features_of(**states):
        host = machine.model_copy(update={"vulnerabilities": states})
        found = features(host, load_table("cpu", "sapphire-rapids"), Toggles([], None, ""))
        return {name: (found[name]["value"], found[name]["source"]) for name in ("bhi", "mds")}

    parts = "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; PBRSB-eIBRS: SW sequence; BHI: {}"
    loop = features_of(
        spectre_v2=parts.format("SW loop, KVM: SW loop"), tsx_async_abort="Mitigation: Clear CPU buffers"
    )
    assert loop == {"bhi": (True, "vulnerabilities/spectre_v2"), "mds": (True, "vulnerabilities/mds")}
    none = features_of(spectre_v2=parts.format("Not affected"), mds="Not affected")
    assert none == {"bhi": (False, "vulnerabilities/spectre_v2"), "mds": (False, "vulnerabilities/mds")}


def test_page_table_isolation_that_is_off_is_not_a_cost_of_nothing(quiet):
    def pti(state):
        machine = quiet.machine.model_copy(update={"vulnerabilities": {**quiet.machine.vulnerabilities, **state}})
        return build_profile(quiet.model_copy(update={"machine": machine}), "this-host").cpu.primitives["pti"]

    assert "is not needed" in pti({"meltdown": "Not affected"}).source
    assert "inside the measured system call" in pti({"meltdown": "Mitigation: PTI"}).source
    assert pti({"meltdown": "Vulnerable"}).source.startswith("not measured (")


def test_every_entry_that_cannot_be_measured_has_its_own_reason():
    """What every profile borrows is explained; only an entry that this machine refuses has none of its own."""
    borrowed = set(PRIMITIVES) - set(PRICED_BY_CPI) - {"line_transfer", "line_stream_copy"}
    measured = {key.removeprefix("primitives.") for key in RULES} | {"pti"}
    assert borrowed - measured <= NOT_MEASURED.keys()


def test_a_profile_of_a_cpu_that_no_table_is_near_to_still_takes_the_nearest(quiet):
    odd = quiet.machine.model_copy(update={"family": 99, "l2_bytes": 3 << 20})
    profile = build_profile(quiet.model_copy(update={"machine": odd}), "this-host")
    assert profile.nearest.startswith("zen")
    assert "its caches are nearest" in profile.why_nearest


def test_the_section_about_the_measurement_is_strict(profile, tmp_path):
    file = tmp_path / "this-host.yaml"
    file.write_text(profile.to_yaml().replace("  nearest:", "  neareste:"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"key 'measured\.nearest' is missing"):
        load_table("cpu", str(file))


def test_rounding_keeps_the_order_of_values():
    assert [rounded(value) for value in (1.23449, 1.2345, 123456.0, 0.0)] == [1.234, 1.234, 123500.0, 0.0]
