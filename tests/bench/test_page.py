"""How long the page of `explore` takes to answer: its stages against a run without intervals, and in a browser."""

from __future__ import annotations

import os
import time
from statistics import median

import pytest
from selenium.webdriver.common.keys import Keys

import sim
from sim.live.answers import Stage, answers
from sim.live.questions import Tables, ask
from sim.live.state import of_command
from tests.browser import BROWSER
from tests.live import measured
from tests.live.driving import DRIVER, Reader, browsing, serving

SEED = "virtio-user-xdp1-tap"
#: What a test looks at: one size, few packets.
SHORT = ["traffic.packet_bytes=64", "run.packets=20000"]
#: Each asks for other Plans than any before.
SWITCHES = ("SMAP", "retpoline", "HARDENED_USERCOPY", "spectre v1")
STAGES = (Stage.HEADLINE, Stage.BANDS)
ROUNDS = 5
#: Each step asks for other Plans than any before; that of the ring for longer runs, too.
SLIDERS = ("burst, packets", "batch, packets", "packet size, bytes", "ring, entries")
CPUS, KERNELS = ("sapphire-rapids", "zen4", "zen3"), ("v5.10", "v6.1", "v6.18")
#: Kinds of moves that a page prepares while its reader looks at an answer, so long; and so long at an option.
RESTED = ("a switch", "a slider of other Plans after a rest")
LOOKS_SECONDS, LOOKS_AT_AN_OPTION_SECONDS = 8.0, 0.4


def test_processor_time_of_the_stages(measuring, figures):
    """All at a cost that nobody has asked for, in one process, so that they can be laid beside a plain run."""
    tables, times = Tables(), {"run": [], **{stage: [] for stage in STAGES}}
    for number in range(ROUNDS if measuring else 1):
        overrides = [f"cpu.primitives.lfence={20 + number}", *([] if measuring else SHORT)]
        question = ask(tables, of_command(SEED, overrides))
        start = time.process_time()
        result = sim.run(question.scenario)
        times["run"].append(time.process_time() - start)
        start, stages = time.process_time(), answers(question, lambda: True)
        for stage in STAGES:
            answer = next(stages)
            times[stage].append(time.process_time() - start)
            assert answer.stage is stage
        stages.close()
        assert answer.review.result.points == result.points
    if measuring:
        figures.page |= {key if key == "run" else key.name.lower(): min(seconds) for key, seconds in times.items()}


def moved_cost(reader):
    labels = "[...document.querySelectorAll('[role=slider]')].map((slider) => slider.ariaLabel)"
    label = next(name for name in reader.driver.execute_script(f"return {labels}") if name.startswith("lfence,"))
    reader.slide(label, Keys.ARROW_RIGHT)


def slid(name):
    return lambda reader: reader.slide(f"{name}, slider", Keys.ARROW_RIGHT)


def turned(name):
    return lambda reader: reader.turn(name)


def picked(label):
    return lambda name: lambda reader: reader.pick(label, name, LOOKS_AT_AN_OPTION_SECONDS)


#: Kinds of moves, each on a server of its own that knows nothing yet.
MOVES = {
    "a moved cost": [moved_cost] * 8,
    "a switch": list(map(turned, SWITCHES)),
    "a switch right behind another": list(map(turned, SWITCHES)),
    "a slider of other Plans after a rest": list(map(slid, SLIDERS)),
    "a slider of other Plans right behind another": list(map(slid, SLIDERS)),
    "another CPU that was looked at": list(map(picked("CPU"), CPUS)),
    "another kernel that was looked at": list(map(picked("kernel"), KERNELS)),
}


@pytest.mark.deep
@pytest.mark.skipif(
    (BROWSER is None or DRIVER is None) and "CI" not in os.environ, reason="no Chromium with its driver"
)
@pytest.mark.parametrize("kind", MOVES)
def test_seconds_in_a_browser(kind, measuring, figures, tmp_path):
    options = [] if measuring else ["--draws", "4", *(word for key in SHORT for word in ("--set", key))]
    waited = []
    with serving(*options, folder=tmp_path) as (_, address), browsing() as driver:
        reader = Reader(driver)
        first = min(measured.first_seconds(reader, address) for _ in range(3 if measuring else 1))
        reader.until_whole()
        measured.watch(reader)
        reader.unfold("ring")
        reader.unfold("traffic")
        for move in MOVES[kind] if measuring else MOVES[kind][:1]:
            time.sleep(LOOKS_SECONDS if measuring and kind in RESTED else 0)
            waited.append(measured.waited(reader, lambda move=move: move(reader)))
    assert all(0 < one.headline <= one.bands for one in waited)
    if measuring:
        seconds = [one.bands for one in waited]
        figures.browser["first page"] = min(first, figures.browser.get("first page", first))
        figures.browser |= {
            f"{kind} to all intervals": min(seconds),
            f"{kind} to all intervals, median": median(seconds),
            f"{kind} to all intervals, longest": max(seconds),
        }
        figures.load = os.getloadavg()[0]
