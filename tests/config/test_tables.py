"""Every shipped table loads, says where its numbers come from, and is called what its file is called."""

from __future__ import annotations

import pytest

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import load_scenario, load_table
from sim.config.tables.cpu import Cpu
from sim.config.tables.kernel import Kernel
from sim.config.tables.quantity import BOUNDS, Quantity
from sim.config.tables.vocabulary import ACCESSORS, OPTIONAL_ACCESSORS, OPTIONAL_STEPS, PRICED_BY_CPI, PRIMITIVES, STEPS
from sim.costs.audit import quantities
from sim.study.catalogue import load

TABLES = [(kind, name) for kind in paths.FOLDERS for name in sorted(paths.names(kind))]
CPUS = sorted(paths.names("cpu"))
KERNELS = sorted(paths.names("kernel"))
#: Tables of another device than vhost_net hold what that device uses.
COMPETITORS = ["af-xdp", "dpdk-vhost"]


OF_COMPETITORS = {name for name in OPTIONAL_STEPS if name.startswith(("dpdk_", "xsk_"))}


def test_the_tables_that_the_issue_names_are_shipped():
    assert set(CPUS) == {
        "broadwell-2.6ghz",
        "broadwell-ep-e5-2650v4",
        "kaby-lake-4.0ghz",
        "skylake-sp",
        "cascade-lake",
        "ice-lake-sp",
        "sapphire-rapids",
        "granite-rapids",
        "emerald-rapids",
        "cooper-lake",
        "comet-lake",
        "raptor-lake",
        "haswell-ep",
        "zen1",
        "zen2",
        "zen3",
        "zen4",
        "zen5",
    }
    assert set(KERNELS) == {"v4.20", "v5.0", "v5.2", "v5.3", "v5.10", "v6.1", "v6.12", "v6.18", "v7.3"}
    assert set(paths.names("implementation")) == {*COMPETITORS, "user-ring"}
    assert set(paths.names("access")) >= {
        "copy_user",
        "copy_user_masked",
        "direct_map_atomic_bitops",
        "direct_map_counter_mb",
        "direct_map_rcu",
        "direct_map_rcu_preempt",
        "direct_map_refcount",
        "direct_map_spinlock",
        "ideal",
        "smap_off_worker",
        "uaccess_batched",
        "vmap",
        "vmap_index_nospec",
        "vmap_notifier",
    }
    assert "virtio-user-xdp1-tap" in paths.names("scenario")


@pytest.mark.parametrize(("kind", "name"), TABLES, ids=[f"{kind}-{name}" for kind, name in TABLES])
def test_a_shipped_table_loads_and_its_name_is_that_of_its_file(kind, name):
    assert load(kind, name).name == name


@pytest.mark.parametrize(("kind", "name"), TABLES, ids=[f"{kind}-{name}" for kind, name in TABLES])
def test_every_entry_has_a_source_and_a_range_that_holds_its_value(kind, name):
    for key, entry in quantities(load(kind, name)):
        assert entry.source.strip(), key
        assert 0 <= entry.low <= entry.value <= entry.high, key


@pytest.mark.parametrize("name", CPUS)
def test_a_cpu_prices_every_primitive_that_has_a_price_of_its_own(name):
    cpu = load_table("cpu", name)
    assert isinstance(cpu, Cpu)
    assert set(cpu.primitives) == set(PRIMITIVES) - set(PRICED_BY_CPI)


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("kernel", name) for name in KERNELS), ("implementation", "user-ring")],
    ids=[*KERNELS, "user-ring"],
)
def test_a_kernel_has_every_accessor_and_every_step(kind, name):
    kernel = load_table(kind, name)
    assert isinstance(kernel, Kernel)
    assert set(ACCESSORS) <= set(kernel.accessors) <= {*ACCESSORS, *OPTIONAL_ACCESSORS}
    assert set(STEPS) <= set(kernel.steps) <= {*STEPS, *OPTIONAL_STEPS}


@pytest.mark.parametrize("name", COMPETITORS)
def test_a_table_of_a_device_beside_vhost_net_says_so_and_guesses_every_count(name):
    kernel = load_table("implementation", name)
    assert isinstance(kernel, Kernel)
    assert kernel.device != "vhost_net"
    assert {step.instructions.grade for step in kernel.steps.values()} == {"guess"}
    executed = [item for accessor in kernel.accessors.values() for item in accessor.recipe]
    assert not set(executed) & {"stac", "clac", "lfence", "access_ok", "mask", "object_size_check"}


def test_haswell_has_no_smap_and_only_zen5_does_not_wait_for_loads_at_a_toggle():
    smap = {name: load_table("cpu", name).features.smap.value for name in CPUS}
    waits = {name: load_table("cpu", name).features.smap_waits_for_loads.value for name in CPUS}
    assert [name for name in CPUS if not smap[name]] == ["haswell-ep"]
    assert [name for name in CPUS if smap[name] and not waits[name]] == ["zen5"]


def test_a_scenario_names_an_implementation_with_its_key_kernel_and_a_kernel_does_not_extend_one(write):
    scenario = load_scenario("af-xdp-tx", overrides=["kernel=af-xdp"])
    assert scenario.kernel.kind == "implementation"
    file = write("mine.yaml", "schema: 1\nkind: kernel\nname: mine\nextends: dpdk-vhost\n")
    with pytest.raises(ConfigError, match="'dpdk-vhost' is a table of kind implementation, not of kind kernel"):
        load_table("kernel", str(file))


@pytest.mark.parametrize("unit", sorted(BOUNDS))
def test_a_number_has_the_bounds_of_its_unit_ends_included(unit):
    rest = {"unit": unit, "source": "test", "grade": "guess"}
    for end, beyond in zip(BOUNDS[unit], (-1.0, 2.0), strict=True):
        assert Quantity(value=end, low=end, high=end, **rest).value == end
        outside = end * beyond if end else -1.0
        with pytest.raises(ValueError, match=r"beyond what is conceivable|greater than or equal to 0"):
            Quantity(value=outside, low=outside, high=outside, **rest)


def test_every_unit_of_the_shipped_tables_has_bounds():
    units = {entry.unit for name in paths.names("scenario") for _, entry in quantities(load_scenario(name))}
    assert units <= set(BOUNDS)
