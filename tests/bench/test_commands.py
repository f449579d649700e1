"""Start-up times of the command, with a warm cache of machine code."""

from __future__ import annotations

import json

import pytest

from tests.bench.commands import printed, usage

SEED = "virtio-user-xdp1-tap"
COMMANDS = {"--help": (), "run": (SEED, "--json")}


@pytest.mark.parametrize("name", COMMANDS)
def test_seconds_of_a_command(benchmark, measuring, figures, tmp_path, name):
    text = benchmark.pedantic(printed, (name, *COMMANDS[name]), rounds=5, warmup_rounds=1)
    if name == "run":
        assert len(json.loads(text)["results"]) > 1  # access variants x sizes
    else:
        assert "sweep" in text
    if measuring:
        figures.commands[name] = benchmark.stats.stats.min
        figures.memory[name] = usage(tmp_path / "usage", name, *COMMANDS[name])
