"""The command about what kernels execute: count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from sim.cli import options as opt

if TYPE_CHECKING:
    from sim.config.progress import Progress
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
        Option("--release", metavar="VERSION", help="instead: a kernel of the host's Debian archive (6.1.192; 6.1)"),
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
    configs: opt.Configs = None,
) -> None:
    """Count what a kernel's vhost_net executes per packet, under emulation: no root, no vhost_net of this host.

    The kernel boots under QEMU (9.2 or later; fetched where missing), a program is the virtio driver, a plugin
    counts instructions by address. About ten minutes for all configurations; nothing is installed. --out makes a table
    of it: the steps of the nearest shipped kernel, moved until they add up to the counts.
    """
    from sim.config.loading.files import write_whole
    from sim.count.configurations import chosen
    from sim.count.count import count as count_kernel

    opt.checked_file("--out", out)
    opt.checked_folder(tables, "--tables")
    if (kernel is None) == (release is None):
        opt.refuse("one of --kernel and --release is needed")
    if kernel is not None and modules is None:
        opt.refuse("is needed with --kernel", key="--modules")
    configurations = chosen(only.split(",") if only else ())
    with opt.progress() as report:
        files = _packaged(release, report) if release else (kernel, modules)
        counted = count_kernel(*files, configurations, report)  # type: ignore[arg-type]
    fitted: FittedTable | None = None
    if out is not None:
        from sim.study.evidence.counted import fit

        with opt.progress() as report:
            fitted = fit(counted, out.stem, configs, report)
    data: dict[str, Any] = {"schema": 1, **counted.to_dict()}
    if fitted is not None:
        data |= {"nearest": fitted.nearest, "residuals": [each.to_dict() for each in fitted.residuals]}

    def shown() -> Any:
        from sim.report.tables.counted import count_tables

        return count_tables(counted, fitted)

    opt.show_data(data, lambda: [each.row() for each in counted.configurations], shown)
    if fitted is not None and out is not None:
        write_whole(out, fitted.to_yaml(counted.kernel))
        opt.say_written([out])
    if tables is not None:
        opt.say_written(counted.write(tables))


def _packaged(release: str, report: Progress) -> tuple[Path, Path]:
    """Return the kernel and the modules of a Debian package."""
    from sim.count.packages import Archive

    archive = Archive.of_this_host()
    report(0.0, f"fetching kernel {release}")
    place = archive.fetch_kernel(archive.kernel(release))
    return next(iter(sorted(place.rglob("vmlinuz*")))), place
