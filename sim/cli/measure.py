"""The command about the machine that a profile describes: measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from sim.cli import options as opt
from sim.cli import output

if TYPE_CHECKING:
    from sim.config.tables.measurement import Measurements
    from sim.study.questions.host import MeasuredHost

_Out = Annotated[
    Path | None,
    Option("--out", "-o", metavar="FILE", help="where to write the CPU profile; its name is the file's"),
]
_Recorded = Annotated[Path | None, Option("--recording", metavar="FILE", help="also write every raw repeat, as JSON")]
_Source = Annotated[Path | None, Option("--from", metavar="FILE", help="derive everything from this recording instead")]
_Ring = Annotated[bool, Option("--ring", help="also run a real ring between two cores, beside its prediction")]
_Tap = Annotated[
    bool,
    Option("--tap", help="also time writes to a TAP by what becomes of the frame, beside their prediction (root)"),
]
_Vhost = Annotated[
    bool,
    Option("--vhost", help="also run a driver in front of this kernel's vhost worker, beside its prediction (root)"),
]
_Sets = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", help="of --vhost: change a key of scenario vhost-here; repeatable"),
]
_Figures = Annotated[
    Path | None,
    Option(
        "--measurements",
        metavar="FILE",
        help="of --tap or --vhost: write figures of the profile of --out that validate and calibrate read",
    ),
]


@opt.command(
    "measure --out mine/cpus/this-host.yaml",
    "run virtio-user-xdp1-tap --configs mine --set cpu=this-host",
    "measure --tap --out mine/cpus/this-host.yaml --measurements mine/measurements/this-tap.yaml",
    "measure --vhost --set driver.burst=64 --set virtqueue.event_idx=true",
)
def measure(
    out: _Out = None,
    recording: _Recorded = None,
    source: _Source = None,
    ring: _Ring = False,
    tap: _Tap = False,
    vhost: _Vhost = False,
    sets: _Sets = None,
    measurements: _Figures = None,
    configs: opt.Configs = None,
) -> None:
    """Measure this host, unprivileged and in under a minute, and write a CPU profile that any scenario can name.

    As root it also times returns in the kernel, by a TAP in a network namespace of its own.

    What cannot be measured, what was refused as impossible and what was unstable is said; the profile takes it from the
    nearest shipped table. Leave the machine alone meanwhile. --ring takes up to another minute; where repeats disagree
    it refuses to compare, by name.

    --tap and --vhost need root, which their programs give up before they time anything; devices, XDP programs and
    the namespace that they stand in are gone afterwards, however it ends.
    """
    from sim.host.measure import DEFAULT_NAME
    from sim.study.questions.host import Wanted, measure_host

    for option, file in (("--out", out), ("--recording", recording), ("--measurements", measurements)):
        opt.checked_file(option, file)
    _check_together(out, measurements, sets, tap, vhost)
    with output.progress() as report:
        wanted = Wanted(ring, tap, vhost, tuple(sets or ()), configs)
        answer = measure_host(wanted, source, out.stem if out else DEFAULT_NAME, report)
    figures = None if measurements is None else answer.measurements(measurements.stem)
    written = _write(answer, out, recording, figures, measurements)
    output.show_data(answer.to_dict(), answer.records, lambda: _tables(answer))
    for file in written:
        output.say_written([file])


def _check_together(
    out: Path | None, measurements: Path | None, sets: list[str] | None, tap: bool, vhost: bool
) -> None:
    """Refuse options that make no sense without others."""
    if measurements is not None and tap == vhost:
        opt.refuse("takes the figures of one of --tap and --vhost", key="--measurements")
    if measurements is not None and out is None:
        opt.refuse("names the CPU profile of this host, which --out writes; give both", key="--measurements")
    if sets and not vhost:
        opt.refuse("changes the scenario of --vhost, which is not asked for", key="--set")


def _tables(answer: MeasuredHost) -> Any:
    """Return the tables of everything."""
    from rich.console import Group

    from sim.report.tables import experiments as beside
    from sim.report.tables import host

    draw: dict[str, Any] = {"ring": host.ring_table, "tap": beside.tap_tables, "vhost": beside.vhost_tables}
    drawn = (draw[kind](shown) for kind, shown in answer.experiments.items())
    return Group(host.profile_tables(answer.recording, answer.profile), *drawn)


def _write(
    answer: MeasuredHost,
    out: Path | None,
    recording: Path | None,
    figures: Measurements | None,
    measurements: Path | None,
) -> list[Path]:
    """Write the files that are asked for, now that nothing can refuse any more, and return them."""
    from sim.config.loading.files import write_whole
    from sim.study.evidence.importing import write_measurements

    written = []
    for file, text in ((out, answer.profile.to_yaml()), (recording, answer.recording.to_json())):
        if file is not None:
            write_whole(file, text)
            written.append(file)
    if figures is not None and measurements is not None:
        made_by = "`vhost-sim measure`; CPU and kernel are the tables that stand for this host"
        write_measurements(figures, measurements, made_by)
        written.append(measurements)
    return written
