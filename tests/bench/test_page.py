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
#: So long a reader looks at an answer; the page prepares what a switch asks for meanwhile.
LOOKS_SECONDS = 8.0


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


@pytest.mark.deep
@pytest.mark.skipif(
    (BROWSER is None or DRIVER is None) and "CI" not in os.environ, reason="no Chromium with its driver"
)
def test_seconds_in_a_browser(measuring, figures, tmp_path):
    options = [] if measuring else ["--draws", "4", *(word for key in SHORT for word in ("--set", key))]
    with serving(*options, folder=tmp_path) as (_, address), browsing() as driver:
        reader = Reader(driver)
        first = min(measured.first_seconds(reader, address) for _ in range(3 if measuring else 1))
        reader.until_whole()
        measured.watch(reader)
        label = driver.execute_script(
            "return document.querySelector('[role=slider][aria-label^=\"lfence,\"]').getAttribute('aria-label')"
        )
        costs = [
            measured.waited(reader, lambda: reader.slide(label, Keys.ARROW_RIGHT)) for _ in range(8 if measuring else 2)
        ]
        switches = [measured.waited(reader, lambda name=name: reader.turn(name)) for name in SWITCHES]
        rested = []
        for name in SWITCHES if measuring else SWITCHES[:1]:
            time.sleep(LOOKS_SECONDS if measuring else 0)
            rested.append(measured.waited(reader, lambda name=name: reader.turn(name)))
    assert all(0 < one.headline <= one.bands for one in (*costs, *switches, *rested))
    if measuring:
        figures.browser = {
            "first page": first,
            "a moved cost to the headline": min(one.headline for one in costs),
            "a moved cost to all intervals": min(one.bands for one in costs),
            "a moved cost to all intervals, median": median(one.bands for one in costs),
            "a switch to all intervals": min(one.bands for one in rested),
            "a switch to all intervals, median": median(one.bands for one in rested),
            "a switch right behind another to all intervals": min(one.bands for one in switches),
            "a switch right behind another to all intervals, median": median(one.bands for one in switches),
        }
        figures.load = os.getloadavg()[0]
