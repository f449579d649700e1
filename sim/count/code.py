"""What an instruction is, by its bytes."""

from __future__ import annotations

from functools import cache

#: Kinds of instructions, in the order of the tables.
KINDS = (
    *("stac", "clac", "lfence", "mfence", "return", "call", "indirect_call", "indirect_jump", "branch", "locked"),
    *("string", "other"),
)

_WHOLE = {
    bytes.fromhex("0f01cb"): "stac",
    bytes.fromhex("0f01ca"): "clac",
    bytes.fromhex("0faee8"): "lfence",
    bytes.fromhex("0faef0"): "mfence",
}
_LOCK, _REPEATS = 0xF0, {0xF2, 0xF3}
_PREFIXES = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, _LOCK, *_REPEATS}
_STRING = {0xA4, 0xA5, 0xAA, 0xAB}
_EXCHANGE = {0x86, 0x87}
_OPCODES = {0xC3: "return", 0xE8: "call"}
#: Group 5 (opcode 0xff), by the middle field of its ModRM byte.
_GROUP_5 = {2: "indirect_call", 4: "indirect_jump"}


@cache
def kind(code: bytes) -> str:
    """Return the kind of an instruction.

    Parameters
    ----------
    code
        The whole instruction, as it stands in memory.

    Returns
    -------
    str
        One of `KINDS`. `locked` is an operation with a `lock` prefix or an exchange with memory, which needs none;
        `string` a repeated move or store (`rep movsb`), however many turns it makes.

    Examples
    --------
    >>> kind(bytes.fromhex("0f01cb")), kind(bytes.fromhex("f3a4")), kind(bytes.fromhex("f083442402fc"))
    ('stac', 'string', 'locked')
    """
    if code in _WHOLE:
        return _WHOLE[code]
    at = 0
    while at < len(code) and code[at] in _PREFIXES:
        at += 1
    prefixes = set(code[:at])
    if at < len(code) and code[at] & 0xF0 == 0x40:  # REX
        at += 1
    opcode, rest = code[at : at + 1], code[at + 1 : at + 2]
    if not opcode:
        return "other"
    first, second = opcode[0], rest[0] if rest else 0
    in_memory = bool(rest) and second < 0xC0
    if _LOCK in prefixes or (first in _EXCHANGE and in_memory):
        return "locked"
    if first in _STRING and prefixes & _REPEATS:
        return "string"
    if first == 0xFF:
        return _GROUP_5.get(second >> 3 & 7, "other")
    if first in range(0x70, 0x80) or (first == 0x0F and second in range(0x80, 0x90)):
        return "branch"
    return _OPCODES.get(first, "other")
