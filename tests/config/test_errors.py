"""An error of bad input carries its parts, and its line is made of them."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.config.errors import ConfigError, one_line


def test_the_line_names_file_key_and_value():
    error = ConfigError("at least 1 draw\n is needed", file="mine.yaml", key="draws", got=0)
    assert (error.file, error.key, error.got) == ("mine.yaml", "draws", 0)
    assert str(error) == "mine.yaml: draws: at least 1 draw is needed (got 0)"


def test_the_line_names_the_nearest_of_what_is_expected():
    error = ConfigError("unknown cpu 'zen9'", given="cpu=zen9", got="zen9", expected=["zen5", "broadwell"])
    assert (error.nearest, error.expected) == ("zen5", ["broadwell", "zen5"])
    assert str(error) == "cpu=zen9: unknown cpu 'zen9'; did you mean 'zen5'?"
    assert str(error.replace(got="tremont")) == "cpu=zen9: unknown cpu 'zen9'; valid: broadwell, zen5"


def test_parts_that_are_not_given_are_left_out():
    assert str(ConfigError("no such folder")) == "no such folder"
    assert str(ConfigError("no such folder", file="mine").replace(file=None)) == "no such folder"


def test_an_error_of_another_process_keeps_its_parts():
    error = ConfigError("unknown cpu 'zen9'", file="a.yaml", got="zen9", expected=["zen5"])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.__dict__) == (str(error), error.__dict__)


@given(st.text(st.characters(), max_size=40), st.integers(1, 200), st.text())
def test_no_text_makes_a_message_long_or_one_that_a_terminal_obeys(text, times, message):
    shown = str(ConfigError(message, file=text * times, key=text, got=text * times, given=text))
    assert len(shown) <= 400
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(sign) for sign in shown}
    assert one_line(shown) == shown


@pytest.mark.parametrize(
    ("sign", "shown"),
    [("\x1b[31m", r"\x1b[31m"), ("\u202e", r"\u202e"), ("\x07", r"\x07"), ("\ud800", r"\ud800"), ("\u05d0", "\u05d0")],
)
def test_what_a_terminal_would_obey_is_shown_as_its_escape(sign, shown):
    assert str(ConfigError(f"unknown key 'a{sign}b'")) == f"unknown key 'a{shown}b'"


def test_a_long_message_keeps_its_beginning_and_the_nearest_name():
    said = "words " * 100
    shown = str(ConfigError(said, file="mine.yaml", got="zen9", expected=["zen5"]))
    assert 396 <= len(shown) <= 400
    assert shown.startswith("mine.yaml: words words")
    assert shown.endswith("; did you mean 'zen5'?")


def test_a_long_word_leaves_room_for_the_others():
    shown = str(
        ConfigError(f"unknown key '{'k' * 10_000}'", given=f"{'k' * 10_000}=1", expected=["cpu", "run"], got="k")
    )
    assert "=1: unknown key 'kkk" in shown
    assert shown.endswith("kk'; valid: cpu, run")


def test_a_name_is_compared_with_the_valid_ones_only_if_it_could_be_one():
    assert ConfigError("unknown", got="l" * 10**6, expected=["l" * 100]).nearest is None
