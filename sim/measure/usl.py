"""The Universal Scalability Law, fitted to a closed sweep.

    X(N) = lambda N / (1 + alpha (N - 1) + beta N (N - 1))

- lambda: throughput of one user.
- alpha, 0 to 1: contention, a queue for something shared.
- beta: coherency, work that grows with every pair of users.

With beta > 0 throughput peaks at N* = sqrt((1 - alpha) / beta) and falls after it. With beta = 0
there is no peak, and throughput tends to lambda / alpha. N. J. Gunther, Guerrilla Capacity
Planning, Springer 2007, ch. 4-6.

Method: least squares of relative residuals (noise grows with throughput) by Levenberg and Marquardt
within the bounds, started from the quadratic form of N / X. Intervals: parametric bootstrap with
relative normal noise around the fitted curve. The noise is the larger of the levels' own scatter
and the residuals of the fit. All samples are fitted at once.

Claims are made only where the data support them:

- The interval of beta touches 0: no peak is claimed. The asymptote is lambda / alpha of a fit with
  beta = 0, unless the interval of that alpha touches 0 too. Then no limit was seen.
- It does not touch 0: a peak is claimed only if throughput was seen to fall below its best level,
  or if the law fits within the errors of the levels (`sound`). The curve of a queue with a single
  server bends more sharply than the law can, and the fit would mistake that bend for a coming fall.

Not covered: think time, and loads that change while a level runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sim.arrays import Floats
from sim.seeds import rng

POINTS_MIN: Final = 4
SAMPLES: Final = 1_000
_ROUNDS: Final = 60
_PATIENCE: Final = 4  # rounds without progress in any row; each raises the damping, which may help
_SMALL: Final = 1e-7
_ZERO: Final = 1e-9  # a parameter below is at its bound
_CONFIDENCE: Final = 0.95
_EXACT: Final = 1e-6  # relative; the limit of the arithmetic
_FAR: Final = 1e6  # users; stands for "never"
FLAT: Final = 0.05
"""A level within this share of the best level counts as equal to it."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """A fit of `lambda_` (per second), `alpha` and `beta`, and the results that follow from it.

    A result that the data do not support is None. r2: coefficient of determination of the
    throughputs. sound: the residuals are no larger than the levels' own errors explain.
    """

    lambda_: Interval
    alpha: Interval
    beta: Interval
    peak_users: Interval | None
    peak_per_s: Interval | None
    asymptote_per_s: Interval | None
    r2: float
    sound: bool

    def throughput(self, users: npt.ArrayLike) -> Floats:
        """Return the fitted curve, per second."""
        params = np.array([[self.lambda_.value, self.alpha.value, self.beta.value]])
        curve: Floats = _model(np.asarray(users, dtype=np.float64), params)[0]
        return curve


def fit(users: npt.ArrayLike, throughput: npt.ArrayLike, error: npt.ArrayLike, seed: int) -> Fit:
    """Fit levels of `users` (n,) with `throughput` (n,) and its standard `error` (n,), per second.

    Raises ValueError with fewer than POINTS_MIN different levels, or a throughput that is not
    positive.
    """
    n, x, se = (np.asarray(values, dtype=np.float64) for values in (users, throughput, error))
    if len(np.unique(n)) < POINTS_MIN or len(n) != len(x):
        raise ValueError(
            f"a fit of three parameters needs at least {POINTS_MIN} levels, got {len(np.unique(n))}"
        )
    if not (np.all(x > 0) and np.all(n >= 1)):
        raise ValueError("every level must have a user and a throughput of more than 0")
    best, samples = _with_samples(n, x, se, seed, coherent=True)
    lambda_, alpha, beta = (_interval(best[0, i], samples[:, i]) for i in range(3))
    peak_users = peak_per_s = asymptote = None
    curve = _model(n, best)[0]
    sound = _fits(x, curve, se)
    if beta.low > _ZERO and alpha.value < 1 and (sound or _falls(n, x, se)):
        (at_best, top_best), (at, top) = _peak(best), _peak(samples)
        peak_users, peak_per_s = _interval(at_best[0], at), _interval(top_best[0], top)
    elif beta.low <= _ZERO:
        limited, samples = _with_samples(n, x, se, seed, coherent=False)
        if np.quantile(samples[:, 1], (1 - _CONFIDENCE) / 2) > _ZERO:
            asymptote = _interval(
                limited[0, 0] / limited[0, 1], samples[:, 0] / np.maximum(samples[:, 1], _ZERO)
            )
    r2 = 1 - float(np.sum((x - curve) ** 2) / max(np.sum((x - x.mean()) ** 2), 1e-300))
    return Fit(lambda_, alpha, beta, peak_users, peak_per_s, asymptote, r2, sound)


def saturation(users: npt.ArrayLike, throughput: npt.ArrayLike) -> float:
    """Return the fewest users whose throughput is within FLAT of the best level's."""
    n, x = np.asarray(users, dtype=np.float64), np.asarray(throughput, dtype=np.float64)
    return float(n[x >= (1 - FLAT) * x.max()].min())


def _model(n: Floats, params: Floats) -> Floats:
    """Return the throughput (b, n) of parameters (b, 3) = lambda, alpha, beta at each of n (n,)."""
    rate, alpha, beta = (params[:, i, None] for i in range(3))
    curve: Floats = rate * n / (1 + alpha * (n - 1) + beta * n * (n - 1))
    return curve


def _with_samples(
    n: Floats, x: Floats, se: Floats, seed: int, coherent: bool
) -> tuple[Floats, Floats]:
    """Return the best parameters (1, 3), and those of draws around their curve (SAMPLES, 3)."""
    best = _solve(n, x[None, :], _start(n, x), coherent)
    curve = _model(n, best)[0]
    spread = np.maximum(se / x, np.sqrt(np.sum((x / curve - 1) ** 2) / (len(n) - 3)))
    noise = rng(seed, "usl", "bootstrap").standard_normal((SAMPLES, len(n)))
    drawn: Floats = np.maximum(curve * (1 + spread * noise), 1e-3 * curve)
    return best, _solve(n, drawn, best, coherent)


def _peak(params: Floats) -> tuple[Floats, Floats]:
    """Return users and throughput (b,) at the peak of each row of parameters (b, 3).

    Without coherency: _FAR, and the limit.
    """
    rate, alpha, beta = params[:, 0], params[:, 1], np.maximum(params[:, 2], 1e-300)
    users = np.maximum(np.sqrt((1 - alpha) / beta), 1.0)
    per_user = (1 - alpha) / users + alpha + beta * (users - 1)  # the denominator over N
    at: Floats = np.where(params[:, 2] > _ZERO, users, _FAR)
    return at, rate / np.maximum(per_user, 1e-12)


def _falls(n: Floats, x: Floats, se: Floats) -> bool:
    """Return True if throughput falls at the end.

    The level with the most users must be below the best one by more than FLAT and three standard
    errors.
    """
    last, best = int(np.argmax(n)), int(np.argmax(x))
    return bool(x[best] - x[last] > max(FLAT * x[best], 3 * np.hypot(se[best], se[last])))


def _fits(x: Floats, curve: Floats, se: Floats) -> bool:
    """Return True if the residuals are at most twice as large as the levels' own errors explain."""
    left = np.sqrt(np.sum((x / curve - 1) ** 2) / (len(x) - 3))
    return bool(left <= max(2 * np.sqrt(np.mean((se / x) ** 2)), _EXACT))


def _solve(n: Floats, x: Floats, start: Floats, coherent: bool) -> Floats:
    """Fit parameters (b, 3) to each row of throughputs (b, n), independently of each other.

    Projected Levenberg-Marquardt from `start`. If not `coherent`, beta stays 0.
    """
    params: Floats = np.repeat(
        start * np.array([1.0, 1.0, float(coherent)]), len(x) // len(start), axis=0
    )
    damping = np.full(len(x), 1e-3)
    cost, stalled = _cost(n, x, params), 0
    for _ in range(_ROUNDS):
        curve = _model(n, params)
        below = n / curve * params[:, :1]  # the denominator
        jacobian = np.stack(
            (curve / params[:, :1], -curve * (n - 1) / below, -curve * n * (n - 1) / below), axis=2
        )
        jacobian = jacobian / x[:, :, None]
        left = (x - curve) / x
        gradient = np.einsum("bnp,bn->bp", jacobian, left)
        stuck = ((params[:, 1:] <= _LOW) & (gradient[:, 1:] < 0)) | (
            (params[:, 1:] >= _HIGH) & (gradient[:, 1:] > 0)
        )
        free = np.concatenate((np.ones((len(x), 1)), ~stuck), axis=1) * np.array(
            [1.0, 1.0, float(coherent)]
        )
        jacobian = jacobian * free[:, None, :]
        normal = np.einsum("bnp,bnq->bpq", jacobian, jacobian)
        scale = np.einsum("bpp->bp", normal)
        normal += np.einsum("bp,pq->bpq", damping[:, None] * scale + (scale == 0), np.eye(3))
        step = np.linalg.solve(normal, (gradient * free)[:, :, None])[:, :, 0]
        tried = _bounded(params + step)
        tried_cost = _cost(n, x, tried)
        better = tried_cost < cost
        if not np.any(cost - tried_cost > _SMALL * cost):
            stalled += 1
            if stalled == _PATIENCE:
                break
        else:
            stalled = 0
        params = np.where(better[:, None], tried, params)
        cost = np.where(better, tried_cost, cost)
        damping = np.clip(np.where(better, damping / 4, damping * 4), 1e-12, 1e6)
    return params


_LOW: Final = np.array([0.0, 0.0])
_HIGH: Final = np.array([1.0, 1.0])


def _start(n: Floats, x: Floats) -> Floats:
    """Return start values (1, 3) from Gunther's quadratic.

    N / X = (1 + alpha (N - 1) + beta N (N - 1)) / lambda is linear in three unknowns.
    """
    # relative residuals again
    columns = np.stack((np.ones_like(n), n - 1, n * (n - 1)), axis=1) * (x / n)[:, None]
    inverse, alpha, beta = np.linalg.lstsq(columns, np.ones_like(x), rcond=None)[0]
    if inverse <= 0:
        return np.array([[float((x / n).max()), 0.0, 0.0]])
    return _bounded(np.array([[1 / inverse, alpha / inverse, beta / inverse]]))


def _bounded(params: Floats) -> Floats:
    out = params.copy()
    out[:, 0] = np.maximum(out[:, 0], 1e-12)
    out[:, 1:] = np.clip(out[:, 1:], _LOW, _HIGH)
    return out


def _cost(n: Floats, x: Floats, params: Floats) -> Floats:
    total: Floats = np.sum(((x - _model(n, params)) / x) ** 2, axis=1)
    return total


def _interval(value: float, samples: Floats) -> Interval:
    edge = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(samples, (edge, 1 - edge))
    return Interval(float(value), float(min(low, value)), float(max(high, value)))
