"""Faults of the data: broken sensors, late and doubled rows. Injected on purpose, and written down row by row.

They are part of the data: the lake must show them (in quarantine, or as revised windows), whatever happens to delivery.
When they strike is a function of (seed, fault's place in the scenario, turbine). Truth says what was really altered: a
stuck sensor of a machine at rest that reads the same 0 as before alters nothing, and its `rows` is 0.

Sensor faults change values here; row faults (`row.*`) are carried out by `recorder`, which knows ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.records import CHANNEL_NAMES, CHANNELS
from sim import seeds
from sim.fleet.farm import Farm
from sim.model.clock import SimClock
from sim.model.noise import Array
from sim.model.sensor import SENSORS


@dataclass(frozen=True)
class Kind:
    """How a kind behaves by default: its duration, but no fewer samples than `least`; which channels it may take (none:
    it concerns whole rows); how late (`row.late` only)."""

    duration_s: float
    least: int
    channels: tuple[str, ...] = ()
    delay_s: float = 0.0


KINDS = {
    "sensor.stuck": Kind(300.0, 20, tuple(c.name for c in CHANNELS if c.stuck)),
    "sensor.dropout": Kind(30.0, 1, CHANNEL_NAMES),
    "sensor.spike": Kind(0.0, 1, CHANNEL_NAMES),
    "sensor.drift": Kind(1800.0, 30, CHANNEL_NAMES),
    "row.late": Kind(60.0, 3, delay_s=480.0),
    "row.duplicate": Kind(10.0, 1),
}
SPIKE_SAMPLES = 3
SPIKE_SIZE = (0.25, 0.75)  # of the channel's span
DRIFT_SIZE = (0.02, 0.1)
SPAN = {c.name: c.high - c.low for c in CHANNELS}


@dataclass(frozen=True)
class DataFault:
    """One fault of a scenario. Empty `channels` and `farms` mean all that apply; None means the kind's default."""

    kind: str
    rate_per_turbine_day: float
    channels: tuple[str, ...] = ()
    duration_s: float | None = None
    delay_s: float | None = None
    farms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown data fault '{self.kind}'; known: {', '.join(KINDS)}")
        allowed = KINDS[self.kind].channels
        for channel in self.channels:
            if channel not in allowed:
                takes = ", ".join(allowed) if allowed else "no channels"
                raise ValueError(f"{self.kind} does not take channel '{channel}'; it takes {takes}")


@dataclass(eq=False)
class Event:
    """One occurrence: a turbine's samples first..last-1. `altered` marks the samples really changed (sensor faults);
    ids and rows are filled in as the rows are recorded."""

    kind: str
    turbine: int
    channel: str | None
    first: int
    last: int
    size: float = 0.0  # spike, drift: change in the channel's unit (a drift reaches it at its end)
    full: int = 0  # drift: samples the whole fault would take, were the run long enough
    delay_us: int = 0
    held: float | None = None  # stuck: the value
    altered: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    first_id: int | None = None
    last_id: int | None = None
    rows: int = 0
    unrecorded: int = 0

    def recorded(self, ids: npt.NDArray[np.int64]) -> None:
        """Note rows that carry this fault; ids ascending."""
        if len(ids):
            self.first_id = int(ids[0]) if self.first_id is None else min(self.first_id, int(ids[0]))
            self.last_id = int(ids[-1]) if self.last_id is None else max(self.last_id, int(ids[-1]))
            self.rows += len(ids)

    @property
    def detail(self) -> str | None:
        notes = []
        if self.held is not None:
            notes.append(f"held at {self.held:g}")
        if self.size:
            notes.append(f"by {self.size:+g}")
        if self.delay_us:
            notes.append(f"{self.delay_us / 1e6:g} s late")
        if self.unrecorded:
            notes.append(f"{self.unrecorded} rows not recorded before the end of the run")
        return ", ".join(notes) or None


def schedule(farm: Farm, clock: SimClock, seed: int, faults: Sequence[DataFault]) -> list[Event]:
    """Every occurrence in the run, in order of first sample."""
    events: list[Event] = []
    for place, fault in enumerate(faults):
        if not fault.farms or farm.farm_id in fault.farms:
            for turbine, turbine_id in enumerate(farm.turbine_ids):
                draw = seeds.rng(seed, "data-fault", place, turbine_id)
                count = draw.poisson(fault.rate_per_turbine_day * clock.days)
                events.extend(_event(fault, turbine, clock, draw) for _ in range(count))
    return sorted(events, key=lambda event: event.first)


def _event(fault: DataFault, turbine: int, clock: SimClock, draw: np.random.Generator) -> Event:
    kind = KINDS[fault.kind]
    channels = fault.channels or kind.channels
    start, which, sign, size, length = draw.random(5)
    first = int(start * clock.samples)
    channel = channels[int(which * len(channels))] if channels else None
    if fault.duration_s is not None:
        samples = max(1, round(fault.duration_s / clock.step_s))
    elif fault.kind == "sensor.spike":
        samples = 1 + int(length * SPIKE_SAMPLES)
    else:
        samples = max(kind.least, round(kind.duration_s / clock.step_s))
    event = Event(fault.kind, turbine, channel, first, min(first + samples, clock.samples), full=samples)
    if channel is not None:
        event.altered = np.zeros(event.last - event.first, dtype=np.bool_)
        low, high = SPIKE_SIZE if fault.kind == "sensor.spike" else DRIFT_SIZE
        if fault.kind in ("sensor.spike", "sensor.drift"):
            step = SENSORS[channel].steps
            share = (low + size * (high - low)) * (1.0 if sign < 0.5 else -1.0)
            event.size = round(share * SPAN[channel] * step) / step
    if fault.kind == "row.late":
        event.delay_us = round((kind.delay_s if fault.delay_s is None else fault.delay_s) * 1e6)
    return event


def inject(events: Sequence[Event], values: Array, first: int) -> None:
    """Apply sensor faults in place, in order. `values` (channels, turbines, samples) begins at sample `first`."""
    last = first + values.shape[2]
    for event in events:
        if event.channel is None or event.first >= last or event.last <= first:
            continue
        low, high = max(event.first, first), min(event.last, last)
        cells = values[CHANNEL_NAMES.index(event.channel), event.turbine, low - first : high - first]
        before = cells.copy()
        if event.kind == "sensor.dropout":
            cells[:] = np.nan
        elif event.kind == "sensor.stuck":
            if event.held is None:
                event.held = float(cells[0])
            cells[:] = event.held
        else:
            share = 1.0 if event.kind == "sensor.spike" else (np.arange(low, high) - event.first + 1) / event.full
            steps = SENSORS[event.channel].steps
            cells[:] = np.rint((before + event.size * share) * steps) / steps + 0.0
        changed = (cells != before) & ~(np.isnan(cells) & np.isnan(before))
        event.altered[low - event.first : high - event.first] = changed
