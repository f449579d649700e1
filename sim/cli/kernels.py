"""The command about what kernels execute: count."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from sim.cli import options as opt
from sim.cli import output
from sim.cli.completing import tables as names

if TYPE_CHECKING:
    from sim.count.count import CountedKernel
    from sim.study.evidence.counted import FittedTable


@opt.command(
    "count --kernel vmlinuz --modules lib/modules --out mine/kernels/v6.18.yaml",
    "count --release 6.1.192 --only tx_xdp_ev0_d1_b32 --tables out/counts",
)
def count(
    kernel: Annotated[Path | None, Option("--kernel", metavar="FILE", help="a bootable kernel (vmlinuz)")] = None,
    modules: Annotated[
        Path | None, Option("--modules", metavar="DIR", help="folder with its modules, at any depth")
    ] = None,
    release: Annotated[
        str | None,
        Option(
            "--release",
            metavar="VERSION",
            help="instead: a kernel of the host's Debian archive (6.1; 6.1.192; 6.1.0-56-amd64)",
        ),
    ] = None,
    only: Annotated[
        str | None, Option("--only", metavar="NAME,NAME", help="configurations whose names begin so (default: all)")
    ] = None,
    out: Annotated[
        Path | None, Option("--out", "-o", metavar="FILE", help="write the kernel's table; its name is the file's")
    ] = None,
    tables: Annotated[
        Path | None, Option("--tables", metavar="DIR", help="write counts.csv, functions.csv and traces/")
    ] = None,
    boot: Annotated[
        str, Option("--boot", metavar="WORDS", help="further words of its command line (init_on_alloc=0)")
    ] = "",
    extends: Annotated[
        str | None,
        Option(
            "--extends",
            metavar="KERNEL",
            help="the table that --out starts from (default: the nearest)",
            autocompletion=names("kernel"),
        ),
    ] = None,
    recording: Annotated[
        Path | None, Option("--recording", metavar="FILE", help="also write everything, as JSON")
    ] = None,
    source: Annotated[
        Path | None, Option("--from", metavar="FILE", help="take the counts from this recording instead")
    ] = None,
    configs: opt.Configs = None,
) -> None:
    """Count what a kernel's vhost_net executes per packet, under emulation: no root, no vhost_net of this host.

    The kernel boots under QEMU (9.2 or later; fetched where missing), a program is the virtio driver, a plugin
    counts instructions by address. About ten minutes for all configurations; nothing is installed. --out makes a table
    of it: the steps of the nearest shipped kernel, moved until they add up to the counts.
    """
    from sim.config.loading.files import write_whole

    opt.checked_file("--out", out)
    opt.checked_file("--recording", recording)
    opt.checked_folder(tables, "--tables")
    given = [name for name, value in (("--kernel", kernel), ("--release", release), ("--from", source)) if value]
    if len(given) != 1:
        opt.refuse(f"one of --kernel, --release and --from is needed (got {' and '.join(given) or 'none'})")
    if kernel is not None and modules is None:
        opt.refuse("is needed with --kernel: the folder with the kernel's modules", key="--modules")
    if extends is not None and out is None:
        opt.refuse("is for the table that --out writes", key="--extends", got=extends)
    if boot and source is not None:
        opt.refuse("is for a kernel that boots, and --from is a recording", key="--boot", got=boot)
    if " -- " in f" {boot} " or not boot.isprintable():
        opt.refuse("is words of a kernel's command line, and -- ends them", key="--boot", got=boot)
    counted = _counted(kernel, modules, release, source, only.split(",") if only else [], boot)
    written = counted.write(tables) if tables is not None else []
    if recording is not None:
        write_whole(recording, counted.to_json())
        written.append(recording)
    fitted: FittedTable | None = None
    if out is not None:
        from sim.study.evidence.counted import fit

        with output.progress() as report:
            fitted = fit(counted, out.stem, configs, report, extends)
    data: dict[str, Any] = {"schema": 1, **counted.to_dict()}
    if fitted is not None:
        data |= {"nearest": fitted.nearest, "agreements": [each.to_dict() for each in fitted.agreements]}

    def shown() -> Any:
        from sim.report.tables.counted import count_tables

        return count_tables(counted, fitted)

    output.show_data(data, lambda: [each.row() for each in counted.configurations], shown)
    if fitted is not None and out is not None:
        write_whole(out, fitted.to_yaml(counted.kernel))
        written.append(out)
    for _, files in groupby(written, key=lambda file: file.parent):
        output.say_written([*files])


def _counted(
    kernel: Path | None, modules: Path | None, release: str | None, source: Path | None, only: list[str], boot: str
) -> CountedKernel:
    """Return the counts of a kernel's files, of a Debian package, or of a recording."""
    from sim.count.configurations import chosen
    from sim.count.count import count as count_kernel
    from sim.count.count import read_recording
    from sim.count.packages import Archive

    wanted = chosen(only)
    if source is not None:
        return read_recording(source).of(wanted)
    with output.progress() as report:
        if release is not None:
            archive = Archive.of_this_host()
            report(0.0, f"fetching kernel {release}")
            modules = archive.fetch_kernel(archive.kernel(release))
            kernel = next(iter(sorted(modules.rglob("vmlinuz*"))))
        assert kernel is not None
        assert modules is not None
        return count_kernel(kernel, modules, wanted, report, boot)
