"""Schedule of data faults: every occurrence in a run, drawn before it begins.

Each is a function of (seed, position of the fault in the scenario, turbine). A fault of a whole
farm is a function of the farm: all its turbines have the same time, channel and size. Clock changes
of local time are not drawn; they follow the calendar of the farm's time zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from pipeline.records import CHANNELS
from sim import seeds
from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.faults.catalogue import KINDS, NEW_CHANNELS, DataFault
from sim.model.faults.clock_changes import clock_changes
from sim.model.faults.occurrence import Occurrence
from sim.model.faults.poison import CHANNEL, EXTREMES, POISONS
from sim.model.faults.units import OTHER_UNITS
from sim.model.machine.sensor import SENSORS

SPIKE_SAMPLES: Final = 3
SIZE: Final = {
    "sensor.spike": (0.25, 0.75),
    "sensor.drift": (0.02, 0.1),
    "sensor.bias": (0.02, 0.1),
}
"""Bounds of the drawn size, in shares of the channel's span."""
SPAN: Final = {c.name: c.high - c.low for c in CHANNELS}
UNITS: Final = {c.name: OTHER_UNITS[c.unit] for c in CHANNELS if c.unit in OTHER_UNITS}
SENTINELS: Final = (-273.2, 999.9, 9999.0, -999.0, 0.0)
EXTREMES_APART: Final = 5
"""Offset in EXTREMES between the first values of neighbouring turbines."""


def schedule(
    part: FarmPart, clock: SimClock, seed: int, faults: Sequence[DataFault]
) -> list[Occurrence]:
    """Every occurrence in the run at a part's turbines, in order of first sample."""
    farm, ids = part.farm, part.turbine_ids
    occurrences: list[Occurrence] = []
    for place, fault in enumerate(faults):
        if fault.farms and farm.farm_id not in fault.farms:
            continue
        if KINDS[fault.kind].by_calendar:
            occurrences += _by_calendar(part, clock, seed, place, fault)
        elif fault.whole_farm:
            draw = seeds.rng(seed, "data-fault", place, "farm", farm.farm_id)
            for number in range(draw.poisson(fault.rate_per_day * clock.days)):
                five = draw.random(5)
                for turbine, turbine_id in enumerate(ids):
                    path = (seed, place, turbine_id, number)
                    occurrences.append(_occurrence(fault, part, turbine, clock, five, path))
        else:
            for turbine, turbine_id in enumerate(ids):
                draw = seeds.rng(seed, "data-fault", place, turbine_id)
                for number in range(draw.poisson(fault.rate_per_day * clock.days)):
                    path, five = (seed, place, turbine_id, number), draw.random(5)
                    occurrences.append(_occurrence(fault, part, turbine, clock, five, path))
    return sorted(occurrences, key=lambda each: each.first)


def _by_calendar(
    part: FarmPart, clock: SimClock, seed: int, place: int, fault: DataFault
) -> Iterator[Occurrence]:
    samples = _samples(fault, clock, 0.0)
    for when, change_us in clock_changes(part.farm.time_zone, clock.start_us, clock.end_us):
        first = -(-(when - clock.start_us) // clock.sample_us)
        for turbine, turbine_id in enumerate(part.turbine_ids):
            affected = (
                fault.share == 1.0
                or seeds.rng(seed, "data-fault", place, turbine_id).random() < fault.share
            )
            if affected and first < clock.samples:
                yield Occurrence(
                    fault.kind,
                    turbine,
                    None,
                    first,
                    min(first + samples, clock.samples),
                    full=samples,
                    by_us=change_us,
                )


def _samples(fault: DataFault, clock: SimClock, length: float) -> int:
    """Number of samples of one occurrence; `length` is a draw from [0, 1)."""
    kind = KINDS[fault.kind]
    if fault.duration_s is not None:
        return max(1, round(fault.duration_s / clock.step_s))
    if fault.kind == "sensor.spike":
        return 1 + int(length * SPIKE_SAMPLES)
    return max(kind.least, round((kind.duration_s or 0.0) / clock.step_s))


def _occurrence(
    fault: DataFault,
    part: FarmPart,
    turbine: int,
    clock: SimClock,
    five: Floats,
    path: tuple[int, int, str, int],
) -> Occurrence:
    """One occurrence at a turbine of the part, from `five` random numbers in [0, 1).

    Further numbers come from a random stream of its own, named by `path`.
    """
    kind = KINDS[fault.kind]
    channels = fault.channels or kind.channels
    start, which, sign, size, length = five.tolist()
    first = int(start * clock.samples)
    channel = channels[int(which * len(channels))] if channels else None
    samples = _samples(fault, clock, length)
    event = Occurrence(
        fault.kind, turbine, channel, first, min(first + samples, clock.samples), full=samples
    )
    if kind.target == "file":  # lasts to the end of the run
        event.last = clock.samples
        if fault.kind == "schema.added":
            event.channel = NEW_CHANNELS[int(which * len(NEW_CHANNELS))]
    upwards = 1.0 if sign < 0.5 else -1.0
    if kind.target == "sensor" and channel is not None:
        event.altered = np.zeros(event.last - event.first, dtype=np.bool_)
        if fault.kind in SIZE:
            low, high = SIZE[fault.kind]
            step = SENSORS[channel].steps
            event.size = round((low + size * (high - low)) * upwards * SPAN[channel] * step) / step
        elif fault.kind == "sensor.sentinel":
            event.value = SENTINELS[int(size * len(SENTINELS))]
        elif fault.kind == "sensor.unit":
            event.unit = UNITS[channel][int(size * len(UNITS[channel]))]
    elif fault.kind == "row.poisoned":
        sorts = [poison for poison in POISONS if poison.column == CHANNEL or not fault.channels]
        event.poison = sorts[int(size * len(sorts))]
        event.channel = channel if event.poison.column == CHANNEL else event.poison.column
    elif fault.kind == "row.extreme":  # in turn, so that a few rows cover them all
        at = path[-1] + EXTREMES_APART * part.indices[turbine]
        event.poison = EXTREMES[at % len(EXTREMES)]
        event.channel = event.poison.column
    if kind.delay_s is not None:
        event.delay_us = round((kind.delay_s if fault.delay_s is None else fault.delay_s) * 1e6)
    if fault.kind == "row.out-of-order":
        seed, place, turbine_id, number = path
        draw = seeds.rng(seed, "data-fault", place, turbine_id, "order", number)
        event.order_us = draw.integers(0, event.delay_us, event.last - event.first)
    if kind.by_s is not None:
        low, high = kind.by_s
        # log-uniform: as many errors of seconds as of minutes
        drawn = low * (high / low) ** size * upwards
        event.by_us = round((round(drawn, 3) if fault.by_s is None else fault.by_s) * 1e6)
    return event
