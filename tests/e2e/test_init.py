"""`init` writes tables to start from: each passes the check, with every option that it shows too, and can be used."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from sim.cli.tables import BEGUN
from sim.config.loading import paths
from sim.config.loading.templates import TEMPLATES

#: What keeps the use of a template short.
SHORT = {"kernel": (), "measurements": ("--draws", "2"), "calibration": (), "sweep": (), "sensitivity": ()}
USES_LITTLE = ("--set", "run.packets=2000")


def with_options(text):
    """A template with every option that it shows taken."""
    return re.sub(r"^#(?! ?$| \S)", "", text, flags=re.MULTILINE)


def test_every_kind_has_a_template_a_use_and_a_file():
    shipped = {file.stem for file in (paths.shipped() / "templates").glob("*.yaml")}
    assert shipped == {*TEMPLATES} == {*BEGUN}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_passes_the_check_under_its_name(kind, vhost_sim, empty):
    done = vhost_sim("init", kind, "my-own", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    file = empty / said["file"]
    assert (file.stem, said["kind"], said["name"]) == ("my-own", kind, "my-own")
    assert done.stderr == f"written to mine/{file.parent.name}/: my-own.yaml\n"
    assert "NAME" not in file.read_text()
    checked = vhost_sim(*shlex.split(said["commands"][0])[1:])
    assert checked.returncode == 0, checked.stdout
    assert "1 table: 0 errors, 0 warnings, " in checked.stdout


@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_option_that_a_template_shows_is_one(kind, vhost_sim, empty):
    vhost_sim("init", kind, "my-own")
    (file,) = (empty / "mine").rglob("*.yaml")
    text = file.read_text()
    assert with_options(text) != text
    file.write_text(with_options(text))
    checked = vhost_sim("check", file, "--configs", "mine")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("kind", TEMPLATES)
def test_what_init_names_next_can_be_run(kind, vhost_sim, empty):
    said = json.loads(vhost_sim("init", kind, "my-own", "--json").stdout)
    if kind == "calibration":
        file = empty / said["file"]
        file.write_text(file.read_text() + "trials: 20\ndraws: 20\n")
    words = shlex.split(said["commands"][1])[1:]
    short = SHORT.get(kind, USES_LITTLE)
    done = vhost_sim(*words, *short)
    assert done.returncode == 0, done.stderr
    assert "my-own" in done.stdout


def test_the_commands_that_it_prints_are_quoted(vhost_sim):
    done = vhost_sim("init", "cpu", "mine-too", "--configs", "a folder")
    assert done.returncode == 0, done.stderr
    checked, used = done.stdout.splitlines()
    assert shlex.split(checked) == ["vhost-sim", "check", "a folder/cpus/mine-too.yaml", "--configs", "a folder"]
    assert shlex.split(used)[-4:] == ["--set", "cpu=mine-too", "--sizes", "64"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("cpus", "a"), "unknown kind 'cpus'; did you mean 'cpu'?"),
        (("cpu", "zen4"), "a shipped table is called 'zen4': take a name of your own"),
        (("sweep", "seed-gain"), "a shipped table is called 'seed-gain': take a name of your own"),
        (("kernel", "af-xdp"), "a shipped table is called 'af-xdp': take a name of your own"),
        (("cpu", "a/b"), "a name is a letter, then letters, digits and . _ + -, without .yaml (got a/b)"),
        (("cpu", "a.yaml"), "without .yaml (got a.yaml)"),
        (("cpu", ""), "a name is a letter"),
        (("cpu", "there"), "mine/cpus/there.yaml: exists already, and is left as it is"),
        (("cpu", "a", "--configs", "file"), "--configs file/cpus: file is not a folder"),
    ],
)
def test_what_cannot_be_begun_is_refused(arguments, sentence, refused, empty):
    (empty / "mine/cpus").mkdir(parents=True)
    (empty / "mine/cpus/there.yaml").write_text("mine")
    (empty / "file").write_text("")
    assert sentence in refused("init", *arguments)
    assert [file.name for file in (empty / "mine").rglob("*.yaml")] == ["there.yaml"]
    assert (empty / "mine/cpus/there.yaml").read_text() == "mine"
