"""Tables as they stand in their files: each is parsed once as long as it does not change."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.config.loading.files import MOST_OF_A_TABLE, NotYamlError, Table, parsed_yaml, read_text


@lru_cache(maxsize=256)
def _parsed(file: Path, modified_ns: int, size: int) -> Any:
    """Parse a file once as long as it does not change: a sweep resolves its tables thousands of times.

    What is parsed is shared by all who read the file: they replace what is below its first keys, and change nothing.
    """
    return parsed_yaml(read_text(file, MOST_OF_A_TABLE))


def read_yaml(file: Path) -> Table:
    """Read one mapping with text keys from a YAML file; every failure is a ConfigError that names the file."""
    try:
        state = file.stat()
        data = copy.copy(_parsed(file, state.st_mtime_ns, state.st_size))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from None
    except NotYamlError as error:
        where = f" (line {error.line})" if error.line else ""
        raise ConfigError(f"is not a YAML file{where}: {error.problem}", file=file) from None
    if not isinstance(data, dict):
        raise ConfigError(f"is not a YAML mapping (found {type(data).__name__})", file=file)
    return data
