"""Draws that share a structure are priced together, and each gets the integers and the rate that it has alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.costs.audit import Itself
from sim.datapath import build_plan
from sim.engine import simulate
from sim.engine.arrays import Arrays
from sim.engine.fast import FastDraws
from sim.engine.order import TieOrder
from sim.engine.packed import pack
from sim.study.runs import structures as structures_module
from sim.study.runs.case import SIZE, Case, observe, one_point, sides_of, variants_and_sizes, with_values
from sim.study.runs.drawn import LEAST_DRAWS, figures, on_structure, parts
from sim.study.runs.structures import structures_of
from sim.study.uncertainty.nominal import tried
from tests.properties.scenarios import any_scenario
from tests.shipped import NAMES, every_third

SEED = "virtio-user-xdp1-tap"


@cache
def case(name=SEED, access="copy_user", size=64, packets=300, **settings):
    scenario = one_point(sim.load_scenario(name), access, size)
    return Case(scenario.model_copy(update={"run": scenario.run.model_copy(update={"packets": packets})}))


def between(entries, shares):
    """Values of some entries at shares of their ranges; counts of steps from the value up, and not refused."""
    lows = {key: entry.value if key.startswith("kernel.steps") else entry.low for key, entry in entries.items()}
    return {key: lows[key] + share * (entries[key].high - lows[key]) for key, share in shares.items()}


def drawn(case, count, seed=0):
    """Values of all inputs of a case, each anywhere in its range; the first draws are the ends of all ranges."""
    entries = case.plan.inputs
    shares = np.random.default_rng(seed).uniform(size=(count, len(entries)))
    shares[:2] = [[0], [1]]
    return [between(entries, dict(zip(entries, row, strict=True))) for row in shares.tolist()]


def alone(case, values):
    try:
        return observe(Case(with_values(case.scenario, values)))
    except sim.ConfigError as error:
        return str(error)


def told(behind):
    """Rate and times by primitive of each draw."""
    return list(zip(behind.pps(), behind.times_ns(), strict=True))


def together(runs):
    """What draws that are run together say, by draw; those that take many looks are not among them."""
    return {
        draw: [answer]
        for behind in runs.together()
        for draw, answer in zip(behind.draws.tolist(), told(behind), strict=True)
    }


def assert_as_alone(case, draws):
    """Compare the rate of every draw that is priced together with others, and all that an engine gets."""
    shared = 0
    ((_, as_in_tables),) = parts(case, [{}], least=1)
    assert list(as_in_tables.plan.inputs) == list(case.plan.inputs)
    for part, runs in parts(case, draws, least=2):
        of_all = {} if runs is None else together(runs)
        for place, number in enumerate(part if runs is not None else ()):
            plan = Case(with_values(case.scenario, draws[number])).plan
            expected, packed = pack(plan, TieOrder.stated(len(plan.actors))), runs.packed(place)
            for name in Arrays._fields:
                assert np.array_equal(getattr(expected, name), getattr(packed, name)), (name, number)
            point = simulate(plan, case.scenario.run)
            times = {name: ps / point.packets / 1e3 for name, ps in point.breakdown_ps.items()}
            assert runs.point(place) == point
            for rate, times_ns in [told(runs.alone(place))[0], *of_all.get(place, [])]:
                assert (rate, times_ns) == (point.pps, times)
            shared += 1
    assert shared >= len(draws) // 2


@pytest.mark.parametrize("name", every_third(1))
def test_each_draw_of_a_shipped_scenario_has_the_integers_that_it_has_alone(name):
    """Of every access variant, at its first size."""
    scenario = sim.load_scenario(name)
    for variant in scenario.access:
        own = case(name, variant.name, scenario.traffic.sizes[0])
        assert_as_alone(own, drawn(own, 4))


@pytest.mark.deep
@pytest.mark.parametrize("name", NAMES)
def test_each_draw_at_each_size_has_the_rate_that_it_has_alone(name):
    scenario = sim.load_scenario(name)
    for access, size in variants_and_sizes(scenario):
        own = case(name, access, size, packets=3000)
        assert_as_alone(own, drawn(own, 16, seed=1))


@settings(max_examples=5)
@given(data=st.data())
def test_draws_of_any_scenario_have_the_integers_that_they_have_alone(data):
    _compare_draws_of_any_scenario(data)


@pytest.mark.deep
@settings(max_examples=100)
@given(data=st.data())
def test_draws_of_many_scenarios_have_the_integers_that_they_have_alone(data):
    _compare_draws_of_any_scenario(data)


def _compare_draws_of_any_scenario(data):
    scenario = data.draw(any_scenario(packets=200))
    access, size = variants_and_sizes(scenario)[0]
    own = Case(one_point(scenario, access, size))
    entries = own.plan.inputs
    keys = data.draw(st.lists(st.sampled_from(sorted(entries)), min_size=1, unique=True))
    shares = st.lists(st.floats(0, 1), min_size=len(keys), max_size=len(keys))
    assert_as_alone(own, [between(entries, dict(zip(keys, data.draw(shares), strict=True))) for _ in range(5)])


#: Small and large, of one page, of several, and of several descriptors or buffers.
SIZES = (64, 60, 200, 300, 1500, 2100, 9000)


def of_sizes(name, *sizes):
    """The sides of a scenario at some sizes, in short runs."""
    overrides = ["run.packets=3000", *([f"traffic.packet_bytes={list(sizes)}"] if sizes else [])]
    return sides_of(sim.load_scenario(name, overrides=overrides))


def run_alone(case):
    """The point of a case that is built by itself, or what is wrong with it."""
    try:
        return simulate(Case(case.scenario).plan, case.scenario.run)
    except sim.ConfigError as error:
        return str(error)


def structures(case):
    """How many structures are known of a case, at all sizes."""
    return len(structures_of(Itself((case.base or case.based({})).case), ()))


def assert_sizes_as_alone(sides):
    """One by one, and run together: to the last bit, and in plain numbers."""
    together = tried([side.case for side in sides])
    for side, one in zip(sides, together, strict=True):
        runs, alone = on_structure(side.case), run_alone(side.case)
        assert isinstance(alone, str) if runs is None else runs.point(0) == alone, (side.label, side.packet_bytes)
        assert repr(one if isinstance(one, str) else one.point) == repr(alone), (side.label, side.packet_bytes)


@pytest.mark.parametrize(
    ("name", "of_one_variant"),
    [
        (SEED, 4),  # in one page, of one page, and sent one by one
        ("virtio-user-zerocopy-xdp1-tap", 6),
        ("vhost-user-tx", 1),
        ("virtio-net-receive-gso", 7),  # buffers lie otherwise for each size
    ],
)
def test_sizes_that_go_one_way_share_a_structure(name, of_one_variant):
    sides = of_sizes(name, *SIZES)
    assert_sizes_as_alone(sides)
    assert structures(sides[0].case) <= of_one_variant
    assert {side.packet_bytes for side in sides} == set(SIZES)


def test_all_sizes_of_the_seed_share_one_structure():
    sides = of_sizes(SEED)
    assert len({side.packet_bytes for side in sides}) == 6
    assert_sizes_as_alone(sides)
    assert [structures(side.case) for side in sides] == [1] * len(sides)


@pytest.mark.deep
@pytest.mark.parametrize("name", NAMES)
def test_every_size_of_a_shipped_scenario_is_run_as_alone(name):
    traffic = sim.load_scenario(name).traffic
    assert_sizes_as_alone(of_sizes(name, *(SIZES if traffic.mix is None and traffic.application == "none" else ())))


def test_draws_of_several_sizes_have_the_rates_that_they_have_alone():
    own = case()
    draws = [values | {SIZE: SIZES[number % 7]} for number, values in enumerate(drawn(own, 28, seed=2))]
    assert figures(own, draws) == [alone(own, values) for values in draws]


def test_a_plan_that_looks_at_the_sizes_of_its_traffic_is_of_its_own_size(monkeypatch):
    def looks(scenario, *arguments, **options):
        plan = build_plan(scenario, *arguments, **options)
        assert scenario.traffic.packet_bytes
        return plan

    monkeypatch.setattr(structures_module, "build_plan", looks)
    sides = of_sizes(SEED, 64, 200)
    assert_sizes_as_alone(sides)
    assert structures(sides[0].case) == 2


@pytest.mark.parametrize("name", [SEED, "vhost-user-tx", "af-xdp-tx", "virtio-net-receive-gso"])
@pytest.mark.parametrize("ring", [256, 512])
def test_all_draws_within_the_ranges_share_one_structure(name, ring):
    """So that a decision that is new in a formula, and parts them, is seen."""
    scenario = sim.load_scenario(name, overrides=[f"virtqueue.size={ring}"])
    own = Case(one_point(scenario, scenario.access[0].name, scenario.traffic.sizes[0]))
    draws = drawn(own, 50)
    assert [len(part) for part, runs in parts(own, draws) if runs is not None] == [50]
    assert figures(own, draws[:4]) == [alone(own, values) for values in draws[:4]]


def test_a_plan_says_what_was_read_of_its_own_values():
    """1024 packets with 384 bytes each do not fit L2, and those with the least of their range, 192, do."""
    scenario = sim.load_scenario(SEED, overrides=["virtqueue.size=1024"])
    own, reuse = Case(one_point(scenario, "copy_user", 64)), "device.reuse_bytes_per_packet"
    assert 1024 * 192 < scenario.cpu.l2_bytes.value < 1024 * 384
    draws = [{}, {reuse: 192.0}] * LEAST_DRAWS
    assert len([runs for _, runs in parts(own, draws)]) == 1
    read = [set(runs.plan.inputs) for _, runs in parts(own, draws, reading_alike=True)]
    assert len(read) == 2
    assert read == [set(Case(with_values(scenario, values)).plan.inputs) for values in draws[:2]]
    assert read[0] ^ read[1] == {"cpu.primitives.l2_hit"}  # l3_hit is also that of a line which nobody has written


def test_what_lies_behind_the_first_level_is_not_read_where_that_holds_all():
    """64 packets with 384 bytes each fit L1, and the others do not."""
    scenario = sim.load_scenario(SEED, overrides=["virtqueue.size=64"])
    assert 64 * 384 < scenario.cpu.l1_bytes.value < 256 * 384
    read = Case(one_point(scenario, "copy_user", 64)).plan.inputs
    assert not {"cpu.l2_bytes", "cpu.primitives.l2_hit"} & set(read)
    assert {"cpu.l2_bytes", "cpu.primitives.l2_hit"} <= set(case().plan.inputs)


def test_draws_go_on_from_all_but_the_histogram_which_is_the_last():
    own = case()
    ((_, runs),) = parts(own, drawn(own, 8))
    packed = runs._structure.packed
    assert Arrays._fields[-1] == "histogram"
    assert packed.live == len(packed.start) - runs.packed(0).histogram.size


@pytest.mark.parametrize("packets", [100, 1100])
def test_a_flush_that_overshoots_the_next_look_ends_a_draw_there(packets):
    own = case(packets=packets)
    draws = drawn(own, 12, seed=5)
    assert figures(own, draws) == [alone(own, values) for values in draws]


def test_draws_that_are_not_precise_at_a_look_go_on_from_there(monkeypatch):
    """On kernels of today many are not at the first, nor the second; each has the figures that it has alone."""
    looked = []

    def run(runs, draws, packets, plain=FastDraws.run):
        looked.append((packets, len(draws)))
        plain(runs, draws, packets)

    monkeypatch.setattr(FastDraws, "run", run)
    own = Case(one_point(sim.load_scenario(SEED, overrides=["kernel=v6.12"]), "vmap", 64))
    draws = drawn(own, 24, seed=4)
    assert figures(own, draws) == [alone(own, values) for values in draws]
    packets, left = zip(*looked, strict=True)
    assert packets[:2] == (1536, 2560)  # of 256 packets each: 2 to warm up and 4 batches; 4 more
    assert left[0] > left[1] > left[2] > 0


#: Steps with far more work than their tables say, each of another structure.
FAR_MORE = {"kernel.steps.get_descriptor.instructions": 900.0}, {"kernel.steps.disable_notify.instructions": 2000.0}


def test_draws_of_another_structure_are_parted_by_what_decides_it():
    own = case()
    far = [{"cpu.cpi": 0.4 + number / 100, **(FAR_MORE[0] if number % 2 else {})} for number in range(8)]
    assert sorted(sorted(part) for part, _ in parts(own, far)) == [[0, 2, 4, 6], [1, 3, 5, 7]]
    switched = [{"cpu.features.smap_waits_for_loads": number < 4, "cpu.cpi": 0.4 + number / 100} for number in range(8)]
    assert sorted(sorted(part) for part, _ in parts(own, switched)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    for draws in (far, switched):
        assert figures(own, draws) == [alone(own, values) for values in draws]


def test_draws_whose_lines_come_from_other_caches_share_a_structure():
    own = case()
    footprint = 256 * own.scenario.device.reuse_bytes_per_packet.value
    sizes = [("l1_bytes", 1), ("l1_bytes", -1), ("l2_bytes", 1), ("l2_bytes", -1)]
    draws = [{f"cpu.{name}": footprint + more, "cpu.cpi": 0.4 + more / 100} for name, more in sizes]
    assert [part for part, runs in parts(own, draws) if runs is not None] == [[0, 1, 2, 3]]
    assert figures(own, draws) == [alone(own, values) for values in draws]
    assert len(set(figures(own, draws))) == 4


def test_what_later_draws_do_not_say_is_as_in_the_table_on_a_structure_that_was_built_for_a_draw():
    """A structure that was built for draws with a dear `lfence` is met again by draws that say nothing of it."""
    of_table, lfence = case(), "cpu.primitives.lfence"
    for values, cycles in zip(FAR_MORE, (100.0, 50.0), strict=True):
        figures(of_table, [{**values, lfence: cycles}] * LEAST_DRAWS)
    for values in (*FAR_MORE, {}):
        assert figures(of_table, [values] * LEAST_DRAWS) == [alone(of_table, values)] * LEAST_DRAWS


@pytest.mark.parametrize(
    ("step", "work"), [("disable_notify", 900.0), ("get_descriptor", 900.0), ("send_batch", 1100.0)]
)
def test_draws_with_far_more_work_than_the_tables_have_what_is_in_flight_alone(step, work):
    """What stands further back than enough work for every buffer is not in flight, however large a scheduler is."""
    own = case()
    draws = [
        {"cpu.serialisation.scheduler_entries": entries, f"kernel.steps.{step}.instructions": work}
        for entries in (97.0, 1e3, 1e4, 1e5)
    ]
    assert figures(own, draws) == [alone(own, values) for values in draws]


def test_few_draws_of_no_known_structure_and_other_figures_are_built_one_by_one():
    own = Case(case().scenario)
    few = [{"cpu.cpi": 0.4 + number / 100} for number in range(LEAST_DRAWS - 1)]
    assert [runs for _, runs in parts(own, few)] == [None]
    assert figures(own, few) == figures(own, few * 4)[: len(few)]
    assert [runs is not None for _, runs in parts(own, few)] == [True]
    lfences = Case(own.scenario, "lfence")
    assert [runs for _, runs in parts(lfences, few * 4)] == [None]
    assert figures(lfences, few * 4) == [observe(lfences)] * len(few * 4)


def test_a_draw_that_is_refused_has_its_own_error_and_the_others_go_on():
    own, key = case(), "kernel.steps.head.instructions"
    draws = [{key: float(count)} for count in (1, 60, 70, 80, 90, 2)]
    results = figures(own, draws)
    assert results == [alone(own, values) for values in draws]
    assert [isinstance(result, str) for result in results] == [True, False, False, False, False, True]
    assert "'head' has 1 instructions" in results[0]
    assert "'head' has 2 instructions" in results[-1]


def test_a_value_that_cannot_be_goes_wrong_for_its_own_draw_only():
    own = case()
    draws = [{"cpu.primitives.copy_bytes": value} for value in (0.0, 30.0, 31.0, 32.0, 33.0)]
    results = figures(own, draws)
    assert "0 bytes/cycle is beyond what is conceivable" in results[0]
    assert results == [alone(own, values) for values in draws]


def test_a_value_that_is_no_number_goes_wrong_whether_it_is_read_or_not():
    own, key = case(), "cpu.primitives.spin_lock"
    assert key not in own.plan.inputs
    draws = [{key: value} for value in (30.0, float("nan"), 31.0, 32.0, 33.0)]
    results = figures(own, draws)
    assert "nan cycles is beyond what is conceivable" in results[1]
    assert results == [alone(own, values) for values in draws]


def test_a_key_that_is_no_entry_is_an_error_of_the_draw_that_names_it():
    results = figures(case(), [{"cpu.cpi": 0.4}, {"cpu.none": 1.0}, {"cpu.cpi": 0.4}, {}, {}])
    assert isinstance(results[1], str)
    assert [isinstance(result, float) for result in results] == [
        True,
        False,
        True,
        True,
        True,
    ]


def test_a_draw_that_could_pass_the_end_of_time_is_refused_as_alone():
    own = case(packets=10**7)
    draws = [{"driver.packet_cost": cost} for cost in (1e9, 40.0, 41.0, 42.0, 43.0, 1e9)]
    results = figures(own, draws)
    assert results == [alone(own, values) for values in draws]
    assert [isinstance(result, str) for result in results] == [True, False, False, False, False, True]
    assert [len(part) for part, runs in parts(own, draws) if runs is not None] == [4]


def test_draws_of_the_seed_are_all_run_together():
    own = case(packets=20_000)
    ((part, runs),) = parts(own, drawn(own, 150))
    assert len(part) == 150  # more than the loop is given at a time
    assert together(runs).keys() == set(range(150))


def test_draws_that_are_never_precise_are_not_run_for_looks_in_vain(monkeypatch):
    own = case(packets=60_000)  # the last look together is before 5 000
    run = own.scenario.run.model_copy(update={"precision": 0.0})
    endless = Case(own.scenario.model_copy(update={"run": run}))
    ((_, runs),) = parts(endless, drawn(own, LEAST_DRAWS))
    with monkeypatch.context() as patched:
        patched.setattr(FastDraws, "run", None)
        assert together(runs) == {}
    shorter = Case(endless.scenario.model_copy(update={"run": run.model_copy(update={"packets": 3000})}))
    ((_, runs),) = parts(shorter, drawn(own, LEAST_DRAWS))
    assert together(runs).keys() == set(range(LEAST_DRAWS)), "the last look is the end"


def test_draws_of_the_share_of_a_function_are_run_together_and_have_the_share_that_they_have_alone():
    own = case(packets=3000)
    shared = Case(own.scenario, "share", ("tun_sendmsg", "tun_xdp_act"))
    draws = drawn(own, 8, seed=3)[2:]
    assert [runs is not None for _, runs in parts(shared, draws)] == [True]
    assert figures(shared, draws) == [
        observe(Case(with_values(own.scenario, values), "share", shared.functions)) for values in draws
    ]


def test_a_share_is_added_up_alike_whichever_rows_run_in_other_draws():
    own = case("virtio-user-tc-drop")
    draws = [{"cpu.primitives.line_transfer": value} for value in (1.0, 30.0, 66.0, 900.0, 2000.0)]
    for function in ("get_tx_bufs", "clear_page_erms", "free_unref_page"):
        shared = Case(own.scenario, "share", (function,))
        assert figures(shared, draws) == [observe(shared.at(values)) for values in draws]


def test_draws_that_end_in_few_flushes_are_measured_as_alone():
    """A look that comes to one checkpoint measures from the start of time, and so do those behind it."""
    own = case("virtio-net-routing", "vmap_notifier", packets=18)
    draws = [{"kernel.steps.packet_done.instructions": value} for value in (65.9, 67.0, 70.0, 75.8, 76.5, 78.0, 100.0)]
    assert figures(own, draws) == [alone(own, values) for values in draws]
