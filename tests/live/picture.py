"""The picture of the page for README and documentation: `python -m tests.live.picture` takes it anew."""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path

from PIL import Image

from tests.live.driving import Reader, browsing, serving

PICTURE = Path(__file__).parents[2] / "docs" / "assets" / "explore.png"
#: What is asked: the switch that most ask about first, with the two variants of the headline.
ASKED = ["virtio-user-xdp1-tap", "--set", "mitigations.smap=false", "--access", "copy_user,vmap"]
WIDTH, HEIGHT = 1280, 1000
#: Few colours are enough for text and lines, and make a small file.
COLOURS = 128


def taken() -> bytes:
    """Take the picture of a whole answer."""
    with tempfile.TemporaryDirectory() as folder, serving(*ASKED, folder=folder) as (_, address), browsing() as driver:
        Reader(driver).open(address, WIDTH, HEIGHT)
        shown = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    picture = Image.open(io.BytesIO(base64.b64decode(shown))).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    written = io.BytesIO()
    picture.save(written, "PNG", optimize=True)
    return written.getvalue()


if __name__ == "__main__":
    PICTURE.write_bytes(taken())
