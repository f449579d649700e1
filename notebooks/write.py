"""Write the notebooks anew: run the text form of each, and keep its cells with their outputs beside it.

`python -m notebooks.write` writes all of them, `python -m notebooks.write 04-design-review` one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

import sim
from sim.config.loading.files import write_whole

HERE = Path(__file__).resolve().parent
TEXTS = sorted(HERE.glob("[0-9]*.py"))

_SECONDS_PER_CELL = 600
#: A kernel warns that others on this machine might read what it is sent; nothing here is a secret.
_ERRORS_ONLY = ["--IPKernelApp.log_level=40"]
#: The last format whose cells carry no identifiers, which would be other ones each time.
_MINOR = 4


def cells_of(text: Path) -> nbformat.NotebookNode:
    """Read a text form as a notebook without outputs; nothing in it changes from one reading to the next."""
    notebook = jupytext.read(text)
    notebook.nbformat_minor = _MINOR
    for cell in notebook.cells:
        cell.pop("id", None)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def executed(text: Path) -> nbformat.NotebookNode:
    """Run a text form in a fresh kernel. Raises nbclient's CellExecutionError for a cell that fails."""
    _compile_first()
    notebook = cells_of(text)
    NotebookClient(
        notebook, timeout=_SECONDS_PER_CELL, kernel_name="python3", record_timing=False, extra_arguments=_ERRORS_ONLY
    ).execute()
    notebook.metadata["language_info"] = {"name": "python"}  # the kernel added the versions of this machine
    return notebook


def _compile_first() -> None:
    """Compile the engine outside of the notebook: that it does so, it says on stderr, which a cell would keep."""
    sim.run(sim.load_scenario("virtio-user-xdp1-tap", settings={"run.packets": 1000, "traffic.packet_bytes": 64}))


def as_text(notebook: nbformat.NotebookNode) -> str:
    """Return the bytes of a notebook as text: sorted, indented, with an end of line at the end."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def main(names: list[str]) -> int:
    """Write the notebooks of these names, or all; return the exit code."""
    known = {text.stem: text for text in TEXTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"unknown notebook '{unknown[0]}'; valid: {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or known:
        write_whole(known[name].with_suffix(".ipynb"), as_text(executed(known[name])))
        print(f"written: {name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
