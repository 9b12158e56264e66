"""Wrong units in which a sensor may read, by the unit of its channel. Data only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Unit:
    """A wrong unit in which a sensor may read: reading * factor + zero."""

    name: str
    factor: float
    zero: float = 0.0


OTHER_UNITS: Final = {
    "m/s": (Unit("km/h", 3.6), Unit("kn", 3.6 / 1.852), Unit("mph", 3.6 / 1.609344)),
    "deg": (Unit("rad", math.pi / 180),),
    "1/min": (Unit("rad/s", math.pi / 30), Unit("Hz", 1 / 60)),
    "MW": (Unit("kW", 1000.0),),
    "degC": (Unit("degF", 1.8, 32.0), Unit("K", 1.0, 273.15)),
    "mm/s": (Unit("in/s", 1 / 25.4), Unit("um/s", 1000.0)),
}
"""A channel with another unit than these takes no `sensor.unit`."""
