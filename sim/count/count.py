"""Count what a kernel executes in every configuration, and write it down: a table, functions, traces."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from sim.config.answer import Answer, Record, counted
from sim.config.errors import ConfigError
from sim.config.loading.files import read_json, write_whole
from sim.config.loading.load import validate
from sim.config.progress import Progress
from sim.config.tables.quantity import Strict
from sim.count.configurations import FORWARDERS, PORTS, Configuration, configurations
from sim.count.counts import Counts, per_packet, read_stretch
from sim.count.emulator import ProgramRun, boot
from sim.count.traces import as_csv, read_invocations, representative
from sim.host.experiments.symbols import Symbols

#: Exit code of the program of the experiment where the kernel does not offer a feature.
NOT_OFFERED = 4
#: Columns of the table, and the kind of instruction that each is (`sim.count.code.KINDS`).
COLUMNS = {
    "stac": "stac",
    "clac": "clac",
    "lfence": "lfence",
    "returns": "return",
    "calls": "call",
    "indirect_calls": "indirect_call",
    "branches": "branch",
    "locked": "locked",
}
#: Share of the time that the machine needs to start, seen as one run of many.
_STARTING = "starting the kernel"


@dataclass(frozen=True)
class CountedConfiguration:
    """One configuration as it was executed.

    Attributes
    ----------
    configuration
        What ran.
    packets
        N: the stretches had N and 2N packets.
    counts
        Executed per packet.
    trace
        One invocation of the handler as CSV; empty for a process that writes.
    """

    configuration: Configuration
    packets: int
    counts: Counts
    trace: str

    def row(self) -> dict[str, Any]:
        """Return the row of the table: executed per packet."""
        kinds = self.counts.kinds
        row: dict[str, Any] = {"configuration": self.configuration.name, "instructions": self.counts.instructions}
        return row | {column: kinds.get(kind, 0.0) for column, kind in COLUMNS.items()}


@dataclass(frozen=True, repr=False)
class CountedKernel(Answer):
    """A kernel with what it executes.

    Attributes
    ----------
    kernel
        Release and version, as it says itself.
    configurations
        What was counted, in order.
    refused
        Why a configuration was not, by its name.
    """

    kernel: str
    configurations: tuple[CountedConfiguration, ...]
    refused: Mapping[str, str]

    def headline(self) -> str:
        """Return the kernel, and how many configurations were counted."""
        return f"{self.release}: {counted(len(self.configurations), 'configuration')} counted"

    def records(self) -> list[Record]:
        """Return what each configuration executes per packet."""
        return [each.row() for each in self.configurations]

    def of(self, wanted: Sequence[Configuration]) -> CountedKernel:
        """Return the same with nothing but some of its configurations."""
        names = {each.name for each in wanted}
        kept = tuple(each for each in self.configurations if each.configuration.name in names)
        return replace(self, configurations=kept)

    @property
    def release(self) -> str:
        """The kernel's release (`6.1.0-56-amd64`)."""
        return self.kernel.split()[0]

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        counted = [each.row() | {"functions": dict(each.counts.functions)} for each in self.configurations]
        return {"kernel": self.kernel, "configurations": counted, "refused": dict(self.refused)}

    def to_json(self) -> str:
        """Return everything as the text of a recording, which `read_recording` reads."""
        recorded = [
            {
                "name": each.configuration.name,
                "packets": each.packets,
                "kinds": each.counts.kinds,
                "functions": each.counts.functions,
                "returns": each.counts.returns,
                "user": [[*place, *amounts] for place, amounts in each.counts.user.items()],
                "invocations": each.counts.invocations,
                "outside_window": each.counts.outside_window,
                "trace": each.trace,
            }
            for each in self.configurations
        ]
        head = {"schema": 1, "kind": "count-recording", "kernel": self.kernel, "refused": dict(self.refused)}
        return json.dumps(head | {"configurations": recorded}, indent=1) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Write `counts.csv`, `functions.csv` and `traces/NAME.csv`; return files, and the folder of traces."""
        files = {folder / "counts.csv": _csv([each.row() for each in self.configurations])}
        files[folder / "functions.csv"] = _csv(
            [
                {
                    "configuration": each.configuration.name,
                    "function": function,
                    "instructions": instructions,
                    "returns": each.counts.returns.get(function, 0.0),
                }
                for each in self.configurations
                for function, instructions in each.counts.functions.items()
            ]
        )
        files |= {
            folder / "traces" / f"{each.configuration.name}.csv": each.trace
            for each in self.configurations
            if each.trace
        }
        for file, text in files.items():
            write_whole(file, text)
        return sorted({file if file.parent == folder else file.parent for file in files})


def count(
    kernel: Path,
    modules: Path,
    wanted: Sequence[Configuration],
    report: Progress = lambda share, doing: None,
    words: str = "",
) -> CountedKernel:
    """Boot a kernel under emulation and count what it executes per packet.

    Parameters
    ----------
    kernel, modules
        A bootable kernel (`vmlinuz`), and a folder that holds its modules.
    wanted
        What is counted.
    report
        Told how far it is.
    words
        Further words of the kernel's command line; they stand behind its name.

    Returns
    -------
    CountedKernel
        The counts.

    Raises
    ------
    ConfigError
        The machine or the emulator failed, or a configuration's packets were not all used and all taken by the TAP.
    """
    total = len(wanted) + 1
    started = [_STARTING, *(each.name for each in wanted)]

    def tell(done: int, line: str) -> None:
        if line.startswith(("run ", "exit ", "kernel ")):
            report(done / total, started[min(done + 1, len(wanted))] if "run " in line else started[done])

    report(0.0, _STARTING)
    with tempfile.TemporaryDirectory() as name:
        machine = boot(kernel, modules, [each.command for each in wanted], Path(name), tell, words)
        symbols = Symbols(machine.symbols.read_text(encoding="utf-8").splitlines())
        counted, refused = [], {}
        for configuration, run in zip(wanted, machine.runs, strict=True):
            if run.status == NOT_OFFERED:
                refused[configuration.name] = run.said[-1]
            else:
                counted.append(_counted(configuration, run, symbols))
    booted = f"{machine.kernel}, {words}" if words else machine.kernel
    return CountedKernel(booted, tuple(counted), refused)


def read_recording(file: Path) -> CountedKernel:
    """Read what was counted before; ConfigError for a file that is no such recording."""
    data = read_json(file)
    if not isinstance(data, dict) or data.get("kind") != "count-recording":
        raise ConfigError("is no recording of counts", file=file)
    recorded, every = validate(_Recorded, data, str(file)), configurations()
    unknown = next((each.name for each in recorded.configurations if each.name not in every), None)
    if unknown is not None:
        raise ConfigError(f"unknown configuration '{unknown}'", file=file, got=unknown, expected=every)
    counted = tuple(
        CountedConfiguration(every[each.name], each.packets, each.counts, each.trace)
        for each in recorded.configurations
    )
    return CountedKernel(recorded.kernel, counted, recorded.refused)


#: A count per packet; a difference of two can be below zero.
_Count = Annotated[float, Field(ge=-1e12, le=1e12)]


class _RecordedConfiguration(Strict):
    """A configuration as a recording holds it."""

    name: str
    packets: int = Field(ge=1)
    kinds: dict[str, _Count]
    functions: dict[str, _Count]
    returns: dict[str, _Count]
    user: list[Annotated[tuple[str, str, _Count, _Count], Field(strict=False)]]
    invocations: _Count
    outside_window: _Count
    trace: str

    @property
    def counts(self) -> Counts:
        """What was executed per packet."""
        user = {(area, direction): (accesses, n_bytes) for area, direction, accesses, n_bytes in self.user}
        named = {name: getattr(self, name) for name in ("kinds", "functions", "returns")}
        return Counts(user=user, invocations=self.invocations, outside_window=self.outside_window, **named)


class _Recorded(Strict):
    """A recording of counts."""

    schema_: Literal[1]
    kind: Literal["count-recording"]
    kernel: str = Field(pattern=r"\S")
    refused: dict[str, str]
    configurations: list[_RecordedConfiguration]


def _counted(configuration: Configuration, run: ProgramRun, symbols: Symbols) -> CountedConfiguration:
    if run.status:
        raise ConfigError(f"{configuration.name}: {(run.said or ('exit code ' + str(run.status),))[-1]}")
    first, second = (record for record in _records(run) if record["record"] == "stretch")
    for stretch in (first, second):
        check_sides(configuration, stretch)
    stretches = [read_stretch(file.read_text(encoding="utf-8").splitlines()) for file in run.counts]
    packets = _packets(first)
    counts = per_packet(stretches[0], stretches[1], packets, symbols)
    if counts.kinds.get("stac", 0) != counts.kinds.get("clac", 0):
        raise ConfigError(f"{configuration.name}: windows were opened and closed a different number of times")
    trace = ""
    if configuration.program == "vhost":
        invocations = read_invocations(run.trace.read_text(encoding="utf-8").splitlines())
        trace = as_csv(representative(invocations, configuration.receives), symbols)
    return CountedConfiguration(configuration, packets, counts, trace)


def _records(run: ProgramRun) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.said if line.startswith("{")]


def _packets(stretch: Mapping[str, Any]) -> int:
    return int(next(stretch[name] for name in ("packets", "writes", "messages") if name in stretch))


def check_sides(configuration: Configuration, stretch: Mapping[str, Any]) -> None:
    """Raise ConfigError unless the packets of a stretch are those used, and those that the TAP counted."""
    if configuration.program != "vhost":
        return
    settings = configuration.settings
    behind, port = settings.get("behind"), settings.get("port")
    transmitted = configuration.receives or behind == FORWARDERS["macvtap"]
    side = "tx_packets" if transmitted else "rx_dropped" if settings["xdp"] == 1 else "rx_packets"
    names = ["packets", "used", *([side] if behind != FORWARDERS["redirect"] else [])]  # 5.10: no TAP counts these
    sides = {name: stretch[name] for name in names}
    if behind not in (None, FORWARDERS["tcdrop"]) and port != PORTS["nic"]:  # a NIC counts what has left, later
        # A bridge that has just come up may send one of its own.
        own = 1 if stretch["port_packets"] == stretch["packets"] + 1 else 0
        sides["port_packets"] = stretch["port_packets"] - own
    if len(set(sides.values())) != 1:
        counted = ", ".join(f"{name} {value}" for name, value in sides.items())
        raise ConfigError(f"{configuration.name}: the sides disagree: {counted}")


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[*rows[0]] if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
