"""Do two recordings of one host agree? `python -m tests.host.agreement FIRST.json SECOND.json`, exit code 1 if not.

By hand, on a machine that does nothing else: `vhost-sim measure --recording FIRST.json`, the same for the second.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sim.costs.audit import quantities
from sim.host.profile import build_profile
from sim.host.recording import Recording, read_recording


def outside(first: Recording, second: Recording) -> tuple[int, list[str]]:
    """Count the entries that are stable in both; list those whose second value is outside of the first's interval."""
    before, after = build_profile(first, "first"), build_profile(second, "second")
    unstable = {**before.unstable, **after.unstable}
    stable = [key for key in before.summaries if key in after.summaries and key not in unstable]
    here, there = dict(quantities(before.cpu)), dict(quantities(after.cpu))
    lines = [
        f"{key}: {there[key].value:g} is not in [{here[key].low:g}, {here[key].high:g}] {here[key].unit}"
        for key in stable
        if not here[key].low <= there[key].value <= here[key].high
    ]
    return len(stable), lines


if __name__ == "__main__":
    count, lines = outside(*(read_recording(Path(name)) for name in sys.argv[1:3]))
    print(*lines, f"{count} entries stable in both, {len(lines)} outside of the first's interval", sep="\n")
    sys.exit(bool(lines))
