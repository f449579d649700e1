"""What is written or measured: report, trace, measure, count."""

from __future__ import annotations

from pathlib import Path

from sim.api.progress import Shown, counting, reporting
from sim.api.questions import Asked, Overrides, folder, loaded, one_variant, pool
from sim.config.errors import ConfigError, require
from sim.config.loading.files import write_whole
from sim.config.loading.overrides import as_assignments
from sim.config.scenario.scenario import Scenario
from sim.count.configurations import chosen
from sim.count.count import CountedKernel, read_recording
from sim.count.count import count as count_files
from sim.host.measure import DEFAULT_NAME
from sim.report.export.files import check_folder
from sim.study.evidence.importing import write_measurements
from sim.study.questions.host import MeasuredHost, Wanted, measure_host
from sim.study.review import ask
from sim.study.review.review import Review
from sim.study.timeline.model import Timeline
from sim.study.timeline.record import timeline
from sim.study.uncertainty.runs import FIRST_DRAWS


def report(
    scenario: Asked,
    out: str | Path | None = None,
    *,
    draws: int | None = None,
    overrides: Overrides = (),
    configs: str | Path | None = None,
    jobs: int | None = None,
    progress: Shown = None,
) -> Review:
    """Answer the questions of a design review, and write one self-contained page: how much, how sure, why, what if.

    Every access variant is compared with the first, at the first packet size; the headline is about the second, of more
    than three about the one that gains most.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one or of a sensitivity study, or a file of either.
    out
        HTML file to write (default: none, the answer alone).
    draws
        Draws of each 90 % interval (default: until its ends are good to 5 % of its width).
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.
    jobs
        Processes; by default the threads of this one.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    Review
        The answer and all that it rests on.

    Raises
    ------
    ConfigError
        For what cannot be simulated, a file that cannot be written, and a page without the packages of the extra
        `page`.

    Examples
    --------
    >>> import sim
    >>> short = {"access": ["copy_user", "vmap"], "traffic.packet_bytes": 64}
    >>> review = sim.report("virtio-user-xdp1-tap", draws=20, overrides=short)
    >>> review.gain.certain, f"{review.gain.gain_percent.value:.1f} %"
    (True, '20.4 %')
    """
    if draws is not None and draws < 1:
        raise ConfigError("at least 1 draw is needed", key="draws", got=draws)
    file = None if out is None else Path(out)
    if file is not None:
        check_folder(file.parent, "out")
        require("plotly", "a page")
    changes = as_assignments(overrides)
    with counting(progress, "runs") as told, pool(20 * (draws or FIRST_DRAWS), jobs) as executor:
        question, tornado = "", None
        if isinstance(scenario, Scenario):
            asked = scenario
            if changes:
                asked = loaded(scenario, changes, configs)
        else:
            asked, question, tornado = ask.asked(str(scenario), folder(configs), changes, executor)
        answer = ask.review(
            asked,
            draws,
            question=question,
            study_tornado=tornado,
            configs=folder(configs),
            executor=executor,
            progress=told,
        )
    if file is not None:
        from sim.report.page.page import page

        write_whole(file, page(answer, _called(scenario, overrides, draws, configs)))
    return answer


def _called(scenario: Asked, overrides: Overrides, draws: int | None, configs: str | Path | None) -> str:
    """Return the call that makes a page."""
    first = f'sim.load_scenario("{scenario.name}", ...)' if isinstance(scenario, Scenario) else repr(str(scenario))
    given = [f"draws={draws}"] if draws is not None else []
    given += [f"overrides={overrides!r}"] if overrides else []
    given += [f"configs={str(configs)!r}"] if configs is not None else []
    return f"sim.report({', '.join([first, repr('report.html'), *given])})"


def trace(
    scenario: Asked,
    packets: int,
    out: str | Path | None = None,
    *,
    access: str | None = None,
    packet_bytes: int | None = None,
    skip: int = 0,
    overrides: Overrides = (),
    configs: str | Path | None = None,
) -> Timeline:
    """Keep every moment of a simulated execution, and write it in the trace-event format, which Perfetto reads.

    Parameters
    ----------
    scenario
        A loaded scenario, the name of one, or a file.
    packets
        How many packets the timeline holds.
    out
        JSON file to write (default: none).
    access, packet_bytes
        The variant and the frame size (default: the first of each).
    skip
        Begin when so many packets are used: leaves warming up out.
    overrides
        Changes of keys, as `load_scenario` takes them.
    configs
        A folder with tables of your own.

    Returns
    -------
    Timeline
        What each actor did, by packet, by row and by primitive.

    Raises
    ------
    ConfigError
        For too few or too many packets, and for what cannot be simulated.

    Examples
    --------
    >>> import sim
    >>> recorded = sim.trace("virtio-user-xdp1-tap", 64, access="vmap")
    >>> sorted(set(recorded.to_frame().actor))
    ['driver', 'worker']
    """
    file = None if out is None else Path(out)
    if file is not None:
        check_folder(file.parent, "out")
    asked = one_variant(scenario, access, overrides, configs)
    recorded = timeline(asked, packets, access, packet_bytes, skip=skip)
    if file is not None:
        from sim.report.export.trace_events import trace_text

        write_whole(file, trace_text(recorded))
    return recorded


def measure(
    out: str | Path | None = None,
    *,
    recording: str | Path | None = None,
    source: str | Path | None = None,
    ring: bool = False,
    tap: bool = False,
    vhost: bool = False,
    measurements: str | Path | None = None,
    overrides: Overrides = (),
    configs: str | Path | None = None,
    progress: Shown = None,
) -> MeasuredHost:
    """Measure this host, unprivileged and in under a minute, and make a CPU profile that any scenario can name.

    What cannot be measured, what was refused as impossible and what was unstable is said; the profile takes it from the
    nearest shipped table. Leave the machine alone meanwhile.

    Parameters
    ----------
    out
        Where to write the profile (`cpus/NAME.yaml` below a folder of your own); its name is the file's.
    recording
        Also write every raw repeat, as JSON.
    source
        Derive everything from this recording instead.
    ring
        Also run a real ring between two cores, beside its prediction.
    tap, vhost
        As root: also time writes to a TAP, or run a driver in front of this kernel's vhost worker, beside their
        prediction.
    measurements
        Of `tap` or `vhost`: write figures of the profile of `out` that `validate` and `calibrate` read.
    overrides
        Of `vhost`: changes of the scenario vhost-here.
    configs
        A folder with tables of your own.
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    MeasuredHost
        Recording, profile, and the experiments by name.

    Raises
    ------
    ConfigError
        Where this machine cannot be measured, a file is no recording, or experiments do not go together.

    Examples
    --------
    >>> import sim
    >>> host = sim.measure("mine/cpus/this-host.yaml")  # doctest: +SKIP
    >>> sim.run("virtio-user-xdp1-tap", overrides={"cpu": "this-host"}, configs="mine")  # doctest: +SKIP
    """
    files = {name: Path(file) for name, file in (("out", out), ("recording", recording)) if file is not None}
    if measurements is not None:
        files["measurements"] = Path(measurements)
        if tap == vhost:
            raise ConfigError("takes the figures of one of tap and vhost", key="measurements", got=measurements)
        if out is None:
            raise ConfigError("names the profile, which is written to out: give both", key="measurements")
    if overrides and not vhost:
        raise ConfigError("change the scenario of vhost, which is not asked for", key="overrides")
    for name, file in files.items():
        check_folder(file.parent, name)
    wanted = Wanted(ring, tap, vhost, as_assignments(overrides), folder(configs))
    with reporting(progress) as told:
        answer = measure_host(wanted, folder(source), files["out"].stem if "out" in files else DEFAULT_NAME, told)
    figures = answer.measurements(files["measurements"].stem) if "measurements" in files else None
    if "out" in files:
        write_whole(files["out"], answer.profile.to_yaml())
    if "recording" in files:
        write_whole(files["recording"], answer.recording.to_json())
    if figures is not None:
        write_measurements(figures, files["measurements"])
    return answer


def count(
    kernel: str | Path | None = None,
    modules: str | Path | None = None,
    *,
    source: str | Path | None = None,
    only: tuple[str, ...] = (),
    progress: Shown = None,
) -> CountedKernel:
    """Count what a kernel's vhost_net executes per packet, under emulation: no root, no vhost_net of this host.

    About ten minutes for all configurations. The command line also fetches kernels, and makes tables of the counts.

    Parameters
    ----------
    kernel, modules
        A bootable kernel (vmlinuz), and the folder with its modules.
    source
        A recording of such a count, to be read instead.
    only
        Beginnings of the names of configurations (default: all).
    progress
        True for a bar, or a function that is called with the share done and what is being done.

    Returns
    -------
    CountedKernel
        Instructions, windows and fences per packet of each configuration.

    Raises
    ------
    ConfigError
        For a file that is none, an unknown configuration, and where no emulator can be had.

    Examples
    --------
    >>> import sim
    >>> counted = sim.count("vmlinuz", "lib/modules", only=("tx_xdp_ev0_d1",))  # doctest: +SKIP
    """
    if (source is None) == (kernel is None):
        raise ConfigError("a kernel or a recording is needed, one of them", key="kernel", got=kernel)
    if kernel is not None and modules is None:
        raise ConfigError("the folder with the kernel's modules is needed", key="modules")
    wanted = chosen(list(only))
    if source is not None:
        return read_recording(Path(source)).of(wanted)
    assert kernel is not None
    assert modules is not None
    with reporting(progress) as told:
        return count_files(Path(kernel), Path(modules), wanted, told or (lambda share, label: None))
