"""Counts out of every form of `perf stat`: modes, intervals, threads, separators, fields and JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.config import ConfigError
from sim.study.evidence.importing import import_file
from sim.study.evidence.perf_stat import read_stat

TEXTS = Path(__file__).parents[1] / "data" / "perf"
HEADER = " Performance counter stats for thread id '1234':\n\n"


def instructions(text, thread="vhost-*"):
    return read_stat(text.splitlines(), thread).totals["instructions"]


def counted(text, thread="vhost-*"):
    return read_stat(text.splitlines(), thread)


@pytest.mark.parametrize(
    ("name", "per_packet"),
    [("4-interval.txt", 2 * 2000), ("5-modes.txt", 9000 + 100), ("9-csv.txt", 9000)],
)
def test_small_texts(name, per_packet):
    found = import_file(TEXTS / name, packets=1_000_000)
    assert [(entry.id, entry.value) for entry in found.entries] == [("instructions", per_packet)]


def test_intervals_are_added_per_event():
    found = counted((TEXTS / "4-interval.txt").read_text())
    assert found.totals == {"instructions": 4e9}
    assert found.assumed == ["2 intervals are added: packets are those of all of them"]


@pytest.mark.parametrize(
    ("events", "total"),
    [
        (("instructions:k 900", "instructions:u 100"), 1000),
        (("instructions 1000", "instructions:k 900", "instructions:u 100"), 1000),
        (("instructions:uk 1000", "instructions:k 900"), 1000),
        (("instructions:k 900", "instructions:G 50000"), 900),  # what guests execute is not the worker's
        (("instructions:kH 900",), 900),
        (("cpu_core/instructions/ 700", "cpu_atom/instructions/ 300"), 1000),
        (("cpu_core/instructions/k 700", "cpu_core/instructions/u 200", "cpu_atom/instructions/k 100"), 1000),
        (("instructions 1000", "instructions 1001"), 1000),  # named twice, counted twice at the same time
        (("inst_retired.any 1000",), 1000),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_modes_and_kinds_of_cores(events, total):
    lines = [f"   {count}      {event}     #  2.41  insn per cycle" for event, count in map(str.split, events)]
    assert instructions(HEADER + "\n".join(lines)) == total


@pytest.mark.parametrize("separator", [",", ".", "'", "\u2019", "\u202f", "\u00a0", " "])
def test_separators_between_thousands_of_any_locale(separator):
    count = "9,131,000,000".replace(",", separator)
    assert (
        instructions(f"{HEADER}     {count}      instructions:k            #    2,41  insn per cycle\n")
        == 9_131_000_000
    )


GERMAN = "             21,91 msec cpu-clock      #    0,219 CPUs utilized\n"
FIELDS = "1.000100000,21.91,msec,cpu-clock,21910000,100.00,0.219,CPUs utilized\n"


def test_a_point_before_three_digits_separates_thousands_where_the_text_says_so():
    text = (TEXTS / "11-dot.txt").read_text()
    assert instructions(GERMAN + text) == 900_000
    assert instructions("   1.200.000      cycles\n" + text) == 900_000
    assert (
        instructions("     1.000100000  " + GERMAN.strip() + "\n     1.000100000 " + text) == 900_000
    )  # -I keeps its point
    assert instructions("       900,000      instructions\n      10.0010203 seconds time elapsed\n") == 900_000
    assert instructions("       900,000      instructions\n") == 900_000
    refused = "may be thousands or a fraction; `perf stat -e instructions -t TID` under LC_ALL=C prints no separators"
    for unclear in (text, text + "      10.0010203 seconds time elapsed\n", GERMAN + text.replace(".", ",")):
        with pytest.raises(ConfigError, match=refused):
            instructions(unclear)


FORMS = {
    "fields": "9000000000,,instructions,1000000000,100.00,1.30,insn per cycle",
    "fields with a time": "     1.000100000,9000000000,,instructions,1000000000,100.00,1.30,insn per cycle",
    "fields of a locale": "9000000000,,instructions,1000000000,100,00,1,30,insn per cycle",
    "semicolons": "9000000000;;instructions;1000000000;100,00;1,30;insn per cycle",
    "fields of a thread": "vhost-1000-1234,9000000000,,instructions,1000000000,100.00,1.30,insn per cycle",
    "fields of a core": "S0-D0-C3,2,9000000000,,instructions,1000000000,100.00,1.30,insn per cycle",
    "fields of runs": "9000000000,,instructions,0.50%,1000000000,100.00,1.30,insn per cycle",
    "JSON": '{"counter-value" : "9000000000.000000", "unit" : "", "event" : "instructions", "pcnt-running" : 100.00}',
    "JSON of a locale": '{"counter-value" : "9000000000,000000", "event" : "instructions", "metric-value" : 0,2}',
    "JSON of an interval": '{"interval" : 1.000100000, "counter-value" : "9000000000.0", "event" : "instructions"}',
    "JSON of a thread": '{"thread" : "vhost-1000-1234", "counter-value" : "9000000000.0", "event" : "instructions"}',
    "multiplexed": "     9,000,000,000      instructions              #    2.41  insn per cycle      (83.30%)",
    "runs": "     9,000,000,000      instructions              #    2.41  insn per cycle       ( +-  0.50% )",
    "thread": "      vhost-1000-1234          9,000,000,000      instructions          #    2.41  insn per cycle",
    "core": "S0-D0-C3           2      9,000,000,000      instructions                  #    2.41  insn per cycle",
    "CPU": "CPU3          9,000,000,000      instructions                  #    2.41  insn per cycle",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_count(form):
    assert instructions(FORMS[form]) == 9_000_000_000


def test_only_threads_of_the_worker_count():
    text = HEADER.replace("thread id '1234'", "process id '999'") + (
        "      vhost-1000-1234          9,000,000,000      instructions\n"
        "       CPU 0/KVM-1235         77,000,000,000      instructions\n"
        "        qemu-kvm-1233          <not counted>      instructions\n"
    )
    found = counted(text)
    assert found.totals == {"instructions": 9e9}
    assert found.left_out == ["counts of thread CPU 0/KVM-1235", "counts of thread qemu-kvm-1233"]
    assert instructions(text, "CPU *") == 77e9
    with pytest.raises(ConfigError, match=r"thread: no count of such a thread; valid: CPU 0/KVM, qemu-kvm, vhost-1000"):
        instructions(text, "zzz")


def test_tables_are_added_and_the_process_is_taken_for_the_worker_with_a_warning():
    table = " Performance counter stats for process id '{}':\n\n   9,000,000      instructions\n"
    found = counted(table.format(1000) + table.format(2000))
    assert found.totals == {"instructions": 18e6}
    assert "2 tables are added: packets are those of all of them" in found.assumed
    assert any("process 1000 is the worker alone (since Linux 6.4" in text for text in found.assumed)


REFUSED = {
    "the whole system": (
        " Performance counter stats for 'system wide':\n  9,000,000,000      instructions\n",
        "counts of the whole system are not the worker's; `perf stat -e instructions -t TID`",
    ),
    "a command": (
        " Performance counter stats for 'sleep 10':\n  9,000,000      instructions\n",
        "counts of the command 'sleep 10' are not the worker's",
    ),
    "no instructions": (HEADER + "  9,000,000      cycles\n", "perf stat without instructions"),
    "no counter": (HEADER + "  <not supported>      instructions\n", "perf has no counter for them here"),
    "two processes, not told apart": (
        HEADER + "  9,000,000      instructions\n  1,000,000      instructions\n",
        "instructions are counted twice, 9000000 and 1000000 times: which is the worker's is not said",
    ),
    "modes that overlap": (
        HEADER + "  9,000,000      instructions:uh\n  1,000,000      instructions:kh\n",
        "modes of the counts of instructions overlap",
    ),
    "user space only": (HEADER + "  9,000,000      instructions:u\n", "counts instructions of user space only"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_count_of_the_worker_is_refused_with_help(case):
    text, said = REFUSED[case]
    with pytest.raises(ConfigError) as error:
        counted(text)
    assert said in str(error.value)


def test_counts_of_a_cpu_and_of_runs_say_what_is_assumed():
    found = counted(" Performance counter stats for 'CPU(s) 3' (5 runs):\n  9,000,000      instructions\n")
    assert found.assumed == [
        "CPU(s) 3: the worker alone ran there",
        "counts are the mean of 5 runs: packets are those of one run",
    ]


INTERVALS = (
    "     1.000100000      9,000,000,000      instructions:k\n"
    "     2.000200000      <not counted>      instructions:k\n"
    "     3.000300000      8,000,000,000      instructions:k\n"
)
UNKNOWN = "whether the worker ran where its instructions were not counted"


def test_an_interval_without_a_count_is_said():
    found = counted(INTERVALS)
    assert found.totals == {"instructions": 17e9}
    assert found.not_stated == [UNKNOWN]
    assert found.assumed == [
        "3 intervals are added: packets are those of all of them",
        "the worker did not run where there is no count, in 1 of 3 (2.000200000); if it did, the sum is too small",
    ]


@pytest.mark.parametrize("form", [",", ";", "json"])
def test_an_interval_without_a_count_is_said_in_every_form(form):
    rows = [("1.000100000", "9000000000"), ("2.000200000", "<not counted>")]
    if form == "json":
        lines = [
            f'{{"interval" : {time}, "counter-value" : "{count}", "event" : "instructions"}}' for time, count in rows
        ]
    else:
        lines = [form.join((time, count, "", "instructions", "0", "100.00", "", "")) for time, count in rows]
    found = counted("\n".join(lines))
    assert (found.totals, found.not_stated) == ({"instructions": 9e9}, [UNKNOWN])
    assert "in 1 of 2 (2.000200000)" in found.assumed[-1]


def test_a_thread_and_a_table_without_a_count_are_named():
    threads = "  vhost-1000-1234    9,000,000    instructions\n  vhost-1000-1235    <not counted>    instructions\n"
    assert "in 1 of 2 (vhost-1000-1235)" in counted(HEADER + threads).assumed[-1]
    idle = HEADER + "   <not counted>      instructions\n"
    assert "in 1 of 2 (table 2)" in counted(HEADER + "   9,000      instructions\n" + idle).assumed[-1]


def test_many_places_without_a_count_are_not_all_named():
    lines = [f"CPU{cpu}     <not counted>      instructions" for cpu in range(8)]
    said = counted("\n".join(["CPU8     9,000,000      instructions", *lines])).assumed[-1]
    assert "in 8 of 9 (CPU0, CPU1, CPU2, CPU3, CPU4, 3 more)" in said


@pytest.mark.parametrize(
    "lines",
    [
        ("9,000 instructions:k", "<not counted> instructions:u"),
        ("9,000 cpu_core/instructions/", "<not counted> cpu_atom/instructions/"),
        ("9,000 instructions", "<not counted> cycles"),
    ],
    ids=["user space", "the other kind of core", "another event"],
)
def test_what_the_worker_never_was_on_is_no_gap(lines):
    text = "\n".join(f"     {count}      {event}" for count, event in (line.rsplit(" ", 1) for line in lines))
    found = counted(HEADER + text)
    assert (found.totals, found.assumed, found.not_stated) == ({"instructions": 9000}, [], [])


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=5),
    st.sampled_from(
        [("C", ",", "."), ("de", ".", ","), ("fr", "\u202f", ","), ("ch", "\u2019", "."), ("none", "", ".")]
    ),
)
def test_intervals_add_up_in_every_locale(counts, locale):
    _, thousands, decimal = locale
    lines = ["#           time             counts unit events"]
    for second, count in enumerate(counts, start=1):
        lines.append(
            f"     {second}.000100000              99{decimal}60 msec cpu-clock    #    0{decimal}332 CPUs utilized"
        )
        lines.append(f"     {second}.000100000  {f'{count:,}'.replace(',', thousands):>18}      instructions")
    assert instructions("\n".join(lines)) == sum(counts)
