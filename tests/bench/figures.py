"""The figures of one run of the benchmarks, and the table that shows them."""

from __future__ import annotations

import os

from tests.bench.commands import Usage


class Figures:
    """Seconds by what was measured: engines by packets, draws by number, sweeps by cores and points, commands."""

    def __init__(self) -> None:
        self.engines: dict[tuple[str, int], tuple[float, int]] = {}  # seconds, events
        self.predicted_pps = 0.0
        self.in_c: tuple[int, float, float] | None = None  # packets, seconds, and its time over the fast engine's
        self.sweeps: dict[tuple[int, int], float] = {}
        self.draws: dict[int, dict[str, float]] = {}  # seconds per draw, by how they are built
        self.page: dict[str, float] = {}  # processor seconds, by stage
        self.browser: dict[str, float] = {}  # seconds, at a load
        self.load = 0.0
        self.memory: dict[str, Usage] = {}
        self.commands: dict[str, float] = {}

    def rows(self) -> list[tuple[str, str]]:
        """Return what was measured, and its figure."""
        return [
            *self._engine_rows(),
            *self._draw_rows(),
            *self._sweep_rows(),
            *self._page_rows(),
            *self._command_rows(),
        ]

    def _engine_rows(self) -> list[tuple[str, str]]:
        rows, rates = [], {}
        for (engine, packets), (seconds, events) in sorted(self.engines.items()):
            rates[engine] = packets / seconds  # that of the largest run stays
            rows.append(
                (f"{engine} engine, one core, {packets:,} packets", f"{seconds * 1e9 / packets:,.1f} ns/packet")
            )
            rows.append(("", f"{packets / seconds:,.0f} packets/s"))
            rows.append(("", f"{events / seconds:,.0f} events/s"))
        if {"fast", "reference"} <= set(rates):
            rows.append(("fast / reference", f"{rates['fast'] / rates['reference']:.0f} x"))
        if self.in_c:
            packets, seconds, ratio = self.in_c
            rows.append((f"loop in C, one core, {packets:,} packets", f"{packets / seconds:,.0f} packets/s"))
            rows.append(("fast engine / loop in C, packets/s", f"{ratio:.2f} x"))
        for engine in rates:
            rows.append((f"{engine}, simulated / predicted packets/s", f"{rates[engine] / self.predicted_pps:.3g} x"))
        return rows

    def _draw_rows(self) -> list[tuple[str, str]]:
        rows = []
        for count, seconds in sorted(self.draws.items()):
            rows += [(f"{count} draws {how}, one core", f"{each * 1e3:.2f} ms/draw") for how, each in seconds.items()]
            rows.append(("one by one / together", f"{seconds['one by one'] / seconds['together']:.1f} x"))
        return rows

    def _sweep_rows(self) -> list[tuple[str, str]]:
        rows = []
        for (jobs, points), seconds in sorted(self.sweeps.items()):
            label = f"sweep, {points:,} points, {jobs} of {os.cpu_count()} cores"
            rows.append((label, f"{points / seconds:,.0f} points/s"))
            rows.append(("", f"{jobs * seconds * 1e3 / points:.2f} ms of a core per point"))
        return rows

    def _page_rows(self) -> list[tuple[str, str]]:
        rows = []
        if self.page:
            rows += [(f"page, {stage}, processor time", f"{seconds:.2f} s") for stage, seconds in self.page.items()]
            shares = ((stage, seconds / self.page["run"]) for stage, seconds in self.page.items() if stage != "run")
            rows += [(f"{stage} / run without intervals", f"{share:.1f} x") for stage, share in shares]
        rows += [(f"page in a browser, {what}", f"{seconds:.2f} s") for what, seconds in self.browser.items()]
        if self.browser:
            rows.append(("load of the machine meanwhile", f"{self.load:.1f}"))
        return rows

    def _command_rows(self) -> list[tuple[str, str]]:
        rows = [(f"vhost-sim {name}, warm", f"{seconds:.2f} s") for name, seconds in self.commands.items()]
        for name, used in self.memory.items():
            rows.append((f"vhost-sim {name}", f"{used.peak_bytes / 2**20:,.0f} MiB in the largest process"))
            rows.append(("", f"{used.cpu_seconds:.1f} s of processor"))
        return rows

    def table(self) -> str:
        """Return the table as text, empty when nothing was measured."""
        rows = self.rows()
        if not rows:
            return ""
        left, right = (max(len(row[side]) for row in rows) for side in (0, 1))
        return "\n".join(f"{name:<{left}}  {figure:>{right}}" for name, figure in rows)
