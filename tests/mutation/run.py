"""`make mutate`: change one place of the model at a time, show it to the tests that own it, say what nobody noticed.

Everything happens in a copy of the tree below out/mutation; the working tree is never touched. Each mutant gets a
process forked from one that has imported the libraries but nothing of the project, which saves most of the start-up.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import mkdtemp

import yaml

from tests.mutation.mutants import Mutant, changed_lines, of_folder, sample
from tests.mutation.owners import OWNERS, Owner

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "mutation"
TREE = OUT / "tree"
LOG = OUT / "last.log"
KEPT = OUT / "results.jsonl"
LISTED = Path(__file__).with_name("survivors.yaml")

#: Machine code is kept on disk by the text of `sim.engine.loop` alone, but holds what that module takes from these.
COMPILED_IN = ("sim/engine", "sim/datapath/plan", "sim/datapath/traffic")
#: What a copy of the tree does not need.
_LEFT_OUT = shutil.ignore_patterns(".*", "out", "build", "dist", "__pycache__")
_LIBRARIES = (
    "pytest hypothesis numpy numba pandas pyarrow pydantic scipy.stats scipy.special simpy yaml typer rich SALib"
)
#: Processor time that a single test may take: a few times the slowest. How busy the machine is does not matter.
TEST_LIMIT_S = 30
OUTCOMES = KILLED, SURVIVED, LISTED_SURVIVOR = "killed", "survived", "listed"


@dataclass(frozen=True)
class Result:
    """What became of a mutant; `before` and `after` are the lines that it changes."""

    mutant: Mutant
    outcome: str
    before: str
    after: str


def main(arguments: list[str] | None = None) -> int:
    """Run the mutants and print the table; 1 if a survivor is not in the list."""
    options = _options(arguments)
    os.nice(10)
    _copy_tree()
    owners = [owner for owner in OWNERS if not options.only or owner.name in options.only]
    drawn = _drawn(owners, options)
    for name in _LIBRARIES.split():
        importlib.import_module(name)
    _quick_hypothesis()
    earlier = {} if options.fresh else _earlier()
    listed = {(entry["module"], entry["before"], entry["after"]) for entry in _listed()}
    passed: set[Owner] = set()
    results = []
    for number, (owner, mutant) in enumerate(drawn, 1):
        before, after = changed_lines(*_sources(mutant))
        outcome = earlier.get(_key(mutant))
        if outcome is None or (options.again and outcome == SURVIVED):
            if owner not in passed and not options.trust:
                _pass_without(owner)
            passed.add(owner)
            started = time.monotonic()
            outcome = KILLED if _notice(mutant, _tests(owner, options.quick)) else SURVIVED
            _keep(mutant, outcome)
            took = f"{time.monotonic() - started:.0f} s"
            by = f" by {_noticed_by()}" if outcome == KILLED else ""
            place = f"{mutant.module}:{mutant.line}"
            print(f"{number}/{len(drawn)} {took} {outcome}{by} {place}: {before}  ->  {after}", flush=True)
        if outcome == SURVIVED and (mutant.module, before, after) in listed:
            outcome = LISTED_SURVIVOR
        results.append(Result(mutant, outcome, before, after))
    return _report(results)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants, drawn by seed (0: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], choices=[owner.name for owner in OWNERS], help="these owners")
    parser.add_argument("--quick", action="store_true", help="leave the slow tests out")
    parser.add_argument("--trust", action="store_true", help="do not run the tests without a mutant first")
    parser.add_argument("--fresh", action="store_true", help="forget the outcomes of earlier runs")
    parser.add_argument("--again", action="store_true", help="run those again that survived")
    return parser.parse_args(arguments)


def _drawn(owners: list[Owner], options: argparse.Namespace) -> list[tuple[Owner, Mutant]]:
    of_owner = {owner.name: of_folder(TREE, owner.modules(TREE)) for owner in owners}
    everything = [mutant for mutants in of_owner.values() for mutant in mutants]
    drawn = sample(everything, options.sample, options.seed) if options.sample else everything
    home = {mutant: owner for owner in owners for mutant in of_owner[owner.name]}
    return [(home[mutant], mutant) for mutant in drawn]


# -- the tree ---------------------------------------------------------------------------------------------------------


def _copy_tree() -> None:
    shutil.rmtree(TREE, ignore_errors=True)
    shutil.copytree(ROOT, TREE, ignore=_LEFT_OUT)


def _sources(mutant: Mutant) -> tuple[str, str]:
    source = (TREE / mutant.module).read_text(encoding="utf-8")
    return source, mutant.apply(source)


@contextmanager
def _applied(mutant: Mutant) -> Iterator[None]:
    """Write the mutant into the copy, without byte code of either version; put the module back, with its time."""
    path = TREE / mutant.module
    status, source = path.stat(), path.read_text(encoding="utf-8")
    for kept in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        kept.unlink()
    path.write_text(mutant.apply(source), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(source, encoding="utf-8")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextmanager
def _machine_code(mutant: Mutant) -> Iterator[str]:
    """Where numba keeps what it compiles: apart for a mutant that is compiled in."""
    if not mutant.module.startswith(COMPILED_IN):
        yield str(OUT / "numba")
        return
    folder = mkdtemp(dir=OUT)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- one mutant -------------------------------------------------------------------------------------------------------


def _quick_hypothesis() -> None:
    """Look for one failing example by a fixed seed; do not make it small."""
    from hypothesis import Phase, settings

    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutation", deadline=None, derandomize=True, database=None, phases=phases)


def _pass_without(owner: Owner) -> None:
    """Exit if the tests of an owner fail by themselves: then they say nothing of a mutant."""
    started = time.monotonic()
    if _run(_tests(owner, quick=False), str(OUT / "numba"), keep_byte_code=True) != 0:
        sys.exit(f"tests of {owner.name} fail without a mutant; see {LOG}")
    print(f"{owner.name}: its tests pass without a mutant, in {time.monotonic() - started:.0f} s", flush=True)


def _tests(owner: Owner, quick: bool) -> list[str]:
    """Return the test files in the order in which a mutant meets them."""
    return [file for path in owner.tests + (() if quick else owner.slow) for file in _files(path)]


def _files(path: str) -> list[str]:
    if not (TREE / path).is_dir():
        return [path]
    return [file.relative_to(TREE).as_posix() for file in sorted((TREE / path).glob("test_*.py"))]


def _notice(mutant: Mutant, tests: list[str]) -> bool:
    """Return whether tests fail with a mutant, or do not end."""
    with _applied(mutant), _machine_code(mutant) as folder:
        return _run(tests, folder, keep_byte_code=False) != 0


def _noticed_by() -> str:
    """Return the test that failed last, or what else ended the process."""
    lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
    failed = [line.split()[1] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return failed[-1] if failed else "its limit of time, or a crash"


def _run(tests: list[str], machine_code: str, keep_byte_code: bool) -> int:
    """Run tests up to the first failure in a process of its own; return how it ended (0: all passed)."""
    process = os.fork()
    if process == 0:
        _run_tests(tests, machine_code, keep_byte_code)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def _run_tests(tests: list[str], machine_code: str, keep_byte_code: bool) -> None:
    """In the forked process: import the project from the copy and run pytest, file by file."""
    status = 70
    try:
        signal.setitimer(signal.ITIMER_PROF, TEST_LIMIT_S)
        with LOG.open("w") as log:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(log.fileno(), stream.fileno())
        os.chdir(TREE)
        for name in [name for name in sys.modules if name.split(".")[0] in ("sim", "tests")]:
            del sys.modules[name]
        paths = [path for path in sys.path if path and Path(path).resolve() != ROOT]
        sys.path[:] = [str(TREE), str(TREE / "docs"), *paths]
        sys.dont_write_bytecode = not keep_byte_code
        os.environ |= {"PYTHONPATH": str(TREE), "NUMBA_CACHE_DIR": machine_code}
        import numba
        import pytest

        numba.config.reload_config()
        fixed = ["-x", "-n0", "-pno:cacheprovider", "--tb=line", "--hypothesis-profile=mutation"]
        for test in tests:  # collected one at a time: most mutants are dead soon
            status = int(pytest.main([*fixed, test], plugins=[_Watch()]))
            if status != 0:
                break
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Watch:
    """Ends the process when one test takes too much processor time: a mutant may loop for ever."""

    def pytest_runtest_logstart(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, TEST_LIMIT_S)


# -- what came out ----------------------------------------------------------------------------------------------------


def _key(mutant: Mutant) -> tuple[object, ...]:
    """Return the mutant and the line that it is in, which tells it from one of an earlier tree."""
    return (*astuple(mutant), _sources(mutant)[0].splitlines()[mutant.line - 1])


def _keep(mutant: Mutant, outcome: str) -> None:
    with KEPT.open("a", encoding="utf-8") as file:
        print(json.dumps({"key": _key(mutant), "outcome": outcome}), file=file)


def _earlier() -> dict[tuple[object, ...], str]:
    """Return the outcomes of earlier runs."""
    if not KEPT.exists():
        return {}
    entries = [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]
    return {tuple(entry["key"]): entry["outcome"] for entry in entries}


def _listed() -> list[dict[str, str]]:
    """Return the survivors that are known, with the reason of each."""
    return yaml.safe_load(LISTED.read_text(encoding="utf-8")) or []


def _report(results: list[Result]) -> int:
    """Print outcomes by folder and the survivors that are not listed; return how the command ends."""
    folders = [str(Path(result.mutant.module).parent) for result in results]
    counts = Counter((folder, result.outcome) for folder, result in zip(folders, results, strict=True))
    print("\n| modules | mutants | killed | survived | of those listed |\n|---|--:|--:|--:|--:|")
    for folder in sorted(set(folders)):
        print(_line(folder, *(counts[folder, outcome] for outcome in OUTCOMES)))
    total = Counter(result.outcome for result in results)
    print(_line("all", *(total[outcome] for outcome in OUTCOMES)))
    print(f"\nkilled: {total[KILLED] / max(1, len(results)):.1%}")
    for result in results:
        if result.outcome == SURVIVED:
            print(f"survived: {result.mutant.module}:{result.mutant.line}: {result.before}  ->  {result.after}")
    return int(total[SURVIVED] > 0)


def _line(name: str, killed: int, survived: int, listed: int) -> str:
    return f"| {name} | {killed + survived + listed} | {killed} | {survived + listed} | {listed} |"


if __name__ == "__main__":
    sys.exit(main())
