"""Pictures of the README that an answer makes: `PYTHONPATH=docs python -m generate.pictures` writes them anew.

The picture of the page that answers "what if" is a photograph of a browser, and not made here.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

import sim
from sim.report.plots.results import STYLE, pps_figure, svg
from sim.study.questions.run import Result

ASSETS = Path(__file__).parents[1] / "assets"
#: The patch that the project starts from, at the sizes of a plot.
ASKED = {"access": ["copy_user", "vmap"], "traffic.packet_bytes": [64, 128, 256, 512, 1024, 1518]}


def result() -> Result:
    """Return the answer that is drawn."""
    return sim.run("virtio-user-xdp1-tap", overrides=ASKED)


def rates(answer: Result) -> Figure:
    """Draw packets per second against packet size, large enough for a page that shows it at half its width."""
    with matplotlib.rc_context({**STYLE, "font.size": 11}):
        title = "copy_user against vmap: virtio-user, vhost_net, XDP_DROP on TAP"
        figure = pps_figure(answer.points, title)
        figure.set_size_inches(7.2, 4.6)
        return figure


def pictures() -> dict[str, str]:
    """Return every picture by its file name."""
    return {"pps.svg": svg(rates(result()))}


def main() -> None:
    """Write them."""
    for name, text in pictures().items():
        (ASSETS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
