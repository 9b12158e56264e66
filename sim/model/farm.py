"""The model of a part of a farm: wind, machines, sensors, rows, the truth of injected faults.

    model = FarmModel(part, clock, seed, data_faults)
    model.start(env)
    while ...: env.run(until=clock.seconds(last)); block = model.block(first, last)

SimPy owns the operating states (`operations`). Everything else is arrays of (inner steps,
turbines). A sample is their mean; a sample's state is the longest (`sample`).

The values do not depend on how a run is cut into blocks or a farm into parts, nor on other farms.
Random numbers are drawn in fixed pages of samples, some for each turbine (`sim.seeds`). Weather,
wakes and operations, which turbines share, are computed again for each part. Slow changes are
computed at fixed ticks, and state passes from one step to the next. With one seed, weather and
operations of a date are the same in every run. The rest depends on the clock's start and step,
and, through the schedule of data faults, on the run's length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import simpy

from pipeline.records import CHANNEL_NAMES, STATES
from sim.arrays import Floats, Indices
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.events import Event
from sim.model.faults.catalogue import DataFault
from sim.model.faults.inject import inject
from sim.model.faults.schedule import schedule
from sim.model.faults.truth import truth
from sim.model.machine.sample import longest, means, steps
from sim.model.machine.sensor import Noise, Sensors
from sim.model.machine.thermal import Thermal
from sim.model.machine.turbine import Turbines
from sim.model.machine.vibration import Vibration
from sim.model.maintenance.operations import Operations
from sim.model.maintenance.orders import WEAR
from sim.model.recording.block import Block
from sim.model.recording.intervals import Intervals
from sim.model.recording.recorder import Recorder
from sim.model.wind.wind import Wind, WindPage

States = npt.NDArray[np.int8]

STEPS_AT_ONCE = 24_000  # steps x turbines computed together: they fit the CPU cache
ICED = 0.1  # ice mass (0..1) that counts as a defect: it costs some per cent of power

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
    """A part of a farm over one run."""

    def __init__(
        self,
        part: FarmPart,
        clock: SimClock,
        seed: int,
        data_faults: Sequence[DataFault] = (),
        events: Sequence[Event] = (),
    ) -> None:
        self.part, self.clock = part, clock
        step_s = clock.inner[1]
        self._wind = Wind(part, clock, seed, events)
        self._operations = Operations(part, clock, seed, events)
        self._turbines = Turbines(part, seed, step_s, clock.start_us / 1e6)
        self._thermal = Thermal(part, seed, step_s)
        self._vibration = Vibration(part, seed, step_s)
        self._sensors = Sensors(part, clock, seed)
        self._injected = schedule(part, clock, seed, data_faults)
        self._recorder = Recorder(part, clock, seed, self._injected)
        self._page: tuple[int, WindPage, Noise] | None = None
        self._next = 0
        self._states, self._iced = Intervals(clock), Intervals(clock)

    def start(self, env: simpy.Environment) -> None:
        """Register the farm's SimPy processes; `env.now` is seconds since the clock's start."""
        self._operations.start(env)

    def block(self, first: int, last: int) -> Block:
        """Return samples first..last-1, which follow the previous block.

        The environment has reached clock.seconds(last-1). Raises ValueError for any other block.
        """
        if first != self._next or not first < last <= self.clock.samples:
            raise ValueError(
                f"block({first}, {last}) does not follow on "
                f"sample {self._next} of {self.clock.samples}"
            )
        self._next = last
        values = np.empty((len(CHANNEL_NAMES), self.part.turbines, last - first))
        status = np.empty((self.part.turbines, last - first), dtype=np.int8)
        iced = np.empty_like(status)
        page = self.clock.page
        for low in range(first - first % page, last, page):
            start, stop = max(low, first), min(low + page, last)
            here = slice(start - first, stop - first)
            self._samples(start, stop, values[:, :, here], status[:, here], iced[:, here])
        self._states.note(status, first)
        self._iced.note(iced, first)
        inject(self._injected, values, first, self.clock.step_s)
        return self._recorder.record(values, status, first)

    def truth(self) -> pa.Table:
        """The injected faults, schema faults.TRUTH; final after the last block."""
        return truth(self._injected, self.part.turbine_ids, self.clock)

    def states(self) -> pa.Table:
        """Operating states as intervals [from, to) by turbine and time, schema STATE_LOG.

        Final after the last block.
        """
        intervals = self._states.table()
        return pa.table(
            {
                "turbine_id": self._ids(intervals["turbine"]),
                "state": pa.array(np.array(STATES)[intervals["value"]]),
                "from": pa.array(intervals["from"], _TIME),
                "to": pa.array(intervals["to"], _TIME),
            },
            schema=STATE_LOG,
        )

    def orders(self) -> pa.Table:
        """Work orders of the run, schema orders.ORDERS; final after the last block."""
        return self._operations.log()

    def wear(self) -> pa.Table:
        """Visible wear and ice on blades, schema orders.WEAR; final after the last block.

        Both are defects of machines that still run.
        """
        intervals = self._iced.table()
        on = intervals["value"] > 0
        ice = pa.table(
            {
                "turbine_id": self._ids(intervals["turbine"][on]),
                "kind": pa.array(np.full(on.sum(), "machine.ice")),
                "channel": pa.nulls(on.sum(), pa.string()),
                "from": pa.array(intervals["from"][on], _TIME),
                "to": pa.array(intervals["to"][on], _TIME),
                "rows": pa.array(intervals["rows"][on], pa.int64()),
                "fails_at": pa.nulls(on.sum(), _TIME),
            },
            schema=WEAR,
        )
        return pa.concat_tables([self._operations.wear_log(), ice])

    def _ids(self, turbine: Indices) -> pa.Array:
        return pa.array(np.array(self.part.turbine_ids)[turbine], pa.string())

    def _samples(self, start: int, stop: int, values: Floats, status: States, iced: States) -> None:
        """Fill arrays for samples of one page: channels, states, and ice as 0 or 1.

        Shapes: (channels, turbines, samples), then (turbines, samples) twice.
        """
        page, k = self.clock.page, self.clock.inner[0]
        index = start // page
        if self._page is None or self._page[0] != index:
            self._page = (index, self._wind.page(index), self._sensors.noise(index))
        at_once = max(1, STEPS_AT_ONCE // (k * self.part.turbines))
        for low in range(start, stop, at_once):
            high = min(low + at_once, stop)
            true, state, ice = self._machines(low, high, self._page[1])
            noise = self._page[2][:, low - index * page : high - index * page]
            here = slice(low - start, high - start)
            for channel, name in enumerate(CHANNEL_NAMES):
                values[channel, :, here] = self._sensors.read(name, true[name], noise[channel]).T
            status[:, here] = state.T
            iced[:, here] = 0 if ice is None else (ice > ICED).T

    def _machines(
        self, low: int, high: int, page: WindPage
    ) -> tuple[dict[str, Floats], States, Floats | None]:
        """(true channels, states, ice on blades) of the samples low..high-1 of one page."""
        k = self.clock.inner[0]
        first, before = low * k, low // self.clock.page * self.clock.page * k
        wind = steps(page, first - before, high * k - before)
        down, limit = self._operations.states(low, high)
        wear = self._operations.wear(low, high)
        machine = self._turbines.advance(first, wind, down, limit, wear)
        middles = np.arange(low, high, dtype=np.float64) * k + (k - 1) / 2
        nacelle, winding, gearbox, ambient = self._thermal.advance(
            first, wind.air.temperature, machine.load, machine.rotor_rpm, wear, middles
        )
        rotor, load = means(machine.rotor_rpm, k), means(machine.load, k)
        ice = None if machine.ice is None else means(machine.ice, k)
        felt = means(machine.wind, k)
        true = {
            "wind_speed": felt,
            "wind_direction": means(machine.direction, k),  # unwrapped: as good as a circular mean
            "rotor_rpm": rotor,
            "blade_pitch": means(machine.pitch, k),
            "power_output": means(machine.power, k),
            "temperature": nacelle,
            "ambient_temperature": ambient,
            "generator_temperature": winding,
            "gearbox_temperature": gearbox,
            "vibration_level": self._vibration.level(
                rotor,
                load,
                felt,
                means(wind.air.turbulence, k),
                self._vibration.fluctuation(first, len(wind.speed), middles),
                wear,
                None if ice is None else ice * self._turbines.ice.uneven,
            ),
        }
        return true, longest(machine.status, k), ice
