"""One value says what is asked: in an address, on a command line, in a scenario."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.config.errors import ConfigError
from sim.config.loading.load import dump_scenario, load_scenario
from sim.live.state import MOST_DRAWS, MOST_OF_A_QUERY, State, as_yaml, commands, named_in, of_command, of_query

SEED = "virtio-user-xdp1-tap"
WINDOW = """\
schema: 1
kind: access
name: one-window
title: descriptor read without the speculation barrier
source: my patch
metadata:
  recipes:
    descriptor_read: [branch, stac, load, store, load, store, clac, test]
"""

keys = st.from_regex(r"[a-z_]{1,8}(\.[a-z0-9_]{1,8}){0,2}", fullmatch=True).filter(
    lambda key: key not in ("scenario", "accessor", "draws")
)
values = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30),
    st.lists(st.integers(1, 9000), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(["kind", "pps", "bytes"]), st.integers(1, 10**6), max_size=3),
)
names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=40)
states = st.builds(
    lambda scenario, changes, accessor, draws: of_command(
        scenario, [f"{key}={as_yaml(value)}" for key, value in changes.items()], accessor, draws
    ),
    names,
    st.dictionaries(keys, values, max_size=5),
    st.sampled_from(["", WINDOW]),
    st.none() | st.integers(1, MOST_DRAWS),
)


@given(states)
def test_an_address_says_the_whole_state(state):
    assert of_query(state.query(), "another") == state


@given(states)
def test_the_texts_of_a_state_make_the_same_state(state):
    assert of_command(state.scenario, state.overrides, state.accessor, state.draws) == state


@given(states)
def test_each_command_says_the_same_question(state):
    for line in commands(State(state.scenario, state.changes), 20, 3).values():
        words = shlex.split(line)
        sets = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
        assert of_command(words[2], sets) == State(state.scenario, state.changes)


@given(st.lists(st.tuples(keys, values), max_size=6))
def test_the_order_of_changes_says_nothing_but_the_last_of_a_key_counts(changes):
    texts = [f"{key}={as_yaml(value)}" for key, value in changes]
    last = {text.partition("=")[0]: text for text in texts}
    assert of_command("a", texts) == of_command("a", sorted(last.values(), reverse=True))


def test_a_change_is_made_and_taken_back():
    state = of_command(SEED, ["kernel=v6.12"])
    assert state.changed("cpu", "zen4").overrides == ["cpu=zen4", "kernel=v6.12"]
    assert state.changed("cpu", "zen4").changed("cpu", None) == state
    assert state.without(["kernel"]) == State(SEED)
    assert (state.text("kernel"), state.text("cpu")) == ("v6.12", None)


def test_the_scenario_of_a_state_loads_to_the_same_as_a_file(tmp_path):
    state = of_command(SEED, ["cpu=zen4", "mitigations.smap=false", "traffic.packet_bytes=64,1500"])
    scenario = load_scenario(state.scenario, overrides=state.overrides)
    file = tmp_path / "scenario.yaml"
    file.write_text(dump_scenario(scenario), encoding="utf-8")
    assert load_scenario(file) == scenario


def test_a_variant_of_ones_own_is_written_by_the_command(tmp_path):
    state = State(SEED, (("access", "copy_user,one-window"),), WINDOW)
    line = commands(state, 20, 2)["the numbers in a terminal"]
    script = line.replace("vhost-sim compare", "echo compare")
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (tmp_path / "mine/access/one-window.yaml").read_text(encoding="utf-8") == WINDOW
    assert done.stdout == f"compare {SEED} --set access=copy_user,one-window --configs mine --uncertainty 20\n"


def test_no_line_of_a_variant_ends_what_the_command_writes(tmp_path):
    hostile = WINDOW + 'objections:\n  - "\n\nEND\n\nEND_\n\n"\n'
    line = commands(State(SEED, (), hostile), 20, 1)["this page"].replace("vhost-sim", "echo")
    subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "mine/access/one-window.yaml").read_text(encoding="utf-8") == hostile
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize(
    ("accessor", "said"),
    [
        ("[", "accessor: not readable as YAML: "),
        ("just text", "accessor: a table is needed"),
        ("kind: access", "accessor: name: letters"),
        ("name: ../x", "accessor: name: letters, digits, '_', '-' and '.' are needed (got ../x)"),
        ("name: [a]", "accessor: name: letters"),
        ("name: .hidden", "accessor: name: letters"),
    ],
)
def test_a_variant_without_a_name_of_its_own_is_refused(accessor, said):
    with pytest.raises(ConfigError) as error:
        named_in(accessor)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "many", "10001", "9" * 5000, "٣", "1e3"])
def test_what_is_no_number_of_draws_is_refused(text):
    with pytest.raises(ConfigError, match="draws: a number of draws from 1 to 10000 is needed"):
        of_query(f"draws={text}", SEED)


def test_what_is_no_state_is_refused():
    with pytest.raises(ConfigError, match="longer than 16384 characters"):
        of_query("a" * (MOST_OF_A_QUERY + 1), SEED)
    with pytest.raises(ConfigError, match=r"accessor=1: unknown key 'accessor'"):
        of_command(SEED, ["accessor=1"])
    with pytest.raises(ConfigError, match="KEY=VALUE is needed"):
        of_command(SEED, ["cpu"])
    with pytest.raises(ConfigError, match="not readable as YAML"):
        of_query("cpu=[", SEED)
