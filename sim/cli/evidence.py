"""Commands that weigh the evidence: calibrate, validate, sensitivity, breakeven, import-trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from sim.cli import options as opt
from sim.cli import output
from sim.cli.completing import keys, tables, words

if TYPE_CHECKING:
    from sim.config import Scenario
    from sim.study.runs.asked import Point


@opt.command(
    "calibrate seed-two-rates --out mine/calibrations/mine.yaml",
    "calibrate --here --configs mine --out mine/calibrations/here.yaml",
)
def calibrate(
    study: Annotated[
        str | None,
        Argument(
            metavar="[STUDY]",
            help="name of a calibration study or a YAML file",
            autocompletion=tables("calibration-study"),
        ),
    ] = None,
    here: Annotated[
        bool, Option("--here", help="fit what --configs holds of this host: its profile to its own measurements")
    ] = False,
    out: Annotated[Path | None, Option("--out", "-o", metavar="FILE", help="where to write the calibration")] = None,
    model_error: Annotated[
        bool, Option("--model-error", help="also estimate how far the model is off, by leaving each source out in turn")
    ] = False,
    jobs: opt.Jobs = None,
    configs: opt.Configs = None,
) -> None:
    """Fit the parameters that a study names to its measurements; the tables' ranges are the priors.

    Prints value +/- error, prior and pull, correlations, residuals, and what the data can and cannot tell apart. A
    scenario with `calibration: NAME` or `--set calibration=./FILE` uses the values, `--uncertainty` the draws.

    --model-error predicts every published rate and ratio by a fit that does not know its source (minutes): what the
    ranges, the repeats of a rig and rounding do not explain is the model's own error, by class of path. A calibration
    without it borrows that of seed-two-rates.

    --here takes every rate, ratio and share in DIR/measurements instead, and the entries that move them most. They name
    a profile that `measure` wrote into DIR/cpus. With --out DIR/calibrations/NAME.yaml it writes a scenario NAME, too:
    what-ifs that start from it start from your baseline, and say so.
    """
    from sim.report.tables.evidence import calibration_tables
    from sim.study.evidence import baseline as own
    from sim.study.evidence.calibrate import calibrate as fit
    from sim.study.evidence.calibrate import load_study, write_calibration
    from sim.study.evidence.discrepancy import with_discrepancies
    from sim.study.runs.pool import pool_for

    if here == (study is not None):
        opt.refuse("takes a study or --here, one of them", key="calibrate", got=study)
    if here and model_error:
        opt.refuse("goes with a study", key="--model-error")
    opt.checked_file("--out", out)
    if study is not None:
        loaded = load_study(study, configs)
        with output.counted_progress("runs") as report, pool_for(loaded.trials, jobs) as pool:
            calibration = fit(loaded, configs, pool, report)
            if model_error:
                calibration = with_discrepancies(calibration, loaded, configs=configs, executor=pool, progress=report)
    else:
        baseline = own.own_baseline(configs)
        if out is not None:
            own.check_place(baseline, out)
        with output.counted_progress("runs") as report, pool_for(own.TRIALS, jobs) as pool:
            calibration = own.fit_baseline(baseline, out.stem if out else own.DEFAULT_NAME, pool, report)
    output.show_data(
        calibration.to_dict(),
        calibration.records,
        lambda: calibration_tables(calibration),
    )
    if out is not None and study is not None:
        write_calibration(calibration, out)
        output.say_written([out])
    elif out is not None:
        for file in own.write_baseline(baseline, calibration, out):
            output.say_written([file])


@opt.command("validate", "validate --only seed-vmap --format csv")
def validate(
    calibration: Annotated[
        str | None,
        Option(
            "--calibration",
            metavar="NAME",
            help="instead of the scenarios' own; none: tables as they are",
            autocompletion=tables("calibration"),
        ),
    ] = None,
    draws: opt.Draws = 100,
    only: Annotated[
        str | None,
        Option(
            "--only",
            metavar="FILE,FILE",
            help="measurement files",
            autocompletion=tables("measurement", several=True),
        ),
    ] = None,
    everything: Annotated[bool, Option("--all", help="list every count, too")] = False,
    left_out: Annotated[
        str | None,
        Option(
            "--leave-one-out",
            metavar="STUDY",
            help="fit this study without each of its sources in turn",
            autocompletion=tables("calibration-study"),
        ),
    ] = None,
    out: opt.Tables = None,
    markdown: Annotated[
        Path | None, Option("--markdown", metavar="FILE", help="write the page of the documentation")
    ] = None,
    seed: Annotated[int, Option("--seed", metavar="N", help="seed of the draws (0 is a seed)")] = 1,
    jobs: opt.Jobs = None,
    configs: opt.Configs = None,
) -> None:
    """Lay every published figure beside its prediction: interval, signed error, used or not; worst first."""
    from sim.report.tables import validation as printed
    from sim.study.evidence.validate import leave_one_out
    from sim.study.evidence.validate import validate as lay_beside
    from sim.study.runs.pool import pool_for

    opt.at_least("--draws", 0, draws)
    opt.at_least("--seed", 0, seed)
    files = opt.checked_folder(out)
    opt.checked_file("--markdown", markdown)
    names = [name.strip() for name in only.split(",")] if only else []
    with output.counted_progress("runs") as report, pool_for(20 * draws, jobs) as pool:
        if left_out is not None:
            folds = leave_one_out(left_out, draws, seed, configs=configs, executor=pool, progress=report)
            data = {"schema": 1, "left_out": {name: fold.to_dict() for name, fold in folds}}
            output.show_data(
                data, lambda: output.csv_rows().left_out_rows(folds), lambda: printed.left_out_table(folds)
            )
            return
        validation = lay_beside(calibration, draws, seed, configs=configs, executor=pool, progress=report, only=names)
    output.show_data(
        validation.to_dict(),
        validation.records,
        lambda: printed.validation_tables(validation, everything),
    )
    if markdown is not None:
        from sim.config.loading.files import write_whole

        write_whole(markdown, printed.validation_page(validation))
        output.say_written([markdown])
    output.write_files(files, lambda export: export.validation_writers(validation))


@opt.command(
    "sensitivity virtio-user-xdp1-tap --set kernel=v6.12 --access copy_user,vmap --sizes 64",
    "sensitivity seed-gain --method sobol --out out/gain",
)
def sensitivity(
    scenario: Annotated[
        str,
        Argument(
            metavar="SCENARIO|STUDY",
            help="a scenario or a sensitivity study: its name or a YAML file",
            autocompletion=tables("scenario", "sensitivity"),
        ),
    ],
    method: Annotated[
        str,
        Option(
            "--method",
            metavar="tornado|morris|sobol",
            help="one at a time, screening, variance",
            autocompletion=words("tornado", "morris", "sobol"),
        ),
    ] = "tornado",
    samples: Annotated[
        int | None, Option("--samples", metavar="N", help="base samples (sobol) or trajectories (morris)")
    ] = None,
    sets: opt.Sets = None,
    access: opt.Accesses = None,
    sizes: opt.OneSize = None,
    out: opt.Tables = None,
    seed: Annotated[int | None, Option("--seed", metavar="N", help="seed of the samples (0 is a seed)")] = None,
    jobs: opt.Jobs = None,
    configs: opt.Configs = None,
) -> None:
    """Say which input moves an answer (packets per second, or a gain), and which to measure next.

    tornado: each input alone between the ends of its central 90 %. morris: mean absolute effect of a step, cheap.
    sobol: shares of the variance, alone (S1) and with interactions (ST), with 95 % intervals.

    Of a scenario, every entry that it reads is an input, and the answer is the gain of the second access variant over
    the first, or the rate of the only one (--access A,B, or the first two of the scenario). A study names its inputs.
    """
    from sim.report.tables.evidence import sensitivity_tables
    from sim.study.runs.pool import pool_for
    from sim.study.sensitivity import entries
    from sim.study.sensitivity import study as sensitive
    from sim.study.sensitivity.tornado import METHODS

    opt.one_of("--method", method, METHODS)
    opt.at_least("--samples", 1, samples)
    opt.at_least("--seed", 0, seed)
    opt.only_one("sensitivity", sizes=sizes)
    short = {"access": access, "sizes": sizes}
    if sensitive.is_study(scenario, configs, opt.overrides(sets, **short), "a sensitivity"):
        loaded = sensitive.load_sensitivity(scenario, configs)
        changed = {"seed": seed, "samples": samples, "trajectories": samples}
        loaded = loaded.model_copy(update={key: value for key, value in changed.items() if value is not None})
        files = opt.checked_folder(out)
        size = {"sobol": loaded.samples, "morris": loaded.trajectories, "tornado": 2}[method]
        with output.counted_progress("runs") as report, pool_for(size * (len(loaded.inputs) + 2), jobs) as pool:
            result = sensitive.sensitivity(loaded, method, configs, pool, report)  # type: ignore[arg-type]
    else:
        asked = opt.load(scenario, sets, configs, entries.asked_of, **short)
        files = opt.checked_folder(out)
        runs = entries.runs_of(asked, method, samples)  # type: ignore[arg-type]
        seed = entries.USUAL_SEED if seed is None else seed
        with output.counted_progress("runs") as report, pool_for(runs, jobs) as pool:
            result = entries.sensitivity_of(asked, method, samples, seed, pool, report)  # type: ignore[arg-type]
    output.show_data(result.to_dict(), result.records, lambda: sensitivity_tables(result))
    output.write_files(files, lambda export: export.sensitivity_writers(result))


@opt.command("breakeven virtio-user-xdp1-tap --vary cpu.primitives.stac --target 'gain>=20%' --uncertainty")
def breakeven(
    scenario: opt.Name,
    vary: Annotated[str, Option("--vary", metavar="KEY", help="key whose value is searched", autocompletion=keys)],
    target: Annotated[
        str, Option("--target", metavar="'gain>=10%'", help="gain, saved_ns, pps or ns_per_packet, and a number (30M)")
    ],
    low: Annotated[float | None, Option("--low", help="lower end (default: that of the table entry)")] = None,
    high: Annotated[float | None, Option("--high", help="upper end (default: that of the table entry)")] = None,
    tolerance: Annotated[float, Option("--tolerance", metavar="SHARE", help="of the range")] = 0.001,
    sets: opt.Sets = None,
    access: opt.Accesses = None,
    sizes: opt.OneSize = None,
    uncertain: opt.Uncertain = None,
    configs: opt.Configs = None,
) -> None:
    """Find the value of one key at which a target is just met, or say that it is met always or never.

    A gain is that of the second access variant over the first (--access A,B, or the first two of the scenario).
    --uncertainty draws everything else at five places of the range: in how many draws the target is met, and where.
    """
    from dataclasses import replace

    from sim.report.tables.evidence import breakeven_tables
    from sim.study.questions.limits import limits
    from sim.study.questions.run import run
    from sim.study.review.preface import preface
    from sim.study.runs.asked import no_point
    from sim.study.runs.pool import pool_for
    from sim.study.sensitivity import breakeven as even
    from sim.study.sensitivity.drawn_breakeven import drawn_breakeven
    from sim.study.uncertainty.runs import FIRST_DRAWS

    opt.only_one("breakeven", sizes=sizes)
    wanted = even.Target.parse(target)

    def varied(value: object) -> Scenario:
        changes = [*(sets or []), f"{vary}={value!r}"]
        return opt.load(scenario, changes, configs, no_point, access=access, sizes=sizes)

    def looked_at(loaded: Scenario) -> list[Point]:
        return list(even.points_at_ends(varied, loaded, [end for end in (low, high) if end is not None]))

    base = opt.load(scenario, sets, configs, looked_at, access=access, sizes=sizes)
    result = even.breakeven(varied, base, vary, wanted, low=low, high=high, tolerance=tolerance)
    shown = even.looked_at(base, wanted)
    points = run(shown).points
    if uncertain is not None:
        chosen = None if uncertain == opt.CHOSEN_DRAWS else uncertain
        with output.counted_progress("runs") as report, pool_for(12 * (chosen or 2 * FIRST_DRAWS)) as pool:
            drawn = drawn_breakeven(
                result, varied, base, chosen, base.run.seed, configs=configs, executor=pool, progress=report
            )
        result = replace(result, drawn=drawn)
    output.show_under(
        preface(shown, points, limits(shown, points), configs=configs),
        result.to_dict(),
        result.records,
        lambda: breakeven_tables(result),
    )


@opt.command(
    "import-trace perf.txt --set kernel=v6.12 --out mine/measurements/my.yaml",
    "import-trace stat.txt --packets 50000000 --set device.direction=rx",
    name="import-trace",
)
def import_trace(
    file: Annotated[Path, Argument(metavar="FILE", help="trace CSV, `perf report --stdio` or `perf stat` text")],
    out: Annotated[
        Path | None,
        Option("--out", "-o", metavar="FILE", help="measurement file to write (DIR/measurements/NAME.yaml)"),
    ] = None,
    sets: opt.Sets = None,
    packets: Annotated[
        int | None, Option("--packets", metavar="N", help="packets sent meanwhile (perf stat, unnamed traces)")
    ] = None,
    thread: Annotated[
        str | None, Option("--thread", metavar="NAME", help="the worker's threads (default: vhost-*; * is any text)")
    ] = None,
    scenario: Annotated[
        str | None,
        Option(
            "--scenario",
            metavar="SCENARIO",
            help="what --set changes (default: virtio-user-xdp1-tap)",
            autocompletion=tables("scenario"),
        ),
    ] = None,
    configs: opt.Configs = None,
) -> None:
    """Turn a trace or a profile of your own machine into measurements that calibrate and validate read.

    --set KEY=VALUE says what it was taken with (kernel=v6.12, cpu=..., driver.burst=...). Put the file into a folder
    `measurements` below DIR and name DIR with --configs.

    Of perf report the column Self of the cycles counts, and of that the rows of the worker's threads; of perf stat, in
    any of its forms, the instructions. What is left out or assumed is said. perf report --stdio --no-children -g none
    and perf stat -e instructions -t TID print what is wanted.
    """
    from sim.report.tables.evidence import measurement_table
    from sim.study.evidence import importing

    opt.checked_file("--out", out)
    measurements = importing.import_file(
        file,
        overrides=sets or (),
        scenario=scenario or importing.DEFAULT_SCENARIO,
        configs=configs,
        name=out.stem if out is not None else None,
        packets=packets,
        thread=thread or importing.WORKERS,
    )
    output.show_data(
        measurements.model_dump(mode="json"),
        measurements.records,
        lambda: measurement_table(measurements),
    )
    if out is not None:
        importing.write_measurements(measurements, out)
        output.say_written([out])
