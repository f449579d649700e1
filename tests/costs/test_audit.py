"""The audit finds what the schema lets through; each kind of finding is made on purpose."""

from __future__ import annotations

import pytest

from sim.config.loading.load import load_table
from sim.costs.audit import RISING, Finding, audit, in_ns
from sim.study.catalogue import check


def changed(cpu, **values):
    """A CPU with other prices (None takes an entry out)."""
    prices = {name: entry for name, entry in cpu.primitives.items() if values.get(name, 0) is not None}
    for name, value in values.items():
        if value is not None:
            prices[name] = prices[name].model_copy(update={"value": value, "low": value, "high": value})
    return cpu.model_copy(update={"primitives": prices})


def findings(table, severity):
    return [(one.key, one.message) for one in audit(table) if one.severity == severity]


@pytest.fixture(scope="module")
def cpu():
    return load_table("cpu", "broadwell-2.6ghz")


@pytest.fixture(scope="module")
def kernel():
    return load_table("kernel", "v5.0")


def test_the_shipped_tables_have_no_error_and_no_warning():
    checked = check()
    assert checked.of("error") == []
    assert checked.of("warning") == []
    assert checked.tables >= 13 + 7 + 3 + 1 + 1 + 1


def test_a_price_that_is_missing_is_an_error(cpu):
    text = "no entry; an unknown cost is an error once used"
    assert findings(changed(cpu, lfence=None), "error") == [("primitives.lfence", text)]
    assert findings(cpu, "error") == []


def test_neighbours_out_of_order_are_a_warning_in_ns(cpu):
    text = "l2_hit (33.3 ns) costs more than l3_hit (17.7 ns)"  # 100 cycles at 3 GHz
    assert ("primitives.l2_hit", text) in findings(changed(cpu, l2_hit=100), "warning")


def test_orders_that_span_a_missing_entry_are_still_checked(cpu):
    without = changed(cpu, l2_hit=None, l1_hit=1000)
    assert any(text.startswith("l1_hit") and "than l3_hit" in text for _, text in findings(without, "warning"))


@pytest.mark.parametrize("order", RISING, ids=" < ".join)
def test_each_stated_order_is_one_that_can_be_broken(cpu, order):
    less, more = order[0], order[1]
    unit_value = cpu.primitives[more].value
    broken = changed(cpu, **{less: 1e9, more: unit_value})
    assert any(key == f"primitives.{less}" for key, _ in findings(broken, "warning"))


def test_a_cache_larger_than_the_next_is_a_warning(cpu):
    big = cpu.l1_bytes.model_copy(update={"value": 1e9, "high": 1e9})
    assert ("l1_bytes", "larger than l2_bytes") in findings(cpu.model_copy(update={"l1_bytes": big}), "warning")


def test_toggles_and_smap_must_agree(cpu):
    none = load_table("cpu", "haswell-ep")
    assert ("primitives.stac", "costs nothing on a CPU with SMAP") in findings(changed(cpu, stac=0), "warning")
    assert ("primitives.clac", "costs something on a CPU without SMAP") in findings(changed(none, clac=9), "warning")


def recipe(kernel, *words):
    accessor = kernel.accessors["avail_index_read"].model_copy(update={"recipe": list(words)})
    return kernel.model_copy(update={"accessors": {**kernel.accessors, "avail_index_read": accessor}})


def test_toggles_of_a_kernel_recipe_must_pair(kernel):
    found = findings(recipe(kernel, "stac", "load"), "warning")
    assert found == [("accessors.avail_index_read", "1 stac but 0 clac in its recipe")]


def test_a_fence_and_a_mask_are_one_too_many(kernel):
    found = findings(recipe(kernel, "stac", "lfence", "mask", "load", "clac"), "warning")
    assert found == [("accessors.avail_index_read", "both lfence and mask: one of them is enough")]


def test_toggles_of_an_access_variant_must_pair():
    variant = load_table("access", "copy_user")
    rules = variant.metadata.model_copy(update={"recipes": {"descriptor_read": ["stac", "load"]}, "read": ["clac"]})
    found = findings(variant.model_copy(update={"metadata": rules}), "warning")
    assert found == [
        ("metadata.read", "stac and clac do not pair"),
        ("metadata.descriptor_read", "stac and clac do not pair"),
    ]


@pytest.mark.parametrize("accessor", ["used_element_write", "used_elements_write", "used_head_write"])
def test_a_window_that_the_used_index_closes_is_opened_by_each_write_of_used_elements(accessor):
    variant = load_table("access", "uaccess_batched")
    recipes = {name: recipe for name, recipe in variant.metadata.recipes.items() if name != accessor}
    rules = variant.metadata.model_copy(update={"recipes": recipes})
    found = findings(variant.model_copy(update={"metadata": rules}), "warning")
    assert found == [(f"metadata.{accessor}", "stac and clac do not pair")]


def test_every_guess_is_listed_with_its_value_and_source(cpu):
    guess = next(one for one in audit(cpu) if one.key == "overlap")
    assert guess == Finding("guess", "cpu broadwell-2.6ghz", "overlap", f"0.5 fraction: {cpu.overlap.source}")
    graded = [name for name, entry in cpu.primitives.items() if entry.grade == "guess"]
    listed = [one.key.removeprefix("primitives.") for one in audit(cpu) if one.key.startswith("primitives.")]
    assert listed == graded


@pytest.mark.parametrize(
    ("primitive", "ns"), [("lfence", 12 / 3), ("line_transfer", 12), ("worker_wakeup", 12_000), ("load", 12 * 0.4 / 3)]
)
def test_prices_are_compared_in_ns(cpu, primitive, ns):
    assert in_ns(changed(cpu, **{primitive: 12.0}), primitive) == pytest.approx(ns)  # 3 GHz, 0.4 cycles/instruction


def test_a_table_that_does_not_load_is_a_finding_and_not_an_exception(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("schema: 1\nkind: cpu\nextends: zen4\nname: bad\ncore_gzh: 1\n")
    checked = check([str(file)])
    (error,) = checked.findings
    assert (error.severity, error.table) == ("error", "cpu bad")
    assert error.message == f"{file}: unknown key 'core_gzh'; did you mean 'core_ghz'?"


def test_a_scenario_that_cannot_be_priced_is_a_finding(tmp_path):
    file = tmp_path / "large.yaml"
    file.write_text(
        "schema: 1\nkind: scenario\nextends: virtio-user-xdp1-tap\nname: large\n"
        "traffic: {packet_bytes: [65535]}\ndriver: {scatter_bytes: 256}\nvirtqueue: {size: 128}\n"
    )
    (error,) = check([str(file)]).of("error")
    assert error.message.startswith("virtqueue.size: 65535 bytes scattered over pages take a chain of 256 descr")


def test_a_name_that_is_no_table_is_refused():
    from sim.config import ConfigError

    with pytest.raises(ConfigError, match=r"unknown table 'zenn4'; did you mean 'zen4'\?"):
        check(["zenn4"])
