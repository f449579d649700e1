"""Files: what texts, YAML and JSON hold, every fault one clear error; a text is written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISBLK, S_ISCHR
from typing import Any, BinaryIO

import yaml

from sim.config.errors import ConfigError

Table = dict[str, Any]

#: A YAML file of more bytes is none that a person wrote: the largest shipped one has 60 000.
MOST_OF_A_TABLE = 2 << 20
#: Any other file that is read: what a program printed.
MOST_OF_A_FILE = 64 << 20


def read_bytes(file: Path, most: int = MOST_OF_A_FILE) -> bytes:
    """Read a file of at most so many bytes; ConfigError for a longer one, for a device and for what cannot be read."""
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if S_ISCHR(mode) or S_ISBLK(mode):
                raise ConfigError("cannot be read: is a device, and no file", file=file)
            content = stream.read(most + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from None
    except ValueError as error:  # a name that holds a NUL
        raise error if isinstance(error, ConfigError) else ConfigError("is no name of a file", file=file) from None
    if len(content) > most:
        raise ConfigError(f"cannot be read: is longer than {most >> 20} MiB", file=file)
    return content


def read_text(file: Path, most: int = MOST_OF_A_FILE) -> str:
    """Read a text as `read_bytes` does, with the ends of its lines as `\\n`; ConfigError for bytes that are no text."""
    try:
        text = read_bytes(file, most).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("cannot be read: not UTF-8 text", file=file) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(file: Path) -> Any:
    """Read what a JSON file holds; ConfigError for one that is none."""
    try:
        return json.loads(read_text(file))
    except ConfigError:
        raise
    except (ValueError, RecursionError):
        raise ConfigError("is no JSON file", file=file) from None


#: PyYAML's own reader is ten times as slow as libyaml, which most builds of it have; its writer five times.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
#: What the two writers write in ways of their own: control characters, surrogates, what lies beyond U+FFFF.
_WRITTEN_APART = re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
_MERGE = "tag:yaml.org,2002:merge"


class StrictLoader(_Loader):  # type: ignore[misc, valid-type]
    """YAML loader that refuses what a table never needs, each with its reason.

    That is a key given twice or that is no text, an alias (a few lines of them stand for more than any memory holds),
    a merge key, and a scalar that is not what its tag says.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return what a node stands for; ConstructorError says why it stands for nothing."""
        if node in self.constructed_objects or node in self.recursive_objects:
            raise _problem("an alias (*) repeats what stands elsewhere: write it out, or use `extends`", node)
        try:
            return super().construct_object(node, deep)
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            reason = f": {error}" if isinstance(error, ValueError) and not isinstance(error, UnicodeError) else ""
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            raise _problem(f"'{node.value}' is no {kind}{reason}", node) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        """Return a mapping with text keys."""
        if not isinstance(node, yaml.MappingNode):
            raise _problem("is no mapping", node)
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                raise _problem("a merge key (<<) is not taken: use `extends`", key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise _problem("a list or a mapping is a key, which has to be text", key_node)
            key = self.construct_object(key_node)
            if not isinstance(key, str):
                raise _problem(f"key {key_node.value} is not text", key_node)
            if key in mapping:
                raise _problem(f"key '{key}' is given twice", key_node)
            mapping[key] = self.construct_object(value_node, deep)
        return mapping


#: YAML 1.1 takes 1e12 and 1.2e12 for texts; YAML 1.2 and everybody who types them do not.
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def _problem(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class NotYamlError(ValueError):
    """A text is no YAML: `problem` says why, `line` where, from 1, if that is known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line


def parsed_yaml(text: str) -> Any:
    """Return what a YAML text stands for; NotYamlError, with the reason, where it stands for nothing."""
    try:
        return yaml.load(text, Loader=StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise NotYamlError(str(getattr(error, "problem", None) or error), mark.line + 1 if mark else None) from None
    except RecursionError:
        raise NotYamlError("lists or mappings stand too deep inside each other") from None


def written_yaml(table: Table) -> str:
    """Return a table as YAML text, the same bytes with libyaml and without."""
    is_apart = any(_WRITTEN_APART.search(text) for text in _texts(table))
    dumper = yaml.SafeDumper if is_apart else _Dumper
    return str(yaml.dump(table, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120))


def _texts(node: Any) -> Iterator[str]:
    """Yield every text of a table, keys too."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, below in node.items():
            yield from _texts(key)
            yield from _texts(below)
    elif isinstance(node, list | tuple):
        for below in node:
            yield from _texts(below)


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Give a stream whose bytes take the place of a file once they are whole and on the disk.

    They are written beside it, under a name that nobody can have taken before: a link that waits there is not followed.
    """
    partial = file.with_name(f".{secrets.token_hex(8)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file beside its place and move it in when it is whole; ConfigError when it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=file) from None
