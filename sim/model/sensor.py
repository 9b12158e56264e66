"""From what is true to what a sensor says: noise, limits, resolution. One table of figures for all channels.

The noise of every channel that could be taken for stuck is at least five steps of its resolution, so that a healthy
sensor does not repeat a value for a minute. A rotor sensor counts pulses: below its threshold it reads exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.records import CHANNEL_NAMES
from sim import seeds
from sim.fleet.farm import Farm
from sim.model.noise import Array
from sim.model.turbine import CEILING
from sim.model.wind import PAGE

ROTOR_THRESHOLD_RPM = 0.3


@dataclass(frozen=True)
class Sensor:
    """Standard deviation of the noise, absolute and as a share of the reading, and steps per unit."""

    noise: float
    relative: float
    steps: int


SENSORS = {
    "wind_speed": Sensor(0.08, 0.0, 100),
    "wind_direction": Sensor(1.5, 0.0, 10),
    "rotor_rpm": Sensor(0.05, 0.0, 100),
    "blade_pitch": Sensor(0.05, 0.0, 100),
    "power_output": Sensor(0.0005, 0.003, 1000),  # noise: share of rated power
    "temperature": Sensor(0.06, 0.0, 100),
    "ambient_temperature": Sensor(0.06, 0.0, 100),
    "generator_temperature": Sensor(0.08, 0.0, 100),
    "gearbox_temperature": Sensor(0.06, 0.0, 100),
    "vibration_level": Sensor(0.02, 0.06, 1000),
}


class Sensors:
    """The sensors of one farm. Noise comes in pages of samples, each with a generator of its own."""

    def __init__(self, farm: Farm, seed: int) -> None:
        self.farm, self.seed = farm, seed
        self.rated_power = farm.turbine_type.rated_power

    def noise(self, page: int) -> Array:
        """Standard normal noise of a page, (channels, PAGE, turbines)."""
        draw = seeds.rng(self.seed, "sensor", self.farm.farm_id, page)
        return draw.standard_normal((len(CHANNEL_NAMES), PAGE, self.farm.turbines))

    def read(self, name: str, true: Array, noise: Array) -> Array:
        """What one channel's sensors say of the true values; both (samples, turbines); `noise` is used up."""
        sensor = SENSORS[name]
        scale = self.rated_power if name == "power_output" else 1.0
        if sensor.relative:
            noise *= sensor.noise * scale + sensor.relative * np.abs(true)
        else:
            noise *= sensor.noise * scale
        reading = noise
        reading += true
        if name == "rotor_rpm":
            reading *= true >= ROTOR_THRESHOLD_RPM
        elif name == "wind_speed":
            np.maximum(reading, 0.0, out=reading)
        elif name == "power_output":
            np.minimum(reading, CEILING * self.rated_power, out=reading)
        reading *= sensor.steps
        np.rint(reading, out=reading)
        if name == "wind_direction":
            np.mod(reading, 360.0 * sensor.steps, out=reading)
        reading /= sensor.steps
        reading += 0.0  # no negative zeros
        return reading
