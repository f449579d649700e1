"""What needs the running kernel: user accesses by differencing system calls, notification, pinning of pages."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from sim.host.derive import Entry, combine, middles, present
from sim.host.recording import Recording

#: A system call that takes longer than this is intercepted by something (a sandbox, a tracer): even with PTI and
#: every mitigation a refused call takes less (primitive-costs.md 2.11: 265 cycles, PTI adds up to 700).
MOST_SYSCALL_CYCLES = 2500.0
#: Calls that differ by one user access must agree about it within this; else the differences mean something else.
MOST_DISAGREEMENT_CYCLES = 30.0

#: (call with the access, call without, accesses between them, what differs)
PAIRS = (
    ("sys_getcpu_1", "sys_getcpu_0", 1, "put_user of getcpu(&cpu, 0) less getcpu(0, 0)"),
    ("sys_getcpu_2", "sys_getcpu_1", 1, "put_user of getcpu(&cpu, &node) less getcpu(&cpu, 0)"),
    ("sys_time_1", "sys_time_0", 1, "put_user of time(&t) less time(0)"),
    (
        "sys_settimeofday_bad",
        "sys_gettimeofday_0",
        2,
        "get_user of a refused settimeofday less gettimeofday(0, 0), half",
    ),
)


@dataclass(frozen=True)
class Toggles:
    """What the running kernel says about stac and clac: entries, or why there are none."""

    entries: list[Entry]
    waits: bool | None
    why_not: str


def intercepted(recording: Recording) -> str:
    """Say why system calls of this recording are no measure of the kernel; empty when they are."""
    calls = present(recording.cycles("sys_invalid 0"))
    if not calls:
        return "system calls are not answered as Linux does"
    if statistics.median(calls) > MOST_SYSCALL_CYCLES:
        return f"system calls are intercepted: a refused one takes {statistics.median(calls):.0f} cycles"
    differences = pair_differences(recording)
    if len(differences) < 2:
        return "the system calls that differ by one user access are not answered as Linux does"
    values = [statistics.median(repeats) for repeats in differences.values()]
    if max(values) - min(values) > MOST_DISAGREEMENT_CYCLES:
        return (
            f"calls that differ by one user access disagree about it ({min(values):.0f} to {max(values):.0f} cycles): "
            "system calls are intercepted, or the machine is too busy"
        )
    return ""


def pair_differences(recording: Recording) -> dict[str, list[float]]:
    """Cycles of one user access by each pair of calls that is possible, round by round."""
    found = {}
    for more, less, count, what in PAIRS:
        repeats = combine(
            lambda a, b, count=count: (a - b) / count, recording.cycles(f"{more} 0"), recording.cycles(f"{less} 0")
        )
        if repeats:
            found[what] = repeats
    return found


def body_of(recording: Recording) -> str:
    """Name the benchmark that executes the body of put_user in user space, returning as this kernel does."""
    return "user_access_body_safe_ret 0" if recording.machine.safe_ret else "user_access_body 0"


def toggles(recording: Recording) -> Toggles:
    """Derive stac and clac: one user access less the same instructions in user space without them, split 1:1."""
    why_not = intercepted(recording)
    if why_not:
        return Toggles([], None, why_not)
    if "smap" not in recording.machine.flags:
        text = "no SMAP on this host (/proc/cpuinfo): stac and clac are not executed"
        zero = [0.0] * len(recording.used)
        return Toggles([Entry(f"primitives.{side}", "cycles", zero, text, 0.0) for side in ("stac", "clac")], None, "")
    body = recording.cycles(body_of(recording))
    series = []
    for more, less, count, _ in PAIRS:
        access = combine(
            lambda a, b, inside, count=count: (a - b) / count - inside, recording.cycles(f"{more} 0"),
            recording.cycles(f"{less} 0"), body,
        )  # fmt: skip
        if access:
            series.append(access)
    pairs = [statistics.fmean(values) for values in zip(*series, strict=False)]
    returns = "with the return thunk of Safe RET" if recording.machine.safe_ret else "with a plain return"
    source = (
        f"half of (one user access, mean of {len(series)} pairs of system calls: getcpu, time, settimeofday; less the "
        f"body of put_user in user space, {returns}); range: the pairs"
    )
    spans = tuple(value / 2 for value in middles(*series))
    halves = [value / 2 for value in pairs]
    entries = [
        Entry(f"primitives.{side}", "cycles", halves, source, 0.15, 1.5, spans=spans) for side in ("stac", "clac")
    ]
    return Toggles(entries, waits_for_loads(recording), "")


def waits_for_loads(recording: Recording) -> bool | None:
    """Tell whether a window waits for the load of the one before: two cold fields cost two latencies, or one.

    None when the call was not possible or one cold field costs nothing.
    """
    none, one, other, both = (recording.ns(f"two_fields {flushed}") for flushed in range(4))
    first = combine(lambda a, b, c: (a + b) / 2 - c, one, other, none)
    second = combine(lambda a, b, c: a - (b + c) / 2, both, one, other)
    if not first or statistics.median(first) <= 0:
        return None
    return statistics.median(second) > statistics.median(first) / 2


def kernel_entries(recording: Recording) -> list[Entry]:
    """Derive what system calls cost besides: entry and exit, eventfd, wake-up, pinning of a page."""
    cycles, ns = recording.cycles, recording.ns
    virtual = (
        " (in a virtual machine: with the exits that its interrupts take)" if recording.machine.virtualised else ""
    )
    pti = ", page-table isolation included" if recording.machine.pti else ""
    return [
        Entry(
            "primitives.syscall", "cycles", present(cycles("sys_invalid 0")),
            "a system call number that does not exist, raw syscall" + pti, 0.05, 5.0,
        ),
        Entry(
            "primitives.eventfd_signal", "ns",
            combine(lambda a, b: a - b, ns("sys_eventfd_write 0"), ns("sys_invalid 0")),
            "write to an eventfd that nobody reads, less a bare system call", 0.1, 3.0,
        ),
        Entry(
            "primitives.worker_wakeup", "us",
            combine(lambda a, b: (a - b) / 1000, ns("wake_up 100"), ns("sys_eventfd_write 0")),
            "half a round trip between threads that sleep in read(eventfd) on two CPUs, less the write" + virtual, 0.4,
        ),
        Entry(
            "primitives.pin_page", "ns", combine(lambda a, b: (a - b) / 15, ns("pin_pages 16"), ns("pin_pages 1")),
            "process_vm_readv of one byte naming 16 pages less 1, per page (the slow path of pinning)", 0.1, 3.0,
        ),
    ]  # fmt: skip
