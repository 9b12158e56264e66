"""Turbulence at every turbine, seconds to minutes: Gaussian, with a Kaimal spectrum, averaged exactly over the step.

The spectrum of IEC 61400-1 (ed. 3, eq. B.14 and table B.1: longitudinal scale 8.1 * 42 m above 60 m) is met by a sum of
first-order (Ornstein-Uhlenbeck) processes with lengths a factor apart and variances as length**(2/3), which between the
longest and the shortest falls as f**(-5/3). Memory is length over wind speed, so gusts are shorter in strong wind.
The mean of such a process over a step h is an ARMA(1, 1) process with known coefficients (`averaged`), so samples of
1 s and of 30 s tell of the same turbulence; the variance that a step averages away is handed on. Processes that forget
themselves within a step share one white noise. Turbines are independent: what neighbours share is slower and `wind`'s.
"""

from __future__ import annotations

import numpy as np

from sim import seeds
from sim.model.noise import Array

LENGTHS_M = np.array([190.0, 48.0, 12.0, 3.0])
SHARES = LENGTHS_M ** (2 / 3) / (LENGTHS_M ** (2 / 3)).sum()
USUAL = 8.0  # m/s, to judge what a step resolves
FORGOTTEN = 4.0  # step over memory from which a process is white
SLOWEST = 0.5  # m/s, for memories


def averaged(step: Array) -> tuple[Array, Array, Array, Array]:
    """Of the mean over steps of a unit Ornstein-Uhlenbeck process, `step` = h / memory: (variance, phi, theta, s) with
    m[t] = phi m[t-1] + s (e[t] + theta e[t-1]). From its autocovariance: variance 2 (a - 1 + e^-a) / a^2, at lag 1
    (1 - e^-a)^2 / a^2, then falling by e^-a a step."""
    small = step < 1e-3
    a = np.maximum(step, 1e-3)
    keep = np.exp(-a)
    variance = np.where(small, 1.0 - step / 3.0, 2.0 * (a - 1.0 + keep) / a**2)
    phi = np.exp(-step)
    lag1 = np.where(small, variance * phi, (1.0 - keep) ** 2 / a**2)
    r0 = (1.0 + phi**2) * variance - 2.0 * phi * lag1
    rho = np.clip((lag1 - phi * variance) / r0, 0.0, 0.4999)
    theta = np.where(rho > 1e-6, (1.0 - np.sqrt(1.0 - 4.0 * rho**2)) / np.maximum(2.0 * rho, 1e-9), rho)
    return variance, phi, theta, np.sqrt(r0 / (1.0 + theta**2))


class Turbulence:
    """Unit turbulence of `count` points, steps of `h` s; pages in order, each with a generator of its own."""

    def __init__(self, count: int, h: float, seed: int, *path: str | int) -> None:
        self.count, self.h, self.seed, self.path = count, h, seed, path
        whole = h * USUAL / LENGTHS_M < FORGOTTEN
        self._lengths, self._shares, self._rest = LENGTHS_M[whole], SHARES[whole], ~whole
        self._carry: tuple[Array, Array] | None = None

    def page(self, index: int, wind: Array) -> tuple[Array, Array]:
        """(unit turbulence averaged over each step (steps, count), variance within the step (steps,)) for the mean wind
        (steps,) m/s."""
        steps, kinds = len(wind), len(self._lengths)
        rest = bool(self._rest.any())
        draw = seeds.rng(self.seed, *self.path, index)
        white = draw.standard_normal((steps, kinds + rest, self.count))
        rate = self.h * np.maximum(wind, SLOWEST)
        variance, phi, theta, scale = averaged(rate[:, None] / self._lengths)
        if self._carry is None:
            begin = seeds.rng(self.seed, *self.path).standard_normal((2, kinds, self.count))
            self._carry = begin[0] * np.sqrt(variance[0])[:, None], np.zeros_like(begin[1])
        state, before = self._carry
        amplitude = np.sqrt(self._shares)
        total = np.zeros((steps, self.count))
        for kind in range(kinds):
            part = white[:, kind]
            shifted = np.concatenate([before[kind, None], part[:-1]])
            shifted *= theta[:, kind, None]
            shifted += part
            shifted *= scale[:, kind, None]
            keep, row = phi[:, kind], state[kind]
            carried = np.empty_like(row)
            for t in range(steps):
                np.multiply(row, keep[t], out=carried)
                row = shifted[t]
                row += carried
            state[kind], before[kind] = row, part[-1]
            shifted *= amplitude[kind]
            total += shifted
        within = ((1.0 - variance) * self._shares).sum(axis=1)
        if rest:
            left = averaged(rate[:, None] / LENGTHS_M[self._rest])[0]
            kept = (left * SHARES[self._rest]).sum(axis=1)
            part = white[:, -1]
            part *= np.sqrt(kept)[:, None]
            total += part
            within += SHARES[self._rest].sum() - kept
        return total, within
