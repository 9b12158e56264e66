"""The model of one farm: wind to machines to sensors to rows, in farm-wide blocks, with the truth of what was injected.

    model = FarmModel(farm, clock, seed, data_faults)
    model.start(env)
    while ...: env.run(until=clock.seconds(last)); block = model.block(first, last)

SimPy owns the operating states (`failure`); everything else is arrays of (samples, turbines). Randomness comes in fixed
pages of samples, and what passes from sample to sample does so one sample at a time; so how the run is cut into blocks
changes nothing, nor does which other farms exist. Data depend on the clock's start and step, and, through the
schedule of data faults, on its length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import simpy

from pipeline.records import CHANNEL_NAMES, STATES
from sim.fleet.farm import Farm
from sim.model.block import Block
from sim.model.clock import SimClock
from sim.model.failure import Outages
from sim.model.faults import DataFault, inject, schedule, truth
from sim.model.noise import Array
from sim.model.recorder import Recorder
from sim.model.sensor import Sensors
from sim.model.thermal import Thermal
from sim.model.turbine import Turbines
from sim.model.vibration import Vibration
from sim.model.wind import Wind, WindPage

_TIME = pa.timestamp("us", tz="UTC")
STATE_LOG = pa.schema(
    [
        pa.field("turbine_id", pa.string()),
        pa.field("state", pa.string()),
        pa.field("from", _TIME),
        pa.field("to", _TIME),
    ]
)


class FarmModel:
    """One farm over one run."""

    def __init__(self, farm: Farm, clock: SimClock, seed: int, data_faults: Sequence[DataFault] = ()) -> None:
        self.farm, self.clock = farm, clock
        self._wind = Wind(farm, clock, seed)
        self._outages = Outages(farm, clock, seed)
        self._turbines = Turbines(farm, seed, clock.step_s)
        self._thermal = Thermal(farm, seed, clock.step_s)
        self._vibration = Vibration(farm, seed)
        self._sensors = Sensors(farm, seed)
        self._events = schedule(farm, clock, seed, data_faults)
        self._recorder = Recorder(farm, clock, seed, self._events)
        self._page: tuple[int, WindPage, Array] | None = None
        self._next = 0
        self._last_status: npt.NDArray[np.int8] | None = None
        self._changes: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int8]]] = []

    def start(self, env: simpy.Environment) -> None:
        """Register the farm's SimPy processes; `env.now` is seconds since the clock's start."""
        self._outages.start(env)

    def block(self, first: int, last: int) -> Block:
        """Samples first..last-1, following on the block before; the environment has reached clock.seconds(last-1)."""
        if first != self._next or not first < last <= self.clock.samples:
            raise ValueError(f"block({first}, {last}) does not follow on sample {self._next} of {self.clock.samples}")
        self._next = last
        values = np.empty((len(CHANNEL_NAMES), self.farm.turbines, last - first))
        status = np.empty((self.farm.turbines, last - first), dtype=np.int8)
        clock_page = self.clock.page
        for low in range(first - first % clock_page, last, clock_page):
            start, stop = max(low, first), min(low + clock_page, last)
            part = slice(start - first, stop - first)
            self._samples(start, stop, values[:, :, part], status[:, part])
        self._log_states(status, first)
        inject(self._events, values, first)
        return self._recorder.record(values, status, first)

    def truth(self) -> pa.Table:
        """What was injected, schema faults.TRUTH; final after the last block."""
        return truth(self._events, self.farm.turbine_ids, self.clock)

    def states(self) -> pa.Table:
        """The operating states as intervals [from, to) by turbine and time, schema STATE_LOG; final at the end."""
        turbine, sample, state = (np.concatenate(parts) for parts in zip(*self._changes, strict=True))
        order = np.lexsort((sample, turbine))
        turbine, sample, state = turbine[order], sample[order], state[order]
        until = np.append(sample[1:], self._next)
        until[np.append(turbine[1:] != turbine[:-1], True)] = self._next
        step, start = self.clock.sample_us, self.clock.start_us
        return pa.table(
            {
                "turbine_id": pa.array(np.array(self.farm.turbine_ids)[turbine]),
                "state": pa.array(np.array(STATES)[state]),
                "from": pa.array(start + sample * step, _TIME),
                "to": pa.array(start + until * step, _TIME),
            },
            schema=STATE_LOG,
        )

    def _samples(self, start: int, stop: int, values: Array, status: npt.NDArray[np.int8]) -> None:
        """Fill (channels, turbines, samples) and (turbines, samples) for samples of one page."""
        index, k = start // self.clock.page, self.clock.inner[0]
        if self._page is None or self._page[0] != index:
            self._page = (index, self._wind.page(index), self._sensors.noise(index))
        _, page, noise = self._page
        at = slice(start - index * self.clock.page, stop - index * self.clock.page)
        means = [each.reshape(-1, k, *each.shape[1:]).mean(axis=1) for each in (page.speed, page.direction)]
        wind, air = means[0][at], page.air.temperature[k - 1 :: k][at]
        down, limit = self._outages.states(start, stop)
        machine = self._turbines.advance(wind, down, limit)
        nacelle, generator, gearbox = self._thermal.advance(air, machine.load, machine.rotor_rpm)
        true = {
            "wind_speed": wind,
            "wind_direction": means[1][at],
            "rotor_rpm": machine.rotor_rpm,
            "blade_pitch": machine.pitch,
            "power_output": machine.power,
            "temperature": nacelle,
            "ambient_temperature": air[:, None],
            "generator_temperature": generator,
            "gearbox_temperature": gearbox,
            "vibration_level": self._vibration.level(machine.rotor_rpm, machine.load),
        }
        for channel, name in enumerate(CHANNEL_NAMES):
            values[channel] = self._sensors.read(name, true[name], noise[channel, at]).T
        status[:] = machine.status.T

    def _log_states(self, status: npt.NDArray[np.int8], first: int) -> None:
        """Note where states change: the truth of `states` is what the status column says."""
        before = np.empty_like(status)
        before[:, 1:] = status[:, :-1]
        before[:, 0] = -1 if self._last_status is None else self._last_status
        turbine, sample = np.nonzero(status != before)
        self._changes.append((turbine, sample + first, status[turbine, sample]))
        self._last_status = status[:, -1].copy()
