"""One result with several variants and sizes, from short runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

import sim
from sim.study.run import Result

SEED = "virtio-user-xdp1-tap"


@pytest.fixture(scope="session")
def result() -> Result:
    return sim.run(sim.load_scenario(SEED, overrides=["run.packets=4000", "traffic.packet_bytes=64,512,1518"]))


@pytest.fixture
def lines() -> Callable[[RenderableType], list[str]]:
    """Render to plain lines, as a pipe would show them."""

    def render(content: RenderableType) -> list[str]:
        console = Console(width=132, no_color=True, highlight=False)
        with console.capture() as capture:
            console.print(content)
        return capture.get().splitlines()

    return render
