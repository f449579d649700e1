"""Measure this host: its profile, and the experiments that are asked for beside their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim.config.answer import Answer, Record, flat
from sim.config.errors import ConfigError
from sim.config.loading.overrides import assigned
from sim.config.progress import Progress
from sim.config.tables.measurement import Measurements
from sim.host.contrasts import contrasts
from sim.host.experiments.privilege import one_at_a_time
from sim.host.measure import DEFAULT_NAME, check_host, check_same_machine
from sim.host.measure import measure as measure_profile
from sim.host.profile import Profile
from sim.host.recording import Recording
from sim.host.serialisation import added_cycles
from sim.study.questions.host_ring import ring_scenario, run_experiment
from sim.study.questions.host_tap import compare_taps, tap_measurements
from sim.study.questions.host_vhost import compare_vhost, load_vhost, program_settings, vhost_measurements


@dataclass(frozen=True)
class Wanted:
    """What is asked for beside the profile.

    Attributes
    ----------
    ring, tap, vhost
        The experiments.
    overrides
        Changes of the scenario of the vhost worker, as `KEY=VALUE`.
    configs
        A folder with tables of your own.
    """

    ring: bool = False
    tap: bool = False
    vhost: bool = False
    overrides: Sequence[str] = ()
    configs: Path | None = None

    def programs(self) -> list[dict[str, int]]:
        """Return what the driver program of the vhost worker is told, for every packet size."""
        return program_settings(load_vhost({}, self.configs, self.overrides)) if self.vhost else []


@dataclass(frozen=True, repr=False)
class MeasuredHost(Answer):
    """What was measured and derived, and the reports of the experiments by kind, in the order that they ran in.

    Attributes
    ----------
    recording, profile
        Every raw repeat, and the CPU table that was made of them.
    experiments
        By name (`ring`, `tap`, `vhost`): what was measured beside what is predicted.
    """

    wanted: Wanted
    recording: Recording
    profile: Profile
    experiments: dict[str, Any] = field(default_factory=dict)

    def headline(self) -> str:
        """Return what the profile is, and which experiments stand beside it."""
        beside = f"; beside it {', '.join(self.experiments)}" if self.experiments else ""
        return f"{self.profile.headline()}{beside}"

    def records(self) -> list[Record]:
        """Return the rows of the last experiment, or else of the profile."""
        last = next(reversed(self.experiments.values()), None)
        return self.profile.records() if last is None else [flat(point.to_dict()) for point in last.comparisons]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim measure`."""
        profile = self.profile
        data: dict[str, Any] = {
            "schema": 1,
            "profile": profile.table,
            "refused": profile.refused,
            "unstable": profile.unstable,
            "nearest": profile.nearest,
            "rounds": len(self.recording.rounds),
            "missing": profile.missing,
            "differs": profile.differs,
            "behind": [row.to_dict() for row in added_cycles(self.recording)],
            "seen": [contrast.to_dict() for contrast in contrasts(self.recording)],
        }
        for experiment in self.experiments.values():
            data |= experiment.to_dict()
        return data

    def measurements(self, name: str) -> Measurements:
        """Return the figures of the TAP or the vhost worker as a file that `validate` and `calibrate` read.

        ConfigError where not exactly one of these was run.
        """
        if self.wanted.tap == self.wanted.vhost:
            raise ConfigError("the figures of one experiment are needed, tap or vhost", key="measurements")
        cpu, configs = self.profile.table["name"], self.wanted.configs
        if self.wanted.tap:
            return tap_measurements(self.experiments["tap"], self.recording, cpu, name, configs)
        changed = assigned(self.wanted.overrides)
        return vhost_measurements(self.experiments["vhost"], cpu, changed, name, configs)


def measure_host(
    wanted: Wanted, source: Path | None = None, name: str = DEFAULT_NAME, progress: Progress | None = None
) -> MeasuredHost:
    """Measure, or read a recording, and lay the experiments that are wanted beside their predictions.

    ConfigError where this machine cannot be measured, for a file that is no recording, and for an experiment of another
    machine.
    """
    programs = wanted.programs()
    if source is None:
        check_host(wanted.tap, wanted.vhost)
    with one_at_a_time() if source is None else nullcontext():
        made = measure_profile(source, name, wanted.configs, progress, taps=wanted.tap, vhost=programs)
        return MeasuredHost(wanted, *made, _experiments(wanted, *made, progress))


def _experiments(wanted: Wanted, recording: Recording, profile: Profile, progress: Progress | None) -> dict[str, Any]:
    reports: dict[str, Any] = {}
    if wanted.ring:
        check_same_machine(recording)
        scenario = ring_scenario(profile.table, configs=wanted.configs)
        reports["ring"] = run_experiment(scenario, recording.pair, progress)
    if wanted.tap:
        reports["tap"] = compare_taps(recording, profile.table, wanted.configs)
    if wanted.vhost:
        changed = assigned(wanted.overrides)
        reports["vhost"] = compare_vhost(recording, profile.table, changed, wanted.configs)
    return reports
