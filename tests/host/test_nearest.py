"""The table that stands in for what cannot be measured: by signature, by caches, with what differs."""

from __future__ import annotations

from itertools import combinations

import pytest

from sim.config import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import load_of
from sim.config.tables.cpu import Cpu, Signature
from sim.host.machine import read_machine
from sim.host.nearest import nearest_table

KIB, MIB = 1 << 10, 1 << 20
TABLES = {name: load_of(Cpu, name) for name in paths.names("cpu")}

CPUINFO = """processor\t: 0
vendor_id\t: {vendor}
cpu family\t: {family}
model\t\t: {model}
model name\t: a CPU
stepping\t: {stepping}
microcode\t: 0x1
flags\t\t: fpu {flags}
"""


def seen(folder, signature, flags="", caches=(0, 0, 0)):
    """Read a machine out of the text of a /proc/cpuinfo; caches in bytes, 0 for one that is not shown."""
    vendor, family, model, stepping = signature
    text = CPUINFO.format(vendor=vendor, family=family, model=model, stepping=stepping, flags=flags)
    (folder / "proc").mkdir(exist_ok=True)
    (folder / "proc/cpuinfo").write_text(text)
    return read_machine([0], folder).model_copy(
        update=dict(zip(("l1_bytes", "l2_bytes", "l3_bytes"), caches, strict=True))
    )


INTEL, AMD = "GenuineIntel", "AuthenticAMD"
OWN = {
    (INTEL, 6, 61, 4): "broadwell-2.6ghz",
    (INTEL, 6, 79, 1): "broadwell-ep-e5-2650v4",
    (INTEL, 6, 63, 2): "haswell-ep",
    (INTEL, 6, 158, 9): "kaby-lake-4.0ghz",
    (INTEL, 6, 165, 5): "comet-lake",
    (INTEL, 6, 166, 0): "comet-lake",
    (INTEL, 6, 85, 4): "skylake-sp",
    (INTEL, 6, 85, 6): "cascade-lake",
    (INTEL, 6, 85, 7): "cascade-lake",
    (INTEL, 6, 85, 11): "cooper-lake",
    (INTEL, 6, 106, 6): "ice-lake-sp",
    (INTEL, 6, 143, 8): "sapphire-rapids",
    (INTEL, 6, 207, 2): "emerald-rapids",
    (INTEL, 6, 173, 1): "granite-rapids",
    (INTEL, 6, 183, 1): "raptor-lake",
    (AMD, 23, 1, 2): "zen1",
    (AMD, 23, 8, 2): "zen1",
    (AMD, 23, 49, 0): "zen2",
    (AMD, 23, 113, 0): "zen2",
    (AMD, 25, 1, 1): "zen3",
    (AMD, 25, 33, 0): "zen3",
    (AMD, 25, 17, 1): "zen4",
    (AMD, 25, 160, 2): "zen4",
    (AMD, 26, 2, 1): "zen5",
}


@pytest.mark.parametrize("signature", OWN, ids=lambda signature: "-".join(map(str, signature)))
def test_family_model_and_stepping_name_a_table(signature, tmp_path):
    own = TABLES[OWN[signature]]
    sizes = tuple(int(getattr(own, f"{level}_bytes").value) for level in ("l1", "l2", "l3"))
    flags = " ".join(flag for flag in ("smap", "erms", "fsrm") if getattr(own.features, flag).value)
    chosen = nearest_table(seen(tmp_path, signature, flags, sizes))
    why = "family {1} model {2} stepping {3}".format(*signature)
    assert (chosen.table.name, chosen.why, chosen.differs) == (own.name, why, ())


def test_every_shipped_table_is_the_own_one_of_some_cpu():
    assert {name for name, table in TABLES.items() if any(not own.differs for own in table.signatures)} == {*TABLES}
    assert {*OWN.values()} == {*TABLES}


def starts(*texts):
    """First numbers of the ranges in some texts; where two share a number, one of these is in both."""
    return {0} | {int(part.split("-")[0]) for text in texts for part in text.split(",") if part.strip()}


def test_no_two_tables_are_of_the_same_cpu():
    every = [(name, signature) for name, table in TABLES.items() for signature in table.signatures]
    for (first, one), (second, other) in combinations(every, 2):
        shared = [
            (model, stepping)
            for model in starts(one.models, other.models)
            for stepping in starts(one.steppings, other.steppings)
            if one.holds(other.vendor, other.family, model, stepping)
            and other.holds(other.vendor, other.family, model, stepping)
        ]
        assert shared == [], f"{first} and {second}"


@pytest.mark.parametrize(
    ("signature", "table", "what"),
    [
        (("HygonGenuine", 24, 1, 1), "zen1", "Hygon Dhyana: built from Zen 1"),
        ((INTEL, 6, 151, 2), "raptor-lake", "Alder Lake: Golden Cove instead of Raptor Cove"),
        ((INTEL, 6, 158, 13), "kaby-lake-4.0ghz", "Coffee Lake, Whiskey Lake or Comet Lake-U: the core of this table"),
        ((INTEL, 6, 94, 3), "kaby-lake-4.0ghz", "Skylake client: the core of this table"),
    ],
)
def test_a_relative_without_a_table_is_told_what_it_is(signature, table, what, tmp_path):
    chosen = nearest_table(seen(tmp_path, signature))
    assert chosen.table.name == table
    assert chosen.differs[0].startswith(what)


def test_a_cpu_without_a_table_is_told_what_differs(tmp_path):
    rocket_lake = seen(tmp_path, (INTEL, 6, 167, 1), "smap erms fsrm", (48 * KIB, 512 * KIB, 16 * MIB))
    chosen = nearest_table(rocket_lake)
    assert chosen.table.name == "ice-lake-sp"
    assert chosen.why == (
        "its caches are nearest (L1 48 KiB, L2 512 KiB); no table is of family 6 model 167 stepping 1"
    )
    assert "L2 512 KiB, 1.25 MiB in the table" in chosen.differs
    sandy_bridge = seen(tmp_path, (INTEL, 6, 45, 7), "", (32 * KIB, 256 * KIB, 20 * MIB))
    assert "erms only in the table" in nearest_table(sandy_bridge).differs


def test_a_vendor_without_tables_gets_the_nearest_of_all(tmp_path):
    chosen = nearest_table(seen(tmp_path, ("CentaurHauls", 7, 59, 0), "smap erms", (32 * KIB, 512 * KIB, 8 * MIB)))
    assert chosen.table.name in TABLES
    assert "no table is of family 7 model 59 stepping 0" in chosen.why


def test_a_masked_model_is_found_by_its_caches(machine):
    # A hypervisor that calls a Granite Rapids class CPU model 0xA7 (Rocket Lake): L1 48 KiB, L2 2 MiB.
    chosen = nearest_table(machine.model_copy(update={"model": 0xA7}))
    assert chosen.table.name == "granite-rapids"  # others have the same caches and more guesses
    assert chosen.why.startswith("its caches are nearest (L1 48 KiB, L2 2048 KiB)")


def test_a_model_that_its_caches_contradict_is_not_believed(machine):
    chosen = nearest_table(machine.model_copy(update={"model": 79, "l2_bytes": 2 * MIB}))  # Broadwell has 256 KiB
    assert chosen.table.l2_bytes.value == pytest.approx(2 * MIB, rel=1e-4)
    assert "model 79 does not fit them" in chosen.why


def test_a_stepping_that_is_not_shown_is_said(machine):
    hidden = machine.model_copy(update={"model": 85, "l1_bytes": 32 * KIB, "l2_bytes": MIB, "flags": ["smap", "erms"]})
    chosen = nearest_table(hidden)
    assert chosen.table.name in ("skylake-sp", "cascade-lake", "cooper-lake")
    assert any(text.startswith("the stepping is not shown: the table is of ") for text in chosen.differs)


def test_a_machine_that_shows_no_caches_is_believed_by_its_model(quiet):
    hidden = quiet.machine.model_copy(update={"l1_bytes": 0, "l2_bytes": 0, "l3_bytes": 0})
    assert nearest_table(hidden).table.name == "zen5"


OTHER_CPUINFO = {
    "ARM": "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nFeatures\t: fp asimd\n",
    "s390": "vendor_id       : IBM/S390\n# processors    : 2\nfeatures\t: esan3 zarch stfle\n",
    "POWER": "processor\t: 0\ncpu\t\t: POWER9, altivec supported\nrevision\t: 2.2\n",
}


@pytest.mark.parametrize("kind", OTHER_CPUINFO)
def test_what_is_not_x86_is_refused(kind, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(OTHER_CPUINFO[kind])
    with pytest.raises(ConfigError, match="no table is near this CPU: an x86 CPU shows vendor_id and cpu family"):
        nearest_table(read_machine([0], tmp_path))


MINE = "schema: 1\nkind: cpu\nname: mine\ntitle: mine\nextends: zen4\n"


def test_a_table_of_the_users_own_comes_first_and_inherits_no_signature(tmp_path):
    folder = tmp_path / "mine" / "cpus"
    folder.mkdir(parents=True)
    genoa = seen(tmp_path, (AMD, 25, 17, 1), "smap erms fsrm", (32 * KIB, MIB, 32 * MIB))
    (folder / "mine.yaml").write_text(MINE)
    assert nearest_table(genoa, tmp_path / "mine").table.name == "zen4"
    (folder / "mine.yaml").write_text(MINE + 'signatures: [{vendor: AuthenticAMD, family: 25, models: "17"}]\n')
    assert nearest_table(genoa, tmp_path / "mine").table.name == "mine"


@pytest.mark.parametrize("text", ["a", "3-", "5-2", "1,,2", "-1"])
def test_a_range_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="is no number or range such as 48-79"):
        Signature(vendor=AMD, family=25, models=text)
