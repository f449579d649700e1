"""Ends of intervals, half widths, shares and thresholds, each with its value as arithmetic, on figures made by hand."""

from __future__ import annotations

from math import ceil, exp, hypot, sqrt
from types import SimpleNamespace

import numpy as np
import pytest

import sim
from sim.config.tables.quantity import Quantity
from sim.config.tables.study import Sensitivity
from sim.study.evidence import calibrate, posterior, validate
from sim.study.evidence.figures import load_measurements, select
from sim.study.questions import capacity, host_ring
from sim.study.questions.run import TieCheck
from sim.study.runs.case import gain_or_rate, gain_percent, saved_ns, sides_of
from sim.study.runs.pool import Job, Outcomes
from sim.study.sensitivity import study, tornado
from sim.study.sensitivity.tornado import Index, measure_next, swing_of
from sim.study.uncertainty import runs
from sim.study.uncertainty.distributions import at_shares, central_90
from sim.study.uncertainty.measured import MeasuredDraws, Spread
from sim.study.uncertainty.nominal import Nominal, basis_of
from sim.study.uncertainty.runs import PRECISION, _error_of_ends
from sim.study.uncertainty.uncertainty import _widest, uncertainty

Z_95 = 1.6449  # standard normal score with 95 % below it


def quantity(low, value, high, **fields):
    return Quantity(value=value, unit="ns", low=low, high=high, source="test", grade="guess", **fields)


def pair():
    overrides = ["access=copy_user,vmap", "traffic.packet_bytes=64", "run.precision=0.01", "calibration=null"]
    return sides_of(sim.load_scenario("virtio-user-xdp1-tap", overrides=overrides))


def given(monkeypatch, module, figures, errors=None):
    """Let the runs of a module give these figures, one call after the other, and return the jobs that it asks for."""
    asked = []
    given_figures = np.asarray(figures, dtype=np.float64).ravel()

    def run_jobs(cases, jobs, executor=None, progress=None):
        start = len(asked) if len(asked) + len(jobs) <= len(given_figures) else 0
        asked.extend(jobs)
        return Outcomes(given_figures[start : start + len(jobs)], errors or {})

    def tried(cases, executor=None, progress=None):
        made = run_jobs(cases, [Job(number, {}) for number in range(len(cases))]).figures
        points = [SimpleNamespace(pps=pps) for pps in made]
        return [Nominal(point, basis_of(case)) for point, case in zip(points, cases, strict=True)]

    monkeypatch.setattr(module, "run_jobs", run_jobs)
    if hasattr(module, "tried"):
        monkeypatch.setattr(module, "tried", tried)
    return asked


def as_modelled(monkeypatch, module=runs, rate=0.0, ratio=0.0):
    """Let measurements lie this far around what the model gives (standard deviations): default, not at all."""
    monkeypatch.setattr(module, "spread_of", lambda cases, configs=None, path=None: Spread(rate, ratio, "executed"))


def test_a_measurement_lies_around_the_draws_as_far_as_model_and_rig_do(monkeypatch):
    as_modelled(monkeypatch, rate=0.05, ratio=0.03)
    draws = 4000
    given(monkeypatch, runs, np.concatenate([[1e6, 1.2e6], np.full(draws, 1e6), np.full(draws, 1.2e6)]))
    sure = uncertainty(pair(), draws, 1)
    (gain,), rate = sure.gains, sure.rates[1]
    assert rate.pps_of_parameters.low == rate.pps_of_parameters.high == 1.2e6
    ends = [1.2e6 * exp(sign * Z_95 * 0.05) for sign in (-1, 1)]
    assert (rate.pps.low, rate.pps.high) == pytest.approx(tuple(ends), rel=0.002)
    ratios = [1.2 * exp(sign * Z_95 * 0.03) for sign in (-1, 1)]
    assert (gain.gain_percent.low, gain.gain_percent.high) == pytest.approx([100 * (r - 1) for r in ratios], abs=0.3)
    # What is saved moves with the ratio, and with the rate of the rig that it is measured on.
    assert gain.saved_ns.low < 1e3 * (1 - 1 / ratios[0]) < 1e3 * (1 - 1 / ratios[1]) < gain.saved_ns.high


def test_a_sign_has_to_hold_in_a_measurement_too(monkeypatch):
    figures = np.concatenate([[1e6, 1.05e6], np.full(100, 1e6), np.full(100, 1.05e6)])
    as_modelled(monkeypatch)
    given(monkeypatch, runs, figures)
    assert uncertainty(pair(), 100, 1).gains[0].certain
    as_modelled(monkeypatch, ratio=0.05)
    given(monkeypatch, runs, figures)
    (gain,) = uncertainty(pair(), 100, 1).gains
    assert not gain.certain
    # Lost, or won by less than the 9.5 ns that the runs resolve: below ln(1.05) by 0.8 standard deviations or more.
    assert 0.7 < gain.same_sign < 0.85


def test_as_many_draws_are_made_as_the_ends_take(monkeypatch):
    wanted = []

    def run_jobs(cases, jobs, executor=None, progress=None):
        wanted.append(len(jobs))
        return Outcomes(np.array([1e6 if job.case == 0 else 1.2e6 for job in jobs]), {})

    monkeypatch.setattr(runs, "run_jobs", run_jobs)
    as_modelled(monkeypatch, ratio=0.05)
    sure = uncertainty(pair())
    assert sum(wanted) == 2 * sure.draws
    assert sure.draws in (100, 200, 400)
    assert 0 < sure.precision <= PRECISION
    assert uncertainty(pair(), sure.draws).gains == sure.gains


def test_no_link_bounds_what_a_guest_receives():
    scenario = sim.load_scenario("virtio-user-macvtap")
    received = scenario.model_copy(update={"device": scenario.device.model_copy(update={"direction": "rx"})})
    for asked, bounded in ((scenario, True), (received, False)):
        sides = sides_of(asked)[:1]
        made = MeasuredDraws(sides, np.ones(1), np.ones((1, 2)), np.zeros(2), np.zeros(2), Spread)
        assert (made._full_pps(0) < np.inf) is bounded


def test_the_error_of_an_end_is_that_of_its_quantile():
    # Of N draws, evenly between 0 and 1, the end at 5 % has the standard error sqrt(0.05 x 0.95 / N); the width is 0.9.
    sample = np.linspace(0, 1, 100_001)
    assert _error_of_ends(sample) == pytest.approx(sqrt(0.05 * 0.95 / 100_001) / 0.9, rel=1e-3)
    assert _error_of_ends(np.ones(50)) == 0.0


def test_gains_and_savings_of_two_rates():
    assert gain_percent(5.0e6, 6.1e6) == pytest.approx(100 * 1.1 / 5)
    one = sim.load_scenario("virtio-user-xdp1-tap")
    assert saved_ns(5e6, 10e6, one, one) == pytest.approx(200 - 100)
    assert saved_ns(10e6, 5e6, one, one) == pytest.approx(100 - 200)
    assert gain_or_rate(np.array([[4.0, 5.0], [4.0, 3.0]])).tolist() == [25.0, -25.0]
    assert gain_or_rate(np.array([[4.0], [5.0]])).tolist() == [4.0, 5.0]


def test_the_central_90_percent_leaves_5_percent_out_at_each_end():
    assert central_90(np.arange(101.0)) == (5.0, 95.0)
    assert central_90(np.random.default_rng(1).permutation(np.arange(101.0))) == (5.0, 95.0)


@pytest.mark.parametrize(
    ("draws", "low", "high"),
    [(19, 1, 19), (20, 1 + 0.05 * 19, 1 + 0.95 * 19), (101, 1 + 5, 1 + 95)],
    ids=["the range of few", "just enough for quantiles", "many"],
)
def test_the_interval_of_a_rate_and_of_a_gain(draws, low, high, monkeypatch):
    percent = np.arange(1.0, draws + 1)
    table = [np.full(draws, 1e6), 1e6 * (1 + percent / 100)]
    given(monkeypatch, runs, np.concatenate([[1e6, 1.5e6], *table]))
    sure = uncertainty(pair(), draws, 1)
    gain, rate = sure.gains[0].gain_percent_of_parameters, sure.rates[1].pps_of_parameters
    assert (gain.low, gain.value, gain.high) == pytest.approx((low, 50, high))
    assert (rate.low, rate.high) == pytest.approx((1e6 * (1 + low / 100), 1e6 * (1 + high / 100)))
    saved = sorted(1e3 - 1e3 / (1 + percent / 100))
    ends = (
        (saved[0], saved[-1])
        if draws < 20
        else np.interp([0.05 * (draws - 1), 0.95 * (draws - 1)], range(draws), saved)
    )
    saved_ns_ends = sure.gains[0].saved_ns_of_parameters
    assert (saved_ns_ends.low, saved_ns_ends.high) == pytest.approx(tuple(ends))


def test_a_draw_within_what_the_runs_resolve_has_no_sign(monkeypatch):
    # After: 1 Mpps, 1000 ns; 1 % of it are 10 ns. Draws save 9, 10 (as much as the runs resolve), 11, 500 and -500 ns.
    as_modelled(monkeypatch)
    before_ns = np.array([1009, 1009.999, 1011, 1500, 500])
    given(monkeypatch, runs, np.concatenate([[1e9 / 1100, 1e6], 1e9 / before_ns, np.full(5, 1e6)]))
    (gain,) = uncertainty(pair(), 5, 1).gains
    assert gain.resolution_ns == pytest.approx(0.01 * 1000)
    assert gain.same_sign == pytest.approx(2 / 5)
    assert gain.resolved
    assert not gain.certain


@pytest.mark.parametrize(("saved", "resolved"), [(9.99, False), (10.01, True)])
def test_a_difference_has_to_be_larger_than_what_the_runs_resolve(saved, resolved, monkeypatch):
    as_modelled(monkeypatch)
    given(monkeypatch, runs, [1e9 / (1000 + saved), 1e6, 1e9 / 1500, 1e6])
    (gain,) = uncertainty(pair(), 1, 1).gains
    assert gain.resolved is resolved
    assert gain.certain is resolved


def test_shares_of_variance_are_those_of_a_straight_line():
    numbers = np.random.default_rng(1)
    columns = {"a": numbers.standard_normal(5000), "b": numbers.standard_normal(5000), "flat": np.ones(5000)}
    every = np.ones(5000, dtype=bool)
    shares, explained = _widest(columns, every, 3 * columns["a"] + 4 * columns["b"])
    assert shares == pytest.approx({"b": 16 / 25, "a": 9 / 25}, abs=0.02)
    assert explained == pytest.approx(1.0)
    few = {name: column[:9] for name, column in columns.items()}
    assert _widest(few, every[:9], few["a"])[1] == pytest.approx(1.0)  # 3 x (2 entries + 1) draws
    assert _widest({name: column[:8] for name, column in few.items()}, every[:8], few["a"][:8]) == ({}, 0.0)


def test_a_tornado_swings_between_5_and_95_percent_of_a_triangle(monkeypatch):
    low_end, high_end = sqrt(2 * 0.05), 1 - sqrt(2 * 0.05)  # where 5 % of the triangle lie below, and above
    triangle = quantity(0.0, 1.0, 3.0, distribution="triangular")
    assert at_shares(triangle, np.array([0.05, 0.95])) == pytest.approx([low_end, 1 + 2 * high_end])
    asked = given(monkeypatch, tornado, np.full(10_000, 1e6))
    swung = tornado.swing_entries(pair())
    jobs = [job.values for job in asked if len(job.values) == 1 and "cpu.core_ghz" in job.values]
    ghz = pair()[0].case.scenario.cpu.core_ghz
    ends = at_shares(ghz, np.array([0.05, 0.95]))
    assert [values["cpu.core_ghz"] for values in jobs] == pytest.approx([ends[0], ends[0], ends[1], ends[1]])
    assert swung.runs == len(asked)


def test_a_swing_reaches_from_the_lowest_to_the_highest_answer():
    assert swing_of("a", np.array([12.0, 9.0]), 10.0).values == {"low": 12.0, "high": 9.0, "swing": 12.0 - 9.0}
    assert swing_of("a", np.array([12.0, 11.0]), 10.0).values["swing"] == 12.0 - 10.0
    assert swing_of("a", np.array([7.0, 8.0]), 10.0).values["swing"] == 10.0 - 7.0
    choices = swing_of("a", np.array([9.0, 14.0, 8.0]), 10.0, choices=True).values
    assert choices == {"low": 8.0, "high": 14.0, "swing": 14.0 - 8.0}
    assert swing_of("a", np.array([np.nan, 11.0]), 10.0).values == {"low": 11.0, "high": 11.0, "swing": 11.0 - 10.0}
    assert swing_of("a", np.array([np.nan, np.nan]), 10.0) is None


def test_a_study_swings_its_inputs_between_the_same_ends():
    table = {"schema_": 1, "name": "test", "scenario": "virtio-user-xdp1-tap", "access": ["copy_user", "vmap"]}
    ranges = {"cpu.cpi": None, "cpu.primitives.memory_local": {"low": 100, "high": 200}}
    inputs = study.Inputs(Sensitivity.model_validate({**table, "inputs": ranges}))
    points = inputs.swung("cpu.primitives.memory_local")
    assert [list(point.values()) for point in points] == [[100 + 0.05 * 100], [100 + 0.95 * 100]]


@pytest.mark.parametrize(
    ("method", "name", "first"),
    [("tornado", "swing", 16 / 25), ("morris", "mu_star", 16 / 25), ("sobol", "ST", 4 / 7)],
)
def test_the_width_of_an_answer_is_shared_by_squares_and_a_variance_as_it_is(method, name, first):
    indices = [Index("b", {name: 4.0}, {}), Index("a", {name: 3.0}, {}), Index("c", {name: 0.0}, {})]
    (sentence,) = measure_next(method, indices)
    assert sentence == f"measure this next: b ({first:.0%}), then a ({1 - first:.0%}) of the width of the answer"


@pytest.fixture(scope="module")
def rate():
    """A published rate without noise, rounding and spread of sessions."""
    (figure,) = select(load_measurements(), ["batch-sweep/batch 16"])
    entry = figure.entry.model_copy(update={"value": 1e6, "low": 1e6, "high": 1e6, "noise": 0.0})
    return SimpleNamespace(
        with_=lambda file=None, **fields: type(figure)(
            figure.file.model_copy(update={"spread": 0.0, "noise": 0.0, **(file or {})}),
            entry.model_copy(update=fields),
            figure.cases,
        )
    )


def test_the_error_of_a_figure_is_its_noise_and_its_rounding(rate):
    assert rate.with_(noise=0.03).sigma == pytest.approx(0.03)
    # An error that is even over a width w has the standard deviation w / sqrt(12).
    assert rate.with_(low=0.99e6, high=1.01e6).sigma == pytest.approx(0.02 / sqrt(12))
    assert rate.with_(noise=0.03, low=0.99e6, high=1.01e6).sigma == pytest.approx(hypot(0.03, 0.02 / sqrt(12)))
    assert rate.with_(noise=None, file={"noise": 0.04}).sigma == pytest.approx(0.04)


def test_the_interval_of_a_prediction(rate, monkeypatch):
    draws = 101
    as_modelled(monkeypatch, validate)
    given(monkeypatch, validate, np.concatenate([[1e6], 1e4 * np.arange(50.0, 151)]))
    (row,) = validate.predict([rate.with_()], set(), draws, 1)
    assert (row.low, row.high) == pytest.approx((0.55e6, 1.45e6))


def test_a_prediction_is_widened_by_the_noise_and_what_lies_between_model_and_rig(rate, monkeypatch):
    draws = 4000
    as_modelled(monkeypatch, validate, rate=0.04)
    given(monkeypatch, validate, np.full(draws + 1, 1e6))
    (row,) = validate.predict([rate.with_(noise=0.03)], set(), draws, 1)
    half_width = Z_95 * hypot(0.03, 0.04)
    assert row.low / 1e6 == pytest.approx(exp(-half_width), rel=0.01)
    assert row.high / 1e6 == pytest.approx(exp(half_width), rel=0.01)


@pytest.mark.parametrize(
    ("predicted", "spread", "status"),
    [(1.0999e6, 0.0, "met"), (1.1001e6, 0.0, "off"), (0.9001e6, 0.0, "met"), (1.14e6, 0.15, "met")],
)
def test_a_rate_is_met_within_10_percent_or_the_spread_of_its_source(predicted, spread, status, rate):
    row = validate.Validated(rate.with_(file={"spread": spread}), False, predicted)
    assert row.error == pytest.approx(predicted / 1e6 - 1)
    assert row.status == status


@pytest.mark.parametrize(
    ("low", "high", "inside"),
    [(0.9e6, 0.98e6, False), (0.9e6, 0.99e6, True), (1.01e6, 2e6, True), (1.02e6, 2e6, False)],
)
def test_an_interval_meets_a_figure_where_it_reaches_its_printed_digits(low, high, inside, rate):
    figure = rate.with_(low=0.99e6, high=1.01e6)
    assert validate.Validated(figure, False, 1e6, low, high).inside is inside


def test_a_summary_counts_signed_errors(rate):
    errors = (0.05, -0.08, 0.2, -0.4)
    rows = [validate.Validated(rate.with_(), False, 1e6 * (1 + error), 1e6, 2e6) for error in errors]
    rows[0] = validate.Validated(rate.with_(), True, 1.05e6 - 1, 1.01e6, 2e6)
    summary = validate.Validation(None, tuple(rows)).summaries()["rates and ratios"]
    assert summary.within == {"5%": 1 / 4, "10%": 2 / 4, "20%": 3 / 4}
    assert summary.median_error == pytest.approx((0.08 + 0.2) / 2, abs=1e-5)
    assert summary.bias == pytest.approx((0.05 - 0.08 + 0.2 - 0.4) / 4, abs=1e-5)
    assert summary.coverage == 3 / 4


@pytest.mark.parametrize(("score", "at_edge"), [(2.0, False), (2.01, True), (-2.01, True)])
def test_a_fitted_value_has_the_interval_of_its_sample(score, at_edge):
    prior = quantity(0.0, 50.0, 100.0)
    names = SimpleNamespace(cpus=[], kernels=[])
    fitted = calibrate._fitted(SimpleNamespace(name="study"), names, "cpu.cpi", prior, score, np.arange(101.0))
    assert fitted.error == pytest.approx(np.arange(101).std(), rel=1e-2)
    assert min(5.0, fitted.value) == fitted.low
    assert max(95.0, fitted.value) == fitted.high
    assert fitted.at_edge is at_edge


def fit(residuals, scores=(0.0,), effective=1e9):
    jacobian = np.ones((len(residuals), len(scores)))
    draws = np.zeros((3, len(scores)))
    return posterior.Fit(np.array(scores), jacobian, np.array(residuals), np.array(residuals), draws, effective)


def test_the_sum_of_squares_of_a_fit_and_when_it_contradicts():
    assert fit([1.0, 2.0], [3.0]).chi_square == 1 + 4 + 9
    # With two degrees of freedom a share exp(-x / 2) of consistent data sets is further off than x.
    assert fit([1.0, 2.0], [0.0]).consistency == pytest.approx(exp(-5 / 2))
    assert fit([1.0, 1.0], [1.0]).consistency == pytest.approx(exp(-3 / 2))
    assert pytest.approx(0.01) == posterior.CONTRADICTION


def test_information_compares_the_data_with_the_prior():
    known = posterior.Fit(np.zeros(2), np.array([[3.0, 0.0], [0.0, 0.5]]), *[np.zeros(2)] * 2, np.zeros((3, 2)), 1.0)
    assert known.information()[0].tolist() == [3.0**2, 0.5**2]


@pytest.mark.parametrize(("effective", "said"), [(99, True), (100, False)])
def test_a_sample_that_rests_on_a_tenth_of_its_trials_is_thin(effective, said):
    few = SimpleNamespace(trials=1000, draws=500)
    assert bool(calibrate._thin(few, fit([0.0], effective=effective))) is said


def test_a_trial_is_long_enough_for_a_fifth_of_the_resolution_to_overflow():
    scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=["run.packets=1000"])
    room = scenario.traffic.load.backlog + scenario.virtqueue.size
    assert capacity._long_enough(scenario, 0.01).run.packets == ceil(room / (0.01 / 5))


def test_the_search_for_a_capacity_ends_within_its_resolution(monkeypatch):
    def trial(scenario, pps):
        lost = int(pps is not None and pps > 1.234e6)
        return SimpleNamespace(pps=2e6, dropped=lost, warmup_packets=0, packets=1000)

    monkeypatch.setattr(capacity, "_trial", trial)
    scenario = sim.load_scenario("virtio-user-xdp1-tap")
    (result, *_) = capacity.capacity(scenario, 0.001).results
    assert result.pps <= 1.234e6 < result.loses_at_pps <= result.pps * 1.001
    assert result.share == result.pps / 2e6


@pytest.mark.parametrize(("low", "high", "spread"), [(0.999, 1.0, 0.001), (1.0, 1.002, 0.002), (0.995, 1.002, 0.005)])
def test_the_order_of_simultaneous_events_moves_a_rate_by_more_than_a_thousandth(low, high, spread):
    check = TieCheck("vmap", 64, 3, 1e6, low * 1e6, high * 1e6)
    assert check.spread == pytest.approx(spread)
    assert check.moves is (spread > 0.0011)


@pytest.mark.parametrize(("predicted", "verdict"), [(1.1499e6, "within 15 %"), (1.1501e6, "off"), (0.8499e6, "off")])
def test_a_ring_is_within_15_percent_or_off(predicted, verdict):
    measured = SimpleNamespace(counted=[SimpleNamespace(ns_per_packet=1000.0)], moved=0)
    point = SimpleNamespace(ns_per_packet=1e9 / predicted)
    assert host_ring.RingComparison("ring_plain", measured, (point,), {}).verdict == verdict
