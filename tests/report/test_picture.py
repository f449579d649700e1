"""The picture of a datapath: one arrow for each access of a row, nothing that the plan does not say, whole for every
scenario that is shipped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from sim.config import load_scenario
from sim.config.loading import paths
from sim.config.scenario.virtqueue import Virtqueue
from sim.datapath import build_plan
from sim.datapath.memory.rings import PackedRing, SplitRing
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import LineAccess
from sim.report.plots.picture import layers_marked, name_of, picture, place_of, shown_rows

SVG = "{http://www.w3.org/2000/svg}"


def plan_of(name="virtio-user-xdp1-tap", access=None):
    scenario = load_scenario(name)
    return build_plan(scenario, access or scenario.access[0].name, scenario.traffic.sizes[0], apart=True)


def drawn(plan):
    """Return the marks of a picture: arrows as (row, kind), rows with their letters and what they say."""
    svg = ElementTree.fromstring(picture(plan))
    arrows = Counter((one.get("data-row"), one.get("class")) for one in svg.iter(f"{SVG}path") if one.get("data-row"))
    rows = {one.get("data-row"): one for one in svg.iter(f"{SVG}g")}
    return arrows, rows


def letters(group):
    return {text.text for text in group.iter(f"{SVG}text") if text.get("font-size") == "9"}


@pytest.mark.parametrize("name", sorted(paths.names("scenario")))
def test_each_access_of_each_row_is_one_arrow(name):
    plan = plan_of(name)
    arrows, rows = drawn(plan)
    wanted = Counter(
        (f"{row.actor}.{row.label}", "write" if access.write else "read")
        for row in shown_rows(plan)
        for access in (row.access, row.payload_access)
        if access is not None
    )
    assert bool(wanted) == (name != "tap-write")  # which has no ring
    assert arrows == wanted
    assert set(rows) == {f"{row.actor}.{row.label}" for row in shown_rows(plan)}


def test_letters_are_what_the_access_pays():
    _, kernel = drawn(plan_of(access="copy_user"))
    _, mapped = drawn(plan_of(access="vmap"))
    assert letters(kernel["worker.head"]) == {"S", "F"}
    assert letters(kernel["worker.used_index"]) == {"S"}
    assert letters(mapped["worker.head"]) == set()
    assert letters(mapped["worker.header_copy"]) == letters(kernel["worker.header_copy"]) == {"k", "S"}


def test_a_row_says_its_function_and_primitives():
    _, rows = drawn(plan_of(access="copy_user"))
    said = rows["worker.head"].find(f"{SVG}title").text
    assert said == "vhost_get_vq_desc: branch + stac + lfence + load + clac + test + 27 instruction"


def test_only_the_first_of_several_queues_is_drawn():
    plan = plan_of("four-queues-one-worker")
    assert len(shown_rows(plan)) < len(plan.rows) / 2
    assert {row.actor for row in shown_rows(plan)} == {"worker", "driver"}


def test_the_same_plan_gives_the_same_bytes():
    assert picture(plan_of()) == picture(plan_of())


def test_everything_stands_inside_the_picture():
    svg = ElementTree.fromstring(picture(plan_of("virtio-user-receive-skb")))
    _, _, width, height = map(int, svg.get("viewBox").split())
    assert width <= 390
    for text in svg.iter(f"{SVG}text"):
        assert 0 <= int(text.get("x")) <= width
        assert 0 <= int(text.get("y")) <= height


def test_hostile_texts_are_shown_as_text():
    plan = plan_of()
    hostile = "<script>alarm()</script>\0\u202e" + "x" * 10_000
    row = replace(plan.rows[4], function=hostile)
    made = picture(replace(plan, access=hostile, rows=(*plan.rows[:4], row, *plan.rows[5:])))
    svg = ElementTree.fromstring(made)
    assert not list(svg.iter(f"{SVG}script"))
    assert "&lt;script&gt;" in made
    assert len(made) < 40_000


def test_marked_layers_are_in_the_order_of_the_stack():
    head = next(row for row in plan_of().rows if row.label == "head")
    assert [layer.letter for layer in layers_marked(head)] == ["S", "F"]


@pytest.mark.parametrize(
    ("access", "name"),
    [
        (SplitRing(Virtqueue(size=1024)).avail_entry(Register.LAST_AVAIL_IDX, write=True), "ring[i]"),
        (SplitRing(Virtqueue(size=1024)).used_event(), "used_event"),
        (SplitRing(Virtqueue(size=1024)).avail_event(write=True), "avail_event"),
        (SplitRing(Virtqueue()).used_index(write=True), "idx"),
        (PackedRing(Virtqueue()).flags(Register.LAST_AVAIL_IDX), "desc[i].flags"),
        (LineAccess("packet", False, 64, offset=64, index=1, stride=320), "[i] +64"),
        (LineAccess("buf", False, 64, offset=12), "from byte 12"),
    ],
)
def test_places_have_the_names_of_the_specification(access, name):
    assert name_of(place_of(access)) == name
