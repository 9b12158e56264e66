"""Turbulence at every turbine, seconds to minutes: Gaussian, Kaimal spectrum, means over steps.

- Spectrum: IEC 61400-1 (ed. 3, eq. B.14 and table B.1: longitudinal scale 8.1 * 42 m above 60 m),
  approximated by a sum of first-order (Ornstein-Uhlenbeck) processes. Each is a constant factor
  shorter than the one before, with a variance that goes with length**(2/3). Their sum falls as
  f**(-5/3) between the longest and the shortest.
- Memory (time constant): length over wind speed, so gusts are shorter in strong wind.
- Steps: the mean of such a process over a step h is an ARMA(1, 1) process with known coefficients
  (`averaged`). Samples of 1 s and of 30 s therefore show the same turbulence. The variance that a
  step averages away is returned too.
- Processes whose memory is shorter than a step share one white noise.

Turbulence of different turbines is independent; they share only slower changes (`wind`).
"""

from __future__ import annotations

import numpy as np

from sim import seeds
from sim.arrays import Floats

LENGTHS_M = (190.0, 38.0, 7.6)
USUAL = 8.0  # m/s, the wind for which it is decided which processes a step resolves
FORGOTTEN = 4.0  # step over memory above which a process is white noise
SLOWEST = 0.5  # m/s, lower bound of the wind that gives memories


def averaged(step: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """(variance, phi, theta, s) of the mean over steps of a unit Ornstein-Uhlenbeck process.

    `step` = h / memory. The mean is m[t] = phi m[t-1] + s (e[t] + theta e[t-1]). The coefficients
    follow from its autocovariance: variance 2 (a - 1 + e^-a) / a^2, at lag 1 (1 - e^-a)^2 / a^2,
    then falling by e^-a a step.
    """
    small = step < 1e-3
    a = np.maximum(step, 1e-3)
    keep = np.exp(-a)
    variance = np.where(small, 1.0 - step / 3.0, 2.0 * (a - 1.0 + keep) / a**2)
    phi = np.exp(-step)
    lag1 = np.where(small, variance * phi, (1.0 - keep) ** 2 / a**2)
    r0 = (1.0 + phi**2) * variance - 2.0 * phi * lag1
    rho = np.clip((lag1 - phi * variance) / r0, 0.0, 0.4999)
    theta = np.where(
        rho > 1e-6, (1.0 - np.sqrt(1.0 - 4.0 * rho**2)) / np.maximum(2.0 * rho, 1e-9), rho
    )
    return variance, phi, theta, np.sqrt(r0 / (1.0 + theta**2))


class Turbulence:
    """Unit turbulence of a farm's `turbines` in steps of `h` s.

    Pages must be requested in order.
    """

    def __init__(
        self,
        turbines: range,
        h: float,
        seed: int,
        *path: str | int,
        lengths_m: tuple[float, ...] = LENGTHS_M,
    ) -> None:
        self.turbines, self.h, self.seed, self.path = turbines, h, seed, path
        lengths = np.array(lengths_m)
        shares = lengths ** (2 / 3) / (lengths ** (2 / 3)).sum()
        whole = h * USUAL / lengths < FORGOTTEN
        self._kinds = list(zip(lengths[whole].tolist(), shares[whole].tolist(), strict=True))
        self._white = list(zip(lengths[~whole].tolist(), shares[~whole].tolist(), strict=True))
        self._carry = [
            seeds.normals(turbines, 2, seed, *path, "start", kind)
            for kind in range(len(self._kinds))
        ]

    def page(self, index: int, wind: Floats) -> tuple[Floats, Floats]:
        """(unit turbulence, variance within the step) for the mean `wind` (steps,) in m/s.

        Turbulence is the mean over each step, (steps, turbines); the variance is (steps,).
        """
        steps = len(wind)
        rate = self.h * np.maximum(wind, SLOWEST)
        total = np.zeros((steps, len(self.turbines)))
        within = np.zeros(steps)
        spare = np.empty_like(total)
        for kind, (length, share) in enumerate(self._kinds):
            variance, phi, theta, scale = averaged(rate / length)
            part = self._draw(index, kind, steps)
            before, state = self._carry[kind]
            after = part[-1].copy()
            np.multiply(part[:-1], theta[1:, None], out=spare[1:])
            np.multiply(before, theta[0], out=spare[0])
            part += spare
            part *= (scale * np.sqrt(share))[:, None]
            carried = np.empty_like(state)
            for row, keep in zip(part, phi.tolist(), strict=True):
                np.multiply(state, keep, out=carried)
                row += carried
                state = row
            self._carry[kind] = np.stack([after, state])
            total += part
            within += (1.0 - variance) * share
        if self._white:
            kept = np.zeros(steps)
            for length, share in self._white:
                kept += averaged(rate / length)[0] * share
                within += share
            within -= kept
            part = self._draw(index, len(self._kinds), steps)
            part *= np.sqrt(kept)[:, None]
            total += part
        return total, within

    def _draw(self, index: int, kind: int, steps: int) -> Floats:
        return seeds.normals(self.turbines, steps, self.seed, *self.path, index, kind)
