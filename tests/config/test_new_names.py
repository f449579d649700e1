"""A kernel table may have steps and accessors of its own, if it says what they are."""

from __future__ import annotations

import pytest

from sim.config.errors import ConfigError
from sim.config.loading.load import load_table
from sim.config.tables.kernel import Kernel
from sim.config.tables.vocabulary import REACHES

HEADER = "schema: 1\nkind: kernel\nname: patched\nextends: v5.0\n"
COUNT = "{value: 40, unit: instructions, low: 30, high: 60, source: counted, grade: derived}"
MEANING = "per packet: a tracepoint"
STEP = f"steps:\n  tracepoint: {{instructions: {COUNT}, function: trace_vhost_packet, meaning: '{MEANING}'}}\n"
ACCESSOR = """accessors:
  avail_flags_reread:
    recipe: [branch, stac, lfence, load, clac, test]
    bytes: 2
    source: our patch
    meaning: avail->flags once more
    family: metadata
    direction: read
    mapped: true
"""


def refused(file):
    with pytest.raises(ConfigError) as error:
        load_table("kernel", str(file))
    return str(error.value)


def test_a_new_step_that_says_what_it_is_is_part_of_the_table(write):
    kernel = load_table("kernel", str(write("patched.yaml", HEADER + STEP)))
    assert isinstance(kernel, Kernel)
    assert kernel.step("tracepoint").instructions.value == 40
    assert kernel.step_meaning("tracepoint") == "per packet: a tracepoint"
    assert kernel.step_meaning("head").startswith("per packet: read the next head")


def test_a_new_accessor_says_what_it_reaches_and_an_old_one_is_that_of_the_vocabulary(write):
    kernel = load_table("kernel", str(write("patched.yaml", HEADER + ACCESSOR)))
    assert isinstance(kernel, Kernel)
    reach = kernel.reach("avail_flags_reread")
    assert (reach.family, reach.direction, reach.mapped) == ("metadata", "read", True)
    assert kernel.reach("avail_flags_read") == REACHES["avail_flags_read"]


@pytest.mark.parametrize(
    ("text", "old", "new", "sentence"),
    [
        (STEP, ", meaning: 'per packet: a tracepoint'", "", "unknown step 'tracepoint'"),
        (STEP.replace("tracepoint:", "haed:"), ", meaning: 'per packet: a tracepoint'", "", "; did you mean 'head'?"),
        (STEP, "tracepoint:", "head:", "step 'head': has a meaning already; that of a new step needs a new name"),
        (
            ACCESSOR,
            "    mapped: true\n",
            "",
            "mapped: is missing; a new accessor has meaning, family, direction and mapped",
        ),
        (ACCESSOR, "family: metadata", "family: payload", "mapped: packet bytes are not mapped, only ring metadata is"),
        (ACCESSOR, "family: metadata", "family: meta", "input should be 'metadata' or 'payload' (got 'meta')"),
        (ACCESSOR, "avail_flags_reread", "avail_flags_read", "accessor 'avail_flags_read': has a meaning already"),
    ],
)
def test_a_name_that_is_not_described_or_described_twice_is_an_error(write, text, old, new, sentence):
    assert old in text
    assert sentence in refused(write("patched.yaml", HEADER + text.replace(old, new)))


def test_the_reaches_of_the_vocabulary_agree_with_its_names():
    for name, reach in REACHES.items():
        if reach.family == "metadata":
            assert name.endswith(f"_{reach.direction}"), name
    unmapped = {name for name, reach in REACHES.items() if reach.family == "metadata" and not reach.mapped}
    assert unmapped == {"indirect_descriptor_read"}
    assert not [name for name, reach in REACHES.items() if reach.family == "payload" and reach.mapped]


@pytest.mark.parametrize("direction", ["read", "write"])
def test_a_recipe_for_all_packet_copies_is_refused_because_nothing_would_take_it(write, direction):
    text = f"schema: 1\nkind: access\nname: mine\ntitle: mine\nsource: me\npayload: {{{direction}: [load]}}\n"
    with pytest.raises(ConfigError, match=rf"payload\.{direction}: reaches mapped accessors only"):
        load_table("access", str(write("mine.yaml", text)))
