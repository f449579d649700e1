"""The table that is nearest to a name by what it means: a kernel by version, a CPU by family, and what differs.

A name without a table is an error, and never another table in silence: two kernels or CPUs that are neighbours may
differ in what a packet costs.
"""

from __future__ import annotations

import re
from pathlib import Path

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.files import Table
from sim.config.loading.reading import read_yaml

_VERSION = re.compile(r"v?(\d+)\.(\d+)((?:[.-].*)?)")
#: Number of the first release of each major version, counted from v4.0: v4.20, v5.19 and v6.19 are the last of theirs.
_FIRST_RELEASE = {4: 0, 5: 21, 6: 41, 7: 61}
_RELEASES_OF_A_MAJOR = 20
#: Parts of a kernel table in which neighbours are compared, and what one entry of them is called.
_COMPARED = {"accessors": "accessors", "steps": "steps", "behaviour": "rules of order", "copy_routine": "copy rules"}
#: Lists that a later version adds to.
_LISTED = {"return_mitigations": "mitigations of returns", "border_mitigations": "mitigations at the kernel's border"}


def unknown_name(kind: str, reference: str, configs: Path | None) -> ConfigError | None:
    """Return the error for a name that no table has, with the nearest by meaning; None where there is none."""
    known = {name for other in paths.ALTERNATIVES.get(kind, (kind,)) for name in paths.names(other, configs)}
    if reference in known or "/" in reference or reference.endswith((".yaml", ".yml")):
        return None
    by_meaning = {"kernel": _by_version, "cpu": _by_family}.get(kind)
    nearest = by_meaning(reference, configs) if by_meaning else None
    return None if nearest is None else ConfigError(f"unknown {kind} '{reference}'; {nearest}")


def _position(name: str) -> int | None:
    """Return the number of a release, counted from v4.0; None for what is no version."""
    version = _VERSION.fullmatch(name)
    if version is None:
        return None
    major, minor = int(version[1]), int(version[2])
    last = max(_FIRST_RELEASE)
    return _FIRST_RELEASE.get(major, _FIRST_RELEASE[last] + (major - last) * _RELEASES_OF_A_MAJOR) + minor


def _by_version(reference: str, configs: Path | None) -> str | None:
    wanted = _position(reference)
    if wanted is None:
        return None
    versions = [name for name in paths.names("kernel", configs) if re.fullmatch(r"v[\d.]+", name)]
    tables = {name: place for name in versions if (place := _position(name)) is not None}
    nearest = min(tables, key=lambda name: (abs(tables[name] - wanted), tables[name]))
    if tables[nearest] == wanted:
        more = "; levels of a stable series have no table of their own" if _VERSION.fullmatch(reference)[3] else ""  # type: ignore[index]
        return f"that version is '{nearest}'{more}"
    older = max((name for name, place in tables.items() if place < wanted), key=lambda name: tables[name], default=None)
    newer = min((name for name, place in tables.items() if place > wanted), key=lambda name: tables[name], default=None)
    said = f"the nearest by version is '{nearest}'"
    if older is None or newer is None:
        return f"{said}, the {'oldest' if older is None else 'newest'} that there is: what differs is not known"
    return f"{said}, between '{older}' and '{newer}', which differ in {_differences(older, newer, configs)}"


def _differences(older: str, newer: str, configs: Path | None) -> str:
    """Say in how many entries two kernel tables differ, part by part."""
    first, second = (_whole(name, configs) for name in (older, newer))
    parts = []
    for part, noun in _COMPARED.items():
        names = first.get(part, {}).keys() | second.get(part, {}).keys()
        changed = [name for name in names if first.get(part, {}).get(name) != second.get(part, {}).get(name)]
        if changed:
            parts.append(f"{len(changed)} of {len(names)} {noun}")
    for part, noun in _LISTED.items():
        more = [name for name in second.get(part, []) if name not in first.get(part, [])]
        parts += [f"{noun} ({', '.join(more)})"] if more else []
    return ", ".join(parts) or "nothing that a table holds"


def _whole(name: str, configs: Path | None) -> Table:
    """Return a kernel table, one level of entries deep, with what it extends."""
    table = read_yaml(paths.find("kernel", name, configs))
    parent = table.get("extends")
    below = _whole(parent, None if parent == name else configs) if isinstance(parent, str) else {}
    parts = {part: {**below.get(part, {}), **table.get(part, {})} for part in _COMPARED}
    return {**below, **table, **parts}


def _by_family(reference: str, configs: Path | None) -> str | None:
    wanted = _words(reference)
    if len(wanted.strip()) < len("zen"):
        return None
    own, relatives = [], []
    for name, file in paths.names("cpu", configs).items():
        table = read_yaml(file)
        names = [name, *table.get("known_as", []), re.sub(r"^.*\((.*)\).*$", r"\1", str(table.get("title", "")))]
        if any(wanted in _words(str(each)) for each in names):
            own.append(f"'{name}' ({table.get('title', name)})")
        signatures = table.get("signatures", [])
        differing = [str(each.get("differs", "")) for each in signatures if isinstance(each, dict)]
        relatives += [f"'{name}' ({differs})" for differs in differing if wanted in _words(differs.partition(":")[0])]
    if own:
        return f"that is {' or '.join(own)}"
    return f"the nearest by family is {' or '.join(relatives)}" if relatives else None


def _words(text: str) -> str:
    """Return a text as words in lower case between blanks, so that a name is found as a whole."""
    return f" {' '.join(re.findall(r'[a-z]+|[0-9.]+', text.lower()))} "
