"""Sensor faults, applied to values before rows are made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from pipeline.records import CHANNEL_NAMES
from sim.arrays import Floats
from sim.model.faults.occurrence import Occurrence
from sim.model.machine.sensor import SENSORS, steps

UNIT_DECIMALS: Final = 4
"""Decimals of a reading in another unit: so fine that a healthy sensor repeats no value."""


def inject(occurrences: Sequence[Occurrence], values: Floats, first: int, step_s: float) -> None:
    """Apply sensor faults in place, in order.

    `values` (channels, turbines, samples) begins at sample `first`, with a sample every `step_s`.
    """
    last = first + values.shape[2]
    for event in occurrences:
        if (
            event.channel is None
            or event.target != "sensor"
            or event.first >= last
            or event.last <= first
        ):
            continue
        low, high = max(event.first, first), min(event.last, last)
        readings = values[
            CHANNEL_NAMES.index(event.channel), event.turbine, low - first : high - first
        ]
        before = readings.copy()
        resolved = steps(SENSORS[event.channel], step_s)
        readings[:] = READINGS[event.kind](event, before, low, resolved)
        changed = (readings != before) & ~(np.isnan(readings) & np.isnan(before))
        event.altered[low - event.first : high - event.first] = changed


def _nothing(event: Occurrence, before: Floats, low: int, resolved: int) -> Floats:
    return np.full(len(before), np.nan)


def _frozen(event: Occurrence, before: Floats, low: int, resolved: int) -> Floats:
    if event.value is None:
        event.value = float(before[0])
    return np.full(len(before), event.value)


def _converted(event: Occurrence, before: Floats, low: int, resolved: int) -> Floats:
    assert event.unit is not None
    return np.round(before * event.unit.factor + event.unit.zero, UNIT_DECIMALS) + 0.0


def _shifted(event: Occurrence, before: Floats, low: int, resolved: int) -> Floats:
    return np.rint((before + event.size) * resolved) / resolved + 0.0


def _drifting(event: Occurrence, before: Floats, low: int, resolved: int) -> Floats:
    share = (np.arange(low, low + len(before)) - event.first + 1) / event.full
    return np.rint((before + event.size * share) * resolved) / resolved + 0.0


READINGS: Final[dict[str, Callable[[Occurrence, Floats, int, int], Floats]]] = {
    "sensor.stuck": _frozen,
    "sensor.dropout": _nothing,
    "sensor.spike": _shifted,
    "sensor.drift": _drifting,
    "sensor.bias": _shifted,
    "sensor.sentinel": _frozen,
    "sensor.unit": _converted,
}
"""The readings of a faulty sensor, by kind: function(event, before, low, resolved).

before: the healthy readings, shape (samples,), from sample `low` on. resolved: the sensor's
resolution, in steps per unit.
"""
