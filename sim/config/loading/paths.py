"""Where tables are found: a path as given, the user's own folder, then the tables shipped with the package."""

from __future__ import annotations

import os
import re
from functools import cache, lru_cache
from pathlib import Path

from sim.config.errors import ConfigError
from sim.config.loading.files import MOST_OF_A_TABLE, read_text

FOLDERS = {
    "cpu": "cpus",
    "kernel": "kernels",
    "implementation": "implementations",
    "access": "access",
    "scenario": "scenarios",
    "calibration": "calibrations",
    "calibration-study": "studies",
    "sweep": "studies",
    "sensitivity": "studies",
    "measurement": "measurements",
    "defaults": ".",
    "assumptions": ".",
    "sources": ".",
    "mismatches": ".",
}
#: Kinds of table that a key of a scenario may name, where there are several; the first gives the error its words.
ALTERNATIVES = {"kernel": ("kernel", "implementation")}
_SHARED = ("studies",)  # folders that hold more than one kind of table
_KIND_LINE = re.compile(r"^kind:\s*(\S+)", re.MULTILINE)


@cache
def package_folder() -> Path:
    """Return the folder of the package `sim`."""
    return Path(__file__).resolve().parents[2]


@cache
def shipped() -> Path:
    """Return the folder of shipped tables: beside the package in a checkout, inside it in a wheel."""
    package = package_folder()
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def is_shipped(file: Path) -> bool:
    """Return whether a file is one of the shipped tables."""
    return shipped().resolve() in file.resolve().parents


def names(kind: str, configs: Path | None = None) -> dict[str, Path]:
    """Map every name of a kind to its file; the tables of `configs` hide shipped ones of the same name."""
    if FOLDERS[kind] == ".":  # the one table of its kind, which a user's own folder does not replace
        return {kind: shipped() / f"{kind}.yaml"}
    folder = shipped() / FOLDERS[kind]
    files = _shipped_files(folder, folder.stat().st_mtime_ns)
    if configs is not None:
        files = files | _files(configs / FOLDERS[kind])
    if FOLDERS[kind] in _SHARED:
        return {name: file for name, file in files.items() if _declares(file, kind)}
    return dict(files)


def _files(folder: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


@lru_cache(maxsize=len(FOLDERS))
def _shipped_files(folder: Path, changed_ns: int) -> dict[str, Path]:
    """List a folder of shipped tables once, and anew when it has `changed_ns` since: a load asks some twenty times."""
    return _files(folder)


def _declares(file: Path, kind: str) -> bool:
    """Return whether a file says that it is a table of this kind (one that cannot be read counts for each)."""
    try:
        declared = _KIND_LINE.search(read_text(file, MOST_OF_A_TABLE))
    except ConfigError:
        return True
    return declared is None or declared[1] == kind


def find(kind: str, reference: str, configs: Path | None = None, beside: Path | None = None) -> Path:
    """Return the file that a name or a path refers to; relative paths count from `beside`, then from here."""
    if reference.endswith((".yaml", ".yml")) or "/" in reference:
        for root in ([beside] if beside else []) + [Path()]:
            if os.path.isfile(root / reference):  # unlike Path.is_file, False for a name that is too long
                return root / reference
        raise ConfigError("no such file", file=reference)
    known = names(kind, configs)
    if reference not in known:
        others = {name: other for other in ALTERNATIVES.get(kind, ()) for name in names(other, configs)}
        if reference in others:
            raise ConfigError(f"'{reference}' is a table of kind {others[reference]}, not of kind {kind}")
        raise ConfigError(
            f"unknown {kind} '{reference}'", got=reference, expected=others or known, listed=FOLDERS[kind]
        )
    return known[reference]
