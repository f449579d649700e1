"""Tables and drawings fit any width, and no number is cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from sim.report.tables.terminal import LEAST_WIDTH, Drawing, TextTable, plain_lines, show


def filled(columns, rows, left=1, keys=1, title="a title"):
    made = TextTable(title, columns, left, keys)
    for row in rows:
        made.add_row(*row)
    return made


WIDE = filled(
    ("name", "packets", "bytes", "note"),
    [("first", "1234567.125", "64", "1.5 ±0.25 %"), ("second", "2.5", "1518", "-3.25 ±0.5 %")],
)


def test_a_table_that_fits_stands_as_it_is():
    assert list(plain_lines(WIDE, 80)) == [
        "a title",
        "",
        " name         packets   bytes           note",
        " " + "─" * (6 + 11 + 5 + 12 + 3 * 3),
        " first    1234567.125      64    1.5 ±0.25 %",
        " second           2.5    1518   -3.25 ±0.5 %",
        "",
    ]


def test_columns_that_have_no_room_go_below_beside_the_name_of_their_row():
    # 6 + 11 + 5 cells, two gaps of 3 and two edges are 30; the fourth column would take 3 + 12 more.
    assert list(plain_lines(WIDE, 30)) == [
        "a title",
        "",
        " name         packets   bytes",
        " " + "─" * (6 + 11 + 5 + 2 * 3),
        " first    1234567.125      64",
        " second           2.5    1518",
        "",
        "",
        " name             note",
        " " + "─" * (6 + 12 + 3),
        " first     1.5 ±0.25 %",
        " second   -3.25 ±0.5 %",
        "",
    ]


def test_columns_stand_closer_where_that_spares_a_block():
    made = filled(("name", "packets", "bytes"), [("first", "1234567.125", "64")])
    # 5 + 11 + 5 cells and two edges leave two gaps of 2 in 27 cells, of 3 in 29.
    assert " first   1234567.125      64" in list(plain_lines(made, 29))
    assert " first  1234567.125     64" in list(plain_lines(made, 27))
    assert not any("1234567.125" in line and "64" in line for line in plain_lines(made, 26))


def test_text_wraps_before_a_column_goes_below():
    made = filled(("name", "what it says", "ns"), [("a", "some words that go on and on to the end", "12.5")], left=2)
    lines = list(plain_lines(made, 40))
    # Two edges, two gaps of 3, a name of 4 and a number of 4 leave 40 - 2 - 6 - 8 = 24 cells for the text.
    assert " a      some words that go on      12.5" in lines
    assert "        and on to the end" in lines
    assert max(map(len, lines)) <= 40


def test_the_end_of_a_section_is_kept_in_every_block():
    made = TextTable("", ("name", "one", "two"), 1, 1)
    made.add_row("a", "1" * 10, "2" * 10, end_section=True)
    made.add_row("b", "3", "4")
    lines = list(plain_lines(made, 20))
    assert [lines[number + 1] for number, line in enumerate(lines) if line.startswith(" a ")] == ["", ""]


def test_cells_are_text_and_never_markup():
    made = filled(("[bold]x[/bold]", "y"), [("[red]a[/red]", "[/]")], title="[b]t[/b]")
    shown = "\n".join(plain_lines(made, 80))
    assert all(text in shown for text in ("[bold]x[/bold]", "[red]a[/red]", "[/]", "[b]t[/b]"))


def test_control_characters_are_shown_and_not_obeyed():
    shown = "\n".join(plain_lines(filled(("a", "b"), [("\x1b[31mred\x9b", "1")]), 80))
    assert "\ufffd[31mred\ufffd" in shown
    assert "\x1b" not in shown


#: What stands in a cell is printed sign by sign, but for spaces, marks without a width and controls.
_UNSEEN = ("Cc", "Cs", "Zl", "Zp", "Zs", "Mn", "Me", "Cf")
cells = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers().map(str),
    st.text(st.characters(codec="utf-8", exclude_categories=_UNSEEN), max_size=60),
)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=4)),
    st.integers(0, 5),
    st.integers(1, 3),
    st.integers(1, 140),
)
def test_any_table_fits_any_width_and_loses_nothing(rows, left, keys, width):
    columns = [f"c{number}" for number in range(len(rows[0]))]
    lines = list(plain_lines(filled(columns, rows, left, min(keys, len(columns)), title=""), max(width, LEAST_WIDTH)))
    assert max(map(cell_len, lines), default=0) <= max(width, LEAST_WIDTH)
    printed = sorted("".join(lines).replace("─", "").replace(" ", ""))
    for cell in {cell for row in rows for cell in row}:
        for sign in set(cell) - {"─", " "}:
            assert printed.count(sign) >= cell.count(sign)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1e-9, 1e12).map(lambda value: f"{value:.3f}"), min_size=2, max_size=9), st.integers(40, 140))
def test_numbers_stand_whole_at_any_width(numbers, width):
    lines = plain_lines(filled(["row", *(["ns"] * len(numbers))], [["key", *numbers]]), width)
    assert [word for line in lines for word in line.split() if re.match(r"\d", word)] == numbers


def test_a_drawing_knows_its_width():
    assert list(plain_lines(Drawing(lambda width: [Text("x" * width)]), 33)) == ["x" * 33]


@pytest.mark.parametrize(
    ("columns", "width"), [(None, 132), ("100", 100), ("0", 132), ("wide", 132), ("-5", 132), ("7", LEAST_WIDTH)]
)
def test_a_pipe_is_as_wide_as_columns_says(columns, width, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    show(Drawing(lambda width: [Text("x" * width)]))
    assert "".join(capsys.readouterr().out.split()) == "x" * width
