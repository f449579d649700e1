"""Two CPU tables side by side, weighed by a scenario."""

from __future__ import annotations

import pytest

from sim.config import ConfigError
from sim.config.loading.load import load_table
from sim.study.questions.cpus import compare_cpus, entries, replaced

SEED = "virtio-user-xdp1-tap"


@pytest.fixture(scope="module")
def comparison():
    return compare_cpus("zen4", "zen5", SEED, ["traffic.packet_bytes=64", "access=copy_user"])


def test_a_table_compared_with_itself_has_no_differences():
    same = compare_cpus("zen4", "zen4", SEED, ["traffic.packet_bytes=64"])
    assert same.differences == ()
    assert same.first_ns == same.second_ns
    assert same.together_ns == 0


def test_differences_are_in_the_order_of_what_they_are_worth(comparison):
    worth = [abs(one.worth_ns) for one in comparison.differences]
    assert worth == sorted(worth, reverse=True)
    assert worth[0] > 1
    keys = [one.key for one in comparison.differences]
    assert {"core_ghz", "primitives.stac", "features.smap_waits_for_loads"} <= set(keys)
    assert "primitives.lfence" not in keys  # zen5 takes it from zen4


def test_what_entries_are_worth_and_what_they_do_together_is_the_whole(comparison):
    total = sum(one.worth_ns for one in comparison.differences) + comparison.together_ns
    assert total == pytest.approx(comparison.second_ns - comparison.first_ns)


def test_an_entry_is_worth_what_the_scenario_gains_with_it_alone(comparison):
    import sim

    zen4, zen5 = load_table("cpu", "zen4"), load_table("cpu", "zen5")
    (stac,) = [one for one in comparison.differences if one.key == "primitives.stac"]
    set_stac = f"cpu.primitives.stac={zen5.primitives['stac'].value}"
    keys = ["cpu=zen4", "traffic.packet_bytes=64", "access=copy_user"]
    before = sim.run(sim.load_scenario(SEED, overrides=keys)).points[0].ns_per_packet
    after = sim.run(sim.load_scenario(SEED, overrides=[*keys, set_stac])).points[0].ns_per_packet
    assert stac.worth_ns == pytest.approx(after - before)
    assert stac.ratio == zen5.primitives["stac"].value / zen4.primitives["stac"].value


def test_each_kind_of_entry_can_be_replaced():
    zen4, zen5 = load_table("cpu", "zen4"), load_table("cpu", "zen5")
    theirs = dict(entries(zen5))
    for key in ("core_ghz", "primitives.stac", "features.smap_waits_for_loads"):
        changed = dict(entries(replaced(zen4, key, theirs[key])))
        assert changed[key] == theirs[key]
        assert {name for name, entry in changed.items() if entry != dict(entries(zen4))[name]} == {key}


def test_a_flag_has_no_ratio(comparison):
    (flag,) = [one for one in comparison.differences if one.key == "features.smap_waits_for_loads"]
    assert flag.ratio is None


def test_an_unknown_cpu_is_one_line():
    with pytest.raises(ConfigError, match="unknown cpu 'zen6'; did you mean"):
        compare_cpus("zen4", "zen6", SEED)
