"""Sensors: noise, limits and resolution of each channel, from true values to readings.

- Noise is that of a sample of one second. It is white, so means over longer steps have less of it.
- Resolution grows with the step: ten-minute archives keep two or three decimals of every channel,
  and repeat a value now and then.
- Channels that `pipeline.records` checks for stuck values have noise of at least half a step of
  their resolution in samples of one second. There temperatures come in tenths and toggle between
  neighbouring values. In means over some minutes the noise is several steps. A healthy sensor
  therefore does not repeat a value for a minute.
- A pitch encoder has no noise: blades at rest give the same number for hours.
- A rotor sensor counts pulses: below its threshold it reads exactly 0, as a cup anemometer does in
  a calm.
- An anemometer's noise is mostly the turbulence behind the blades, and grows with the wind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.records import CHANNEL_NAMES
from sim import seeds
from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.machine.turbine import CEILING

Noise = npt.NDArray[np.float32]

ROTOR_THRESHOLD_RPM = 0.3
WIND_THRESHOLD = 0.35  # m/s
# s: samples below RAW_S have the sensor's resolution, from ARCHIVED_S on the archive's
RAW_S, ARCHIVED_S = 2.0, 300.0
RESTS = 0.001  # noise below which a channel may repeat itself for hours


@dataclass(frozen=True)
class Sensor:
    """Noise and resolution of one channel.

    `noise`, `relative`: standard deviation over one second, absolute and as a share of the reading.
    `steps`, `archived`: resolution in steps per unit, of one reading and of a mean over minutes.
    """

    noise: float
    relative: float
    steps: int
    archived: int


SENSORS = {
    "wind_speed": Sensor(0.06, 0.008, 100, 100),
    "wind_direction": Sensor(1.5, 0.0, 10, 100),
    "rotor_rpm": Sensor(0.05, 0.0, 100, 1000),
    "blade_pitch": Sensor(0.0, 0.0, 100, 100),
    "power_output": Sensor(0.0001, 0.003, 1000, 100_000),  # noise: share of rated power
    "temperature": Sensor(0.05, 0.0, 10, 1000),
    "ambient_temperature": Sensor(0.05, 0.0, 10, 100),
    "generator_temperature": Sensor(0.06, 0.0, 10, 1000),
    "gearbox_temperature": Sensor(0.05, 0.0, 10, 1000),
    "vibration_level": Sensor(0.02, 0.06, 1000, 1000),
}


class Sensors:
    """The sensors of a part of a farm.

    Noise comes in pages of samples. Each channel has its own random generator, so a new channel
    does not change the others.
    """

    def __init__(self, part: FarmPart, clock: SimClock, seed: int) -> None:
        self.part, self.clock, self.seed = part, clock, seed
        self.rated_power = part.farm.turbine_type.rated_power
        self._quieter = 1.0 / math.sqrt(max(1.0, clock.step_s))
        self._steps = {name: steps(sensor, clock.step_s) for name, sensor in SENSORS.items()}

    def noise(self, page: int) -> Noise:
        """Noise of a page, (channels, samples, turbines): mean 0, variance 1, nearly normal."""
        turbines, samples = self.part.indices, self.clock.page
        found = np.zeros((len(CHANNEL_NAMES), samples, len(turbines)), dtype=np.float32)
        for channel, name in zip(found, CHANNEL_NAMES, strict=True):
            if SENSORS[name].noise != 0.0:
                path = ("sensor", self.part.farm.farm_id, name, page)
                drawn = near_normal(seeds.raws(turbines, samples, self.seed, *path))
                seeds.place(drawn, turbines, channel)
        return found

    def read(self, name: str, true: Floats, noise: Noise) -> Floats:
        """Readings of one channel from its true values; both (samples, turbines)."""
        sensor = SENSORS[name]
        scale = self.rated_power if name == "power_output" else 1.0
        size: Floats | float = sensor.noise * scale * self._quieter
        if sensor.relative:
            size += np.abs(true) * (sensor.relative * self._quieter)
        reading: Floats = (
            true.copy() if sensor.noise == 0.0 else np.multiply(noise, size, dtype=np.float64)
        )
        if sensor.noise > 0.0:
            reading += true
        if name == "rotor_rpm":
            reading *= true >= ROTOR_THRESHOLD_RPM
        elif name == "wind_speed":
            reading *= reading >= WIND_THRESHOLD
        elif name == "vibration_level":
            np.abs(reading, out=reading)
        elif name == "power_output":
            np.minimum(reading, CEILING * self.rated_power, out=reading)
        resolved = self._steps[name]
        reading *= resolved
        np.rint(reading, out=reading)
        if name == "wind_direction":
            np.mod(reading, 360.0 * resolved, out=reading)
        reading /= resolved
        reading += 0.0  # no negative zeros
        return reading


def near_normal(raws: npt.NDArray[np.uint64]) -> Noise:
    """Nearly normal numbers of mean 0 and variance 1, within 3.5: sums of four uniform numbers.

    They cost a third of the time of normal ones. `raws` (groups, numbers): random 64-bit numbers.
    """
    parts = raws.view(np.uint16).reshape(len(raws), 4, -1)
    total = parts[:, 0].astype(np.float32)
    for quarter in range(1, 4):
        total += parts[:, quarter]
    total -= np.float32(2.0 * 65_535.0)
    total *= np.float32(math.sqrt(3.0) / 65_536.0)
    result: Noise = total
    return result


def steps(sensor: Sensor, step_s: float) -> int:
    """Steps per unit in the readings of samples of `step_s` seconds."""
    if step_s < RAW_S:
        return sensor.steps
    if step_s >= ARCHIVED_S or sensor.noise < RESTS:
        return sensor.archived
    return int(10 ** math.ceil(math.log10(2.0 * math.sqrt(step_s) / sensor.noise)))
