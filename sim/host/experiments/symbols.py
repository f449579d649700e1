"""Functions of a kernel by address, and the names that they have in its source."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from sim.config.errors import ConfigError

#: What a compiler appends to the name of a function that it specialised or cut.
_SUFFIX = re.compile(r"\.(?:constprop|isra|part|cold|llvm)(?:\.\d+)*")
#: The XDP program: what is translated at run time lies outside the text of the kernel and its modules.
PROGRAM = "bpf_prog"
#: Padding in front of a function that is patched for call depth tracking; it is no function.
_PADDING = "__pfx_"


def source_name(function: str) -> str:
    """Return the name that a function has in the source (`get_tx_bufs` of `get_tx_bufs.constprop.0`)."""
    return _SUFFIX.sub("", function)


class Symbols:
    """Functions of a kernel and its modules, from `/proc/kallsyms` and `/proc/modules`.

    Parameters
    ----------
    lines
        Lines of both files: `ADDRESS TYPE NAME [MODULE]` and `MODULE BYTES USERS BY STATE ADDRESS`.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        symbols: list[tuple[int, str, str]] = []
        self._modules: list[tuple[int, int]] = []
        last = 0
        for line in lines:
            words = line.split()
            if len(words) >= 6 and words[1].isdecimal() and words[5].startswith("0x"):
                start = int(words[5], 16)
                self._modules.append((start, start + int(words[1])))
            elif len(words) >= 3:
                address = int(words[0], 16)
                symbols.append((address, words[1], words[2]))
                if len(words) == 3:
                    last = max(last, address)
        self._end_of_kernel = last
        names: dict[int, str] = {}
        for address, _, name in sorted(symbols):
            if not name.startswith(_PADDING):
                names.setdefault(address, name)
        self._addresses = [*names]
        self._names = [*names.values()]

    def function(self, address: int) -> str:
        """Return the name of the function that an instruction stands in; of several names of one, the first by name."""
        if address > self._end_of_kernel and not any(start <= address < end for start, end in self._modules):
            return PROGRAM
        place = bisect_right(self._addresses, address) - 1
        return self._names[place] if place >= 0 else PROGRAM


def kernel_symbols(symbols: Path = Path("/proc/kallsyms"), modules: Path = Path("/proc/modules")) -> Symbols:
    """Return the functions of the kernel that runs, as it lists them for root; ConfigError where it hides them."""
    lines = symbols.read_text(encoding="ascii", errors="replace").splitlines()
    if not any(int(line.split()[0], 16) for line in lines):
        raise ConfigError("measure: the kernel hides its symbols (kernel.kptr_restrict is 2)")
    return Symbols([*lines, *(modules.read_text(encoding="ascii").splitlines() if modules.exists() else [])])
