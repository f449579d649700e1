"""Commented tables to start from: written under a name of the user's own, where that name is found."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.files import MOST_OF_A_TABLE, read_text, write_whole

#: What can be begun, and the kind of table that it is.
TEMPLATES = {
    "cpu": "cpu",
    "kernel": "kernel",
    "access": "access",
    "scenario": "scenario",
    "measurements": "measurement",
    "calibration": "calibration-study",
    "sweep": "sweep",
    "sensitivity": "sensitivity",
}
_NAME = re.compile(r"[A-Za-z][\w.+-]{0,79}", re.ASCII)
#: What stands in a template in the place of the name.
_PLACE = re.compile(r"\bNAME\b")


@dataclass(frozen=True)
class Template:
    """A table to start from: its text, and the file that it belongs into."""

    kind: str
    name: str
    file: Path
    text: str

    def write(self) -> None:
        """Write the file. ConfigError when it exists already, or cannot be written."""
        if os.path.lexists(self.file):
            raise ConfigError("exists already, and is left as it is", file=self.file)
        write_whole(self.file, self.text)


def template(kind: str, name: str, folder: Path) -> Template:
    """Return the template of a kind for a name in a folder of the user's own tables.

    ConfigError for a kind that has none, and for a name that is none or is that of a shipped table.
    """
    if kind not in TEMPLATES:
        raise ConfigError(f"unknown kind '{kind}'", got=kind, expected=TEMPLATES)
    if not _NAME.fullmatch(name) or name.endswith((".yaml", ".yml")):
        raise ConfigError("a name is a letter, then letters, digits and . _ + -, without .yaml", got=name)
    place = paths.FOLDERS[TEMPLATES[kind]]
    hidden = {other for other, beside in paths.FOLDERS.items() if beside == place}
    hidden.update(paths.ALTERNATIVES.get(TEMPLATES[kind], ()))
    if any(name in paths.names(other) for other in hidden):
        raise ConfigError(f"a shipped table is called '{name}': take a name of your own")
    text = read_text(paths.shipped() / "templates" / f"{kind}.yaml", MOST_OF_A_TABLE)
    return Template(kind, name, folder / place / f"{name}.yaml", _PLACE.sub(name, text))
