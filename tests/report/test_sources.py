"""From a number to its source: every source text of the tables resolves, and every row of docs/sources.md is cited."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

import sim
from sim.config.loading import paths
from sim.config.scenario.scenario import Scenario
from sim.config.tables import vocabulary
from sim.config.tables.quantity import Flag, Quantity
from sim.report.tables.sources import citations, cited, references

ROOT = Path(__file__).parents[2]

#: Ways to name another entry of the tables: what follows is a kernel, a step, or one of these keys.
ANOTHER_ENTRY = re.compile(r"(?:as|taken as|split estimated as in) ((?:one element|[\w.-]*\w))\b")
TABLES = {*paths.names("kernel"), *paths.names("implementation")}
ENTRIES = {*vocabulary.STEP_MEANINGS, *TABLES, "driver.byte_cost", "one element"}

#: A CPU without figures of its own: what follows is the sibling's source.
SIBLING = re.compile(rf"sibling of (?:{'|'.join(map(re.escape, paths.names('cpu')))})(?:, range wider)?: ")

#: Source texts that cite nothing because they say themselves what the number is.
SELF_EXPLAINING = (
    # arithmetic on other entries, spelled out
    r"derived: .+",
    r"by analogy(?:: | with ).+",
    r"iotlb_access_ok per ring area: one tree walk \(66\), .+",
    r"translate_desc \(66\) and .+: 148, as step indirect_table",
    r"translate_desc as in step translate \(66\), .+",
    r"no kernel has it: the access \(\d+[^)]*\) and a loop .+",
    # admitted to be a guess, or to have no figure
    r"guess: .+",
    r"no figure(?: found)?: .+",
    r".+[:;] no figure(?:; page sizes as they come)?",
    r"not (?:executed|counted by execution): .+",
    r"the released v5\.2 was not executed: the counts of v5\.0 are used, range widened",
    r"nothing of this was executed or measured: every count is a guess",
    r"assumed for this scenario",
    r"bytes that the worker touches per packet besides the ring: .+",
    # nothing to be paid, or nothing of the kind
    r"none(?: in user space|: no user access)",
    r"not in this kernel",
    r"no SMAP on this CPU",
    r"no kernel copy routine is used",
    r"nobody reads what the counted packets carry",
    r"pktgen sends the same bytes again",
    r"the counted packets end in the host's stack; .+",
    r"the table of the device \(dpdk-vhost, af-xdp\) says all; nothing is replaced",
    # how a program in user space, or the kernel within itself, reaches its memory
    r"plain (?:volatile )?(?:reads?|store).*",
    r"(?:rte_)?memcpy(?: .+)?",
    r"the header is (?:parsed|written) in place",
    r"header and payload are copied at once",
    r"counted in the program that runs",
)


def texts_of(data, place):
    """Every text under a key `source`, with its place."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "source" and isinstance(value, str):
                yield value, place
            else:
                yield from texts_of(value, f"{place}.{key}")
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from texts_of(value, f"{place}[{number}]")


def defaults_of(model, place):
    """Source texts of the entries that a scenario has when its file does not give them."""
    for name, field in model.model_fields.items():
        value = None if field.is_required() else field.get_default(call_default_factory=True)
        if isinstance(value, (Quantity, Flag)):
            yield value.source, f"{place}.{name}"
        elif isinstance(value, BaseModel):
            yield from defaults_of(type(value), f"{place}.{name}")


@cache
def sources():
    """Each source text of the tables and of a scenario's defaults: where it stands. Templates are no tables."""
    found = defaultdict(list)
    for file in sorted((ROOT / "configs").glob("*/*.yaml")):
        if file.parent.name == "templates":
            continue
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        for text, place in texts_of(data, f"{file.parent.name}/{file.name}"):
            found[text].append(place)
    for text, place in defaults_of(Scenario, "scenario"):
        found[text].append(place)
    return dict(found)


def wrong(text):
    """What does not resolve in a source text; None when all of it does."""
    names = {name for row in references() for name in row.names}
    names |= {address for row in references() for address in re.findall(r"https?://[^\s>]+", row.where)}
    unknown = [name for name in citations(text) if name not in names]
    if unknown:
        return f"no row of docs/sources.md for {', '.join(unknown)}"
    of_its_own = SIBLING.sub("", text)
    another = ANOTHER_ENTRY.match(of_its_own)
    if cited(text) or any(re.fullmatch(form, of_its_own) for form in SELF_EXPLAINING):
        return None
    if another is None:
        return "cites nothing and does not explain itself"
    return None if another[1] in ENTRIES else f"'{another[1]}' is no entry of the tables"


def test_every_source_text_resolves():
    assert len(sources()) > 500
    problems = [f"{places[0]}: {text!r}: {wrong(text)}" for text, places in sources().items() if wrong(text)]
    assert not problems, "\n".join(problems)


def test_every_row_is_cited_or_background():
    used = {row.key for text in sources() for row in cited(text)}
    for row in references():
        assert row.background != (row.key in used), row.key


def test_what_is_only_background_is_named_somewhere():
    cells = [f"{row.finding} {row.where} {row.sure}" for row in references()]
    files = [file for folder in ("docs", "configs", "sim") for file in (ROOT / folder).rglob("*.*")]
    lines = [
        line
        for file in files
        if file.suffix in (".md", ".yaml", ".py") and file.stem != "sources"
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    named = {name for text in [*cells, *lines] for name in citations(text)}
    for row in references():
        if row.background:
            assert named & set(row.names), row.key


def test_every_form_that_explains_itself_is_needed():
    plain = [text for text in sources() if not cited(text)]
    for form in SELF_EXPLAINING:
        assert any(re.fullmatch(form, text) for text in plain), form


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("primitive-costs.md 2.33 (M)", "no row of docs/sources.md for primitive-costs.md 2.33"),
        ("primitive-costs.md 5, recommended defaults; 2.21", "no row of docs/sources.md for primitive-costs.md 2.21"),
        ("primitve-costs.md 2.3", "no row of docs/sources.md for primitve-costs.md"),
        ("primitive-costs.md 2.3: bracket from S111", "no row of docs/sources.md for S111"),
        ("kernel-accesses.md A.2 Q", "no row of docs/sources.md for kernel-accesses.md A.2 Q"),
        ("kernel-accesses.md B.4, B.9: copy_to_iter", "no row of docs/sources.md for kernel-accesses.md B.9"),
        ("published-measurements.md B81", "no row of docs/sources.md for published-measurements.md B81"),
        (
            "published-measurements.md, Batch-seize sweep",
            "no row of docs/sources.md for published-measurements.md, Batch",
        ),
        ("published-measurements.md, arguments 2 and 61", "no row of docs/sources.md for argument 61"),
        ("executed-counts.md, third part: v6.18", "no row of docs/sources.md for executed-counts.md, third part"),
        ("DESIGN 6b.44: near 60 cycles", "no row of docs/sources.md for DESIGN 6b.44"),
        ("as payload_cpoy", "'payload_cpoy' is no entry of the tables"),
        ("trust me", "cites nothing and does not explain itself"),
    ],
)
def test_a_mistyped_citation_is_found(text, said):
    assert str(wrong(text)).startswith(said)


CITED = {
    "primitive-costs.md 5, recommended defaults; 2.13 (S23 + est)": [
        "primitive-costs.md 5",
        "primitive-costs.md 2.13",
        "S23",
    ],
    "primitive-costs.md 2.10 (M: nested 4K walk)": ["primitive-costs.md 2.10", "primitive-costs.md 3"],
    "kernel-accesses.md A.1; primitive-costs.md 3.5 (6.6 cycles per access inside a window) and 4.1; size assumed": [
        "kernel-accesses.md A.1",
        "primitive-costs.md 3.5",
        "primitive-costs.md 4.1",
    ],
    "kernel-accesses.md B.1, A.2 I, D.1": [
        "kernel-accesses.md B.1",
        "kernel-accesses.md A.2 I",
        "kernel-accesses.md D.1",
    ],
    "kernel-accesses.md A.2, +3b34d6324d1f": ["kernel-accesses.md A.2", "3b34d6324d1f"],
    "kernel-accesses.md A.5, column VMAP; mask: argument 13 of published-measurements.md": [
        "kernel-accesses.md A.5",
        "column VMAP",
        "argument 13",
        "published-measurements.md",
    ],
    "kernel-accesses.md E; published-measurements.md, arguments 2, 4, 5, 11; the rate is assumed": [
        "kernel-accesses.md E",
        "argument 2",
        "argument 4",
        "argument 5",
        "argument 11",
    ],
    "published-measurements.md B11, B12: commit f88949138058": [
        "published-measurements.md B11",
        "published-measurements.md B12",
    ],
    "https://lore.kernel.org/r/20181213101022.12475-4-jasowang@redhat.com; CPU is not stated there": [
        "published-measurements.md A1"
    ],
    "executed-counts.md, rows txx_xdppass: 884 (6.1)": ["executed-counts.md xdppass"],
    "executed-counts.md: 1105-959 = 146 for the second descriptor": ["executed-counts.md"],
    "part of 243..627 (385): ring metadata and bookkeeping group 184": [
        "trace",
        "executed-counts.md Instructions per packet by what they are for",
    ],
    "fitted by calibration seed-two-rates; prior: DESIGN 6b.4": ["DESIGN 6b.4"],
    "set by the user": [],
    "<script>alert(1)</script> \u202e" + 10_000 * "S": [],
}


@pytest.mark.parametrize("text", CITED, ids=[text[:40] for text in CITED])
def test_a_text_cites_these_rows(text):
    assert [row.key for row in cited(text)] == CITED[text]


def test_a_row_says_what_where_and_how_sure_and_has_its_place_on_the_page():
    anchors = [row.anchor for row in references()]
    assert len(set(anchors)) == len(anchors) > 100
    names = [name for row in references() for name in row.names]
    assert len(set(names)) == len(names)
    for row in references():
        assert row.anchor == re.sub(r"[^a-z0-9]+", "-", row.key.lower()).strip("-")
        assert row.finding.endswith(".")
        assert row.where
        assert re.match(r"(?:read|measured|inference|unverified|decision)\b", row.sure), row.key


def test_a_decision_names_assumptions_that_exist():
    text = (ROOT / "docs/assumptions.md").read_text(encoding="utf-8")
    for row in references():
        if row.key.startswith("DESIGN"):
            for number in re.findall(r"\d+", row.where.rpartition("assumption")[2]):
                assert f"\n| {number} |" in text, row.key


def test_a_scenario_can_be_followed_to_the_page_entry_by_entry():
    cpu = sim.load_scenario("virtio-user-xdp1-tap", overrides=["cpu=granite-rapids", "calibration=null"]).cpu
    assert [row.key for row in cited(cpu.primitives["stac"].source)] == ["primitive-costs.md 3.5"]
    assert [row.key for row in cited(cpu.primitives["mfence"].source)] == [
        "primitive-costs.md 2.7",
        "primitive-costs.md 3",
    ]
