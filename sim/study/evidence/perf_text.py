"""What the texts of perf have in common: names of events, numbers of a locale, and files that are no such text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sim.config.errors import ConfigError

#: Commands that print a readable text, by what they print; `-t`: since Linux 6.4 the worker is a thread of its QEMU.
REPORT_COMMAND = "`perf report --stdio --no-children -g none -F overhead,comm,sym`"
STAT_COMMAND = "`perf stat -e instructions -t TID`"

_RECORDING = b"PERFILE2"
#: `perf script`: command, pid or pid/tid, maybe the CPU, the time, maybe the period, the event.
_SCRIPT = re.compile(r"^\s*\S.*\s\d+(?:/\d+)?\s+(?:\[\d+\]\s+)?\d+\.\d+:\s+(?:\d+\s+)?[\w./:-]+:")
#: Folded stacks, as flame graphs are drawn from: frames with semicolons between them, then a count.
_FOLDED = re.compile(r"^[^;#]+(?:;[^;]+)+\s\d+$")
_OTHER_TEXTS = {
    re.compile(r"^#?\s*Baseline\s+Delta"): "perf diff",
    re.compile(r"^\s*PerfTop:"): "perf top",
    re.compile(r"^\s*Percent\s*\|\s*Source code"): "perf annotate",
}


def refuse_other_formats(content: bytes, file: object) -> None:
    """Raise ConfigError, with the command that helps, for a recording and for what other commands print of one."""
    if content.startswith(_RECORDING):
        command = REPORT_COMMAND.replace("perf report", f"perf report -i {file}")
        raise ConfigError(f"is a recording; its text is wanted, that of {command}", file=file)
    lines = [line for line in content.decode("utf-8", "replace").splitlines()[:200] if line.strip()]
    data = [line for line in lines if not line.startswith("#")]
    printed_by = next((name for line in lines for form, name in _OTHER_TEXTS.items() if form.match(line)), None)
    if data and _SCRIPT.match(data[0]):
        printed_by = "perf script"
    elif data and all(_FOLDED.match(line) for line in data):
        printed_by = "a tool that folds stacks"
    if printed_by:
        raise ConfigError(
            f"is text of {printed_by}; what {REPORT_COMMAND} prints of the same recording is wanted", file=file
        )


_NAMES = {
    "cpu-cycles": "cycles",
    "cpu_clk_unhalted.thread": "cycles",
    "inst_retired.any": "instructions",
    "ex_ret_instr": "instructions",
}


@dataclass(frozen=True)
class PerfEvent:
    """An event as perf names it: `unit` is the kind of core on a hybrid CPU, `modes` the letters that restrict it."""

    name: str
    unit: str
    modes: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> PerfEvent:
        """Read `cycles`, `cycles:ppk`, `cpu_core/cycles/` or `cpu_core/cycles/k`."""
        unit, slash, rest = text.strip().partition("/")
        if not slash or not unit.startswith("cpu"):
            unit, rest = "", text.strip()
        name = re.split(r"[:/,]", rest, maxsplit=1)[0]
        letters = re.search(r"[:/]([A-Za-z]+)/?$", rest)
        modes = frozenset(letters[1] if letters else "") & frozenset("ukhHG")
        return cls(_NAMES.get(name.lower(), name), "" if unit == "cpu" else unit, modes)

    @property
    def levels(self) -> frozenset[str]:
        """Levels that are counted: u (user), k (kernel), h (hypervisor); all where none is named."""
        return self.modes & frozenset("ukh") or frozenset("ukh")

    @property
    def of_guest(self) -> bool:
        """Whether only what runs in guests is counted."""
        return "G" in self.modes and "H" not in self.modes


_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:[.,]\d+)+(?![\w.,])")


def decimal_mark(lines: Iterable[str]) -> str | None:
    """Return the decimal mark, `.` or `,`, that the numbers of a text leave no doubt of; None when they do."""
    for line in lines:
        for number in _NUMBER.findall(line):
            marks = re.sub(r"\d", "", number)
            groups = re.split("[.,]", number)
            if len(set(marks)) == 2:  # 1,234.5
                return str(marks[-1])
            grouped = all(len(group) == 3 for group in groups[1:]) and len(groups[0]) <= 3 and groups[0] != "0"
            if len(marks) > 1 and grouped:  # 1,234,567
                return "." if marks[0] == "," else ","
            if len(marks) == 1 and not grouped:  # 10.0010203
                return str(marks)
    return None


def read_count(text: str, decimal: str | None) -> float:
    """Read a whole number with any separators between thousands.

    Raises ConfigError where one point stands before three digits and nothing says that it separates thousands: perf
    prints no fraction of a count, and a reader would take it for one.
    """
    if re.fullmatch(r"\d{1,3}[.,]\d{3}", text):
        thousands = decimal is not None and text.strip("0123456789") != decimal
        if not thousands and ("." in text or decimal is not None):
            raise ConfigError(
                f"'{text}' may be thousands or a fraction; {STAT_COMMAND} under LC_ALL=C prints no separators"
            )
        return float(re.sub(r"\D", "", text))
    whole = re.fullmatch(r"(\d+)[.,]\d+", text)  # 9000000000.000000
    return float(whole[1] if whole else re.sub(r"\D", "", text))
