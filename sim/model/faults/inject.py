"""Sensor faults change values before rows are made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.records import CHANNEL_NAMES
from sim.arrays import Floats
from sim.model.faults.occurrence import Occurrence
from sim.model.machine.sensor import SENSORS, steps

# of a reading in another unit: fine enough that a healthy sensor does not repeat itself
UNIT_DECIMALS = 4


def inject(events: Sequence[Occurrence], values: Floats, first: int, step_s: float) -> None:
    """Apply sensor faults in place, in order. `values` (channels, turbines, samples), a sample every `step_s`, begins
    at sample `first`."""
    last = first + values.shape[2]
    for event in events:
        if (
            event.channel is None
            or event.target != "sensor"
            or event.first >= last
            or event.last <= first
        ):
            continue
        low, high = max(event.first, first), min(event.last, last)
        cells = values[
            CHANNEL_NAMES.index(event.channel), event.turbine, low - first : high - first
        ]
        before = cells.copy()
        cells[:] = _reading(event, steps(SENSORS[event.channel], step_s), before, low)
        changed = (cells != before) & ~(np.isnan(cells) & np.isnan(before))
        event.altered[low - event.first : high - event.first] = changed


def _reading(event: Occurrence, resolved: int, before: Floats, low: int) -> Floats:
    """What the sensor, which tells `resolved` steps a unit, says from sample `low` on in place of `before`,
    (samples,)."""
    if event.kind == "sensor.dropout":
        return np.full(len(before), np.nan)
    if event.kind in ("sensor.stuck", "sensor.sentinel"):
        if event.held is None:
            event.held = float(before[0])
        return np.full(len(before), event.held)
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
