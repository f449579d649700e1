"""What a notebook shows: text stays text, numbers line up, charts are the same bytes each time."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sim.report.notebook.show import chart, prose, table

HOSTILE = '</td><script>alarm=1</script>"&\u202e\u05d0\u05d1' + "x" * 10_000


def cells(shown):
    """Return the texts of a shown table, row by row, head first."""
    root = ElementTree.fromstring(shown.forms["text/html"])
    return [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]


def figure():
    made = Figure(figsize=(3, 2))
    made.subplots().plot([1, 2], [3, 4])
    return made


def test_numbers_of_a_column_have_the_same_places_and_at_most_four():
    shown = table(pd.DataFrame({"a": [1.0, 2.25], "b": [1.0, 2.0], "c": [1 / 3, 5.0], "d": [1, 20]}))
    assert cells(shown) == [["a", "b", "c", "d"], ["1.00", "1", "0.3333", "1"], ["2.25", "2", "5.0000", "20"]]
    assert shown.forms["text/plain"].splitlines() == [
        "   a  b       c   d",
        "1.00  1  0.3333   1",
        "2.25  2  5.0000  20",
    ]


def test_what_is_missing_is_empty_and_truth_is_a_word():
    frame = pd.DataFrame({"name": ["x", "y"], "number": [np.nan, 1.5], "holds": [True, False]})
    assert cells(table(frame))[1:] == [["x", "", "yes"], ["y", "1.5", "no"]]


def test_numbers_stand_right_and_words_left():
    root = ElementTree.fromstring(table(pd.DataFrame({"name": ["x"], "number": [2]})).forms["text/html"])
    assert [cell.get("style").split(";")[0] for cell in root.iter("td")] == ["text-align: left", "text-align: right"]


def test_a_wide_table_scrolls_in_a_box_of_its_own():
    root = ElementTree.fromstring(table(pd.DataFrame({"a": [1]})).forms["text/html"])
    assert (root.tag, root.get("style"), [child.tag for child in root]) == ("div", "overflow-x: auto", ["table"])


def test_hostile_texts_are_texts():
    assert cells(table(pd.DataFrame({HOSTILE: [HOSTILE]}))) == [[HOSTILE], [HOSTILE]]
    root = ElementTree.fromstring(chart(figure(), HOSTILE).forms["image/svg+xml"])
    assert root.get("aria-label") == HOSTILE


def test_a_chart_is_an_svg_element_alone_and_the_same_bytes_each_time():
    shown = chart(figure(), "a line")
    assert shown.forms["image/svg+xml"].startswith("<svg role=")
    assert shown.forms["text/plain"] == "a line"
    assert chart(figure(), "a line") == shown


def test_what_is_shown_is_what_a_front_end_asks_for():
    assert prose("*so*")._repr_mimebundle_() == {"text/markdown": "*so*", "text/plain": "*so*"}
