"""Order of simultaneous events."""

from __future__ import annotations

import pytest

from sim.datapath.traffic import splitmix64
from sim.engine.order import TieOrder


def test_splitmix64_is_the_published_one():
    """First outputs of splitmix64.c (Vigna) for seed 1234567: the state goes up by gamma, then is mixed."""
    gamma, word = 0x9E3779B97F4A7C15, (1 << 64) - 1
    outputs = [splitmix64((1234567 + count * gamma) & word) for count in (1, 2, 3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_stated_order_is_worker_first():
    assert [TieOrder.stated(2).priority(actor, 7) for actor in (0, 1)] == [1, 2]
    assert [TieOrder(ranks=(1, 0)).priority(actor, 7) for actor in (0, 1)] == [2, 1]


def test_a_shuffle_puts_either_first_and_never_ties():
    for fuzz in (1, 2, 3):
        order = TieOrder.stated(2, fuzz)
        pairs = [(order.priority(0, n), order.priority(1, n + 1)) for n in range(1000)]
        assert all(0 < worker < 2**63 and 0 < driver < 2**63 and worker != driver for worker, driver in pairs)
        assert 400 < sum(worker < driver for worker, driver in pairs) < 600


def test_shuffles_differ():
    first, second = ([TieOrder.stated(2, fuzz).priority(0, n) for n in range(100)] for fuzz in (1, 2))
    assert not set(first) & set(second)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ranks": (0, 0)}, "is not a permutation of 0 to 1"),
        ({"ranks": (1,)}, "is not a permutation of 0 to 0"),
        ({"ranks": (0, 1), "fuzz": -1}, "must be at least 0"),
    ],
)
def test_wrong_orders_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        TieOrder(**wrong)
