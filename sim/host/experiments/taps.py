"""Writes to TAPs: which are timed, and which kernel functions their samples fall into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sim.config.progress import Progress
from sim.host.experiments.privilege import check_devices, run_program
from sim.host.experiments.symbols import Symbols, kernel_symbols, source_name
from sim.host.programs import compiled
from sim.host.recording import Samples

#: What becomes of the frame, in the order of `enum way` of taps.h; the first is a write to /dev/null.
WAYS = ("null", "down", "skb", "generic", "program", "native")
SIZES = (64, 128, 256, 512, 1024, 1518)
SAMPLED_BYTES = 64
_SAMPLED_MS = 1000


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
    """Sample a second of writes of each way.

    Parameters
    ----------
    cpu
        The CPU that writes.
    progress
        Told which way is sampled.

    Returns
    -------
    dict
        Samples by kernel function, and how many calls took how long, by way.

    Raises
    ------
    ConfigError
        The program fails, or the kernel hides its symbols.
    """
    program, symbols = compiled("writes"), kernel_symbols()
    sampled = {}
    for number, way in enumerate(WAYS):
        if progress is not None:
            progress(number / len(WAYS), f"profile of a write, {way}")
        settings = {"cpu": cpu, "way": number, "size": SAMPLED_BYTES, "ms": _SAMPLED_MS}
        (record,) = run_program(program, settings)
        sampled[way] = Samples(
            functions=count_functions(record["addresses"], symbols),
            user=record["user"],
            lost=record["lost"],
            calls=record["writes"],
            ns=record["ns"],
        )
    return sampled


def count_functions(addresses: Iterable[str], symbols: Symbols) -> dict[str, int]:
    """Count hexadecimal addresses by function, most frequent first; what a compiler has split off with the rest."""
    named = (source_name(symbols.function(int(address, 16))) for address in addresses)
    return dict(Counter(named).most_common())
