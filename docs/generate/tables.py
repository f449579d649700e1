"""Pages of the shipped tables: primitives and CPUs, kernels, access variants."""

from __future__ import annotations

from collections.abc import Iterable

from generate.markdown import DIGITS, code, page, plain, said, table
from generate.sourced import sourced
from sim.config import load_scenario
from sim.config.loading import paths
from sim.config.loading.load import load_table
from sim.config.tables.cpu import Cpu, CpuFeatures
from sim.config.tables.kernel import Behaviour, Kernel
from sim.config.tables.quantity import Quantity
from sim.config.tables.vocabulary import (
    METADATA_ACCESSORS,
    PAYLOAD_ACCESSORS,
    PRICED_BY_CPI,
    PRIMITIVES,
)
from sim.costs.recipes import Item, Recipes

#: One letter for a grade, so that a table of many CPUs stays readable.
GRADES = {
    "measured-here": "m",
    "measured-elsewhere": "e",
    "vendor": "v",
    "derived": "d",
    "guess": "g",
}
_LETTERS = "Grade: " + ", ".join(f"*{letter}* {grade}" for grade, letter in GRADES.items()) + "."
_SEED = "virtio-user-xdp1-tap"


def table_pages() -> dict[str, str]:
    """Return the pages of all tables, by their place below `reference`."""
    cpus = {name: load_table("cpu", name) for name in sorted(paths.names("cpu"))}
    kernels, others = (
        {name: load_table(kind, name) for name in sorted(paths.names(kind))} for kind in ("kernel", "implementation")
    )
    return {
        "primitives.md": _primitives(cpus),
        **{f"cpus/{name}.md": _cpu(cpu) for name, cpu in cpus.items()},
        "kernels.md": _kernels(kernels),
        **{f"kernels/{name}.md": _kernel(kernel) for name, kernel in kernels.items()},
        "implementations.md": _implementations(others),
        **{f"implementations/{name}.md": _kernel(other) for name, other in others.items()},
        "access.md": _access(),
    }


def _short(entry: Quantity | None) -> str:
    return "" if entry is None else f"{entry.value:{DIGITS}} *{GRADES[entry.grade]}*"


def _entry_cells(entry: Quantity) -> tuple[str, str, str, str]:
    spread = f"{entry.low:{DIGITS}} to {entry.high:{DIGITS}}" if entry.low != entry.high else "-"
    return f"{entry.value:{DIGITS}} {plain(entry.unit)}", spread, entry.grade, sourced(entry.source)


def _primitives(cpus: dict[str, Cpu]) -> str:
    meanings = (
        (code(one.name), said(one.meaning), plain(one.unit), str(one.instructions), one.group)
        for one in PRIMITIVES.values()
    )
    prices = (
        (code(name), *(_short(cpu.primitives.get(name)) for cpu in cpus.values()))
        for name in PRIMITIVES
        if name not in PRICED_BY_CPI
    )
    about = (
        "What accessors and steps are made of, and what each costs on each CPU. "
        + ", ".join(code(name) for name in PRICED_BY_CPI)
        + " stand in no CPU table: they cost one instruction each, at the CPU's cycles per instruction."
    )
    links = [f"[{name}](cpus/{name}.md)" for name in cpus]
    return page(
        "Primitives",
        about,
        "## What they mean\n",
        table(("primitive", "meaning", "unit", "instructions", "group"), meanings),
        f"## What they cost\n\n{_LETTERS} The page of a CPU has ranges and sources.\n",
        table(("primitive", *links), prices),
    )


def _cpu(cpu: Cpu) -> str:
    own = [(name, value) for name in Cpu.model_fields if isinstance(value := getattr(cpu, name), Quantity)]
    switches = [(name, getattr(cpu.features, name)) for name in CpuFeatures.model_fields]
    columns = ("key", "value", "range", "grade", "source")
    return page(
        f"CPU: {cpu.name}",
        f"{said(cpu.title)}. Use it with {code(f'--set cpu={cpu.name}')}.",
        table(columns, ((code(name), *_entry_cells(one)) for name, one in own)),
        "## Features\n",
        table(
            ("key", "value", "grade", "source"),
            (
                (code(f"features.{name}"), str(one.value).lower(), one.grade, sourced(one.source))
                for name, one in switches
            ),
        ),
        "## Primitives\n",
        table(columns, ((code(f"primitives.{name}"), *_entry_cells(one)) for name, one in cpu.primitives.items())),
    )


def _kernels(kernels: dict[str, Kernel]) -> str:
    columns = [f"[{name}](kernels/{name}.md)" for name in kernels]
    behaviour = (
        (
            code(key),
            said(field.description or ""),
            *(str(getattr(one.behaviour, key)).lower() for one in kernels.values()),
        )
        for key, field in Behaviour.model_fields.items()
    )
    steps = {step: one.step_meaning(step) for one in kernels.values() for step in one.steps}
    counts = (
        (
            code(step),
            plain(meaning),
            *(_short(one.steps[step].instructions) if step in one.steps else "" for one in kernels.values()),
        )
        for step, meaning in steps.items()
    )
    listed = ((f"[{name}](kernels/{name}.md)", said(one.title)) for name, one in kernels.items())
    return page(
        "Kernels",
        f"What each kernel executes. Use one with {code('--set kernel=NAME')}.",
        table(("name", "what"), listed),
        "## Behaviour\n\nWhere the handlers differ in order, not in cost.\n",
        table(("key", "meaning", *columns), behaviour),
        f"## Instructions by step\n\nThe step's accessor is included. {_LETTERS}\n",
        table(("step", "what it is", *columns), counts),
    )


def _implementations(others: dict[str, Kernel]) -> str:
    listed = ((f"[{name}](implementations/{name}.md)", said(one.title), one.device) for name, one in others.items())
    return page(
        "Implementations",
        "Devices that are no kernel's vhost worker: what they execute, in tables like those of "
        f"[kernels](kernels.md). A scenario names one with its key {code('kernel')}.",
        table(("name", "what", "device"), listed),
    )


def _kernel(kernel: Kernel) -> str:
    recipes = []
    for name, accessor in kernel.accessors.items():
        times = f", {accessor.parts} times" if accessor.parts > 1 else ""
        cells = (code(name), plain(kernel.reach(name).meaning), str(accessor.bytes or "row"))
        recipes.append((*cells, code(", ".join(accessor.recipe)) + times, sourced(accessor.source)))
    steps = (
        (
            code(name),
            plain(kernel.step_meaning(name)),
            code(one.function),
            *_entry_cells(one.instructions),
            code(", ".join(one.calls)),
        )
        for name, one in kernel.steps.items()
    )
    return page(
        f"{kernel.kind.capitalize()}: {kernel.name}",
        f"{said(kernel.title)}. Use it with {code(f'--set kernel={kernel.name}')}.",
        "## Accessors\n\nPrimitives in order; *row* bytes are those that the row says.\n",
        table(("accessor", "what it reaches", "bytes", "recipe", "source"), recipes),
        "## Steps\n",
        table(("step", "what it is", "function", "instructions", "range", "grade", "source", "calls"), steps),
    )


def _spelled(items: Iterable[Item]) -> str:
    parts = [one.primitive if one.count == 1 else f"{one.count:g} {one.primitive}" for one in items]
    return code(", ".join(parts)) or "nothing"


def _access() -> str:
    """Show what each variant executes, on the seed's kernel and CPU with the seed's mitigations."""
    scenario = load_scenario(_SEED)
    names = [name for name in (*METADATA_ACCESSORS, *PAYLOAD_ACCESSORS) if name in scenario.kernel.accessors]
    kernel = scenario.kernel.name
    parts = []
    own = _recipes("copy_user", names)
    for name in sorted(paths.names("access")):
        variant, found = load_table("access", name), _recipes(name, names)
        changed = [one for one in names if name == "copy_user" or found[one] != own[one]]
        parts.append(f"## {name}\n\n{said(variant.title)}. Source: {sourced(variant.source, 1)}.\n")
        if variant.mapping.maps:
            pinned = "pinned" if variant.mapping.pinned else f"torn down {variant.mapping.torn_down}"
            parts.append(f"Mapping: {plain(variant.mapping.pages)}, {pinned}.\n")
        rows = [(code(one), found[one]) for one in changed]
        same = f"Executes what `copy_user` does, access by access, on {kernel}.\n"
        parts.append(table(("accessor", "executes"), rows) if rows else same)
    about = (
        f"How ring metadata (and payload) is reached, as {kernel} would execute it on the seed's CPU. A variant lists "
        "the accessors that it changes; the others are those of `copy_user`, the kernel's own. Payload copies are of "
        "64 bytes. Use variants with `--access A,B`."
    )
    return page("Access variants", about, *parts)


def _recipes(access: str, names: Iterable[str]) -> dict[str, str]:
    scenario = load_scenario(_SEED, overrides=[f"access={access}"])
    recipes = Recipes(scenario.kernel, scenario.access[0], scenario.cpu, scenario.mitigations)
    return {name: _spelled(recipes.accessor(name, scenario.kernel.accessor(name).bytes or 64)) for name in names}
