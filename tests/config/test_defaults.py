"""The entries that a scenario's file may leave out stand in a table, and nothing stands there that no key takes."""

from __future__ import annotations

import pytest

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import load_scenario, load_table
from sim.config.tables.quantity import Defaults, shipped_default
from sim.costs.audit import quantities

TABLES_OF_THEIR_OWN = ("cpu", "kernel")


@pytest.fixture
def shipped(tmp_path, monkeypatch, write):
    """Put another table of defaults in the place of the shipped one; return what writes it."""
    monkeypatch.setattr(paths, "shipped", lambda: tmp_path)
    shipped_default.cache_clear()
    yield lambda text: write("defaults.yaml", text)
    shipped_default.cache_clear()


def test_every_entry_of_a_scenarios_own_sections_has_its_default_in_the_table_and_no_other_stands_there():
    table = load_table("defaults", "defaults")
    assert isinstance(table, Defaults)
    scenario = load_scenario("virtio-user-xdp1-tap")
    own = {key for key, _ in quantities(scenario) if key.partition(".")[0] not in TABLES_OF_THEIR_OWN}
    assert set(table.entries) == own
    assert scenario.driver.byte_cost == table.entries["driver.byte_cost"]


ENTRY = "{value: 40, unit: ns, low: 30, high: 60, source: me, grade: guess}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("entries: {}\n", "entries: no entry for 'driver.packet_cost'; an unknown cost is an error"),
        ("title: x\n", "entries: no entry for 'driver.packet_cost'"),
        (
            f"entries: {{driver.packet_cost: {ENTRY.replace('low: 30', 'low: 50')}}}\n",
            "entries.driver.packet_cost: low <= value <= high does not hold: 50, 40, 60",
        ),
    ],
)
def test_a_default_that_is_missing_or_wrong_is_an_error_that_names_file_and_key(shipped, text, sentence):
    file = shipped(text)
    with pytest.raises(ConfigError) as error:
        shipped_default("driver.packet_cost")
    assert str(error.value).startswith(f"{file}: {sentence}")
