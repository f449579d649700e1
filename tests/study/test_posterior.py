"""Estimators against known answers: a normal posterior by hand, planted parameters, the stated coverage."""

from __future__ import annotations

import numpy as np
import pytest

from sim.study.evidence.posterior import CONTRADICTION, Data, fit

#: A linear model of three parameters and four figures, and one that bends.
SLOPES = np.array([[0.10, 0.05, 0.00], [0.00, 0.08, -0.06], [0.05, 0.05, 0.05], [0.12, 0.00, 0.03]])
SIGMA = np.array([0.02, 0.03, 0.02, 0.04])


def linear(points):
    return points @ SLOPES.T


def bent(points):
    return np.log(1.5 + 0.6 * np.tanh(points @ SLOPES.T))


def data(target, sigma=SIGMA):
    return Data(np.asarray(target), np.asarray(sigma), lambda points: points)


def test_a_linear_problem_has_the_posterior_of_the_textbook():
    target = np.array([0.1, -0.05, 0.08, 0.2])
    found = fit(linear, data(target), 3, draws=4000, trials=4000, seed=1)
    precision = SLOPES.T @ np.diag(SIGMA**-2) @ SLOPES + np.eye(3)
    covariance = np.linalg.inv(precision)
    mean = covariance @ SLOPES.T @ (target / SIGMA**2)
    assert found.scores == pytest.approx(mean, abs=1e-3)
    error = 4 * np.sqrt(np.diag(covariance)) / np.sqrt(4000)
    assert (np.abs(found.draws.mean(axis=0) - mean) < error).all()
    assert np.cov(found.draws.T) == pytest.approx(covariance, abs=0.05)
    assert found.effective > 3900  # the stand-in is the model
    information, directions = found.information()
    assert information == pytest.approx(np.linalg.eigvalsh(precision)[::-1] - 1, rel=1e-6)
    assert directions @ directions.T == pytest.approx(np.eye(3))


@pytest.mark.parametrize(
    ("model", "times"),
    [
        pytest.param(linear, 20, id="linear"),
        *(pytest.param(model, 200, id=f"{model.__name__}, deep", marks=pytest.mark.deep) for model in (linear, bent)),
    ],
)
def test_intervals_hold_planted_parameters_as_often_as_they_say(model, times):
    """Again and again: truth from the prior, figures with noise, then its 90 % intervals (200 times: 180 +/- 4.2)."""
    numbers = np.random.default_rng(5)
    inside = np.zeros(3)
    scores = []
    for number in range(times):
        truth = numbers.standard_normal(3)
        target = model(truth[None, :])[0] + SIGMA * numbers.standard_normal(4)
        found = fit(model, data(target), 3, draws=200, trials=200, seed=number)
        low, high = np.quantile(found.draws, (0.05, 0.95), axis=0)
        inside += (low <= truth) & (truth <= high)
        scores.append((truth - found.draws.mean(axis=0)) / found.draws.std(axis=0))
    assert (np.abs(inside - 0.9 * times) <= 4 * np.sqrt(0.09 * times)).all(), inside
    # Within the stated errors: the distance of truth and mean, in errors, has mean 0 and variance 1.
    assert np.mean(scores, axis=0) == pytest.approx(0, abs=4 / np.sqrt(times))
    assert np.var(scores, axis=0) == pytest.approx(1, abs=4 * np.sqrt(2 / times))


def test_with_figures_that_say_nothing_the_priors_stand():
    found = fit(linear, data(np.full(4, 3.0), np.full(4, 1e6)), 3, draws=2000, trials=2000, seed=1)
    assert found.scores == pytest.approx(0, abs=1e-3)
    assert found.draws.mean(axis=0) == pytest.approx(0, abs=0.1)
    assert found.draws.std(axis=0) == pytest.approx(1, abs=0.07)
    assert (found.information()[0] < 1).all()


def test_consistent_data_are_not_called_a_contradiction_and_contradicting_ones_are():
    numbers = np.random.default_rng(6)
    called = 0
    for number in range(40):
        target = linear(numbers.standard_normal((1, 3)))[0] + SIGMA * numbers.standard_normal(4)
        called += fit(linear, data(target), 3, draws=1, trials=1, seed=number).consistency < CONTRADICTION
    assert called <= 3  # 0.4 expected
    twice = np.concatenate([SLOPES[:1], SLOPES[:1]])
    found = fit(lambda points: points @ twice.T, data([0.0, 0.3], [0.02, 0.02]), 3, draws=1, trials=1, seed=0)
    assert found.consistency < CONTRADICTION
    assert found.residuals == pytest.approx([7.4, -7.4], abs=0.3)  # half of 0.3/0.02 each, a little less by the prior


def test_a_seed_gives_the_same_and_0_is_a_seed():
    target = np.array([0.1, -0.05, 0.08, 0.2])
    first, again, other = (fit(bent, data(target), 3, draws=20, trials=30, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.draws, again.draws)
    assert not np.array_equal(first.draws, other.draws)


def test_points_at_which_the_model_fails_get_no_weight():
    def half(points):
        found = linear(points)
        found[points[:, 0] > 0.3] = np.nan
        return found

    found = fit(half, data([-0.1, 0.0, -0.1, -0.1]), 3, draws=500, trials=800, seed=1)
    assert (found.draws[:, 0] <= 0.3).all()
