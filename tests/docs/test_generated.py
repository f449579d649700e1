"""The reference says what schema, tables, rows and commands say: nothing is missing, and no text becomes markup."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel, Field

from generate.commands import commands_page
from generate.datapaths import datapath_pages, drawn
from generate.evidence import evidence_pages
from generate.keys import KINDS, key_pages, keys
from generate.markdown import code, plain, said, table
from generate.tables import GRADES, table_pages
from sim.cli import app
from sim.config import load_scenario
from sim.config.loading import paths
from sim.config.loading.load import load_table
from sim.config.tables.quantity import Grade, Quantity
from sim.config.tables.vocabulary import PRICED_BY_CPI, PRIMITIVES
from sim.datapath import build_plan
from sim.report.plots.picture import shown_rows
from sim.report.tables.explained import executes

DOCS = Path(__file__).parents[2] / "docs"
HOSTILE = "<script>alarm()</script> [x](y) `code` $a$ | *b* &amp; {{ c }} \u202e"


def cells(page):
    """Text of every cell of the tables of a page, row by row."""
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [
        [html.unescape(re.sub(r"<wbr>|</?code>", "", cell)).strip() for cell in line[2:-2].split(" | ")]
        for line in lines
    ]


@pytest.fixture(scope="module")
def tables():
    return table_pages()


@pytest.mark.parametrize("show", [plain, said, code])
def test_a_hostile_text_is_shown_and_nothing_else(show):
    made = show(HOSTILE)
    assert html.unescape(re.sub(r"</?code>|<wbr>", "", made)) in (HOSTILE, HOSTILE.replace("`", ""))
    assert not re.search(r"[\[\]|*$`{}\\]|<(?!/?code>|wbr>)", made)


def test_a_cell_does_not_end_its_row():
    assert table(("a",), [(plain("x | y\nz"),)]).splitlines()[2] == "| x &#124; y z |"


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_stands_on_the_page_of_its_kind(kind):
    found = [row[0] for row in cells(key_pages()[f"keys/{kind}.md"])[1:]]
    assert found == [key for key, _ in keys(KINDS[kind])]
    assert {"schema", "name"} <= set(found)


def test_keys_of_sections_lists_and_tables_are_written_out():
    class Inner(BaseModel):
        cost: Quantity = Field(description="what it costs")
        share: float = Field(0.5, ge=0, lt=1)

    class Outer(BaseModel):
        one: Inner
        many: list[Inner] = Field(default_factory=list)
        named: dict[str, Inner]

    assert [key for key, _ in keys(Outer)] == [
        "one", "one.cost", "one.share", "many", "many[].cost", "many[].share",
        "named", "named.NAME.cost", "named.NAME.share",
    ]  # fmt: skip


def test_a_key_has_type_bounds_default_and_meaning():
    rows = {row[0]: row[1:] for row in cells(key_pages()["keys/scenario.md"])}
    assert rows["device.direction"] == ["tx: guest to host; rx: host to guest", "tx or rx: tx"]
    assert rows["virtqueue.size"][1] == "whole number, >= 1, <= 32768: 256"
    assert rows["driver.packet_cost"][1] == "entry: 45 ns [30, 120], guess"
    assert rows["cpu"][1] == "cpu table, by name, required"


def test_every_option_of_every_command_is_described():
    page = cells(commands_page())
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        for option in (one for one in command.params if one.param_type_name == "option"):
            row = next(row for row in page if row[0].startswith(option.opts[0]))
            assert row[1], (name, option.opts)
    usage = html.unescape(re.sub(r"<wbr>", "", commands_page()))
    assert "<code>vhost-sim breakeven SCENARIO [OPTIONS]</code>" in usage
    assert re.findall(r"^## (.+)$", commands_page(), re.MULTILINE) == list(group.commands)


def test_every_primitive_has_a_price_on_every_cpu(tables):
    found = {row[0]: row for row in cells(tables["primitives.md"])[len(PRIMITIVES) + 1 :]}
    cpus = [load_table("cpu", name) for name in sorted(paths.names("cpu"))]
    assert set(found) - {"primitive"} == set(PRIMITIVES) - set(PRICED_BY_CPI)
    for name in sorted(set(found) - {"primitive"}):
        entries = [cpu.primitives[name] for cpu in cpus]
        assert found[name][1:] == [f"{one.value:.4g} *{GRADES[one.grade]}*" for one in entries]
    assert set(GRADES) == set(Grade.__args__)


def test_steps_of_a_kernel_have_function_count_and_source(tables):
    kernel = load_table("kernel", "v6.12")
    page = {row[0]: row for row in cells(tables["kernels/v6.12.md"])}
    for name, step in kernel.steps.items():
        assert page[name][2] == step.function
        assert page[name][3] == f"{step.instructions.value:.4g} instructions"
        said = page[name][6].partition(" (see [")[0]
        assert said == " ".join(step.instructions.source.split())


def test_an_access_variant_shows_what_it_changes(tables):
    page = tables["access.md"]
    vmap = page[page.index("## vmap\n") : page.index("## vmap_index_nospec\n")]
    rows = dict(cells(vmap)[1:])
    assert rows["avail_entry_read"] == "branch, pointer_load, test, load"
    assert "payload_copy" not in rows  # payload copies keep theirs
    own = page[page.index("## copy_user\n") : page.index("## copy_user_masked\n")]
    assert dict(cells(own)[1:])["avail_entry_read"] == "branch, stac, lfence, load, clac, test"


def test_a_scenario_has_its_rows_as_explain_has_them():
    page = datapath_pages()["scenarios/virtio-user-receive-skb.md"]
    scenario = load_scenario("virtio-user-receive-skb")
    plan = build_plan(scenario, scenario.access[0].name, scenario.traffic.sizes[0], apart=True)
    rows = [row for row in cells(page) if row[0] != "step, function"]
    assert [row[3] for row in rows] == [
        executes(row) for actor in plan.actors for row in shown_rows(plan) if row.actor == actor
    ]
    assert drawn("virtio-user-receive-skb", "copy_user") in page


@pytest.mark.parametrize("place", ["assumptions.md", "sources.md", "mismatches.md"])
def test_a_kept_page_is_what_its_table_gives(place):
    """If it is not: `PYTHONPATH=docs python -m generate.evidence` writes the pages again."""
    assert (DOCS / place).read_text(encoding="utf-8") == evidence_pages()[place]
