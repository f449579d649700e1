"""Shares out of every form of `perf report`: Self of the cycles, the worker's rows, what is left out said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.config import ConfigError
from sim.study.evidence.importing import import_file
from sim.study.evidence.perf_report import read_report

TEXTS = Path(__file__).parents[1] / "data" / "perf"
COMMAND = "`perf report --stdio --no-children -g none -F overhead,comm,sym`"


def shares(text, thread="vhost-*", direction=None):
    return read_report(text.splitlines(), thread, direction)


def of(name):
    return shares((TEXTS / name).read_text())


def printed(name, thread):
    """The shares that perf prints with a column of the thread or of the thread alone, added by function."""
    sums = {}
    for line in (TEXTS / name).read_text().splitlines():
        if match := re.match(rf"\s+(\d+\.\d+)%(?:\s+\d+\.\d+%)?\s+{thread}\[[.k]\]\s+(\S+)", line):
            function = match[2].removesuffix(".isra.0")
            sums[function] = sums.get(function, 0.0) + float(match[1])
    return {function: share / sum(sums.values()) for function, share in sums.items()}


def is_within_digits(found, expected):
    """Each percentage is rounded to 0.01, so that a share is off by a quotient of that at most."""
    for function, share in expected.items():
        if share >= 0.006:
            assert found.by_function[function] == pytest.approx(share, abs=3 * found.half)
    assert set(found.by_function) <= set(expected)


@pytest.mark.parametrize("name", ["threads", "sorted", "fields", "comm"])
def test_a_recording_has_the_same_shares_however_it_is_printed(name):
    found = of(f"recorded-{name}.txt")
    assert len(found.by_function) > 20
    is_within_digits(found, printed("recorded-worker.txt", ""))


def test_self_and_not_children():
    found = of("recorded-children.txt")
    is_within_digits(found, printed("recorded-children.self.txt", r"vhost-\S+\s+"))
    assert "entry_SYSCALL_64_after_hwframe" not in found.by_function  # calls everything and takes no time itself
    assert of("1-children.txt").by_function["handle_tx_copy"] == pytest.approx(0.04)


def test_of_a_group_only_the_event_of_time():
    found = of("recorded-group.txt")
    is_within_digits(found, printed("recorded-group.txt", r"vhost-\S+\s+\S+\s+"))
    assert "samples of task-clock" in found.left_out


def test_other_threads_are_left_out_and_named():
    found = of("3-threads.txt")
    assert found.by_function == {"copy_user_generic_unrolled": 1.0}  # 10 of 10 %
    assert found.left_out[:2] == ["thread qemu, 30.00 % of the samples", "thread swapper, 50.00 % of the samples"]
    whole = of("recorded-threads.txt")
    assert sum(whole.by_function.values()) == pytest.approx(1, abs=0.03)  # but for functions below half a percent
    assert [text.partition(",")[0] for text in whole.left_out[:2]] == ["thread CPU 0/KVM", "thread qemu-system-x86"]


def test_a_thread_of_another_name():
    found = shares((TEXTS / "3-threads.txt").read_text(), "qemu")
    assert found.by_function == {"copy_user_generic_unrolled": 1.0}
    with pytest.raises(ConfigError, match=r"thread: no rows of such a thread; valid: qemu, swapper, vhost-1000"):
        shares((TEXTS / "3-threads.txt").read_text(), "kworker")


def test_two_events_are_not_added():
    found = of("2-two-events.txt")
    assert found.by_function == {"handle_tx_copy": 0.4}
    assert "samples of instructions" in found.left_out


@pytest.mark.parametrize("name", ["7-comma.txt", "10-tui.txt"])
def test_a_decimal_comma_and_the_marks_of_the_interactive_view(name):
    assert of(name).by_function == {"handle_tx_copy": 0.4}


def row(share, function, thread="vhost-1000"):
    return f"    {share:.2f}%  {thread}  [vhost_net]  [k] {function}\n"


def section(event, *rows, count="40K"):
    return f"# Samples: {count} of event '{event}'\n# Overhead  Command  Shared Object  Symbol\n" + "".join(rows)


def test_kinds_of_cores_that_the_worker_has_not_run_on_do_not_matter():
    text = section("cpu_core/cycles/", row(70, "handle_tx_copy"), row(30, "vhost_poll"))
    idle = section("cpu_atom/cycles/", row(100, "intel_idle", "swapper"))
    found = shares(text + idle)
    assert found.by_function == {"handle_tx_copy": 0.7, "vhost_poll": 0.3}
    assert found.left_out == ["samples of cpu_atom/cycles/"]
    both = text + section("cpu_atom/cycles/", row(100, "handle_tx_copy"))
    with pytest.raises(ConfigError, match=r"samples of cpu_core/cycles/ and cpu_atom/cycles/, which cannot be added"):
        shares(both)


@pytest.mark.parametrize("event", ["cycles:ppp", "cycles:P", "cpu-cycles", "cpu_core/cycles/k", "cpu-clock:pppH"])
def test_events_of_time(event):
    assert shares(section(event, row(100, "vhost_poll"))).by_function == {"vhost_poll": 1.0}


@pytest.mark.parametrize("event", ["cache-misses", "instructions:k", "cycles:u", "cycles:G"])
def test_samples_of_another_event_are_no_time(event):
    with pytest.raises(ConfigError, match=f"samples of {event} are no shares of the worker's time"):
        shares(section(event, row(100, "vhost_poll")))


def test_parts_that_the_compiler_has_split_off_are_added():
    rows = row(50, "handle_tx.isra.0.part.0"), row(30, "handle_tx.constprop.0"), row(20, "vhost_poll.cold")
    assert shares(section("cycles", *rows)).by_function == {"handle_tx": pytest.approx(0.8), "vhost_poll": 0.2}


def test_rows_down_to_single_samples_are_of_a_report_that_was_not_cut():
    rows = row(30, "handle_tx_copy"), row(10, "vhost_poll"), row(0.01, "__fget")
    found = shares(section("cycles", *rows, count="10K"))
    assert found.by_function["handle_tx_copy"] == pytest.approx(30 / 40.01)
    assert "59.99 % of the samples, of threads that the report does not show" in found.left_out
    cut = shares(section("cycles", *rows[:2], count="10K"))
    assert cut.by_function["handle_tx_copy"] == pytest.approx(0.3)
    assert cut.assumed == ["the 60.00 % of the samples which the report does not show are the worker's, too"]


def test_the_direction_is_that_of_the_handler():
    assert shares(row(60, "handle_rx") + row(40, "tun_do_read")).direction == "rx"
    assert shares(row(60, "handle_tx_copy") + row(1, "handle_rx")).direction == "tx"
    assert shares(row(60, "vhost_poll")).direction is None
    both = row(60, "handle_tx_copy") + row(40, "handle_rx")
    with pytest.raises(ConfigError, match=r"handle_tx \(60.0%\) and handle_rx \(40.0%\) both ran"):
        shares(both)
    assert shares(both, direction="rx").direction == "rx"


def test_few_samples_are_noisy(tmp_path):
    file = tmp_path / "perf.txt"
    file.write_text(section("cycles", row(96, "handle_tx_copy"), row(4, "vhost_poll"), count="1K"))
    noise = {entry.id: entry.noise for entry in import_file(file).entries}
    assert noise == {"handle_tx_copy": None, "vhost_poll": pytest.approx((0.96 / 0.04 / 1000) ** 0.5, abs=1e-3)}


REFUSED = {
    "more than a whole": (row(80, "handle_tx_copy") + row(54, "vhost_poll"), "shares add up to 134.00 %"),
    "Children alone": (
        "# Children  Command  Shared Object  Symbol\n" + row(90, "vhost_worker"),
        f"no column Self: Children holds what a function calls, too; {COMMAND}",
    ),
    "two columns without a header": (
        "  90.00%  1.00%  vhost-1000  [vhost]  [k] vhost_worker\n",
        f"several percentages in a row and no header that names them; {COMMAND}",
    ),
    "no column of threads, but somebody idle": (
        "  90.00%  [k] intel_idle\n  10.00%  [k] handle_tx_copy\n",
        "no column of threads, and intel_idle is not the worker's",
    ),
    "no samples of the worker": (row(0, "handle_tx_copy") + row(90, "main", "qemu"), "the worker has no samples"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_gives_no_shares_is_refused_with_help(case):
    text, said = REFUSED[case]
    with pytest.raises(ConfigError) as error:
        shares(text)
    assert said in str(error.value)


def test_a_report_without_a_column_of_threads_says_what_is_assumed():
    found = shares("# Overhead  Symbol\n  90.00%  [k] handle_tx_copy\n  10.00%  [k] vhost_poll\n")
    assert found.by_function == {"handle_tx_copy": 0.9, "vhost_poll": 0.1}
    assert "every row is the worker's" in found.assumed


OTHER_FORMATS = {
    "recorded-hierarchy.txt": "`perf report --hierarchy` has no rows by thread and function",
    "recorded-script.txt": "is text of perf script; what",
    "recorded-diff.txt": "is text of perf diff; what",
}


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_other_texts_of_perf_deserve_the_command(name):
    with pytest.raises(ConfigError) as error:
        import_file(TEXTS / name)
    assert f"{name}: {OTHER_FORMATS[name]}" in str(error.value)
    assert COMMAND in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PERFILE2\x68\x00\x00\xff", "is a recording; its text is wanted, that of `perf report -i"),
        (b"vhost-1000;kthread;handle_tx 40\nvhost-1000;kthread 2\n", "is text of a tool that folds stacks"),
        (b"   PerfTop:  4000 irqs/sec  kernel:90.0%\n", "is text of perf top"),
        (b"hello\n", f"nor text of perf report or perf stat; such text is printed by {COMMAND}"),
    ],
    ids=["perf.data", "folded", "top", "text"],
)
def test_files_that_are_no_report_deserve_the_command(content, said, tmp_path):
    (tmp_path / "perf").write_bytes(content)
    with pytest.raises(ConfigError) as error:
        import_file(tmp_path / "perf")
    assert said in str(error.value)
    assert "-g none -F overhead,comm,sym`" in str(error.value)


@given(
    st.lists(st.integers(1, 3000), min_size=2, max_size=12),
    st.lists(st.sampled_from(["vhost-1", "vhost-22", "qemu", "CPU 0/KVM"]), min_size=12, max_size=12),
    st.sampled_from(["plain", "comma", "view", "callers", "fields"]),
)
def test_shares_of_the_worker_add_up_whatever_else_ran_and_however_it_is_printed(weights, threads, form):
    threads[0] = "vhost-1"
    whole = sum(weights)
    rows = [(100 * weight / whole, threads[place], f"f{place}") for place, weight in enumerate(weights)]
    lines = [f"  {share:.9f}%  {thread}  [vhost]  [k] {function}" for share, thread, function in rows]
    header = "# Overhead  Command  Shared Object  Symbol"
    if form == "comma":
        lines = [line.replace(".", ",") for line in lines]
    elif form == "view":
        lines = [f"+ {line}" for line in lines]
    elif form == "callers":
        lines = [text for line in lines for text in (line, "            |--60.00%--kthread", "")]
    elif form == "fields":
        lines, header = [re.sub(r"\s{2,}", ";", line.strip()) for line in lines], header.replace("  ", ";")
    found = read_report([header, *lines], "vhost-*")
    mine = [(share, function) for share, thread, function in rows if thread.startswith("vhost-")]
    total = sum(share for share, _ in mine)
    expected = {function: share / total for share, function in mine if share / total >= 0.005}
    assert found.by_function == pytest.approx(expected, abs=1e-6)
