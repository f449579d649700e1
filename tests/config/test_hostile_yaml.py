"""YAML that no table needs, files without an end, values that are no YAML: each refused in one line, with reason."""

from __future__ import annotations

import os
import threading

import pytest

from sim.config import ConfigError, load_scenario
from sim.config.loading import files
from sim.config.loading.files import NotYamlError, parsed_yaml, read_text
from sim.config.loading.load import load_table
from sim.config.loading.reading import read_yaml

SEED = "virtio-user-xdp1-tap"
EXTENDS = f"schema: 1\nextends: {SEED}\nname: mine\n"


REFUSED = {
    "!!timestamp x": "'x' is no timestamp",
    "9999-99-99": "'9999-99-99' is no timestamp: month must be in 1..12",
    "!!bool maybe": "'maybe' is no bool",
    "!!int ''": "'' is no int",
    "!!int 0x": "'0x' is no int",
    "!!float '.'": "'.' is no float",
    "!!binary é": "failed to convert base64 data into ascii",
    '"\\ud800"': "found invalid Unicode character escape code",
    "{<<: {a: 1}}": "a merge key (<<) is not taken: use `extends`",
    "[&a 1, *a]": "an alias (*) repeats what stands elsewhere: write it out, or use `extends`",
    "&a [*a]": "an alias (*) repeats what stands elsewhere: write it out, or use `extends`",
    "&a {b: *a}": "an alias (*) repeats what stands elsewhere: write it out, or use `extends`",
    "{a: 1, a: 2}": "key 'a' is given twice",
    "{[a]: 1}": "a list or a mapping is a key, which has to be text",
    "{1: 1}": "key 1 is not text",
    "{on: 1}": "key on is not text",
    "!!map [a]": "is no mapping",
    "!!python/name:os.system x": "could not determine a constructor for the tag",
    "[" * 20_000: "exceeded maximum nesting depth",
    "1" * 5000: "'" + "1" * 5000 + "' is no int: Exceeds the limit",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items(), ids=[text[:20] for text in REFUSED])
def test_what_no_table_needs_is_refused_with_its_reason(text, reason, write):
    with pytest.raises(NotYamlError) as refused:
        parsed_yaml(text)
    assert refused.value.problem.startswith(reason)
    if not text.startswith("[["):
        with pytest.raises(ConfigError, match=r"mine\.yaml: is not a YAML file \(line 4\): "):
            read_yaml(write("mine.yaml", f"{EXTENDS}title: {text}\n"))


def test_aliases_of_aliases_take_no_time_to_refuse():
    """Nine lines of nine aliases each stand for 9^9 words."""
    lines = ["a0: &a0 [" + ", ".join(["word"] * 9) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 9)]
    with pytest.raises(NotYamlError, match="an alias"):
        parsed_yaml("\n".join(lines))


@pytest.mark.parametrize("text", ["[", "64,]", "!!timestamp x", "*a", '"', "!!int ''"])
@pytest.mark.parametrize("key", ["traffic.packet_bytes", "access"])
def test_a_value_of_a_study_that_is_no_yaml_names_its_key(text, key):
    with pytest.raises(ConfigError, match=rf"^{key}: '.*' is not readable as YAML: "):
        load_scenario(SEED, settings={key: text})
    with pytest.raises(ConfigError, match="the value is not readable as YAML: "):
        load_scenario(SEED, overrides=[f"{key}={text}"])


def test_a_device_is_no_file(tmp_path):
    link = tmp_path / "zero.yaml"
    link.symlink_to("/dev/zero")
    for read in (read_yaml, read_text, files.read_json):
        with pytest.raises(ConfigError, match=r"zero\.yaml: cannot be read: is a device, and no file"):
            read(link)


def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path):
    file = tmp_path / "sparse.yaml"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ConfigError, match=r"sparse\.yaml: cannot be read: is longer than 2 MiB"):
        read_yaml(file)
    with pytest.raises(ConfigError, match=r"sparse\.yaml: cannot be read: is longer than 64 MiB"):
        read_text(file)


def test_a_pipe_is_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("a,b\r\nc\n",))
    writer.start()
    assert read_text(pipe) == "a,b\nc\n"
    writer.join()


def test_a_mix_of_a_file_that_is_no_table_does_not_print_it(tmp_path):
    (tmp_path / "secret.csv").write_text("root:$6$salt$hash:19000:0:99999:7:::\n")
    with pytest.raises(ConfigError) as refused:
        load_scenario(SEED, overrides=[f"traffic.mix={tmp_path}/secret.csv"])
    assert str(refused.value).endswith("secret.csv: its first line names no column 'bytes'")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match=r"traffic\.mix: .*zero\.csv: cannot be read: is a device"):
        load_scenario(SEED, overrides=[f"traffic.mix={tmp_path}/zero.csv"])
    with pytest.raises(ConfigError, match=r"traffic\.mix: .*: is no name of a file"):
        load_scenario(SEED, settings={"traffic.mix": "a\0.csv"})


RECIPES = ["3000000000 load", "9" * 30 + " load", "1001 load", "٣٣٣٣٣ load"]


@pytest.mark.parametrize("item", RECIPES)
def test_a_recipe_has_an_end(item, write):
    table = write("access.yaml", f"schema: 1\nextends: copy_user\nname: mine\nmetadata: {{read: ['{item}']}}\n")
    with pytest.raises(ConfigError, match="one access executes 1000 primitives at most"):
        load_table("access", str(table))


def test_the_longest_recipe_is_taken(write):
    text = "schema: 1\nextends: copy_user\nname: mine\nmetadata: {read: [999 load, store]}\n"
    assert len(load_table("access", str(write("access.yaml", text))).metadata.read) == 1000


def test_the_parts_of_an_access_have_an_end():
    overrides = ["kernel.accessors.used_head_write.parts=1000000000"]
    with pytest.raises(ConfigError, match="less than or equal to 64"):
        load_scenario(SEED, overrides=overrides)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("id virtqueue.size | stac\na [ | 1", "mine: row 'a [ | 1': "),
        ("id virtqueue.size | stac\na *b | 1", "mine: row 'a *b | 1': found undefined alias"),
        ("virtqueue.size | stac\n256 | 1", "mine: no column 'id'"),
        ("id id | stac\na b | 1", "mine: column 'id' is there twice"),
        ("id stac | stac\na b | 1", "mine: column 'stac' is there twice"),
        ("id | stac\na | many", "mine: row 'a | many': could not convert string to float: 'many'"),
        ("id | stac\na | nan", "mine: row 'a | nan': Input should be a finite number"),
        ("id | stac\na | 1e400", "mine: row 'a | 1e400': Input should be a finite number"),
        ("id | stac\na | -1", "mine: row 'a | -1': Input should be greater than or equal to 0"),
        ("id | stac\n'a | 1", "mine: row ''a | 1': No closing quotation"),
        ("", "mine: the table's first line is: id KEY ... | QUANTITY ..."),
    ],
)
def test_a_counts_table_that_is_wrong_names_its_row(table, reason, write):
    head = "schema: 1\nkind: measurement\nname: m\ntitle: t\nsource: s\nread: full\n"
    body = "\n".join(f"      {line}" for line in table.split("\n"))
    file = write("m.yaml", f"{head}counts:\n  - name: mine\n    table: |\n{body}\n")
    with pytest.raises(ConfigError) as refused:
        load_table("measurement", str(file))
    assert str(refused.value).startswith(f"{file}: ")
    assert reason in str(refused.value)
