"""Sensor faults, applied to values before rows are made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.records import CHANNEL_NAMES
from sim.arrays import Floats
from sim.model.faults.occurrence import Occurrence
from sim.model.machine.sensor import SENSORS, steps

# decimals of a reading in another unit: so fine that a healthy sensor does not repeat a value
UNIT_DECIMALS = 4


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
        readings[:] = _reading(event, steps(SENSORS[event.channel], step_s), before, low)
        changed = (readings != before) & ~(np.isnan(readings) & np.isnan(before))
        event.altered[low - event.first : high - event.first] = changed


def _reading(event: Occurrence, resolved: int, before: Floats, low: int) -> Floats:
    """Return the readings of a faulty sensor in place of `before`, which begins at sample `low`.

    Both are (samples,). `resolved`: the sensor's resolution, in steps per unit.
    """
    if event.kind == "sensor.dropout":
        return np.full(len(before), np.nan)
    if event.kind in ("sensor.stuck", "sensor.sentinel"):
        if event.value is None:
            event.value = float(before[0])
        return np.full(len(before), event.value)
    if event.unit is not None:
        return np.asarray(
            np.round(before * event.unit.factor + event.unit.zero, UNIT_DECIMALS) + 0.0
        )
    share = (
        (np.arange(low, low + len(before)) - event.first + 1) / event.full
        if event.kind == "sensor.drift"
        else 1.0
    )
    return np.asarray(np.rint((before + event.size * share) * resolved) / resolved + 0.0)
