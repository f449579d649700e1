"""Runs what a page shows, in a folder of its own: files first, then commands and Python in the order of the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from tests.docs.blocks import ROOT, Block, Command, blocks, differs
from tests.host.turn import only_measuring

BIN = Path(sys.executable).parent

#: Files that a page speaks of as the reader's own.
FILES = {
    "docs/howto/questions.md": {
        # "your own perf report": three lines of one, of functions that the model has rows for
        "perf.txt": "    40.00%  vhost-1  [kernel.kallsyms]  [k] vhost_get_vq_desc\n"
        "    30.00%  vhost-1  [kernel.kallsyms]  [k] copyin\n    20.00%  vhost-1  [kernel.kallsyms]  [k] tun_xdp_one\n",
    },
    # what was counted of a kernel
    "docs/howto/kernel.md": {"counts.json": (ROOT / "tests/data/counts/v6.1.192.json").read_text(encoding="utf-8")},
}

#: Pages whose commands are run in a checkout that they change.
CHECKOUTS = ("docs/howto/step.md",)

#: Commands that take long on two cores, with the seconds that they took there; those that need what such a one makes.
SLOW = {
    "--uncertainty  ": "hundreds of draws of two variants: 15 s",
    "--uncertainty 20": "twenty draws of eight queues, two sizes and all variants: 40 s",
    "vhost-sim sweep cost-ranges": "thousands of points: 15 s",
    "vhost-sim report virtio-user-xdp1-tap -o": "100 draws, all sizes: 20 s",
    "vhost-sim sensitivity seed-gain --method sobol": "14 338 runs: 40 s",
    "vhost-sim validate  ": "every published figure with its interval: 40 s",
    "validate --only size-proxy-iperf": "ten draws of every figure of streams: 40 s of one core",
    "vhost-sim calibrate seed-two-rates": "a fit and its posterior: 30 s",
    "calibrate --here": "a fit of thirty figures: four minutes; needs what `measure` writes",
    "vhost-sim explore": "a page that is served until it is interrupted: 12 s",
    "vhost-sim capacity": "a search of thirty runs: 5 s",
    "vhost-sim measure": "micro-benchmarks of this machine: up to a minute",
    "this-host": "needs what `measure` writes",
}


#: The device that a command opens as root; where that is missing, it refuses, which other tests see.
NEEDS = {
    "measure --vhost": Path("/dev/vhost-net"),
    **dict.fromkeys(("measure --tap", "--here", "calibration=here"), Path("/dev/net/tun")),
}


def is_possible(command: Command) -> bool:
    """Return whether this machine has what a command needs."""
    devices = [device for part, device in NEEDS.items() if part in command.line]
    return all(os.geteuid() == 0 and device.exists() for device in devices)


def is_slow(command: Command) -> bool:
    """Tell whether a command is left to the deep run."""
    return any(part in command.line for part in SLOW)


def commands_of(name: str) -> list[Command]:
    """Return every command of a page."""
    return [command for block in blocks_of(name) for command in block.commands]


def blocks_of(name: str) -> list[Block]:
    """Return the blocks of a page."""
    return blocks((ROOT / name).read_text(encoding="utf-8"))


def targets() -> dict[str, str]:
    """Map every target of the Makefile to the last line of its recipe."""
    found = re.findall(r"^([a-z][\w-]*):[^\n]*\n((?:\t[^\n]*\n)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return {name: recipe.strip().splitlines()[-1].strip() if recipe.strip() else "" for name, recipe in found}


def run_page(
    name: str,
    folder: Path,
    wanted: Callable[[Command], bool],
    python: bool = True,
    differing: Callable[[str, str], None] = lambda shown, printed: None,
) -> list[str]:
    """Write the files of a page and run the commands that are wanted, and its Python; return what is wrong.

    `differing` is called with each output that is not what the page shows: as shown, and as printed.
    """
    found = blocks_of(name)
    if name in CHECKOUTS:
        for part in ("sim", "configs", "docs"):
            shutil.copytree(ROOT / part, folder / part)
    for file, text in [*FILES.get(name, {}).items(), *((one.file, one.text) for one in found if one.file)]:
        place = folder / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    wrong = []
    for block in found:
        if block.python and python:
            done = _call([sys.executable, "-c", block.text], name, folder)
            wrong += [f"line {block.line}: {done.stderr[-500:]}"] if done.returncode else []
        printed = ""
        for command in block.commands:
            if wanted(command):
                said, text = _run(command, name, folder)
                wrong, printed = wrong + said, printed + text
        if block.output is not None and all(map(wanted, block.commands)):
            missing = differs(block.output, printed)
            if missing is not None:
                differing(block.output, printed)
            wrong += [] if missing is None else [f"line {block.line}: shown but not printed: {missing}\n{printed}"]
    return wrong


def _run(command: Command, name: str, folder: Path) -> tuple[list[str], str]:
    """Run one command; return what is wrong with it, and what it printed (on stderr, when it should fail)."""
    line = command.line
    if line.startswith("make "):
        target = line.split()[1]
        if target != "run":  # the others are not for a test to run: they run the tests
            return ([] if target in targets() else [f"no target '{target}' in the Makefile"]), ""
        line = targets()["run"].replace("$(BIN)/", "")
    if line.startswith("vhost-sim explore"):  # it serves until it is interrupted
        line = f"timeout --preserve-status --signal=INT 12 {line} --no-browser"
    with only_measuring() if "vhost-sim measure" in line else nullcontext():
        done = _call(["bash", "-c", line], name, folder)
    if done.returncode != command.code:
        return [f"{line}: exit code {done.returncode}, not {command.code}: {done.stderr[-500:]}"], ""
    return [], done.stdout + (done.stderr if command.code else "")


def _call(words: list[str], name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "132", "NO_COLOR": "1"}
    if name in CHECKOUTS:
        environment["PYTHONPATH"] = str(folder)
    return subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        stdin=subprocess.DEVNULL,
    )
