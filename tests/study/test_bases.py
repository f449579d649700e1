"""Times and savings are those of one worker core per packet, rates those of all queues together, whoever says them."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim
from sim.config.scenario.traffic import Load
from sim.config.scenario.virtqueue import Queues
from sim.report.tables.markdown import markdown
from sim.report.tables.results import comparison_tables, result_tables
from sim.report.tables.terminal import plain_lines
from sim.study.questions.cpus import compare_cpus
from sim.study.questions.limits import limits
from sim.study.runs.case import saved_ns, sides_of, worker_ns
from sim.study.sensitivity.breakeven import Target, breakeven
from sim.study.sensitivity.shapley import decompose
from sim.study.uncertainty.uncertainty import uncertainty

EIGHT = "eight-workers"
SATURATE = Load(kind="saturate", pps=0.0)
SHORT = ["traffic.packet_bytes=64", "run.packets=20000"]


def load(name=EIGHT, *overrides):
    return sim.load_scenario(name, overrides=[*SHORT, *overrides])


@pytest.fixture(scope="module")
def compared():
    return sim.compare(load()).differences[0]


@pytest.mark.parametrize(("name", "cores"), [(EIGHT, 8), ("four-queues-one-worker", 1), ("workers-share-cores", 2)])
def test_a_core_takes_so_many_times_as_long_for_a_packet_as_cores_serve_the_queues(name, cores):
    point = sim.run(load(name)).points[0]
    assert point.pps == pytest.approx(cores * 1e9 / point.ns_per_packet)
    assert worker_ns(point.pps, load(name)) == pytest.approx(point.ns_per_packet)


def test_a_saving_between_one_queue_and_eight_is_that_of_a_core_each():
    one, eight = load("virtio-user-xdp1-tap"), load()
    assert saved_ns(5e6, 32e6, one, eight) == pytest.approx(1e9 / 5e6 - 8 * 1e9 / 32e6)  # 200 - 250


def test_a_drawn_saving_is_that_of_the_comparison(compared):
    (gain,) = uncertainty(sides_of(load()), 2, 1).gains
    assert gain.saved_ns.value == pytest.approx(compared.saved_ns)
    assert gain.gain_percent.value == pytest.approx(compared.gain_percent)
    assert gain.resolution_ns == pytest.approx(load().run.precision * compared.after.ns_per_packet)


def test_the_shares_of_mechanisms_add_up_to_the_saving_of_the_comparison(compared):
    shares = decompose(load(), "copy_user", "vmap", 64)
    assert sum(share.saved_ns for share in shares.shares) + shares.rest_ns == pytest.approx(compared.saved_ns)


@pytest.mark.parametrize(
    ("quantity", "of"),
    [
        ("gain", lambda pair: pair.gain_percent),
        ("saved_ns", lambda pair: pair.saved_ns),
        ("pps", lambda pair: pair.before.pps),
        ("ns_per_packet", lambda pair: pair.before.ns_per_packet),
    ],
)
def test_a_break_even_looks_at_what_the_comparison_says(compared, quantity, of):
    base, key = load(), "cpu.primitives.stac"
    value = base.cpu.primitives["stac"].value
    looks = breakeven(lambda _: base, base, key, Target(quantity, ">=", 0.0), low=value, high=value).looks
    assert [answer for _, answer in looks] == pytest.approx([of(compared)])


def test_two_cpus_are_compared_by_core_and_by_the_rate_of_all():
    name = "broadwell-ep-e5-2650v4"
    told = compare_cpus(name, name, EIGHT, SHORT).to_dict()["first"]
    point = sim.run(load()).points[0]
    assert (told["ns_per_packet"], told["pps"]) == pytest.approx((point.ns_per_packet, point.pps))


def test_a_load_is_offered_to_all_queues_together():
    """Eight queues at 8 Mpps do each what one does at 1 Mpps."""
    eight = sim.run(load(EIGHT, "traffic.load=8e6", "access=vmap")).points[0]
    one = sim.run(load(EIGHT, "traffic.load=1e6", "access=vmap", "queues.pairs=1")).points[0]
    assert eight.pps == pytest.approx(8e6, rel=0.01)
    assert (eight.pps, eight.ns_per_packet, eight.bound_by) == (8 * one.pps, one.ns_per_packet, "load")


def test_a_load_that_gives_a_queue_nothing_is_refused():
    with pytest.raises(sim.ConfigError, match=r"no packet arrives at each of 8 queues within 1 us"):
        load(EIGHT, "traffic.load={kind: on-off, pps: 4e+6, on_us: 1, off_us: 3}")


@pytest.mark.parametrize("name", [EIGHT, "workers-share-cores"])
def test_limits_are_those_of_all_queues(name):
    (bound,) = limits(load(name))
    assert bound.ideal_pps >= sim.run(load(name)).points[-1].pps


def test_a_limit_is_none_of_the_load_that_is_offered():
    offered = load("virtio-net-low-load")
    saturated = offered.model_copy(update={"traffic": offered.traffic.model_copy(update={"load": SATURATE})})
    assert limits(offered) == limits(saturated)


METRICS = (Path(sim.__file__).parents[1] / "docs/metrics.md").read_text(encoding="utf-8")
#: Names of what is asked, and of what a number is of, not of numbers.
NO_NUMBERS = {"access", "notes", "utilisation", "latency_us", "bound_by", "packet_bytes", "trials", "basis"}


def test_the_page_of_metrics_has_every_number_of_a_run_a_comparison_and_a_search():
    offered = load(EIGHT, "traffic.load=40e6")
    named = {*sim.run(offered).points[0].to_dict(), *sim.compare(offered).differences[0].to_dict()}
    named |= set(sim.capacity(load(EIGHT, "access=vmap"), 0.2, loss=0.1).results[0].to_dict())
    sides = {"before_pps", "after_pps", "before_lost_share", "after_lost_share", "lost_share_with_loss"}
    missing = [name for name in named - NO_NUMBERS - sides if f"`{name}`" not in METRICS]
    assert not missing


@pytest.mark.parametrize("name", [EIGHT, "four-queues-one-worker", "virtio-user-xdp1-tap"])
def test_every_form_of_an_answer_says_what_its_numbers_are_those_of(name):
    scenario = load(name, "access=copy_user,vmap")
    basis, result, compared = scenario.queues.basis, sim.run(scenario), sim.compare(scenario)
    for tables in (result_tables(result), comparison_tables(compared)):
        assert basis in "\n".join(plain_lines(tables, 200))
        assert basis in markdown(tables)
    for answer in (result, compared):
        assert set(answer.to_frame()["basis"]) == {basis}
        assert {told["basis"] for told in answer.to_dict()["results"]} == {basis}


@pytest.mark.parametrize(
    ("pairs", "workers", "cores", "words"),
    [
        (1, "shared", None, ("rates: 1 queue;", "per packet: 1 worker core;")),
        (4, "shared", None, ("rates: all 4 queues;", "per packet: 1 worker core;")),
        (8, "each", None, ("rates: all 8 queues;", "per packet: one of 8 worker cores;")),
        (4, "each", 2, ("rates: all 4 queues;", "per packet: one of 2 worker cores;")),
    ],
)
def test_a_basis_counts_queues_and_cores(pairs, workers, cores, words):
    basis = Queues(pairs=pairs, workers=workers, cores=cores).basis
    assert all(word in basis for word in words)
    assert basis.endswith("sizes: without FCS")


def test_two_sides_that_differ_have_a_basis_each():
    said = sim.compare(load("virtio-user-xdp1-tap"), load()).differences[0].basis
    assert said.startswith("before: rates: 1 queue;")
    assert "after: rates: all 8 queues;" in said
