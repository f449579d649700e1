"""An error of bad input carries its parts, and its line is made of them."""

from __future__ import annotations

import pickle

from sim.config.errors import ConfigError


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
