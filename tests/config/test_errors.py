"""An error of bad input carries its parts, and its line is made of them."""

from __future__ import annotations

from sim.config.errors import ConfigError


def test_the_line_names_file_key_and_value():
    error = ConfigError("at least 1 draw\n is needed", file="mine.yaml", key="draws", got=0)
    assert (error.file, error.key, error.got, error.message) == ("mine.yaml", "draws", 0, "at least 1 draw is needed")
    assert str(error) == "mine.yaml: draws: at least 1 draw is needed (got 0)"


def test_parts_that_are_not_given_are_left_out():
    assert str(ConfigError("no such folder")) == "no such folder"
    assert (
        ConfigError("at least 1 is needed", key="jobs", got=0).worded("--jobs")
        == "--jobs: at least 1 is needed (got 0)"
    )
