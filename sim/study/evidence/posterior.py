"""Maximum a posteriori and a posterior sample, for parameters whose priors are standard normal scores.

The model gives the logarithms of what is measured; measurements are normal around them. The maximum is found by least
squares on residuals and scores together. The sample is drawn by elliptical slice sampling on a quadratic stand-in for
the model, then every draw is run through the model itself and weighted by the difference (importance resampling), so
that the stand-in costs draws but cannot move the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sim.study.runs.case import Floats
from sim.study.uncertainty.distributions import generator

#: Rows of scores to rows of logarithms; a row of NaN where the model fails.
Model = Callable[[Floats], Floats]

#: Steps of the Jacobian, in scores: wide against the noise of simulated rates, narrow against a prior.
_STEP = 0.15
#: Runs per coefficient of the quadratic stand-in, and steps of each chain on it.
_RUNS_PER_COEFFICIENT = 3
_SLICES = 200
#: A sum of squares that less than this share of consistent data sets would exceed is called a contradiction.
CONTRADICTION = 0.01


@dataclass(frozen=True)
class Data:
    """What is to be met: logarithms and their standard deviations; `coordinates` are those the model is smooth in."""

    target: Floats
    sigma: Floats
    coordinates: Model

    def log_likelihood(self, logarithms: Floats) -> Floats:
        """Return the log likelihood of each row, up to a constant; minus infinity where the model failed."""
        squares = (((logarithms - self.target) / self.sigma) ** 2).sum(axis=1)
        return np.where(np.isfinite(squares), -0.5 * squares, -np.inf)


@dataclass(frozen=True)
class Fit:
    """The maximum, its slopes, and equally likely draws of the posterior (a row each)."""

    scores: Floats
    jacobian: Floats
    predicted: Floats
    residuals: Floats
    draws: Floats
    effective: float

    @property
    def chi_square(self) -> float:
        """Sum of squares of residuals and scores at the maximum."""
        return float(self.residuals @ self.residuals + self.scores @ self.scores)

    @property
    def consistency(self) -> float:
        """Share of consistent data sets with a larger sum of squares (chi-square, one degree per measurement)."""
        from scipy.special import gammaincc  # it takes longer to import than a short run does

        return float(gammaincc(len(self.residuals) / 2, self.chi_square / 2)) if len(self.residuals) else 1.0

    def information(self) -> tuple[Floats, Floats]:
        """Return how much the data knows against the prior along each direction, largest first, and the directions.

        A direction with information 1 is known by the data as well as by the prior: above that the data leads.
        """
        values, vectors = np.linalg.eigh(self.jacobian.T @ self.jacobian)
        return np.maximum(values[::-1], 0.0), vectors[:, ::-1].T


def fit(model: Model, data: Data, parameters: int, draws: int, trials: int, seed: int) -> Fit:
    """Fit `parameters` scores to the data; `draws` are resampled from `trials` weighted ones. Seed 0 is a seed."""
    scores, jacobian = _maximum(model, data, parameters)
    predicted = model(scores[None, :])[0]
    numbers = generator(seed, "posterior")
    covariance = np.linalg.inv(jacobian.T @ jacobian + np.eye(parameters))
    root = np.linalg.cholesky(covariance)
    stand_in = _stand_in(model, data, scores, root, numbers)
    starts = scores + numbers.standard_normal((trials, parameters)) @ root.T
    points = _slice(starts, lambda rows: data.log_likelihood(stand_in(rows)), numbers)
    weights = _weights(data.log_likelihood(model(points)) - data.log_likelihood(stand_in(points)))
    places = (np.arange(draws) + numbers.random()) / draws
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), places), trials - 1)
    sampled = points[numbers.permutation(chosen)]
    residuals = (predicted - data.target) / data.sigma
    return Fit(scores, jacobian, predicted, residuals, sampled, float(1 / (weights**2).sum()))


def _maximum(model: Model, data: Data, parameters: int) -> tuple[Floats, Floats]:
    """Return the maximum a posteriori and the slopes of the residuals there."""
    from scipy.optimize import least_squares  # it takes longer to import than a short run does

    def together(scores: Floats) -> Floats:
        return np.concatenate([(model(scores[None, :])[0] - data.target) / data.sigma, scores])

    def slopes(scores: Floats) -> Floats:
        steps = _STEP * np.eye(parameters)
        moved = model(np.concatenate([scores + steps, scores - steps]))
        jacobian: Floats = ((moved[:parameters] - moved[parameters:]) / (2 * _STEP)).T / data.sigma[:, None]
        return np.concatenate([jacobian, np.eye(parameters)])

    optimum = least_squares(together, np.zeros(parameters), jac=slopes, xtol=1e-4, ftol=1e-6, gtol=1e-4, max_nfev=40)
    scores = np.asarray(optimum.x, dtype=np.float64)
    return scores, slopes(scores)[: len(data.target)]


def _stand_in(model: Model, data: Data, centre: Floats, root: Floats, numbers: np.random.Generator) -> Model:
    """Fit a quadratic to runs of the model, half of them from the prior and half from around the maximum."""
    parameters = len(centre)
    runs = _RUNS_PER_COEFFICIENT * (1 + parameters + parameters * (parameters + 1) // 2)
    normal = numbers.standard_normal((runs, parameters))
    near = centre + 1.5 * normal @ root.T
    points = np.where((np.arange(runs) % 2 == 0)[:, None], normal, near)
    logarithms = model(points)
    finite = np.isfinite(logarithms).all(axis=1)
    terms = _terms(data.coordinates(points[finite]))
    coefficients = np.linalg.lstsq(terms, logarithms[finite], rcond=None)[0]
    return lambda rows: np.asarray(_terms(data.coordinates(rows)) @ coefficients)


def _terms(x: Floats) -> Floats:
    """Columns of a quadratic: 1, each coordinate, each product of two."""
    first, second = _pairs(x.shape[1])
    return np.concatenate([np.ones((len(x), 1)), x, x[:, first] * x[:, second]], axis=1)


@cache
def _pairs(number: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Indices of every pair of that many coordinates, a coordinate with itself too."""
    return np.triu_indices(number)


def _slice(points: Floats, log_likelihood: Callable[[Floats], Floats], numbers: np.random.Generator) -> Floats:
    """Move each row by elliptical slice sampling (Murray, Adams and MacKay 2010): its prior is standard normal."""
    points = points.copy()
    now = log_likelihood(points)
    for _ in range(_SLICES):
        other = numbers.standard_normal(points.shape)
        floor = now + np.log(numbers.random(len(points)))
        angle = numbers.uniform(0, 2 * np.pi, len(points))
        low, high = angle - 2 * np.pi, angle.copy()
        moving = np.arange(len(points))
        while len(moving):
            turn = angle[moving, None]
            trial = points[moving] * np.cos(turn) + other[moving] * np.sin(turn)
            value = log_likelihood(trial)
            up = value > floor[moving]
            kept = moving[up]
            points[kept], now[kept] = trial[up], value[up]
            moving = moving[~up]
            below = angle[moving] < 0
            low[moving[below]] = angle[moving[below]]
            high[moving[~below]] = angle[moving[~below]]
            angle[moving] = numbers.uniform(low[moving], high[moving])
    return points


def _weights(logarithms: Floats) -> Floats:
    """Return weights that add up to 1; draws where the model failed get none."""
    finite = np.where(np.isfinite(logarithms), logarithms, -np.inf)
    weights: Floats = np.exp(finite - finite.max())
    weights /= weights.sum()
    return weights
