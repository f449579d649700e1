"""Write a text file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from sim.config.errors import ConfigError


def write_whole(file: Path, text: str) -> None:
    """Write a file beside its place and move it in when it is whole; ConfigError when it cannot be written."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, file)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
