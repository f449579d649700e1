"""Tables as Markdown: every text shows as it is, every row has its cells."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from sim.report.tables.markdown import markdown, paragraph_line, row_of, text_of
from sim.report.tables.terminal import Drawing, TextTable

HOSTILE = ("<script>alert(1)</script>", "a|b", "`code`", "x\ny", "[a](b)", "*bold* _it_ ~~no~~", "&lt;", "\\|", "$x$")


def table(*rows):
    made = TextTable("a | title", ("name", "ns"), 1, 1)
    for row in rows:
        made.add_row(*row)
    return made


def cells_of(row):
    """Split a row of a GitHub table: at each pipe without a backslash before it."""
    first, *cells, last = re.split(r"(?<!\\)\|", row)
    assert (first, last) == ("", "")
    return [cell.strip() for cell in cells]


def read_back(markup):
    """The text of inline Markdown in which nothing but backslashes before punctuation has a meaning."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markup)


def test_a_table_with_title_rule_and_rows():
    made = Group(table(("copy_user", "+1.5"), ("vmap", "-2")), Text("note: [1, 2]\n# 3"), Text(""), Text("- last"))
    assert markdown(made) == (
        "**a \\| title**\n\n"
        "| name | ns |\n| --- | ---: |\n| copy_user | +1.5 |\n| vmap | -2 |\n\n"
        "note: [1, 2]\n\\# 3\n\n"
        "- last\n"
    )


def test_a_drawing_stands_in_a_fence_longer_than_any_within():
    drawn = Drawing(lambda width: [Text("```"), Text("<b>  "), Text("x" * (width - 100))])
    assert markdown(drawn) == "````text\n```\n<b>\nxxxxxxxxxx\n````\n"


def test_what_has_no_markdown_form_is_not_left_out():
    with pytest.raises(TypeError, match="Panel has no Markdown form"):
        markdown(Panel("x"))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<script>", "\\<script>"),
        ("a|b`c`", "a\\|b\\`c\\`"),
        ("copy_user [0.5, 1] & 3 -> 4", "copy_user [0.5, 1] & 3 -> 4"),
        ("_x_ [a](b) [c][d] [e]: f", "\\_x\\_ [a\\](b) [c\\][d] [e\\]: f"),
        ("a\r\nb\u2028c\x0bd", "a b c d"),
        ("&lt; &#60; a&", "\\&lt; \\&#60; a&"),
        ("\x1b[1m", "\ufffd[1m"),
        ("\u202e\u05d0", "\ufffd\u05d0"),
    ],
)
def test_marks_are_escaped_and_only_those(text, escaped):
    assert text_of(text) == escaped


LINES = (
    *(("# x", "\\# x"), ("> x", "\\> x"), ("1. x", "1\\. x"), ("12) x", "12\\) x"), ("---", "\\---"), ("===", "\\===")),
    *(("+ x", "\\+ x"), ("- x", "- x"), ("- # x", "- \\# x"), ("- - -", "- \\- -"), ("1.5 ns", "1\\.5 ns")),
)


@pytest.mark.parametrize(("line", "escaped"), LINES)
def test_a_line_begins_no_block_but_a_list(line, escaped):
    assert paragraph_line(line) == escaped


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_cells_stay_one_cell_of_text(text):
    made = table((text, "1"), ("plain", text)).columns
    rows = [row_of([str(cell) for cell in cells]) for cells in zip(*(column.cells for column in made), strict=True)]
    assert [cells_of(row) for row in rows] == [[text_of(text), "1"], ["plain", text_of(text)]]
    assert read_back(text_of(text)) == " ".join(text.split())


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
@example(["\\", "|", "\\|", "\\\\|"])
@example(["\x85", "\u2028", "\x1c"])
def test_any_row_is_one_line_with_all_its_cells_and_reads_back(cells):
    row = row_of(cells)
    assert len(row.splitlines()) == 1
    assert len(cells_of(row)) == len(cells)
    for shown, cell in zip(cells_of(row), cells, strict=True):
        signs = (sign if sign.isprintable() or ord(sign) > 0x9F else "\ufffd" for sign in " ".join(cell.split()))
        assert read_back(shown) == "".join(signs)
