"""The operations of a Plan's rows: what a row does, as `explain` and the JSON of a plan name it."""

from __future__ import annotations

#: What each operation does.
MEANINGS = {
    "work": "executes instructions (or spends the given time) and touches no line of the ring",
    "read": "reads one place of a ring or of a shared line",
    "write": "writes one place of a ring or of a shared line",
    "copy": "copies packet bytes between the guest's memory and the host's",
    "barrier": "executes a full barrier, which waits until the writes before it own their lines",
    "window": "opens or closes a user access window around several accesses",
    "poll": "waits until another actor has changed something, looking again and again or asleep",
    "hold": "lets time pass: a timer, or somebody else's work that this actor stands for",
    "stall": "takes the worker's core away: an interrupt and its faults, or another task",
}
