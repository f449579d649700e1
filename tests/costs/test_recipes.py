"""Which primitives an accessor executes: copy routine, access variant, mitigations."""

from __future__ import annotations

from collections import Counter

import pytest

from sim.config import load_scenario
from sim.config.tables.vocabulary import ACCESSORS, METADATA_ACCESSORS, REACHES
from sim.costs import CostTable, Recipes
from sim.costs.recipes import CopyRules, Item, copy_items

SEED = "virtio-user-xdp1-tap"
LOOP = CopyRules(fsrm=False, loop_below=64, inline=False)
FSRM = CopyRules(fsrm=True, loop_below=64, inline=False)
INLINE = CopyRules(fsrm=True, loop_below=64, inline=True)


def recipes(access="copy_user", *overrides):
    scenario = load_scenario(SEED, overrides=[f"access={access}", *overrides])
    return Recipes(scenario.kernel, scenario.access[0], scenario.cpu, scenario.mitigations)


def counts(items):
    found = Counter()
    for item in items:
        found[item.primitive] += item.count
    return dict(found)


@pytest.mark.parametrize("n_bytes", [0, 1, 7, 8, 12, 16, 63])
def test_a_short_copy_loops_over_8_bytes_and_then_over_the_rest(n_bytes):
    loop = 12 + 6 * (n_bytes // 8) + 6 * (n_bytes % 8)
    assert copy_items(n_bytes, LOOP, inside_call=True) == [Item("copy_loop", loop)]


def test_twelve_bytes_take_the_42_instructions_of_the_trace():
    assert copy_items(12, LOOP, inside_call=True) == [Item("copy_loop", 12 + 6 * 1 + 6 * 4)]
    assert 12 + 6 * 1 + 6 * 4 == 669 - 628 + 1


def test_from_the_threshold_on_rep_movsb_starts_and_moves_bytes():
    assert copy_items(64, LOOP, inside_call=True) == [Item("copy_startup"), Item("copy_bytes", 64)]


@pytest.mark.parametrize(("n_bytes", "startup"), [(1, "short"), (12, "short"), (128, "short"), (129, ""), (1518, "")])
def test_with_fsrm_there_is_no_loop_and_up_to_128_bytes_start_fast(n_bytes, startup):
    name = "copy_startup_short" if startup else "copy_startup"
    assert copy_items(n_bytes, FSRM, inside_call=True) == [Item(name), Item("copy_bytes", n_bytes)]


def test_a_copy_is_a_call_unless_it_is_inlined_or_its_caller_was_called():
    assert copy_items(64, FSRM, inside_call=False)[0] == Item("call")
    assert Item("call") not in copy_items(64, INLINE, inside_call=False)
    assert Item("call") not in copy_items(64, FSRM, inside_call=True)


@pytest.mark.parametrize(
    ("cpu", "kernel", "startup"),
    [
        ("broadwell-2.6ghz", "v7.3", "copy_loop"),
        ("sapphire-rapids", "v7.3", "copy_startup_short"),
        ("sapphire-rapids", "v5.0", "copy_loop"),
    ],
    ids=["CPU without FSRM", "both have it", "kernel that does not use it"],
)
def test_fsrm_needs_the_cpu_and_the_kernel(cpu, kernel, startup):
    items = recipes("copy_user", f"cpu={cpu}", f"kernel={kernel}").accessor("header_copy", 12)
    assert startup in counts(items)


def test_v5_0_reads_the_avail_index_as_its_recipe_says():
    assert [item.primitive for item in recipes().accessor("avail_index_read", 2)] == [
        "branch",
        "stac",
        "lfence",
        "load",
        "clac",
        "test",
    ]


def test_two_parts_are_two_windows():
    assert counts(recipes().accessor("used_element_write", 8)) == {
        "branch": 2,
        "stac": 2,
        "store": 2,
        "clac": 2,
        "test": 2,
    }
    assert recipes().parts("used_element_write") == 2
    assert recipes("vmap").parts("used_element_write") == 1


@pytest.mark.parametrize("kernel", ["v4.20", "v5.0", "v5.2", "v5.3", "v6.1", "v6.12", "v7.3"])
@pytest.mark.parametrize("accessor", ACCESSORS)
def test_smap_off_takes_the_toggles_out_and_leaves_everything_else(kernel, accessor):
    on = counts(recipes("copy_user", f"kernel={kernel}").accessor(accessor, 64))
    off = counts(recipes("copy_user", f"kernel={kernel}", "mitigations.smap=false").accessor(accessor, 64))
    assert off == {name: count for name, count in on.items() if name not in ("stac", "clac")}


@pytest.mark.parametrize("accessor", ACCESSORS)
def test_a_cpu_without_smap_executes_no_toggle_whatever_the_kernel_wants(accessor):
    found = counts(recipes("copy_user", "cpu=haswell-ep").accessor(accessor, 64))
    assert not {"stac", "clac"} & set(found)


@pytest.mark.parametrize("accessor", ACCESSORS)
def test_spectre_v1_off_takes_the_speculation_barrier_out_and_nothing_else(accessor):
    on = counts(recipes().accessor(accessor, 64))
    off = counts(recipes("copy_user", "mitigations.spectre_v1=false").accessor(accessor, 64))
    assert off == {name: count for name, count in on.items() if name != "lfence"}


def test_hardened_usercopy_adds_object_checks_to_copies_of_kernel_objects():
    off, on = recipes(), recipes("copy_user", "mitigations.hardened_usercopy=true")
    assert "object_size_check" not in counts(off.accessor("used_elements_write", 64))
    assert counts(on.accessor("used_elements_write", 64))["object_size_check"] == 1


def test_without_retpolines_an_indirect_call_takes_their_place():
    assert counts(recipes().calls(["retpoline"])) == {"retpoline": 1}
    assert counts(recipes("copy_user", "mitigations.retpoline=false").calls(["retpoline"])) == {"indirect_call": 1}


@pytest.mark.parametrize("accessor", [name for name in METADATA_ACCESSORS if REACHES[name].mapped])
def test_a_mapping_of_the_ring_leaves_neither_toggle_nor_barrier_nor_check_on_it(accessor):
    found = counts(recipes("vmap", "mitigations.hardened_usercopy=true").accessor(accessor, 64))
    assert not {"stac", "clac", "lfence", "access_ok", "object_size_check"} & set(found)
    assert found["pointer_load"] == 1


@pytest.mark.parametrize("accessor", ["header_copy", "payload_copy", "indirect_descriptor_read"])
def test_a_mapping_of_the_ring_leaves_what_is_not_in_the_ring_alone(accessor):
    assert recipes("vmap").accessor(accessor, 64) == recipes().accessor(accessor, 64)


@pytest.mark.parametrize("accessor", ACCESSORS)
def test_ideal_checks_nothing_at_all(accessor):
    found = counts(recipes("ideal", "mitigations.hardened_usercopy=true").accessor(accessor, 64))
    assert not {"stac", "clac", "lfence", "access_ok", "mask", "object_size_check"} & set(found)


def test_the_object_size_check_executes_what_the_kernel_file_counts():
    assert recipes().instructions([Item("object_size_check", 2), Item("mask")]) == 2 * 109 + 3


def test_instructions_of_an_accessor_are_those_of_its_primitives():
    recipe = recipes().accessor("avail_index_read", 2)
    assert recipes().instructions(recipe) == 2 + 1 + 1 + 1 + 1 + 2  # branch stac lfence load clac test


@pytest.mark.parametrize(("n_bytes", "measured"), [(64, 8), (256, 12), (1500, 31)])
def test_a_vector_copy_takes_the_cycles_measured_for_memcpy(n_bytes, measured):
    """primitive-costs.md 3.4, memcpy back to back on granite-rapids, within 2 cycles."""
    scenario = load_scenario("vhost-user-tx", overrides=["cpu=granite-rapids"])
    recipes = Recipes(scenario.kernel, scenario.variant("plain"), scenario.cpu, scenario.mitigations)
    table = CostTable(scenario.cpu, 1.0, scenario.placement)
    items = recipes.accessor("payload_copy", n_bytes)
    cycles = sum(table.price_ps(item.primitive) * item.count for item in items) / table.cycle_ps
    assert cycles == pytest.approx(measured, abs=2)
