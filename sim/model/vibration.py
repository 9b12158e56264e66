"""Drive-train vibration, mm/s RMS: grows with the square of rotor speed and with load, scaled by each machine's wear.

Healthy machines stay in zones A and B of ISO 10816-21 (gearbox), under the alarm of `pipeline.records`.

Does not cover: resonances, damage growing towards a failure.
"""

from __future__ import annotations

from sim import seeds
from sim.fleet.farm import Farm
from sim.model.noise import Array

AT_REST = 0.25


class Vibration:
    """The vibration of one farm."""

    def __init__(self, farm: Farm, seed: int) -> None:
        self.rated_rpm = farm.turbine_type.rated_rpm
        self.wear = seeds.rng(seed, "vibration", farm.farm_id).lognormal(0.0, 0.12, farm.turbines).clip(0.75, 1.35)

    def level(self, rotor_rpm: Array, load: Array) -> Array:
        """(samples, turbines), without sensor noise."""
        speed = rotor_rpm * (1.0 / self.rated_rpm)
        level: Array = speed * (1.1 * speed + 0.9 * load)
        level *= self.wear
        level += AT_REST
        return level
