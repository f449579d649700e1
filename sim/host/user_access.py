"""What needs the running kernel: user accesses by differencing system calls, notification, pinning of pages."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sim.host.entries import DerivedEntry, combine, middles, present, primitive
from sim.host.recording import Recording

#: A system call that takes longer than this is intercepted by something (a sandbox, a tracer): even with PTI and
#: every mitigation a refused call takes less (primitive-costs.md 2.11: 265 cycles, PTI adds up to 700).
MOST_SYSCALL_CYCLES = 2500.0
#: Calls that differ by one user access must agree about it within this; else the differences mean something else.
MOST_DISAGREEMENT_CYCLES = 30.0

#: (user access, call with it, call without, accesses between them)
PAIRS = (
    ("put_user: getcpu(&cpu, 0)", "sys_getcpu_1 0", "sys_getcpu_0 0", 1),
    ("put_user: getcpu(&cpu, &node)", "sys_getcpu_2 0", "sys_getcpu_1 0", 1),
    ("put_user: time(&t)", "sys_time_1 0", "sys_time_0 0", 1),
    ("get_user: refused settimeofday, half", "sys_settimeofday_bad 0", "sys_gettimeofday_0 0", 2),
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
    differences = pair_differences(recording.cycles)
    if len(differences) < 2:
        return "the system calls that differ by one user access are not answered as Linux does"
    values = [statistics.median(repeats) for repeats in differences.values()]
    if max(values) - min(values) > MOST_DISAGREEMENT_CYCLES:
        return (
            f"calls that differ by one user access disagree about it ({min(values):.0f} to {max(values):.0f} cycles): "
            "system calls are intercepted, or the machine is too busy"
        )
    return ""


def pair_differences(
    read: Callable[[str], list[float | None]],
    pairs: Iterable[tuple[str, str, str, int]] = PAIRS,
    *inside: list[float | None],
) -> dict[str, list[float]]:
    """Return what one user access takes by each pair of calls that is possible, round by round, less what is inside."""
    differences = {}
    for title, more, less, count in pairs:

        def one_access(a: float, b: float, *rest: float, count: int = count) -> float:
            return (a - b) / count - sum(rest)

        repeats = combine(one_access, read(more), read(less), *inside)
        if repeats:
            differences[title] = repeats
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
    series = pair_differences(recording.cycles, PAIRS, recording.cycles(body_of(recording))).values()
    halves = [statistics.fmean(values) / 2 for values in zip(*series, strict=False)]
    returns = "with the return thunk of Safe RET" if recording.machine.safe_ret else "with a plain return"
    source = (
        f"half of (one user access, mean of {len(series)} pairs of system calls: getcpu, time, settimeofday; less the "
        f"body of put_user in user space, {returns}); range: the pairs"
    )
    spans = tuple(value / 2 for value in middles(*series))
    entries = [primitive(toggle, halves, source, spans) for toggle in ("stac", "clac")]
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
        primitive(
            "syscall",
            present(recording.cycles(refused_call)),
            "a system call number that does not exist, raw syscall" + pti,
        ),
        primitive(
            "eventfd_signal",
            combine(operator.sub, ns("sys_eventfd_write 0"), ns(refused_call)),
            "write to an eventfd that nobody reads, less a bare system call",
        ),
        primitive(
            "worker_wakeup", combine(lambda a, b: (a - b) / 1000, ns("wake_up 100"), ns("sys_eventfd_write 0")), wake_up
        ),
        primitive(
            "pin_page",
            combine(lambda a, b: (a - b) / 15, ns("pin_pages 16"), ns("pin_pages 1")),
            "process_vm_readv of one byte naming 16 pages less 1, per page (the slow path of pinning)",
        ),
    ]
