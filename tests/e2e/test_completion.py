"""Completion in bash, zsh and fish: what is offered behind a TAB, and that each script hands it to its shell."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from sim.cli import main
from sim.cli.completing import SCRIPTS
from sim.config.loading import paths

from .conftest import COMMAND

SEED = "virtio-user-xdp1-tap"
ENVIRONMENT = {**os.environ, "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def offered(empty, monkeypatch, capfd):
    """Return the words, with their meanings, that are offered for a line up to the cursor."""
    monkeypatch.chdir(empty)
    monkeypatch.setenv("COLUMNS", "80")

    def ask(line):
        monkeypatch.setattr("sys.argv", ["vhost-sim"])
        monkeypatch.setenv("_VHOST_SIM_COMPLETE", "complete_fish")
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"vhost-sim {line}")
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (0, None)
        shown = capfd.readouterr()
        assert shown.err == ""
        return dict(text.partition("\t")[::2] for text in shown.out.splitlines() if text)

    return ask


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run virtio-user-pa", ["virtio-user-packed", "virtio-user-packed-ideal"]),
        (f"compare {SEED} two-s", ["two-sockets"]),
        ("compare-cpu zen4 zen", ["zen1", "zen2", "zen3", "zen4", "zen5"]),
        ("sweep ring", ["ring-batch-burst"]),
        ("report seed", ["seed-gain"]),
        ("sensitivity two", ["two-sockets"]),
        ("calibrate seed", ["seed-copy-user", "seed-two-rates"]),
        ("validate --only smap-off,seed", ["smap-off,seed-vmap"]),
        (f"run {SEED} --access copy_user,vmap_", ["copy_user,vmap_index_nospec", "copy_user,vmap_notifier"]),
        (f"run {SEED} --access vmap,vmap", ["vmap,vmap_index_nospec", "vmap,vmap_notifier"]),
        (f"explain {SEED} --by ", ["row", "function"]),
        (f"run {SEED} --without lfence,m", ["lfence,misses"]),
        (f"run {SEED} --format ", ["table", "csv", "json", "md"]),
        ("list im", ["implementations"]),
        ("init s", ["scenario", "sweep", "sensitivity"]),
        ("check seed-g", ["seed-gain"]),
        ("--completion ", list(SCRIPTS)),
        ("compare-", ["compare-cpu"]),
        (f"run {SEED} --unc", ["--uncertainty"]),
    ],
)
def test_names_and_choices_are_offered(line, words, offered):
    assert list(offered(line)) == words


@pytest.mark.parametrize(
    ("begun", "words"),
    [
        ("virtq", ["virtqueue."]),
        ("cpu", ["cpu=", "cpu."]),
        ("cpu.primitives.lf", ["cpu.primitives.lfence="]),
        ("cpu=zen4", ["cpu=zen4"]),
        ("kernel=dpdk", ["kernel=dpdk-vhost"]),
        ("access=vmap,ide", ["access=vmap,ideal"]),
        ("calibration=seed-t", ["calibration=seed-two-rates"]),
        ("mitigations.smap=", ["mitigations.smap=true", "mitigations.smap=false"]),
        ("cpu.features.fsrm=", ["cpu.features.fsrm=true", "cpu.features.fsrm=false"]),
        ("virtqueue.layout=", ["virtqueue.layout=split", "virtqueue.layout=packed"]),
        ("driver.burst=", []),
        ("nothing", []),
    ],
)
def test_keys_and_their_values_are_offered_level_by_level(begun, words, offered):
    assert list(offered(f"run {SEED} --set {begun}")) == words


def test_an_entry_says_what_stands_there_and_a_table_what_it_is_called(offered):
    assert offered(f"run {SEED} --set cpu.reorder")["cpu.reorder_buffer="] == "192 instructions [192, 192], vendor"
    assert offered(f"run {SEED} --set virtqueue.s")["virtqueue.size="].startswith("ring entries; ")
    assert offered("compare-cpu zen4")["zen4"] == "AMD EPYC 9004 (Zen 4)"


def test_every_scenario_and_every_cpu_is_offered(offered):
    assert [*offered("run ")] == sorted(paths.names("scenario"))
    assert [*offered(f"run {SEED} --set cpu=")] == [f"cpu={name}" for name in sorted(paths.names("cpu"))]


def test_keys_to_vary_end_without_a_sign(offered):
    assert list(offered(f"breakeven {SEED} --vary cpu.cp")) == ["cpu.cpi"]


def test_tables_of_your_own_are_offered_even_if_broken(offered, empty):
    (empty / "mine/cpus").mkdir(parents=True)
    (empty / "mine/cpus/my-own.yaml").write_text("title: [")
    assert list(offered(f"run {SEED} --configs mine --set cpu=my")) == ["cpu=my-own"]


def test_keys_are_those_of_the_scenario_on_the_line(offered, empty):
    (empty / "mine.yaml").write_text(f"schema: 1\nextends: {SEED}\nname: mine\ncpu: zen4\n")
    own, seed = (offered(f"run {name} --set cpu.reorder")["cpu.reorder_buffer="] for name in ("mine.yaml", SEED))
    assert own.startswith("320 instructions")
    assert seed.startswith("192 instructions")
    assert "cpu.reorder_buffer=" in offered("run nope --set cpu.reorder")


def test_each_shell_has_a_script_and_another_one_is_refused(vhost_sim, refused):
    for shell in SCRIPTS:
        done = vhost_sim("--completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert "_VHOST_SIM_COMPLETE=complete_fish" in done.stdout
    assert refused("--completion", "csh").startswith("--completion: unknown shell 'csh'; did you mean 'zsh'?")


#: A line, and what stands there after TAB was pressed once; a point in the end means that no blank follows.
LINES = {
    "run virtio-user-one": ["virtio-user-one-by-one"],
    f"run {SEED} --set cpu=zen4": ["cpu=zen4"],
    f"run {SEED} --set virtq": ["virtqueue."],
    f"run {SEED} --set cpu.reorder": ["cpu.reorder_buffer="],
    f"run {SEED} --access copy_user,ide": ["copy_user,ideal"],
}


def shell(name, script, line):
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    environment = {**ENVIRONMENT, "LINE": f"vhost-sim {line}"}
    done = subprocess.run([program, *script], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def _last(word):
    """What readline puts behind the last sign that parts words."""
    return word.rpartition("=")[2] if not word.endswith("=") else word


@pytest.mark.parametrize("line", LINES)
def test_bash_completes(line):
    script = """
    eval "$(vhost-sim --completion bash)"
    compopt() { echo "$@"; }
    COMP_LINE=$LINE COMP_POINT=${#LINE}
    _vhost_sim_completion vhost-sim
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    (word,) = LINES[line]
    no_blank = ["-o nospace"] if word.endswith((".", "=")) else []
    assert shell("bash", ["--norc", "-c", script], line) == [*no_blank, _last(word)]


@pytest.mark.parametrize("line", LINES)
def test_zsh_completes(line):
    script = """
    compdef() { : }
    compadd() { local name=${@[-1]}; print -l -- ${(P)name}; [[ $* == *" -S "* ]] && print no blank; return 0 }
    eval "$(vhost-sim --completion zsh)"
    words=(${(z)LINE}) CURRENT=$#words
    _vhost_sim
    """
    (word,) = LINES[line]
    no_blank = ["no blank"] if word.endswith((".", "=")) else []
    assert shell("zsh", ["-f", "-c", script], line) == [word, *no_blank]


@pytest.mark.parametrize("line", LINES)
def test_fish_completes(line):
    script = "vhost-sim --completion fish | source; complete -C $LINE"
    assert [text.partition("\t")[0] for text in shell("fish", ["--no-config", "-c", script], line)] == LINES[line]
