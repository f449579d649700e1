"""Measure this host, or read a recording, and write the CPU profile that it gives."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sim.config.errors import ConfigError
from sim.host.machine import read_machine
from sim.host.profile import Profile, build_profile
from sim.host.record import record
from sim.host.recording import Recording, read_recording

DEFAULT_NAME = "this-host"


def measure(
    source: Path | None = None,
    name: str = DEFAULT_NAME,
    configs: Path | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> tuple[Recording, Profile]:
    """Return a recording (made now, or read from `source`) and its profile.

    Raises ConfigError where this machine cannot be measured, and for a file that is no recording.
    """
    recording = record(progress) if source is None else read_recording(source)
    return recording, build_profile(recording, name, configs)


def check_same_machine(recording: Recording) -> None:
    """Raise ConfigError when a recording was made on another kind of machine than this one."""
    here = read_machine(sorted(os.sched_getaffinity(0)))
    there = recording.machine
    if (here.vendor, here.family, here.model) != (there.vendor, there.family, there.model):
        raise ConfigError(f"measure --ring: the recording is of another machine ({there.model_name})")


def write_whole(file: Path, text: str) -> None:
    """Write a file whole or not at all; ConfigError when it cannot be written."""
    partial = file.with_name(file.name + ".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
