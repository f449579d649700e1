"""What needs the running kernel: user accesses by differencing system calls, notification, pinning of pages."""

from __future__ import annotations

import operator
import statistics
from dataclasses import dataclass

from sim.host.derive import DerivedEntry, combine, middles, present
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

    entries: list[DerivedEntry]
    waits: bool | None
    why_not: str


def intercepted(recording: Recording) -> str:
    """Return why system calls of this recording do not measure the kernel; empty when they do."""
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
    """Return the cycles of one user access by each pair of calls that is possible, round by round."""
    differences = {}
    for more, less, count, meaning in PAIRS:
        repeats = combine(
            lambda a, b, count=count: (a - b) / count, recording.cycles(f"{more} 0"), recording.cycles(f"{less} 0")
        )
        if repeats:
            differences[meaning] = repeats
    return differences


def body_of(recording: Recording) -> str:
    """Return the benchmark that executes the body of put_user in user space, returning as this kernel does."""
    return "user_access_body_safe_ret 0" if recording.machine.safe_ret else "user_access_body 0"


def toggles(recording: Recording) -> Toggles:
    """Derive stac and clac: one user access less the same instructions in user space without them, split 1:1."""
    why_not = intercepted(recording)
    if why_not:
        return Toggles([], None, why_not)
    if "smap" not in recording.machine.flags:
        text = "no SMAP on this host (/proc/cpuinfo): stac and clac are not executed"
        zero = [0.0] * len(recording.used)
        entries = [DerivedEntry(f"primitives.{toggle}", zero, text, exact=True) for toggle in ("stac", "clac")]
        return Toggles(entries, None, "")
    body = recording.cycles(body_of(recording))
    series = []
    for more, less, count, _ in PAIRS:
        calls = recording.cycles(f"{more} 0"), recording.cycles(f"{less} 0")
        toggled = combine(lambda a, b, inside, count=count: (a - b) / count - inside, *calls, body)
        if toggled:
            series.append(toggled)
    pairs = [statistics.fmean(values) for values in zip(*series, strict=False)]
    returns = "with the return thunk of Safe RET" if recording.machine.safe_ret else "with a plain return"
    source = (
        f"half of (one user access, mean of {len(series)} pairs of system calls: getcpu, time, settimeofday; less the "
        f"body of put_user in user space, {returns}); range: the pairs"
    )
    spans = tuple(value / 2 for value in middles(*series))
    halves = [value / 2 for value in pairs]
    entries = [DerivedEntry(f"primitives.{toggle}", halves, source, spans) for toggle in ("stac", "clac")]
    return Toggles(entries, waits_for_loads(recording), "")


def waits_for_loads(recording: Recording) -> bool | None:
    """Return whether a window waits for the load of the one before: two cold fields cost two latencies, or one.

    None when the call was not possible or one cold field costs nothing.
    """
    warm, first_cold, second_cold, both_cold = (recording.ns(f"two_fields {flushed}") for flushed in range(4))
    first = combine(lambda a, b, c: (a + b) / 2 - c, first_cold, second_cold, warm)
    second = combine(lambda a, b, c: a - (b + c) / 2, both_cold, first_cold, second_cold)
    if not first or statistics.median(first) <= 0:
        return None
    return statistics.median(second) > statistics.median(first) / 2


def kernel_entries(recording: Recording) -> list[DerivedEntry]:
    """Derive what system calls cost besides: entry and exit, eventfd, wake-up, pinning of a page."""
    ns, refused_call = recording.ns, "sys_invalid 0"
    pti = ", page-table isolation included" if recording.machine.pti else ""
    virtual = (
        " (in a virtual machine: with the exits that its interrupts take)" if recording.machine.virtualised else ""
    )
    wake_up = "half a round trip between threads that sleep in read(eventfd) on two CPUs, less the write" + virtual
    return [
        DerivedEntry(
            "primitives.syscall",
            present(recording.cycles(refused_call)),
            "a system call number that does not exist, raw syscall" + pti,
        ),
        DerivedEntry(
            "primitives.eventfd_signal",
            combine(operator.sub, ns("sys_eventfd_write 0"), ns(refused_call)),
            "write to an eventfd that nobody reads, less a bare system call",
        ),
        DerivedEntry(
            "primitives.worker_wakeup",
            combine(lambda a, b: (a - b) / 1000, ns("wake_up 100"), ns("sys_eventfd_write 0")),
            wake_up,
        ),
        DerivedEntry(
            "primitives.pin_page",
            combine(lambda a, b: (a - b) / 15, ns("pin_pages 16"), ns("pin_pages 1")),
            "process_vm_readv of one byte naming 16 pages less 1, per page (the slow path of pinning)",
        ),
    ]
