"""`--out` in a folder that may not be written: one line, and what is there stays as it was."""

from __future__ import annotations

import ctypes
import os
import subprocess

import pytest

from .conftest import COMMAND

SEED = "virtio-user-xdp1-tap"
STUDY = f"""
schema: 1
kind: sweep
name: two
scenario: {SEED}
set: {{run.packets: 500}}
axes: {{access: {{values: [vmap]}}}}
"""
COMMANDS = {
    "run": ("run", SEED, "--sizes", "64", "--set", "run.packets=500"),
    "compare": ("compare", SEED, "--sizes", "64", "--set", "run.packets=500"),
    "trace": ("trace", SEED, "--packets", "1"),
    "report": ("report", SEED, "--sizes", "64", "--draws", "1"),
    "sweep": ("sweep", "study.yaml", "--jobs", "1"),
}
WRITE_A_FILE = ("trace", "report")
_DROP_FROM_BOUNDING_SET, _OVERRIDES = 24, (1, 2)  # PR_CAPBSET_DROP; CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def obey_permissions() -> None:
    """Let permissions hold for root too, in a process about to start."""
    if os.geteuid() == 0:
        for capability in _OVERRIDES:
            ctypes.CDLL(None).prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


@pytest.fixture
def kept(empty):
    """A read-only folder with something in it."""
    folder = empty / "kept"
    folder.mkdir()
    (folder / "results.csv").write_text("mine\n")
    (empty / "study.yaml").write_text(STUDY)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def refused(empty, *arguments):
    done = subprocess.run(
        [COMMAND, *arguments], cwd=empty, capture_output=True, text=True, preexec_fn=obey_permissions, timeout=120
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    ("name", "out"), [*((name, "kept") for name in COMMANDS), ("run", "kept/below"), ("sweep", "kept/below")]
)
def test_a_read_only_folder_is_one_line_and_stays_as_it_was(compiled, empty, kept, name, out):
    told = refused(empty, *COMMANDS[name], "--out", f"{out}/file" if name in WRITE_A_FILE else out)
    assert f"--out {out}: " in told
    assert "Permission denied" in told
    assert [file.name for file in kept.iterdir()] == ["results.csv"]
    assert (kept / "results.csv").read_text() == "mine\n"


@pytest.mark.deep
def test_a_sweep_keeps_its_parts_when_the_folder_has_become_read_only(compiled, vhost_sim, empty, kept):
    kept.chmod(0o755)
    assert vhost_sim(*COMMANDS["sweep"], "--out", "kept").returncode == 0
    before = {file.name: file.read_bytes() for file in kept.iterdir()}
    (kept / "part-000000.parquet").unlink()
    kept.chmod(0o555)
    told = refused(empty, *COMMANDS["sweep"], "--out", "kept", "--resume")
    assert "part-000000.parquet: cannot be written: Permission denied; the parts written before are kept" in told
    kept.chmod(0o755)
    assert vhost_sim(*COMMANDS["sweep"], "--out", "kept", "--resume").returncode == 0
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == before
