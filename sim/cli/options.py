"""What several commands share: the application, their options, what is loaded by them and what is refused."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from math import nan
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer import Argument, Option

from sim.cli import completing
from sim.cli.output import FORMS, asked_form, notice

if TYPE_CHECKING:
    from sim.config import Scenario
    from sim.study.runs.asked import Asks

#: Stands for "as many draws as the interval takes to be precise" where `--uncertainty` has no number.
CHOSEN_DRAWS = 1 << 62

#: The key that a short option changes.
_KEYS = {"access": "access", "sizes": "traffic.packet_bytes", "seed": "run.seed"}

#: The short option that asks for sizes.
_SIZES = "sizes"

app = typer.Typer(
    help="Cost-model simulator of the Linux vhost_net datapath: packets per second against packet size, and why.",
    epilog="Start with: vhost-sim compare virtio-user-xdp1-tap. All costs are YAML: vhost-sim list cpus.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _form(context: typer.Context, form: str | None) -> str | None:
    """Refuse an unknown form, and `--json` beside another one, before anything is simulated."""
    if form is not None:
        one_of("--format", form, FORMS)
    return _agreed(context, form, context.params.get("as_json"))


def _json(context: typer.Context, as_json: bool) -> bool:
    _agreed(context, context.params.get("form"), as_json)
    return as_json


def _agreed(context: typer.Context, form: str | None, as_json: bool | None) -> str | None:
    if as_json and form not in (None, "json"):
        refuse("--json is short for --format json; give one of them", key="--format", got=form)
    return form


def refuse(message: str, **parts: Any) -> NoReturn:
    """Raise ConfigError, imported only now."""
    from sim.config.errors import ConfigError

    raise ConfigError(message, **parts) from None


Form = Annotated[
    str | None,
    Option(
        "--format",
        metavar="|".join(FORMS),
        callback=_form,
        autocompletion=completing.words(*FORMS),
        help="tables (default), full-precision rows as CSV, everything as JSON, or tables as Markdown",
    ),
]
Json = Annotated[bool, Option("--json", callback=_json, help="short for --format json")]


Command = Callable[[Callable[..., None]], Callable[..., None]]
#: Whether the sizes that are asked for count the FCS.
_with_fcs: ContextVar[bool] = ContextVar("fcs", default=False)


def command(*examples: str, name: str | None = None) -> Command:
    """Register a command, which also takes `--format` and `--json`, and `--fcs` where it takes sizes.

    Its docstring flows with the width of the terminal, and examples stand below its help.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        paragraphs = (inspect.getdoc(function) or "").split("\n\n")
        shown = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        below = "\n".join(("Examples:", *(f"vhost-sim {example}" for example in examples)))

        @wraps(function)
        def with_form(form: str | None, as_json: bool, fcs: bool = False, **options: object) -> None:
            asked_form.set("json" if as_json else form or FORMS[0])
            _with_fcs.set(fcs)
            if fcs and options.get(_SIZES) is None:
                refuse("goes with sizes that are asked for (--sizes)", key="--fcs")
            function(**options)

        keyword = inspect.Parameter.KEYWORD_ONLY
        forms = [
            inspect.Parameter("form", keyword, default=None, annotation=Form),
            inspect.Parameter("as_json", keyword, default=False, annotation=Json),
        ]
        own = inspect.signature(function, eval_str=True)
        if _SIZES in own.parameters:
            forms.insert(0, inspect.Parameter("fcs", keyword, default=False, annotation=Fcs))
        with_form.__signature__ = own.replace(parameters=[*own.parameters.values(), *forms])  # type: ignore[attr-defined]
        return app.command(name, help=shown, epilog=below)(with_form)

    return register


def _scenario(metavar: str) -> Any:
    said = "name of a scenario (`list scenarios`) or a YAML file"
    return Argument(metavar=metavar, help=said, autocompletion=completing.tables("scenario"))


Name = Annotated[str, _scenario("SCENARIO")]
OptionalName = Annotated[str, _scenario("[SCENARIO]")]
Sets = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="KEY=VALUE",
        help="change one key, e.g. cpu.primitives.lfence=12 or kernel=v6.12; repeatable",
        autocompletion=completing.settings,
    ),
]
Accesses = Annotated[
    str | None,
    Option(
        "--access",
        metavar="A,B",
        help="access variants (see `list access`)",
        autocompletion=completing.tables("access", several=True),
    ),
]
OneAccess = Annotated[
    str | None,
    Option(
        "--access",
        metavar="A",
        help="access variant (default: the first; see `list access`)",
        autocompletion=completing.tables("access"),
    ),
]
OneSize = Annotated[
    str | None, Option("--sizes", metavar="N", help="one frame size in bytes, without FCS (default: the first)")
]
Sizes = Annotated[str | None, Option("--sizes", metavar="N,N", help="frame sizes in bytes, without FCS")]
Fcs = Annotated[
    bool, Option("--fcs", help="the sizes asked for count the FCS, as in RFC 2544: 64 is 60, 14.88 Mpps at 10 GbE")
]
Seed = Annotated[int | None, Option("--seed", metavar="N", help="seed of the random draws (0 is a seed)")]
Out = Annotated[
    Path | None, Option("--out", "-o", metavar="DIR", help="write CSV, Parquet, the resolved scenario and plots")
]
Tables = Annotated[Path | None, Option("--out", "-o", metavar="DIR", help="write CSV, Parquet and a plot")]
Configs = Annotated[Path | None, Option("--configs", metavar="DIR", help="folder with your own tables (cpus/, ...)")]
Draws = Annotated[int, Option("--draws", metavar="N", help="draws of each 90 % interval")]
ChosenDraws = Annotated[
    int | None,
    Option(
        "--draws",
        metavar="N",
        help="draws of each 90 % interval (default: until its ends are good to 5 % of its width)",
    ),
]
Jobs = Annotated[int | None, Option("--jobs", metavar="N", help="processes (default: one per core)")]
Uncertain = Annotated[
    int | None,
    Option(
        "--uncertainty",
        metavar="[N]",
        help="draw every cost N times (default: until the ends are good to 5 % of the width) from its range: 90 % "
        "intervals of rates and gains, of a measurement and of the parameters alone",
    ),
]
_MECHANISMS = ("stac_clac", "lfence", "access_ok", "object_size_check", "returns", "misses")
Without = Annotated[
    str | None,
    Option(
        "--without",
        metavar="NAME,NAME",
        help=f"switch mechanisms off, for every variant: {', '.join(_MECHANISMS)}",
        autocompletion=completing.words(*_MECHANISMS, several=True),
    ),
]


def with_default_draws(arguments: list[str]) -> list[str]:
    """Let `--uncertainty` choose the number of draws where none follows it."""
    filled: list[str] = []
    for number, argument in enumerate(arguments):
        filled.append(argument)
        following = arguments[number + 1] if number + 1 < len(arguments) else ""
        if argument == "--uncertainty" and not following.lstrip("-").isdigit():
            filled.append(str(CHOSEN_DRAWS))
    return filled


def load(
    name: str, sets: list[str] | None, configs: Path | None, asks: Asks | None = None, **short: object
) -> Scenario:
    """Load a scenario; the short options come before `--set`, which therefore wins.

    `asks` says which points of it the command looks at (default: all). A key that none of them reads is refused.
    """
    return load_sides([name], sets, configs, asks, **short)[0]


def load_sides(
    names: Sequence[str], sets: list[str] | None, configs: Path | None, asks: Asks | None = None, **short: object
) -> list[Scenario]:
    """Load scenarios that are compared, all with the same options; say which keys only one of them reads."""
    from sim.config.loading.load import Scenarios
    from sim.study.runs import asked

    with named_as_given(**short):
        sides: list[tuple[Scenarios, dict[str, Any]]] = [(Scenarios(name, configs), {}) for name in names]
        scenarios, remarks = asked.load_sides(sides, overrides(sets, **short), asks or asked.every_point)
    for remark in remarks:
        notice(remark)
    return scenarios


def overrides(sets: list[str] | None, **short: object) -> list[str]:
    """Return the short options as changes of keys, then those of `--set`."""
    changes = [_change(option, value) for option, value in short.items() if value is not None]
    if short.get(_SIZES) is not None:
        changes.append("traffic.mix=null")
    return [*changes, *(sets or [])]


def _change(option: str, value: object) -> str:
    """Return the change of a key that a short option stands for; sizes of keys have no FCS."""
    if option == _SIZES and _with_fcs.get():
        from sim.config.scenario.traffic import FCS_BYTES

        parts = str(value).split(",")
        if all(part.strip().isdecimal() for part in parts):
            value = ",".join(str(int(part) - FCS_BYTES) for part in parts)
    return f"{_KEYS[option]}={value}"


@contextmanager
def named_as_given(**short: object) -> Iterator[None]:
    """Let an error about a short option name that option instead of the `--set` that it stands for."""
    from sim.config.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        for option, value in short.items():
            if value is not None and error.given == _change(option, value):
                raise error.replace(given=f"--{option} {value if str(value).strip() else chr(39) * 2}") from None
        raise


def ablated(scenario: Scenario, names: str | None) -> Scenario:
    """Switch the mechanisms of `--without` off."""
    if names is None:
        return scenario
    from sim.study.sensitivity.shapley import without

    return without(scenario, [name.strip() for name in names.split(",") if name.strip()])


def ablating(names: str | None, asks: Asks) -> Asks:
    """Let a question look at its points with the mechanisms of `--without` off."""
    return lambda scenario: asks(ablated(scenario, names))


def checked_folder(out: Path | None, option: str = "--out") -> Path | None:
    """Refuse a folder that cannot be written before anything is simulated."""
    if out is not None:
        from sim.report.export.files import check_folder

        check_folder(out, option)
    return out


def checked_file(option: str, file: Path | None) -> Path | None:
    """Refuse a file that cannot be written before anything is simulated."""
    if file is not None:
        if os.path.isdir(file):  # unlike Path.is_dir, False for a name that is too long
            refuse("is a folder; the name of a file is needed", key=option, got=file)
        try:
            if not S_ISREG(file.stat().st_mode):
                refuse("is no regular file; what is written would take its place", key=option, got=file)
        except (FileNotFoundError, NotADirectoryError):  # for the folder to be made, or refused below
            pass
        except OSError as error:  # a name that is too long
            refuse(f"cannot be written: {error.strerror}", key=option, got=file)
        checked_folder(file.parent, option)
    return file


def at_least(option: str, least: int, value: int | None) -> None:
    """Refuse a number below what an option takes."""
    if value is not None and value < least:
        refuse(f"at least {least} is needed", key=option, got=value)


def percent(option: str, text: str) -> float:
    """Read a percentage as a share, and refuse any other text."""
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / 100 if text.strip().endswith("%") else nan
    except ValueError:
        share = nan
    if not 0 < share < 1:
        refuse("a percentage between 0% and 100% is needed, such as 0.1%", key=option, got=text)
    return share


def only_one(name: str, *, access: str | None = None, sizes: str | None = None) -> None:
    """Refuse several access variants, or several sizes, where a command takes one."""
    for option, value, noun in (("--access", access, "access variant"), ("--sizes", sizes, "size")):
        if value is not None and "," in value:
            refuse(f"{name} takes one {noun}", key=option, got=value)


def one_of(option: str, value: str, valid: tuple[str, ...]) -> None:
    """Refuse a value that an option does not know."""
    if value not in valid:
        refuse(f"unknown '{value}'", key=option, got=value, expected=valid)
