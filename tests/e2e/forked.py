"""The command in a process of its own without its start: a server that has imported everything forks once per call.

A call of the installed command spends more than a second on imports, and there are hundreds. The server has one thread,
so that a fork of it is whole; what runs in the fork is the entry point of the installed command.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import resource
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO


class Server:
    """A process that waits for calls of the command; used by one test at a time."""

    def __init__(self, command: Path) -> None:
        self._command = str(command)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, text=True)

    def run(
        self, arguments: list[str], folder: Path, outputs: Path, limits: tuple[int, int] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Call the command from a folder; `outputs` takes what it prints.

        `limits`: the seconds of processor time and the bytes of memory that it may take.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        out, err = outputs / "stdout", outputs / "stderr"
        argv = [self._command, *arguments]
        environment = {**os.environ, "COLUMNS": "132", "NO_COLOR": "1"}
        call = {"argv": argv, "folder": str(folder), "out": str(out), "err": str(err), "environment": environment}
        call |= {"limits": limits}
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(argv, code, out.read_text("utf-8"), err.read_text("utf-8"))

    def close(self) -> None:
        """End the server."""
        self._process.communicate()


def _import_everything() -> None:
    """Import every module, run what compiles the fast engine, and read the figures that every answer names."""
    import sim
    from sim.study.evidence.envelope import shipped_envelope

    for module in pkgutil.walk_packages(sim.__path__, "sim."):
        importlib.import_module(module.name)
    shipped_envelope()
    gc.freeze()
    sim.run(sim.load_scenario("virtio-user-xdp1-tap", overrides=["traffic.packet_bytes=64", "run.packets=1"]))


def _become(call: dict[str, Any]) -> None:
    """Take on the arguments, environment, folder and outputs of a call."""
    sys.argv = call["argv"]
    os.environ.clear()
    os.environ.update(call["environment"])
    os.chdir(call["folder"])
    if call["limits"]:
        seconds, n_bytes = call["limits"]
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))
    for descriptor, file in ((0, os.devnull), (1, call["out"]), (2, call["err"])):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(file, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)


def _serve(calls: TextIO, answers: TextIO) -> bool:
    """Answer calls with exit codes; return True in the fork that is to run the command."""
    for line in calls:
        child = os.fork()
        if child == 0:
            calls.close()
            answers.close()
            _become(json.loads(line))
            return True
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()
    return False


def _run() -> None:
    """Run the command and leave at once: to free what was imported takes longer than most calls."""
    from sim.cli import main

    code: Any = 1
    try:
        main()
    except SystemExit as leaving:
        code = leaving.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _import_everything()
    if _serve(os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")):
        _run()
