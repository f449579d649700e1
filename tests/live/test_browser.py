"""The installed command in a browser: what is moved moves the answer, which is that of the command that is shown."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from sim.config.loading import paths
from sim.live.controls import RING
from tests.browser import BROWSER
from tests.live.driving import COMMAND, DRIVER, Reader, browsing, serving
from tests.live.test_state import WINDOW

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        (BROWSER is None or DRIVER is None) and "CI" not in os.environ, reason="no Chromium with its driver here"
    ),
]
#: One size, two variants and few draws, so that every answer is whole in a second or two.
SHORT = ["--sizes", "64", "--access", "copy_user,vmap", "--draws", "4", "--set", "run.packets=20000"]

#: Each width and scheme has been looked at with another, and an address refused in the same place for another reason.
REPEATED = [pytest.mark.deep, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("explore")


@pytest.fixture(scope="module")
def served(folder):
    with serving(*SHORT, folder=folder) as (process, address):
        yield process, address


@pytest.fixture(scope="module")
def reader():
    with browsing() as driver:
        yield Reader(driver)


@pytest.fixture
def watched(served, reader):
    """A reader who opens a page; at its end the console is empty, and nothing was asked elsewhere."""
    _, address = served
    yield reader
    assert reader.console() == []
    hosts = {request.split("/")[2] for request in reader.requested()}
    assert hosts == {address.split("/")[2]}


@pytest.fixture
def page(watched, served):
    """A page as it begins."""
    watched.open(served[1])
    return watched


@pytest.fixture(scope="module")
def first_headline(served, reader):
    """What a page says as it begins."""
    reader.open(served[1])
    return reader.headline


def shown_command(page):
    """The first of the commands that the page shows."""
    return page.text(".command pre")


def answered(line, folder):
    """What a command line that the page shows prints as JSON."""
    words = line.replace("vhost-sim ", f"{COMMAND} ", 1) if line.startswith("vhost-sim") else line
    words = words.replace("\nvhost-sim ", f"\n{COMMAND} ") + " --json"
    done = subprocess.run(["sh", "-c", words], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def assert_agrees(page, folder):
    """Assert that the headline and the table of rates are what the command that is shown gives."""
    answer = answered(shown_command(page), folder)
    gain = answer["uncertainty"]["gains"][0]["gain_percent"]
    page.unfold("the numbers")
    rows = [row.text for row in page.driver.find_elements(By.CSS_SELECTOR, "section tr") if gain_text(gain) in row.text]
    assert any(row.startswith(answer["after"]) for row in rows)
    assert f"{gain['value']:.0f} % [" in page.headline


def gain_text(gain):
    return f"{gain['value']:+.1f} % [{gain['low']:+.1f}, {gain['high']:+.1f}]"


def query(page):
    return page.driver.current_url.partition("?")[2]


def test_a_switch_moves_the_answer_and_the_command_gives_the_same(page, folder):
    old = page.headline
    page.turn("SMAP")
    page.until_other(old)
    page.until(lambda: "mitigations.smap=false" in query(page))
    assert "--set mitigations.smap=false" in shown_command(page)
    assert_agrees(page, folder)
    legend = page.driver.find_elements(By.CSS_SELECTOR, ".legendtext")
    assert "vmap, as shipped" in [element.text for element in legend]


@pytest.mark.deep
def test_a_picker_moves_the_answer_and_the_way_back_leads_back(page, folder):
    old = page.headline
    page.pick("CPU", "sapphire-rapids")
    page.until_other(old)
    assert "Sapphire Rapids" in page.headline
    assert_agrees(page, folder)
    page.driver.back()
    page.until(lambda: page.headline == old)
    page.until(lambda: "cpu=" not in query(page))
    page.driver.forward()
    page.until(lambda: "Sapphire Rapids" in page.headline)
    picker = page.driver.find_element(By.CSS_SELECTOR, 'input[aria-label="CPU"]')
    page.until(lambda: picker.get_attribute("value") == "sapphire-rapids")


@pytest.mark.deep
def test_sliders_and_fields_move_the_answer(page, folder):
    old = page.headline
    page.unfold("traffic")
    page.type("packet size, bytes", 1400)
    page.until_other(old)
    assert "at 1400 B" in page.headline
    page.unfold("ring")
    page.slide("ring, entries, slider")
    page.until(lambda: "virtqueue.size=512" in query(page))
    page.until_whole()
    assert_agrees(page, folder)


@pytest.mark.deep
def test_an_input_is_set_and_taken_back(page, folder):
    old = page.headline
    page.type("lfence, cycles", 40)
    page.until_other(old)
    page.until(lambda: "cpu.primitives.lfence=40" in query(page))
    assert_agrees(page, folder)
    page.until(lambda: page.element("lfence as in the table").is_displayed())
    page.element("lfence as in the table").click()
    page.until(lambda: page.headline == old)
    page.until(lambda: "lfence" not in query(page))


@pytest.mark.deep
def test_an_address_is_a_page_and_pages_do_not_disturb_each_other(page):
    old = page.headline
    page.turn("SMAP")
    page.until_other(old)
    moved, address, first = page.headline, page.driver.current_url, page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.open(address)
    assert page.headline == moved
    page.pick("kernel", "v6.12")
    page.until_other(moved)
    page.driver.close()
    page.driver.switch_to.window(first)
    assert (page.headline, page.driver.current_url) == (moved, address)


@pytest.mark.deep
def test_a_variant_of_ones_own_is_answered_like_the_others(page, folder):
    page.unfold("an access variant of your own")
    field = page.driver.find_element(By.CSS_SELECTOR, "textarea")
    assert field.get_attribute("value") == WINDOW
    button = '//button[.="add as a variant"]'
    page.driver.find_element(By.XPATH, button).click()
    page.until(lambda: "one-window" in query(page))
    page.until_whole()
    page.until(lambda: "one-window" in page.text(".answers section"))
    assert "cat > mine/access/one-window.yaml" in shown_command(page)
    answer = answered(shown_command(page).replace("compare ", "run ", 1).replace("run.packets", "run.packets"), folder)
    rates = {(row["access"]): row["pps"] for row in answer["results"]}
    page.unfold("the numbers")
    assert f"{rates['one-window'] / 1e6:.3f}" in page.text(".answers")


@pytest.mark.deep
def test_what_is_refused_is_said_beside_the_control_and_the_answer_stays(page):
    old, address = page.headline, page.driver.current_url
    page.unfold("ring")
    page.type("ring, entries", 100)
    page.until(lambda: "stale" in page.driver.find_element(By.CSS_SELECTOR, ".answers").get_attribute("class"))
    (note,) = [note for note in page.driver.find_elements(By.CSS_SELECTOR, ".refused .note") if note.text]
    assert "100 is not a power of two" in note.text
    assert (page.headline, page.driver.current_url) == (old, address)
    page.unfold("an access variant of your own")
    page.driver.find_element(By.CSS_SELECTOR, "textarea").send_keys("\n]nonsense")
    page.driver.find_element(By.XPATH, '//button[.="add as a variant"]').click()
    page.until(lambda: any("not readable as YAML" in note.text for note in notes(page)))
    page.type("ring, entries", 128)
    page.until(lambda: "virtqueue.size=128" in query(page))
    page.until_whole()
    assert "stale" not in page.driver.find_element(By.CSS_SELECTOR, ".answers").get_attribute("class")


def notes(page):
    return page.driver.find_elements(By.CSS_SELECTOR, ".note")


def test_a_control_without_effect_says_what_it_would_need(page):
    page.unfold("host")
    page.until(lambda: any("it would need backend.kind=tap-xdp-redirect" in note.text for note in notes(page)))
    field = page.driver.find_element(By.CSS_SELECTOR, 'input[aria-label="NIC, Gbit/s"]')
    assert not field.is_enabled()


@pytest.mark.parametrize(
    ("dark", "width"),
    [
        pytest.param(False, 1280, id="light-1280", marks=pytest.mark.deep),
        pytest.param(True, 390, id="dark-390"),
        pytest.param(True, 1280, id="dark-1280", marks=REPEATED),
        pytest.param(False, 390, id="light-390", marks=REPEATED),
    ],
)
def test_a_page_fits_is_named_and_has_contrast(watched, served, width, dark):
    watched.open(served[1], width, 1600, dark=dark)
    for summary in watched.driver.find_elements(By.TAG_NAME, "summary"):
        watched.unfold(summary.text)
    assert_fits(watched)
    assert watched.violations() == []


def assert_fits(page):
    """Assert that nothing sticks out of the window, whose scroll bar takes a part of it."""
    wide, window = page.driver.execute_script(
        "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
    )
    assert wide == window


def test_on_a_projector_at_twice_the_size_it_fits(watched, served):
    watched.open(served[1], 640, 400)
    assert_fits(watched)
    assert watched.driver.execute_script("return document.querySelector('.top').offsetHeight") < 200


@pytest.mark.deep
def test_the_number_of_draws_is_chosen_and_stands_in_the_address(page, folder):
    page.pick("draws of each interval", "20")
    page.until(lambda: "draws=20" in query(page))
    page.until_whole()
    assert page.text(".status") == "90 % intervals of 20 draws"
    assert shown_command(page).endswith("--uncertainty 20")
    assert_agrees(page, folder)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("scenario=nowhere", "unknown scenario 'nowhere'"),
        pytest.param("cpu=zen9", "unknown cpu 'zen9'", marks=REPEATED),
        pytest.param("draws=-3", "a number of draws from 1 to 10000 is needed", marks=pytest.mark.deep),
        pytest.param("cpu=[", "not readable as YAML", marks=REPEATED),
    ],
)
def test_a_wrong_address_is_said_and_the_page_answers_all_the_same(watched, first_headline, served, wrong, said):
    page, right = watched, first_headline
    page.open(f"{served[1].partition('?')[0]}?{wrong}")
    assert page.headline == right
    page.until(lambda: any(said in note.text for note in page.driver.find_elements(By.CSS_SELECTOR, ".refused .note")))
    page.turn("SMAP")
    page.until_other(right)
    page.until(lambda: "mitigations.smap=false" in query(page))
    assert not [note.text for note in page.driver.find_elements(By.CSS_SELECTOR, ".refused .note") if note.text]


@pytest.fixture
def looked(page):
    """Returns what the page has told of looks since it was asked last."""
    said = (
        "const e = emitEvent; window.said = []; window.emitEvent = (...what) => { window.said.push(what); e(...what); }"
    )
    page.driver.execute_script(said)
    return lambda: page.driver.execute_script("return window.said.splice(0).map(([name, what]) => [name, ...what])")


def test_what_is_looked_at_is_told_before_it_is_moved(page, looked):
    """A switch or an option that the pointer rests on, or a key has come to; not one that it passes over."""

    def point(*elements, rest):
        chain = ActionChains(page.driver, duration=0)
        for element in elements:
            chain.move_to_element(element)
        chain.pause(rest).perform()

    switches = [page.element(name, "switch") for name in ("SMAP", "page-table isolation")]
    point(*switches, rest=0.3)
    assert looked() == [["looked", "page-table isolation", ""]]
    old = page.headline
    switches[0].send_keys(Keys.NULL)
    page.until(lambda: ["looked", "SMAP", ""] in looked())
    picker = page.element("CPU", "combobox")
    picker.send_keys(Keys.ARROW_DOWN)
    page.until(lambda: page.driver.find_elements(By.CSS_SELECTOR, "[role=option]"))
    picker.send_keys(Keys.ARROW_DOWN)
    page.until(lambda: (told := looked()) and told[-1][:2] == ["looked", "CPU"] and told[-1][2] in paths.names("cpu"))
    (option,) = page.driver.find_elements(By.XPATH, '//div[@role="option"][normalize-space()="broadwell-ep-e5-2650v4"]')
    point(option, rest=1)
    assert looked()[-1] == ["looked", "CPU", "broadwell-ep-e5-2650v4"]
    assert page.headline == old  # nothing has moved
    option.click()
    page.until_other(old)
    assert "Broadwell" in page.headline


@pytest.mark.parametrize(
    ("label", "key"), [("burst, packets", "driver.burst"), ("lfence, cycles", "cpu.primitives.lfence")]
)
def test_a_slider_is_looked_at_where_it_is_pressed_then(page, looked, label, key):
    """Where the pointer rests on it, not where it passes: the number there is the one that a press gives."""
    page.unfold("ring")
    slider = page.driver.find_element(By.CSS_SELECTOR, f'[role=slider][aria-label^="{label}, slider"]')
    chain = ActionChains(page.driver, duration=0).move_to_element_with_offset(slider, -30, 0)
    chain.move_to_element_with_offset(slider, 80, 0).pause(0.3).perform()
    ((event, spoken, part),) = looked()
    assert (event, spoken) == ("looked", slider.get_attribute("aria-label"))
    width = slider.rect["width"]
    assert float(part) == pytest.approx((width / 2 + 80) / width, abs=0.01)
    ActionChains(page.driver, duration=0).click().perform()
    page.until(lambda: f"{key}=" in query(page))
    page.until_whole()
    least, most = (float(slider.get_attribute(f"aria-value{end}")) for end in ("min", "max"))
    right = least + float(part) * (most - least)
    if key == "driver.burst":
        right = next(control for control in RING if control.key == key).stops[int(right + 0.5)]
    number = page.driver.find_element(By.CSS_SELECTOR, f'input[aria-label="{label}"]')
    assert float(number.get_attribute("value")) == pytest.approx(right, rel=0.01)


@pytest.mark.deep
def test_of_many_moves_the_last_is_answered(page, folder):
    (slider,) = page.driver.find_elements(By.CSS_SELECTOR, '[role=slider][aria-label^="lfence,"]')
    thumb = slider.find_element(By.CSS_SELECTOR, "[tabindex]")
    for _ in range(10):
        thumb.send_keys(Keys.ARROW_RIGHT * 9, Keys.ARROW_LEFT * 8)
    field = page.driver.find_element(By.CSS_SELECTOR, 'input[aria-label="lfence, cycles"]')
    page.until(lambda: f"lfence={float(field.get_attribute('value')):.6g}" in query(page))
    page.until_whole()
    assert_agrees(page, folder)


def at_once(page, *moves):
    """Move several controls before the page has answered any."""
    turned = "document.querySelector(`[role=switch][aria-label='${name}']`).click()"
    typed = (
        "const field = document.querySelector(`input[aria-label='${name}']`); "
        "field.value = text; field.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    page.driver.execute_script(
        f"for (const [name, text] of arguments[0]) {{ if (text === null) {{ {turned} }} else {{ {typed} }} }}", moves
    )


@pytest.mark.deep
def test_more_moves_than_calls_can_be_nested_are_answered(page):
    page.unfold("mitigations")
    at_once(page, *(("SMAP", None), ("page-table isolation", None)) * 1201)
    page.until(lambda: "mitigations.pti=false&mitigations.smap=false" in query(page))


def test_moves_in_quick_succession_are_all_answered(page):
    page.unfold("mitigations")
    at_once(page, ("SMAP", None), ("page-table isolation", None))
    page.until(lambda: "mitigations.pti=false&mitigations.smap=false" in query(page))
    page.until_whole()
    for name in ("SMAP", "page-table isolation"):
        assert page.element(name, "switch").get_attribute("aria-checked") == "false"


def test_a_refused_move_leaves_what_was_asked_before_it(page):
    """Also where that was not answered yet: then it is, and controls say so."""
    page.unfold("ring")
    page.pick("scenario", "virtio-user-receive-skb")
    at_once(page, ("ring, entries", "100"))
    page.until(lambda: "scenario=virtio-user-receive-skb" in query(page))
    page.until_whole()
    picker = page.driver.find_element(By.CSS_SELECTOR, 'input[aria-label="scenario"]')
    page.until(lambda: picker.get_attribute("value") == "virtio-user-receive-skb")
    ring = page.driver.find_element(By.CSS_SELECTOR, 'input[aria-label="ring, entries"]')
    page.until(lambda: ring.get_attribute("value") == "256")
    page.until(lambda: any("100 is not a power of two" in note.text for note in notes(page)))
    assert "stale" not in page.driver.find_element(By.CSS_SELECTOR, ".answers").get_attribute("class")


@pytest.mark.deep
def test_a_slow_scenario_is_dropped_for_another(watched, first_headline, served):
    """On the reference engine this one would take minutes."""
    page, right = watched, first_headline
    page.driver.get(f"{served[1].partition('?')[0]}?scenario=virtio-user-xdp1-tap&run.engine=reference&draws=100")
    page.until(lambda: page.text(".status") == "computing")
    page.pick("scenario", "virtio-user-receive-skb")
    page.until_some()
    assert page.headline not in ("", right)
    page.until(lambda: "scenario=virtio-user-receive-skb" in query(page))


@pytest.mark.deep
def test_a_page_that_was_left_asks_for_nothing_more(folder, reader):
    """What was under way ends; of some seconds of work for what may be moved next nothing is begun."""
    with serving("--draws", "100", folder=folder) as (process, address):
        reader.driver.get(address)
        reader.until_some()
        reader.driver.get("about:blank")
        time.sleep(3)
        before = _busy_seconds(process.pid)
        time.sleep(2)
        assert _busy_seconds(process.pid) - before < 0.5


def _busy_seconds(process):
    """Processor time of a process and of those that it has started."""
    folder = Path(f"/proc/{process}")
    user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    children = (folder / "task" / str(process) / "children").read_text().split()
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK") + sum(map(_busy_seconds, children))


@pytest.mark.parametrize(
    "is_busy", [pytest.param(False, id="idle"), pytest.param(True, id="computing", marks=pytest.mark.deep)]
)
def test_a_dead_server_is_said(folder, reader, is_busy):
    with serving(*SHORT, folder=folder) as (process, address):
        reader.open(address)
        if is_busy:
            reader.turn("SMAP")
        process.kill()
        reader.until(lambda: "Connection lost" in reader.text("#popup"))
    reader.console()
    reader.requested()


def test_an_interrupt_ends_the_command(folder):
    with serving(*SHORT, folder=folder) as (process, address):
        assert shlex.quote(address.partition("?")[0]) == address.partition("?")[0]
        process.send_signal(2)
        said, noted = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
        assert noted == "vhost-sim: Ctrl-C ends it\nvhost-sim: stopped\n"
