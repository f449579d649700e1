"""Lay what was counted beside the counts that the kernels' tables cite: `python -m tests.count.cited FOLDER`.

`python -m tests.count.cited --build VERSION` says which build of a version was executed for them.

The folder holds `VERSION.json`, recordings of `vhost-sim count`, and `VERSION/traces`. Windows and fences have to be
equal, instructions within the allocators' share; traces have to be equal but for what a compiler appends to names. Of
5.10 and 6.18 no numbers are cited but those that their tables were made of: their traces are compared.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sim.config.loading.load import load_of
from sim.config.tables.measurement import Measurements
from sim.count.count import CountedKernel, read_recording
from sim.host.experiments.symbols import source_name
from tests.facts.traces import FOLDER, MODELS

CITED = "counts-distribution-kernels"
#: The builds that were executed (facts/executed-counts.md); the archive has others of the same versions.
BUILDS = {"6.1.192": "6.1.0-56-amd64", "6.12.95": "6.12.95+deb12-amd64", "7.3.4": "7.3.4+deb13-amd64"}
#: What the allocators do differently from one run to the next: the noise that the measurement states.
ALLOCATORS = 0.004


@dataclass(frozen=True)
class Cited:
    """One number of one configuration, cited and counted; `exact`: the same to the digit that is cited."""

    name: str
    quantity: str
    value: float
    counted: float
    exact: bool

    @property
    def agrees(self) -> bool:
        """Whether the two are equal; instructions within what allocators do."""
        return self.exact or (self.quantity == "instructions" and abs(self.counted / self.value - 1) <= ALLOCATORS)


def cited(version: str, counted: CountedKernel) -> Iterator[Cited]:
    """Yield every cited number of a kernel that was counted, too."""
    kernel, _ = MODELS[f"v{version}"]
    rows = {each.configuration.name: each.row() for each in counted.configurations}
    for figure in load_of(Measurements, CITED, None).figures():
        table, name, quantity = figure.id.split(" ")
        if table == kernel and name in rows:
            found = float(rows[name][quantity])
            yield Cited(name, quantity, figure.value, found, figure.low - 1e-9 <= found <= figure.high + 1e-9)


def same_trace(kept: str, counted: str) -> bool:
    """Whether two traces are the same, by the names that functions have in the source."""
    return [source_name(line) for line in kept.splitlines()] == [source_name(line) for line in counted.splitlines()]


def main(folder: Path) -> bool:
    """Print what differs and how much is the same; return whether all agrees."""
    good = True
    for file in sorted(folder.glob("*.json")):
        version, recorded = file.stem, read_recording(file)
        if recorded.release != BUILDS.get(version, recorded.release):
            print(f"{version}: counted of {recorded.release}, cited of {BUILDS[version]}")
            good = False
        rows = [*cited(version, recorded)]
        exact = f"{sum(row.exact for row in rows)} of {len(rows)} cited numbers to the digit"
        print(f"{version}: {exact if rows else 'no numbers of it are cited: its table was made of such counts'}")
        for row in rows:
            if not row.exact:
                word = "allocators" if row.agrees else "DIFFERS"
                print(f"  {row.name} {row.quantity}: cited {row.value:g}, counted {row.counted:.3f}: {word}")
        good &= all(row.agrees for row in rows)
        for trace in sorted(FOLDER.glob(f"v{version}.*.csv")):
            again = folder / version / "traces" / trace.name.removeprefix(f"v{version}.")
            same = again.exists() and same_trace(trace.read_text(), again.read_text())
            print(f"  trace {trace.name}: {'the same' if same else 'DIFFERS'}")
            good &= same
    return good


if __name__ == "__main__":
    if sys.argv[1] == "--build":
        print(BUILDS.get(sys.argv[2], sys.argv[2]))
    else:
        sys.exit(0 if main(Path(sys.argv[1])) else 1)
