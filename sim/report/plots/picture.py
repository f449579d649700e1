"""The datapath of a Plan as an SVG picture: the rows of each actor, and between them the places they read and write.

The worker stands on the right, grouped by how often its rows run; driver, source, NIC and receiver on the left. An
arrow is one access of one row. Only what the Plan says is drawn, so the picture cannot drift from the model. It takes
the colour of the text around it and is as wide as a phone; a row says its function and primitives when pointed at.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sim.config.scenario.virtqueue import Virtqueue
from sim.datapath.memory.rings import PackedRing, SplitRing
from sim.datapath.plan.plan import BACKGROUND, Plan
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import LineAccess, Row
from sim.report.tables.explained import SCOPE_TITLES, executes
from sim.report.tables.stack import LAYER_OF, LAYERS, Layer

Place = tuple[str, int, int]

_SPLIT, _PACKED, _ANY = SplitRing(Virtqueue()), PackedRing(Virtqueue()), Register.LAST_AVAIL_IDX

#: Titles of the regions of a plan; one that is not listed here is called what the plan calls it.
REGIONS = {
    "desc": "descriptors",
    "avail": "avail ring",
    "used": "used ring",
    "ring": "packed ring",
    "device_event": "device event",
    "driver_event": "driver event",
    "indirect": "indirect tables",
    "buf": "payload",
    "packet": "packets",
}


def place_of(access: LineAccess) -> Place:
    """Return what distinguishes one place from another: region, offset in bytes and stride."""
    return access.region, access.offset, access.stride


_FIELDS = {
    place_of(access): name
    for name, access in (
        ("flags", _SPLIT.avail_flags()),
        ("idx", _SPLIT.avail_index()),
        ("ring[i]", _SPLIT.avail_entry(_ANY)),
        ("desc[i]", _SPLIT.descriptor(_ANY, 0)),
        ("flags", _SPLIT.used_flags()),
        ("idx", _SPLIT.used_index()),
        ("ring[i]", _SPLIT.used_element(_ANY)),
        ("desc[i].flags", _PACKED.flags(_ANY)),
        ("desc[i]", _PACKED.descriptor(_ANY)),
    )
}
#: What lies behind the entries of a split ring's two rings, wherever they end.
_BEHIND = {"avail": "used_event", "used": "avail_event"}


def name_of(place: Place) -> str:
    """Return the name of a place inside its region; one without a name of its own is where it is: `[i] +16`."""
    region, offset, stride = place
    if place in _FIELDS:
        return _FIELDS[place]
    if region in _BEHIND and not stride:
        return _BEHIND[region]
    if region == "buf":
        return f"from byte {offset}"
    entry = "[i]" if stride else ""
    return f"{entry} +{offset}".strip() if offset else entry or "word"


_WIDTH, _LEFT, _RIGHT = 372, 112, 236  # the left column ends and the right column begins here
_SLOT, _SLOT_WIDTH, _SLOT_HEIGHT = 138, 72, 19
_LINE, _GAP = 13, 6
_LETTERS = {"left": 19, "right": 23}  # letters in a line of each column; a heading is bold, a mark takes room of two
_BOLD = 20
_LONGEST = 300

READ, WRITE = "#2f80c2", "#d1495b"
#: Layers that a row's access pays and a mapping could spare: marked by their letter.
MARKED = ("smap", "speculation", "check", "barrier")


@dataclass(frozen=True)
class Line:
    """One line of a column: the heading of an actor or of a group, or a row, with the middle of its first line."""

    y: int
    texts: tuple[str, ...]
    row: Row | None = None


def shown_rows(plan: Plan) -> list[Row]:
    """Return the rows of the first queue: those of further queues, whose labels end in `#1` and so on, are the same."""
    return [row for row in plan.rows if row.actor not in BACKGROUND and "#" not in row.label]


def picture(plan: Plan) -> str:
    """Return the picture as one SVG element, for a page or a file of its own."""
    actors = [name for name in plan.actors if any(row.actor == name for row in shown_rows(plan))]
    left, left_end = _column(plan, [name for name in actors if name != "worker"], "left")
    right, right_end = _column(plan, ["worker"], "right")
    slots, frames, slots_end = _slots([*left, *right])
    bottom = max(left_end, right_end, slots_end) + _LINE
    legend, height = _legend(plan, bottom)
    title = f"datapath of {plan.access} at {plan.packet_bytes} bytes: rows of {', '.join(actors)} and what they access"
    body = [
        *frames,
        *(mark for side, lines in (("left", left), ("right", right)) for mark in _arrows(lines, slots, side)),
        *_texts(left, "left"),
        *_texts(right, "right"),
        *legend,
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="datapath" role="img" viewBox="0 0 {_WIDTH} {height}" '
        f'width="100%" style="max-width:{_WIDTH * 3 // 2}px;height:auto;font:11px system-ui,sans-serif" '
        f'fill="currentColor"><title>{_escaped(title)}</title>'
    )
    return "\n".join((head, *body, "</svg>"))


def _escaped(text: str) -> str:
    return html.escape(" ".join(text.replace("\0", "\ufffd").split())[:_LONGEST])


def _column(plan: Plan, actors: Sequence[str], side: str) -> tuple[list[Line], int]:
    """Stack the rows of actors, grouped by scope; return the lines and where the column ends."""
    lines: list[Line] = []
    y = _LINE

    def put(texts: Sequence[str], row: Row | None = None, more: int = _GAP) -> None:
        nonlocal y
        lines.append(Line(y, tuple(texts), row))
        y += _LINE * len(texts) + more

    for actor in actors:
        put([actor.upper()])
        for scope, title in SCOPE_TITLES.items():
            rows = [row for row in shown_rows(plan) if row.actor == actor and row.scopes[0] == scope]
            if rows:
                put(textwrap.wrap(f"{title.split(' (')[0]}:", min(_BOLD, _LETTERS[side])), more=2)
            for row in rows:
                put(textwrap.wrap(row.title, _LETTERS[side] - 2 * len(layers_marked(row))), row)
        y += _LINE
    return lines, y


def _accesses(row: Row) -> list[LineAccess]:
    return [access for access in (row.access, row.payload_access) if access is not None]


def _slots(lines: Iterable[Line]) -> tuple[dict[Place, int], list[str], int]:
    """Place a frame for each region as near to its rows as the others leave room; return the middle of each place."""
    met: dict[str, list[int]] = {}
    places: dict[str, set[Place]] = {}
    for line in lines:
        for access in [] if line.row is None else _accesses(line.row):
            met.setdefault(access.region, []).append(line.y)
            places.setdefault(access.region, set()).add(place_of(access))
    slots: dict[Place, int] = {}
    frames: list[str] = []
    y = _LINE
    for region in sorted(met, key=lambda name: (sum(met[name]) / len(met[name]), name)):
        height = _LINE + 6 + _SLOT_HEIGHT * len(places[region])
        y = max(y, sum(met[region]) // len(met[region]) - height // 2)
        frames.append(
            f'<rect x="{_SLOT - 5}" y="{y}" width="{_SLOT_WIDTH + 10}" height="{height}" rx="4" fill="currentColor" '
            f'fill-opacity="0.07" stroke="currentColor" stroke-opacity="0.35"/>'
        )
        frames.append(_text(_SLOT + _SLOT_WIDTH // 2, y + _LINE, REGIONS.get(region, region), "middle", bold=True))
        for number, place in enumerate(sorted(places[region], key=lambda place: place[1:])):
            slots[place] = y + _LINE + 4 + _SLOT_HEIGHT * number + _SLOT_HEIGHT // 2
            frames.append(_text(_SLOT + _SLOT_WIDTH // 2, slots[place] + 4, name_of(place), "middle"))
        y += height + 2 * _LINE
    return slots, frames, y


def _arrows(lines: Iterable[Line], slots: dict[Place, int], side: str) -> list[str]:
    """Draw each access from its row to its place (a write) or back (a read)."""
    row_x, slot_x = (_LEFT + 4, _SLOT - 6) if side == "left" else (_RIGHT - 4, _SLOT + _SLOT_WIDTH + 6)
    middle = (row_x + slot_x) // 2
    marks = []
    for line in lines:
        for access in [] if line.row is None else _accesses(line.row):
            assert line.row is not None
            place_y, colour = slots[place_of(access)], WRITE if access.write else READ
            kind, at_x, at_y = ("write", slot_x, place_y) if access.write else ("read", row_x, line.y)
            back = -6 if (side == "left") == access.write else 6  # the head points at the place, or at the row
            name = _escaped(f"{line.row.actor}.{line.row.label}")
            dash = "" if access.write else ' stroke-dasharray="4 2"'
            marks.append(
                f'<path class="{kind}" data-row="{name}" d="M{row_x} {line.y}C{middle} {line.y} {middle} {place_y} '
                f'{slot_x} {place_y}" fill="none" stroke="{colour}" stroke-width="1.2"{dash}/>'
                f'<path d="M{at_x} {at_y}l{back} -3.5v7z" fill="{colour}"/>'
            )
    return marks


def _text(x: int, y: int, text: str, anchor: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{weight}>{_escaped(text)}</text>'


def layers_marked(row: Row) -> list[Layer]:
    """Return the layers of `MARKED` that a row pays into, in the order of the stack."""
    paid = {LAYER_OF[part.primitive].key for part in (*row.components, *row.unit_components)}
    return [layer for layer in LAYERS if layer.key in MARKED and layer.key in paid]


def _texts(lines: Iterable[Line], side: str) -> list[str]:
    """Write a column: headings bold, each row with its marks and, to point at, its function and primitives."""
    x, anchor = (_LEFT, "end") if side == "left" else (_RIGHT, "start")
    marks = []
    for line in lines:
        baselines = [(line.y + 4 + _LINE * number, text) for number, text in enumerate(line.texts)]
        written = "".join(_text(x, y, text, anchor, bold=line.row is None) for y, text in baselines)
        if line.row is not None:
            hint = f"{line.row.function}: {executes(line.row)}"
            chips = "".join(
                _chip(_WIDTH - 11 * (number + 1) if side == "right" else 11 * number, line.y, layer)
                for number, layer in enumerate(reversed(layers_marked(line.row)))
            )
            name = _escaped(f"{line.row.actor}.{line.row.label}")
            written = f'<g class="row" data-row="{name}"><title>{_escaped(hint)}</title>{written}{chips}</g>'
        marks.append(written)
    return marks


def _chip(x: int, y: int, layer: Layer) -> str:
    return (
        f'<rect x="{x}" y="{y - 6}" width="10" height="12" rx="2" fill="{layer.colour}"/>'
        f'<text x="{x + 5}" y="{y + 3}" text-anchor="middle" font-size="9" font-weight="700" fill="#000">'
        f"{layer.letter}</text>"
    )


def _legend(plan: Plan, y: int) -> tuple[list[str], int]:
    """Say what arrows and letters mean, of those that are drawn; return the marks and the height of the picture."""
    marks = [
        f'<path d="M4 {y}h22" stroke="{READ}" stroke-width="1.2" stroke-dasharray="4 2"/>'
        f'<path d="M32 {y}l-6 -3.5v7z" fill="{READ}"/>',
        _text(38, y + 4, "read", "start"),
        f'<path d="M84 {y}h22" stroke="{WRITE}" stroke-width="1.2"/><path d="M112 {y}l-6 -3.5v7z" fill="{WRITE}"/>',
        _text(118, y + 4, "write", "start"),
    ]
    drawn = {layer.key for row in shown_rows(plan) for layer in layers_marked(row)}
    for layer in LAYERS:
        if layer.key in MARKED and layer.key in drawn:
            y += _LINE + 4
            marks += [_chip(4, y, layer), _text(20, y + 4, layer.title, "start")]
    return marks, y + _LINE
