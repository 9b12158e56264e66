"""From what is true to what a sensor says: noise, limits, resolution. One table of figures for all channels.

Noise is that of a sample of one second; it is white, so a mean over a longer step has less, and as loggers do, is
kept with more digits. The noise of every channel that could be taken for stuck is at least five steps of its
resolution, whatever the sampling step, so that a healthy sensor does not repeat a value for a minute. A rotor sensor
counts pulses: below its threshold it reads exactly 0. An anemometer's noise is mostly the turbulence behind the
blades, and grows with the wind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.records import CHANNEL_NAMES
from sim import seeds
from sim.fleet.farm import Farm
from sim.model.clock import SimClock
from sim.model.noise import Array
from sim.model.turbine import CEILING

Noise = npt.NDArray[np.float32]

ROTOR_THRESHOLD_RPM = 0.3


@dataclass(frozen=True)
class Sensor:
    """Standard deviation of the noise over one second, absolute and as a share of the reading, and steps per unit."""

    noise: float
    relative: float
    steps: int


SENSORS = {
    "wind_speed": Sensor(0.06, 0.015, 100),
    "wind_direction": Sensor(1.5, 0.0, 10),
    "rotor_rpm": Sensor(0.05, 0.0, 100),
    "blade_pitch": Sensor(0.05, 0.0, 100),
    "power_output": Sensor(0.0001, 0.003, 1000),  # noise: share of rated power
    "temperature": Sensor(0.06, 0.0, 100),
    "ambient_temperature": Sensor(0.06, 0.0, 100),
    "generator_temperature": Sensor(0.08, 0.0, 100),
    "gearbox_temperature": Sensor(0.06, 0.0, 100),
    "vibration_level": Sensor(0.02, 0.06, 1000),
}


class Sensors:
    """The sensors of one farm. Noise comes in pages of samples, each with a generator of its own."""

    def __init__(self, farm: Farm, clock: SimClock, seed: int) -> None:
        self.farm, self.clock, self.seed = farm, clock, seed
        self.rated_power = farm.turbine_type.rated_power
        self._quieter = 1.0 / math.sqrt(max(1.0, clock.step_s))
        self._finer = finer(clock.step_s)

    def noise(self, page: int) -> Noise:
        """Noise of a page, (channels, samples, turbines): mean 0, variance 1, nearly normal."""
        shape = (len(CHANNEL_NAMES), self.clock.page, self.farm.turbines)
        return bell(seeds.rng(self.seed, "sensor", self.farm.farm_id, page), math.prod(shape)).reshape(shape)

    def read(self, name: str, true: Array, noise: Noise) -> Array:
        """What one channel's sensors say of the true values; both (samples, turbines)."""
        sensor = SENSORS[name]
        scale = self.rated_power if name == "power_output" else 1.0
        size: Array | float = sensor.noise * scale * self._quieter
        if sensor.relative:
            size += np.abs(true) * (sensor.relative * self._quieter)
        reading: Array = np.multiply(noise, size, dtype=np.float64)
        reading += true
        if name == "rotor_rpm":
            reading *= true >= ROTOR_THRESHOLD_RPM
        elif name in ("wind_speed", "vibration_level"):
            np.abs(reading, out=reading)
        elif name == "power_output":
            np.minimum(reading, CEILING * self.rated_power, out=reading)
        steps = sensor.steps * self._finer
        reading *= steps
        np.rint(reading, out=reading)
        if name == "wind_direction":
            np.mod(reading, 360.0 * steps, out=reading)
        reading /= steps
        reading += 0.0  # no negative zeros
        return reading


def bell(draw: np.random.Generator, count: int) -> Noise:
    """Numbers of mean 0 and variance 1, sums of four uniform ones (within 3.5): a third of the cost of normal ones."""
    parts = draw.bit_generator.random_raw(count).view(np.uint16).reshape(4, count)
    total = parts[0].astype(np.float32)
    for part in parts[1:]:
        total += part
    total -= np.float32(2.0 * 65_535.0)
    total *= np.float32(math.sqrt(3.0) / 65_536.0)
    result: Noise = total
    return result


def finer(step_s: float) -> int:
    """How many times finer a mean over a step is told than a sample of a second."""
    return int(10 ** math.ceil(math.log10(max(1.0, math.sqrt(step_s))) - 1e-9))
