"""Temperatures: nacelle air, generator winding and gearbox oil, each above ambient by a lagged share of what heats it.

Rises at full load are nacelle 17 K, generator 65 K, gearbox 42 K, with time constants of 20, 12 and 30 minutes: usual
values of machines of this size, chosen so that a healthy machine in a 40 degC summer stays under the alarms of
`pipeline.records`. Direct-drive machines report their main bearing as gearbox.

Does not cover: cooling failures, icing, cold starts with preheating.
"""

from __future__ import annotations

import numpy as np

from sim import seeds
from sim.fleet.farm import Farm
from sim.model.noise import Array, blend, lag

MEMORY_S = (1200.0, 720.0, 1800.0)  # nacelle, generator, gearbox


class Thermal:
    """The temperatures of one farm with the heat they carry from call to call."""

    def __init__(self, farm: Farm, seed: int, step_s: float) -> None:
        n = farm.turbines
        self.rated_rpm = farm.turbine_type.rated_rpm
        self._move = np.repeat([blend(step_s, memory) for memory in MEMORY_S], n)
        self._scatter = seeds.rng(seed, "thermal", farm.farm_id).normal(1.0, 0.04, 3 * n).clip(0.88, 1.12)
        self._state: Array | None = None

    def advance(self, air: Array, load: Array, rotor_rpm: Array) -> tuple[Array, Array, Array]:
        """(nacelle, generator, gearbox) degC, each (samples, turbines); `air` (samples,) degC."""
        n = load.shape[1]
        rise = np.empty((len(load), 3 * n))
        np.multiply(load, 12.0, out=rise[:, :n])
        rise[:, :n] += 5.0
        np.multiply(load, 57.0, out=rise[:, n : 2 * n])
        rise[:, n : 2 * n] += 8.0
        np.multiply(rotor_rpm, 20.0 / self.rated_rpm, out=rise[:, 2 * n :])
        rise[:, 2 * n :] += 14.0 * load
        rise[:, 2 * n :] += 8.0
        rise *= self._scatter
        if self._state is None:
            self._state = rise[0].copy()
        self._state = lag(rise, self._state, self._move)
        rise += air[:, None]
        return rise[:, :n], rise[:, n : 2 * n], rise[:, 2 * n :]
