"""Formulas of moist and turbulent air, each written once.

Magnus formula, over water: WMO No. 8, Guide to Instruments and Methods of Observation (2008).
Normal turbulence model (NTM): IEC 61400-1 ed. 3, section 6.3.1.3.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.arrays import Floats

MAGNUS_HPA: Final = 6.112
MAGNUS_FACTOR: Final = 17.62
MAGNUS_DEGC: Final = 243.12
NTM_CONSTANT: Final = 0.75  # of the mean standard deviation, Iref (0.75 V + 3.8 m/s)
NTM_SPEED: Final = 3.8  # m/s
NTM_CALM: Final = 3.0  # m/s


def vapour_pressure(celsius: Floats, humidity: Floats | float = 1.0) -> Floats:
    """Partial pressure of water vapour in hPa by the Magnus formula.

    `celsius`: air temperature; `humidity`: relative, 0..1. The default is saturated air.
    """
    exponent = MAGNUS_FACTOR * celsius / (MAGNUS_DEGC + celsius)
    pressure: Floats = np.asarray(humidity * MAGNUS_HPA * np.exp(exponent))
    return pressure


def normal_turbulence(iref: float, speed: Floats) -> Floats:
    """Mean turbulence intensity of the NTM at wind `speed` (m/s), a share of it.

    `iref`: the site's expected intensity at 15 m/s. The NTM grows without bound in a calm;
    measured intensity does not, so below NTM_CALM it stays constant.
    """
    intensity: Floats = iref * (NTM_CONSTANT + NTM_SPEED / np.maximum(speed, NTM_CALM))
    return intensity
