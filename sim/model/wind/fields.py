"""Gaussian fields of the weather at one place: sums of octaves with periods from 5.3 h to 28 d.

Octave i has the period SHORTEST_S * 2**i. Weights follow measured spectra: slopes of -3 and -5/3
(Larsen, Vincent and Larsen 2013, Q. J. R. Meteorol. Soc. 139: S = 3e-4 f^-5/3 + 3e-11 f^-3 m2/s)
up to the synoptic peak at some days (Van der Hoven 1957).

Octaves of less than two days are intermittent: their strength is log-normal and follows a slower
field, `spells`. Ramps over hours therefore have tails far heavier than normal ones (DeMarco and
Basu 2018, Wind Energy 21). Numbers without a source are ours.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sim.arrays import Floats
from sim.model.wind.octaves import Octave, Place, series
from sim.units import DAY_S

SHORTEST_S: Final = 600.0
FIRST, LAST = 5, 12  # octaves of the weather; faster ones are the mesoscale's (`wind`)
SYNOPTIC: Final = 8  # octave of 1.8 days; it and slower ones make pressure and air masses
CLOUD: Final = range(5, 10)  # 5 h to 4 days
INTERMITTENT: Final = range(5, 9)  # 5 h to 1.8 days
SPELLS: Final = {9: 1.0, 10: 1.0}  # 3.6 and 7.1 days: unsettled and quiet days
LIVELINESS: Final = 0.4  # std of the logarithm of an intermittent octave's strength
LIVELIEST: Final = 2.0  # upper bound of `spells`, in its standard deviations
FRONTAL: Final = {8: 0.45, 9: 0.75, 10: 0.48}  # amplitudes of 1.8, 3.6 and 7.1 days
WESTERLIES, TRADES = 11.0, -5.0  # m/s eastward: steering of mid latitudes and of the tropics
TROPICS_DEG: Final = 20.0  # latitude below which the trades steer
TRANSITION_DEG: Final = 18.0  # from there to the latitude at which the westerlies steer
SYNOPTIC_M: Final = 600e3  # upper bound of a pattern's correlation length
PERIOD_TO_LENGTH: Final = 4.44  # sqrt(2) pi: drift makes half of an octave's squared frequency
INERTIAL, ENSTROPHY = 3e-4, 3e-11  # m2/s^(5/3) and m2/s^3 (Larsen et al. 2013)
PEAK_S: Final = 4.5 * DAY_S  # synoptic peak
FALL: Final = 2.6  # exponent of the fall beyond the peak


def energy(period_s: float) -> float:
    """Relative variance of the octave of a period: spectrum times frequency."""
    measured: float = (INERTIAL * period_s ** (2 / 3) + ENSTROPHY * period_s**2) / (
        1.0 + (period_s / PEAK_S) ** FALL
    )
    return measured


def steering(latitude: float) -> float:
    """Eastward drift of weather patterns in m/s at a latitude in degrees."""
    westerly = min(max((abs(latitude) - TROPICS_DEG) / TRANSITION_DEG, 0.0), 1.0)
    return TRADES + (WESTERLIES - TRADES) * westerly**2 * (3.0 - 2.0 * westerly)


def fields(seed: int, place: Place, drift_m_s: float, seconds: Floats) -> dict[str, Floats]:
    """Normal fields of unit variance at a place, by name, (times,) each.

    Names: `east` and `north` (flow), `front`, `pressure`, `airmass`, `unrest` (changes of
    turbulence and humidity), `cloud`, `spells` (unsettled and quiet days). `seconds`: UTC since
    1970. `drift_m_s`: eastward steering, see `steering`.
    """
    octaves = range(FIRST, LAST + 1)
    spectrum = {i: energy(SHORTEST_S * 2.0**i) for i in octaves}
    slow = {i: spectrum[i] for i in octaves if i >= SYNOPTIC}
    fast = {i: 1.0 for i in octaves if i <= SYNOPTIC}
    front = {i: w**2 for i, w in FRONTAL.items()}
    shares = {
        "east": spectrum,
        "north": spectrum,
        "front": front,
        "pressure": slow,
        "airmass": slow,
        "unrest": fast,
        "cloud": dict.fromkeys(CLOUD, 1.0),
        "spells": SPELLS,
    }
    total = {name: np.zeros_like(seconds) for name in shares}
    for i in reversed(octaves):  # slow octaves first: `spells` sets the strength of fast ones
        names = tuple(name for name, share in shares.items() if i in share)
        period = SHORTEST_S * 2.0**i
        octave = Octave(i, period, min(WESTERLIES * period / PERIOD_TO_LENGTH, SYNOPTIC_M))
        drift = max(min(drift_m_s, octave.steering), -octave.steering)
        found = series(seed, "weather", octave, names, place, seconds, (drift, 0.0))
        if i in INTERMITTENT:
            found[:, :2] *= np.exp(
                LIVELINESS * np.minimum(total["spells"], LIVELIEST) - LIVELINESS**2
            )[:, None]
        for column, name in enumerate(names):
            weight = math.sqrt(shares[name][i] / sum(shares[name].values()))
            total[name] += weight * found[:, column]
    return total
