"""What is installed is what is locked: every version with the digests of its files."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def locked(file):
    """Versions and digests by name."""
    text = re.sub(r"^#.*\n", "", (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    entries = re.split(r"\n(?=\S)", text.strip())
    heads = [re.match(r"([\w.-]+)==(\S+)", entry) for entry in entries]
    assert all(heads), [entry for entry, head in zip(entries, heads, strict=True) if not head]
    return {
        re.sub("[-_.]+", "-", head[1]).lower(): (head[2], re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
        for entry, head in zip(entries, heads, strict=True)
    }


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-run.txt", "uv.txt"])
def test_every_version_has_digests_and_no_registry_is_named(file):
    assert all(digests for _, digests in locked(file).values())
    assert "://" not in (ROOT / file).read_text(encoding="utf-8")


def test_what_a_run_needs_is_locked_to_the_same_files_and_no_more():
    whole, run = locked("constraints.txt"), locked("constraints-run.txt")
    assert {name: entry for name, entry in whole.items() if name in run} == run
    assert {"numpy", "matplotlib", "hatchling"} <= {*run}
    assert not {"pytest", "ruff", "mypy", "mkdocs-material", "distributed", "plotly"} & {*run}


def test_what_the_package_needs_is_installed_as_locked():
    needed = [
        re.match(r"[\w.-]+", text)[0] for text in importlib.metadata.requires("vhost-sim") if "extra ==" not in text
    ]
    versions = locked("constraints.txt")
    assert {"numpy", "numba", "pandas"} < {*needed}
    for name in needed:
        assert importlib.metadata.version(name) == versions[name.lower()][0], name
