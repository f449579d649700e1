"""Kinds of instructions by their bytes, and functions by address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.count.code import KINDS, kind
from sim.host.experiments.symbols import PROGRAM, Symbols, source_name

CODE = {
    "0f01cb": "stac",
    "0f01ca": "clac",
    "0faee8": "lfence",
    "0faef0": "mfence",
    "c3": "return",
    "f3c3": "return",  # rep ret
    "e800000000": "call",
    "ffd0": "indirect_call",  # call *%rax
    "41ffd3": "indirect_call",  # call *%r11
    "ffe0": "indirect_jump",  # jmp *%rax
    "3effe0": "indirect_jump",  # notrack jmp *%rax
    "7405": "branch",  # je
    "0f8400000000": "branch",  # je, far
    "f083442402fc": "locked",  # lock addl
    "f0480fb117": "locked",  # lock cmpxchg
    "8707": "locked",  # xchg %eax, (%rdi)
    "87c1": "other",  # xchg %eax, %ecx
    "f3a4": "string",  # rep movsb
    "f348ab": "string",  # rep stosq
    "a4": "other",  # movsb, once
    "ff30": "other",  # push (%rax)
    "4889e5": "other",  # mov %rsp, %rbp
    "0f1f8000000000": "other",  # nopl
}


@pytest.mark.parametrize(("code", "expected"), CODE.items())
def test_the_kind_of_an_instruction(code, expected):
    assert kind(bytes.fromhex(code)) == expected


@given(st.binary(max_size=15))
def test_any_bytes_have_a_kind(code):
    assert kind(code) in KINDS


LINES = """\
ffffffff81000000 T _text
ffffffff81000010 T __pfx_memcpy
ffffffff81000020 T memcpy
ffffffff81000020 T __memcpy
ffffffff81000400 t mpls_gso_exit
ffffffffc0201000 t vhost_poll\t[vhost]
vhost 4096 1 vhost_net, Live 0xffffffffc0201000
""".splitlines()


@pytest.mark.parametrize(
    ("address", "function"),
    [
        (0xFFFFFFFF81000000, "_text"),
        (0xFFFFFFFF81000018, "_text"),  # padding belongs to what stands before it
        (0xFFFFFFFF81000020, "__memcpy"),  # the first by name
        (0xFFFFFFFF810003FF, "__memcpy"),
        (0xFFFFFFFFC0201234, "vhost_poll"),
        (0xFFFFFFFFC0202000, PROGRAM),  # behind the module
        (0xFFFFFFFFA0000000, PROGRAM),  # between the kernel and its modules
        (0x1000, PROGRAM),
    ],
)
def test_the_function_of_an_address(address, function):
    assert Symbols(LINES).function(address) == function


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("get_tx_bufs.constprop.0", "get_tx_bufs"),
        ("cmpxchg_double_slab.constprop.0.isra.0", "cmpxchg_double_slab"),
        ("handle_rx.part.0", "handle_rx"),
        ("memcpy", "memcpy"),
    ],
)
def test_what_a_compiler_appends_is_not_in_the_source(name, source):
    assert source_name(name) == source
