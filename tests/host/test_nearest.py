"""The shipped table that stands in for what cannot be measured."""

from __future__ import annotations

import pytest

from sim.config.loading import paths
from sim.host.nearest import INTEL, by_model, nearest_table


def test_every_model_that_is_known_has_a_table():
    assert set(INTEL.values()) <= set(paths.names("cpu"))


@pytest.mark.parametrize(
    ("vendor", "family", "model", "table"),
    [
        ("AuthenticAMD", 26, 2, "zen5"),
        ("AuthenticAMD", 25, 0x11, "zen4"),
        ("AuthenticAMD", 25, 0x01, "zen3"),
        ("AuthenticAMD", 23, 0x31, "zen2"),
        ("GenuineIntel", 6, 143, "sapphire-rapids"),
        ("GenuineIntel", 6, 999, None),
        ("GenuineIntel", 15, 143, None),
        ("Other", 6, 143, None),
    ],
)
def test_vendor_family_and_model_name_a_table(vendor, family, model, table, machine):
    assert by_model(machine.model_copy(update={"vendor": vendor, "family": family, "model": model})) == table


def test_a_model_whose_caches_fit_is_believed(machine):
    table, why = nearest_table(machine)
    assert (table.name, why) == ("sapphire-rapids", "family 6 model 143")


def test_a_masked_model_is_found_by_its_caches(machine):
    # A hypervisor that calls a Granite Rapids class CPU model 0xA7 (Rocket Lake): L1 48 KiB, L2 2 MiB.
    table, why = nearest_table(machine.model_copy(update={"model": 0xA7}))
    assert table.name in ("granite-rapids", "sapphire-rapids")
    assert why == "its caches are nearest (L1 48 KiB, L2 2048 KiB)"


def test_a_model_that_its_caches_contradict_is_not_believed(machine):
    lying = machine.model_copy(update={"model": 79, "l2_bytes": 2 << 20})  # Broadwell has 256 KiB
    table, why = nearest_table(lying)
    assert table.name in ("granite-rapids", "sapphire-rapids")
    assert "model 79 does not fit them" in why


def test_an_intel_cpu_without_smap_and_with_small_caches_is_a_haswell(machine):
    old = machine.model_copy(update={"model": 1, "flags": ["erms"], "l1_bytes": 32 << 10, "l2_bytes": 256 << 10})
    assert nearest_table(old)[0].name == "haswell-ep"


def test_a_machine_that_shows_no_caches_is_believed_by_its_model(quiet):
    hidden = quiet.machine.model_copy(update={"l1_bytes": 0, "l2_bytes": 0, "l3_bytes": 0})
    assert nearest_table(hidden)[0].name == "zen5"
