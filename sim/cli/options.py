"""What several commands share: the application, their options, loading, printing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sim.config import Scenario

DEFAULT_DRAWS = 200

#: The key that a short option changes.
_KEYS = {"access": "access", "size": "traffic.packet_bytes", "sizes": "traffic.packet_bytes", "seed": "run.seed"}

app = typer.Typer(
    help="Cost-model simulator of the Linux vhost_net datapath: packets per second against packet size, and why.",
    epilog="Start with: vhost-sim compare virtio-user-xdp1-tap. All costs are YAML: vhost-sim list cpus.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Name = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="name of a scenario (see `list scenarios`) or a YAML file")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="change one key, e.g. cpu.primitives.lfence=12 or kernel=v6.12; repeatable"
    ),
]
Accesses = Annotated[str | None, typer.Option("--access", metavar="A,B", help="access variants (see `list access`)")]
Sizes = Annotated[str | None, typer.Option("--sizes", metavar="N,N", help="packet sizes in bytes, without FCS")]
Seed = Annotated[int | None, typer.Option("--seed", help="seed of the random draws (0 is a seed)")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="write CSV, Parquet, the resolved scenario and plots")
]
Configs = Annotated[
    Path | None, typer.Option("--configs", metavar="DIR", help="folder with tables of your own (cpus/, ...)")
]
Jobs = Annotated[int | None, typer.Option("--jobs", metavar="N", help="processes (default: one per core)")]
Uncertain = Annotated[
    int | None,
    typer.Option(
        "--uncertainty",
        metavar="[N]",
        help=f"draw every cost N times (default {DEFAULT_DRAWS}) from its range: 90 % intervals of rates and gains",
    ),
]
Without = Annotated[
    str | None,
    typer.Option(
        "--without",
        metavar="NAME,NAME",
        help="switch mechanisms off, for every variant: stac_clac, lfence, access_ok, object_size_check, misses",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead of tables")]


def with_default_draws(arguments: list[str]) -> list[str]:
    """Give `--uncertainty` its default number where none follows it."""
    made: list[str] = []
    for place, argument in enumerate(arguments):
        made.append(argument)
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        if argument == "--uncertainty" and not following.lstrip("-").isdigit():
            made.append(str(DEFAULT_DRAWS))
    return made


def load(name: str, sets: list[str] | None, configs: Path | None, **short: object) -> Scenario:
    """Load a scenario; the short options come before `--set`, which therefore wins."""
    from sim.config import load_scenario

    with named_as_given(**short):
        return load_scenario(name, overrides=overrides(sets, **short), configs=configs)


def overrides(sets: list[str] | None, **short: object) -> list[str]:
    """Return the short options as changes of keys, then those of `--set`."""
    changes = [f"{_KEYS[option]}={value}" for option, value in short.items() if value is not None]
    if any(short.get(option) is not None for option in ("size", "sizes")):
        changes.append("traffic.mix=null")
    return [*changes, *(sets or [])]


@contextmanager
def named_as_given(**short: object) -> Iterator[None]:
    """Let an error about a short option name that option instead of the `--set` that it stands for."""
    from sim.config.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        for option, value in short.items():
            stands_for = f"{ConfigError(f'--set {_KEYS[option]}={value}:')} "
            if value is not None and str(error).startswith(stands_for):
                said = value if str(value).strip() else "''"
                raise ConfigError(f"--{option} {said}: {str(error).removeprefix(stands_for)}") from None
        raise


def ablated(scenario: Scenario, names: str | None) -> Scenario:
    """Switch the mechanisms of `--without` off."""
    if names is None:
        return scenario
    from sim.study.ablation import without

    return without(scenario, [name.strip() for name in names.split(",") if name.strip()])


def show_data(as_json: bool, data: Any, tables: Any) -> None:
    """Print JSON, or the tables that `tables()` makes."""
    if as_json:
        print(json.dumps(data, indent=1, allow_nan=False))
    else:
        from sim.report.text import show

        show(tables())


def notice(text: str) -> None:
    """Say something on stderr that does not end the command."""
    print(f"vhost-sim: {text}", file=sys.stderr)


def text() -> Any:
    """Return the module of terminal tables, imported only when something is shown."""
    from sim.report import text

    return text


def checked_folder(out: Path | None, option: str = "--out") -> Path | None:
    """Refuse a folder that cannot be written before anything is simulated."""
    if out is not None:
        from sim.report.files import check_folder

        check_folder(out, option)
    return out


def checked_file(option: str, file: Path | None) -> Path | None:
    """Refuse a file that cannot be written before anything is simulated."""
    from sim.config.errors import ConfigError

    if file is not None:
        if os.path.isdir(file):  # unlike Path.is_dir, False for a name that is too long
            raise ConfigError(f"{option} {file}: is a folder; the name of a file is needed")
        try:
            file.lstat()
        except (FileNotFoundError, NotADirectoryError):  # for the folder to be made, or refused below
            pass
        except OSError as error:  # a name that is too long
            raise ConfigError(f"{option} {file}: cannot be written: {error.strerror}") from None
        checked_folder(file.parent, option)
    return file


def at_least(option: str, least: int, value: int | None) -> None:
    """Refuse a number below what an option takes."""
    from sim.config.errors import ConfigError

    if value is not None and value < least:
        raise ConfigError(f"{option}: at least {least} is needed (got {value})")


def one_of(option: str, value: str, valid: tuple[str, ...]) -> None:
    """Refuse a value that an option does not know."""
    from sim.config.errors import ConfigError, nearest

    if value not in valid:
        raise ConfigError(f"{option}: unknown '{value}'{nearest(value, valid)}")


def say_written(files: list[Path]) -> None:
    """Name the files that were written."""
    names = ", ".join(file.name for file in files)
    print(f"written to {files[0].parent}/: {names}", file=sys.stderr)
