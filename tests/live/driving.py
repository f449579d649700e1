"""The installed command with its page in a browser that a real driver moves, as a reader would."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import BROWSER

DRIVER = shutil.which("chromedriver")
COMMAND = Path(sys.executable).with_name("vhost-sim")
#: Seconds within which anything happens on a busy machine.
PATIENCE = 120
#: Seconds from one look to the next: each look costs the browser some milliseconds, which the page then lacks.
POLL = 0.1
_INTERVALS = "90 % intervals of"


@contextmanager
def serving(*arguments, folder):
    """Run `explore` and give its process and its address; it ends with the block."""
    command = [COMMAND, "explore", *arguments, "--no-browser"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@contextmanager
def browsing():
    """Give a browser without a window whose console and requests are kept."""
    options = ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-sync",
        "--hide-scrollbars",
    ):
        options.add_argument(argument)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(PATIENCE)
    try:
        yield driver
    finally:
        driver.quit()


class Reader:
    """Who looks at a page and moves what is on it."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, address, width=1280, height=1600, *, dark=False):
        """Open a page in a window of a width; wait for its whole answer."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(address)
        self.until_whole()

    def text(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    @property
    def headline(self):
        return self.text(".top .answer")

    def until(self, condition):
        """Wait for a condition; an element of a page that is just loaded anew is looked for again."""
        wait = WebDriverWait(self.driver, PATIENCE, POLL, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition())

    def until_some(self):
        """Wait until an answer has intervals, of however few draws."""
        self.until(lambda: _INTERVALS in self.text(".status"))

    def until_whole(self):
        """Wait until all draws are made."""
        self.until(lambda: _INTERVALS in (text := self.text(".status")) and "more" not in text)

    def until_other(self, old):
        """Wait until the headline is another one, then until it is whole."""
        self.until(lambda: self.headline != old)
        self.until_whole()

    def element(self, label, role=None):
        """The element of a name, as a screen reader finds it."""
        roles = f'[role="{role}"]' if role else ""
        return self.driver.find_element(By.CSS_SELECTOR, f'{roles}[aria-label="{label}"]')

    def unfold(self, title):
        for summary in self.driver.find_elements(By.TAG_NAME, "summary"):
            if summary.text == title and summary.find_element(By.XPATH, "..").get_attribute("open") is None:
                summary.send_keys(Keys.ENTER)

    def pick(self, label, name, looks_seconds=0.0):
        """Choose a name in a picker, by keyboard and mouse, which rests on it while its reader looks."""
        self.element(label, "combobox").send_keys(Keys.ARROW_DOWN)
        option = f'//div[@role="option"][.//span[normalize-space()="{name}"] or normalize-space()="{name}"]'
        self.until(lambda: self.driver.find_elements(By.XPATH, option))
        choice = self.driver.find_element(By.XPATH, option)
        self.driver.execute_script("arguments[0].scrollIntoView()", choice)
        ActionChains(self.driver, duration=0).move_to_element(choice).pause(looks_seconds).click().perform()

    def turn(self, label):
        """Turn a switch over, by keyboard."""
        self.element(label, "switch").send_keys(Keys.SPACE)

    def slide(self, label, key=Keys.ARROW_RIGHT):
        """Move a slider one step, by keyboard."""
        self.element(label, "slider").find_element(By.CSS_SELECTOR, "[tabindex]").send_keys(key)

    def type(self, label, number):
        """Type a number into the field of a control."""
        field = self.driver.find_element(By.CSS_SELECTOR, f'input[aria-label="{label}"]')
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(str(number))

    def console(self):
        """What was said on the console since the last look, apart from what the browser says of a dead server."""
        return [line["message"] for line in self.driver.get_log("browser")]

    def requested(self):
        """Addresses of all requests since the last look, those of data inside the page apart."""
        events = [json.loads(line["message"])["message"] for line in self.driver.get_log("performance")]
        sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        sent += [event["params"]["url"] for event in events if event["method"] == "Network.webSocketCreated"]
        return [address for address in sent if not address.startswith(("data:", "blob:"))]

    def violations(self):
        """What axe finds wrong with the page."""
        found = importlib.util.find_spec("axe_core_python")
        self.driver.execute_script((Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
        said = self.driver.execute_async_script("axe.run().then(arguments[0])")
        return [(rule["id"], [node["html"][:150] for node in rule["nodes"]]) for rule in said["violations"]]
