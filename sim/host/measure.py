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
