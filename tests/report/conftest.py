"""One result with several variants and sizes, from short runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

import sim
from sim.study.questions.run import Result
from sim.study.review.ask import review
from sim.study.review.review import Review

SEED = "virtio-user-xdp1-tap"
SHORT = ["run.packets=3000", "traffic.packet_bytes=64,1518", "access=copy_user,vmap", "run.precision=0"]


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


#: Text that is markup in HTML, in a script, in Plotly and in a terminal; then from right to left; then far too long.
HOSTILE = '</script><script>alarm=1</script><b onclick="alarm=1">&amp;\u202e\u05d0\u05d1' + "x" * 10_000


@pytest.fixture(scope="session")
def hostile_review(made_once) -> Review:
    """A review in which every text that a file can give is hostile."""
    scenario = sim.load_scenario(SEED, overrides=SHORT)
    first, *others = scenario.access
    named = first.model_copy(update={"name": HOSTILE, "title": HOSTILE})
    same_start = others[0].model_copy(update={"name": HOSTILE + "y"})
    cpu = scenario.cpu.model_copy(update={"title": HOSTILE})
    texts = {"name": HOSTILE, "title": HOSTILE, "source": HOSTILE, "cpu": cpu, "access": [named, same_start]}
    return made_once("hostile-review", lambda: review(scenario.model_copy(update=texts), 20))
