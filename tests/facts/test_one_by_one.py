"""kernel-accesses.md B.0, B.3, B.5: transmit without XDP batching, counted as the lockstep driver runs it.

A round of the lockstep driver publishes B packets with one index write. Beside its packets it makes, without EVENT_IDX:
W (off), A (first), A (tx_can_batch behind the last packet), A (empty probe), W (on), A (recheck).
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from sim.config.tables.vocabulary import METADATA_ACCESSORS

from .model import KERNELS, OLD, executed, lockstep, plan, queue

BURST = 32
ROUND_PAIRS = 6  # W, A, A, A, W, A
ROUND_LFENCE = 4  # the four reads among them

ZEROCOPY = ("device.zerocopy_tx=true",)
UNBATCHED = ("device.xdp_batching=false",)
every_kernel = pytest.mark.parametrize("kernel", KERNELS)


def run(kernel, *overrides, access="copy_user", packet_bytes=64, burst=BURST):
    return executed(kernel, access, (*overrides, *lockstep(burst)), 8 * 256, packet_bytes)


def used_pairs(kernel):
    """U1 of A.2: two __put_user up to v5.2, one copy since."""
    return 2 if kernel in ("v4.20", "v5.0", "v5.2") else 1


def fenced(kernel):
    """LFENCE of H, D and F, per packet: none in v7.3, no D since v6.1."""
    if kernel == "v7.3":
        return 0
    return 3 if kernel in OLD else 2


@every_kernel
@pytest.mark.parametrize("descriptors", [1, 2])
def test_the_zero_copy_function_copies_short_packets_one_by_one(kernel, descriptors):
    found = run(kernel, *ZEROCOPY, *queue(descriptors=descriptors), burst=32)
    # B.3: 1 + d + 2 + 1 + 1 = 6 pairs for d = 1 on v5.0, 5 on v5.3.1; and two payload copies.
    metadata = 1 + descriptors + used_pairs(kernel) + 1 + 1
    assert found.per_packet("stac") == found.per_packet("clac") == metadata + 2 + Fraction(ROUND_PAIRS, BURST)
    of_round = 0 if kernel == "v7.3" else ROUND_LFENCE
    second = descriptors - 1 if kernel in OLD else 0
    assert found.per_packet("lfence") == fenced(kernel) + second + Fraction(of_round, BURST)
    assert found.per_packet("lock_rmw") == 1 + Fraction(1, BURST)  # vhost_notify; vhost_enable_notify


@every_kernel
def test_its_used_element_is_checked_on_the_stack(kernel):
    found = run(kernel, *ZEROCOPY, "mitigations.hardened_usercopy=true")
    header = 1 if kernel == "v7.3" else 0  # returns-and-functions.md, a write to a TAP: check_stack_object
    assert found.per_packet("object_size_check_stack") == header + (0 if used_pairs(kernel) == 2 else 1)
    assert found.per_packet("object_size_check") == 0  # B.5: neither the 10-byte header nor tun_build_skb


@every_kernel
def test_mapping_leaves_its_two_payload_copies(kernel):
    found = run(kernel, *ZEROCOPY, access="vmap")
    assert found.per_packet("stac") == 2
    assert found.per_packet("lfence") == 0


@every_kernel
def test_before_batching_used_elements_went_back_a_batch_at_a_time(kernel):
    found = run(kernel, *UNBATCHED, burst=64)
    # H, D; Un, X, F once in 64 packets; header and body.
    assert found.per_packet("stac") == 2 + Fraction(3 + ROUND_PAIRS, 64) + 2
    assert found.per_packet("lock_rmw") == Fraction(1 + 1, 64)


@pytest.mark.parametrize("mode", [ZEROCOPY, UNBATCHED, ("device.sndbuf_limited=true",)])
def test_one_sendmsg_for_each_packet(mode):
    found = run("v5.0", *mode, "mitigations.retpoline=true", "backend.kind=tap-xdp-drop")
    # sendmsg and the program; once for each packet
    assert found.per_packet("retpoline") == 2


@every_kernel
def test_packets_too_large_for_a_page_flush_what_went_before(kernel):
    found = run(kernel, packet_bytes=3381, burst=8)
    one = used_pairs(kernel)
    # H, D, U1, X, F for each packet, no look ahead (sock_can_batch): W, A, A, W, A for each round.
    assert found.per_packet("stac") == 2 + one + 1 + 1 + 2 + Fraction(ROUND_PAIRS - 1, 8)


def test_the_last_packet_that_fits_is_batched():
    found = run("v5.0", packet_bytes=3380, burst=64)
    assert found.per_packet("stac") == 2 + 2 + Fraction(3 + ROUND_PAIRS - 1, 64)


def test_the_skb_of_a_packet_has_one_object_size_check():
    found = run("v5.0", "device.sndbuf_limited=true", "mitigations.hardened_usercopy=true", burst=64)
    assert found.per_packet("object_size_check") == 1 + Fraction(1, 64)  # B.5; the used elements of the flush


#: executed-counts.md: XDP_PASS less XDP_DROP, 32 packets per kick, 64 bytes.
PASSED = {"v6.1": 1843 - 959, "v6.12": 2114 - 1185, "v7.3": 2041 - 1021}


@pytest.mark.parametrize("kernel", PASSED)
def test_passing_a_packet_to_the_stack_adds_what_was_counted(kernel):
    counted = ("cpu=sapphire-rapids", "mitigations.hardened_usercopy=true", "mitigations.retpoline=false")
    drop, passed = (
        run(kernel, *counted, "backend.program_instructions=0", f"backend.kind={kind}")
        for kind in ("tap-xdp-drop", "tap-xdp-pass")
    )
    assert passed.instructions_per_packet - drop.instructions_per_packet == pytest.approx(PASSED[kernel], abs=0.5)
    assert passed.primitives["stac"] == drop.primitives["stac"]


@pytest.mark.parametrize("event_idx", [False, True])
def test_busy_polling_reads_the_avail_index_only(event_idx):
    rows = plan("v5.0", "copy_user", (*queue(event_idx=event_idx), "device.busyloop_timeout_us=50")).rows
    polls = [row for row in rows if row.actor == "worker" and "poll" in row.scopes]
    assert [METADATA_ACCESSORS[row.accessor] for row in polls] == ["A"]  # B.4, last line
