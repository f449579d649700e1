"""How long a page takes to answer, as its reader sees it: from a key or a click to what has changed, in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from selenium.webdriver.common.by import By

#: Notes when a key or the mouse was pressed, and when what a reader waits for became another.
_WATCH = """
const seen = window.seen = {};
const watched = {headline: '.top .status', bands: '.rates table'};
const text = (name) => document.querySelector(watched[name])?.textContent ?? '';
const texts = Object.fromEntries(Object.keys(watched).map((name) => [name, text(name)]));
for (const pressed of ['keydown', 'pointerdown']) addEventListener(pressed, () => {
  for (const name in watched) delete seen[name];
  seen.pressed = performance.now();
}, true);
new MutationObserver(() => requestAnimationFrame(() => {
  for (const name in watched) {
    const isOther = text(name) !== texts[name] && text(name) !== 'computing';
    texts[name] = text(name);
    if (isOther) seen[name] ??= performance.now() - seen.pressed;
  }
})).observe(document.body, {subtree: true, childList: true, characterData: true});
"""


@dataclass(frozen=True)
class Waited:
    """Seconds from a key or a click to the new headline with its interval, and to new intervals at all sizes."""

    headline: float
    bands: float


def watch(reader):
    """Begin to note what changes when."""
    reader.driver.execute_script(_WATCH)


def waited(reader, move):
    """Move a control and return how long the answer took; the page is left when it is whole."""
    move()
    reader.until(lambda: {"headline", "bands"} <= reader.driver.execute_script("return window.seen").keys())
    reader.until_whole()
    seen = reader.driver.execute_script("return window.seen")
    return Waited(seen["headline"] / 1e3, seen["bands"] / 1e3)


def first_seconds(reader, address):
    """Open a page and return when its controls were there, from the request on."""
    start = perf_counter()
    reader.driver.get(address)
    reader.until(lambda: reader.driver.find_elements(By.CSS_SELECTOR, ".controls .q-slider"))
    return perf_counter() - start
