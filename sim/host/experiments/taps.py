"""Writes to TAPs: which are timed, and which kernel functions their samples fall into."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.host.experiments.privilege import check_devices, run_program
from sim.host.experiments.symbols import PROGRAM, source_name
from sim.host.programs import compiled
from sim.host.recording import Samples

#: What becomes of the frame, in the order of `enum way` of taps.h; the first is a write to /dev/null.
WAYS = ("null", "down", "skb", "generic", "program", "native")
SIZES = (64, 128, 256, 512, 1024, 1518)
SAMPLED_BYTES = 64
_SAMPLED_MS = 1000
#: Behind the kernel's own text: what a program was compiled into, where the kernel does not name it.
_END_OF_TEXT = ("_etext", "_einittext")


def series_name(way: str, size: int) -> str:
    """Return the name of a recording's series."""
    return f"tap_{way} {size}"


def tap_benchmarks() -> list[str]:
    """Return every timed write as `NAME ARGUMENT`."""
    return [series_name(way, size) for size in SIZES for way in WAYS]


def check_taps() -> None:
    """Raise ConfigError, with the reason, where this process cannot write to a TAP with an XDP program."""
    check_devices("/dev/net/tun")
    run_program(compiled("writes"), {"way": WAYS.index("native"), "writes": 1})


def sample_writes(cpu: int, progress: Progress | None = None) -> dict[str, Samples]:
    """Sample a second of writes of each way, and return the samples by kernel function."""
    program, symbols = compiled("writes"), KernelSymbols(Path("/proc/kallsyms"))
    sampled = {}
    for number, way in enumerate(WAYS):
        if progress is not None:
            progress(number / len(WAYS), f"profile of a write, {way}")
        settings = {"cpu": cpu, "way": number, "size": SAMPLED_BYTES, "ms": _SAMPLED_MS}
        (record,) = run_program(program, settings)
        sampled[way] = Samples(
            functions=symbols.count(record["addresses"]),
            user=record["user"],
            lost=record["lost"],
            calls=record["writes"],
            ns=record["ns"],
        )
    return sampled


class KernelSymbols:
    """The kernel's functions by address, as /proc/kallsyms lists them for root."""

    def __init__(self, file: Path) -> None:
        pairs = sorted(_functions(file.read_text(encoding="ascii", errors="replace").splitlines()))
        if not pairs or pairs[-1][0] == 0:
            raise ConfigError("measure: the kernel hides its symbols (kernel.kptr_restrict is 2)")
        self._starts: Sequence[int] = [start for start, _ in pairs]
        self._names = [name for _, name in pairs]

    def name(self, address: int) -> str:
        """Return the function that holds an address, parts that the compiler has split off under its own name."""
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return "unknown"
        name = source_name(self._names[place])
        return PROGRAM if name in _END_OF_TEXT or name.startswith("bpf_prog_") else name

    def count(self, addresses: Iterable[str]) -> dict[str, int]:
        """Count hexadecimal addresses by function, most frequent first."""
        return dict(Counter(self.name(int(address, 16)) for address in addresses).most_common())


def _functions(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    for line in lines:
        address, kind, name, *_ = line.split()
        if kind in "tTwW":
            yield int(address, 16), name
