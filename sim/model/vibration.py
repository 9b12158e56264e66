"""Drive-train vibration, mm/s RMS over the sample, from rotor speed, load, turbulence and what is worn.

Parts that do not know of each other add in squares:

- gear mesh and everything broadband, growing with speed and load, more in turbulent air, each machine its own;
- 1P: imbalance with the square of speed; of the rotor, of ice that shed unevenly, of a blade whose pitch is off;
- 3P: blades passing the tower excite its first bending mode, which type designers put just below the slowest
  producing speed (soft-stiff tower, Burton et al., Wind Energy Handbook, section 6.11): crossed in every run-up, felt
  on the plateau;
- worn bearings and teeth, with speed and load.

Healthy machines stay in zones A and B of ISO 10816-21 for gearboxes (B/C 3.5, C/D 5.6 mm/s); worn ones cross its C/D
boundary, the alarm of `pipeline.records`, some days before they fail.

Does not cover: spectra, accelerations, directions.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim import seeds
from sim.fleet.farm import Farm
from sim.model.noise import Array
from sim.model.wear import Wear

AT_REST: Final = 0.2
SPEED, LOAD = 1.0, 0.85  # broadband, mm/s at rated
TURBULENT: Final = 2.0  # per unit of turbulence intensity over 0.1
TOWER: Final = 0.12  # 3P at rated speed, without resonance
RESONANCE: Final = 0.92  # of the slowest producing speed: where 3P meets the tower's mode
DAMPING: Final = 0.07
IMBALANCE: Final = (0.1, 0.4)  # of healthy rotors
ROTOR_WEAR, PITCH_WEAR, ICE = 7.0, 5.0, 6.0  # imbalance at wear 1 (or ice 1, all on one blade)
MAIN_BEARING, GENERATOR = 7.5, 5.5  # at rated speed and wear 1
GEARBOX: Final = (4.0, 4.0)  # with speed; with speed and load
STEPS: Final = 500  # of the resonance table, per unit of rated speed


class Vibration:
    """The vibration of one farm."""

    def __init__(self, farm: Farm, seed: int) -> None:
        kind = farm.turbine_type
        self._per_rpm = 1.0 / kind.rated_rpm
        draw = seeds.rng(seed, "vibration", farm.farm_id)
        self._build = draw.lognormal(0.0, 0.12, farm.turbines).clip(0.75, 1.3)
        self._imbalance = draw.uniform(*IMBALANCE, farm.turbines)
        ratio = np.arange(int(1.3 * STEPS)) / (STEPS * RESONANCE * kind.rotor_rpm_min * self._per_rpm)
        self._tower = (TOWER**2) / ((1.0 - ratio**2) ** 2 + (2.0 * DAMPING * ratio) ** 2)

    def level(
        self, rotor_rpm: Array, load: Array, turbulence: Array, wear: Wear, ice: Array | None, uneven: Array
    ) -> Array:
        """(samples, turbines), without sensor noise. `turbulence` (samples,) intensity; `ice` (samples, turbines) and
        how `uneven` it lies (turbines,)."""
        speed = rotor_rpm * self._per_rpm
        level = LOAD * load
        level += SPEED * speed
        level *= self._build
        level *= (1.0 + TURBULENT * (turbulence - 0.1))[:, None]
        level *= level
        imbalance = self._imbalance + ROTOR_WEAR * wear.rotor + PITCH_WEAR * wear.pitch
        lopsided = speed * imbalance if ice is None else speed * (imbalance + ice * (ICE * uneven))
        lopsided *= lopsided
        level += lopsided
        level += self._tower.take((speed * STEPS).astype(np.intp), mode="clip")
        level += (MAIN_BEARING * wear.main_bearing) ** 2 + (GENERATOR * wear.generator) ** 2
        teeth = load * (GEARBOX[1] * wear.gearbox)
        teeth += GEARBOX[0] * wear.gearbox
        teeth *= teeth
        level += teeth
        np.sqrt(level, out=level)
        level *= speed
        level += AT_REST
        return level
