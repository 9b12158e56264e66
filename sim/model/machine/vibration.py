"""Drive-train vibration, mm/s RMS over the sample, from rotor speed, load, turbulence and wear.

Independent parts add in squares:

- Gear mesh and everything broadband: grows with speed, load and turbulence, and differs between
  machines.
- 1P: imbalance, with the square of speed: of the rotor itself, by ice that the blades shed
  unevenly, by a blade whose pitch is off.
- 3P: blades passing the tower excite its first bending mode, which type designers put just below
  the slowest producing speed (soft-stiff tower, Burton et al., Wind Energy Handbook, section 6.11).
  The rotor passes this resonance in every run-up, and stays near it at its slowest speed.
- Worn bearings and teeth: with speed and load.

The tower sways in the wind at any rotor speed. Other causes (sea, shear, temperature of the mounts,
oblique gusts) change a machine's level by some per cent over minutes and hours. Power and speed
therefore explain most of a ten-minute level, but not all. The parts of the level that come with
load and with speed differ between machines.

Healthy machines stay in zones A and B of ISO 10816-21 for gearboxes (B/C 3.5, C/D 5.6 mm/s). Worn
ones cross its C/D boundary, the alarm of `pipeline.records`, some days before they fail. Numbers
without a source are ours.

Not covered: spectra, accelerations, directions.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim import seeds
from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.first_order import blend
from sim.model.machine.wear import Wear
from sim.model.ticks import Draws, SlowSeries

AT_REST: Final = 0.16  # mm/s
# mm/s at 10 m/s in turbulence of a tenth: the tower in the wind, at any rotor speed
SWAY: Final = 0.1
SWAY_SCALE: Final = 0.1  # 1 / (10 m/s)^2 over a turbulence of a tenth
SPEED, LOAD = 1.0, 0.85  # broadband, mm/s at rated
TURBULENT, USUAL = 1.5, 0.1  # per unit of turbulence intensity over the usual one
TOWER: Final = 0.12  # mm/s, 3P at rated speed, without resonance
RESONANCE: Final = 0.92  # of the slowest producing speed, at which 3P meets the tower's mode
DAMPING: Final = 0.07  # ratio, of the tower's mode
IMBALANCE: Final = (0.1, 0.4)  # of healthy rotors, mm/s at rated speed
ROTOR_WEAR, PITCH_WEAR, ICE = 7.0, 5.0, 6.0  # imbalance at wear 1 (or ice 1, all on one blade)
MAIN_BEARING, GENERATOR = 7.5, 5.5  # at rated speed and wear 1
GEARBOX: Final = (4.0, 4.0)  # with speed; with speed and load
FLUCTUATION: Final = np.array([[0.045], [0.06]])  # std of slow and fast changes, share of the level
FLUCTUATION_S: Final = (2400.0, 400.0)  # their time constants
BUILD: Final = (0.12, 0.12)  # std of a machine's level, and of its load's part
BUILD_BOUNDS: Final = (0.75, 1.3)
LOAD_BOUNDS: Final = (0.7, 1.3)
TICK_S: Final = 240.0
STEPS: Final = 500  # of the resonance table, per unit of rated speed


class Vibration:
    """The vibration of a part of a farm."""

    def __init__(self, part: FarmPart, seed: int, step_s: float) -> None:
        farm, own = part.farm, part.own
        n, kind = farm.turbines, farm.turbine_type
        self._per_rpm = 1.0 / kind.rated_rpm
        draw = seeds.rng(seed, "vibration", farm.farm_id)
        self._build = draw.lognormal(0.0, BUILD[0], n)[own].clip(*BUILD_BOUNDS)
        every = max(1, round(TICK_S / step_s))
        self._keep = np.array(
            [[1.0 - blend(every * step_s, memory_s)] for memory_s in FLUCTUATION_S]
        )
        self._draws = Draws(
            seed, ("vibration", farm.farm_id, "ticks"), part.indices, len(FLUCTUATION)
        )
        self._fluctuation = FLUCTUATION * draw.standard_normal((len(FLUCTUATION), n))[:, own]
        self._slow = SlowSeries(every, self._fluctuation.sum(axis=0), self._tick)
        self._imbalance = draw.uniform(*IMBALANCE, n)[own]
        self._load = LOAD * draw.normal(1.0, BUILD[1], n)[own].clip(*LOAD_BOUNDS)
        ratio = np.arange(int(1.3 * STEPS)) / (
            STEPS * RESONANCE * kind.rotor_rpm_min * self._per_rpm
        )
        self._tower = (TOWER**2) / ((1.0 - ratio**2) ** 2 + (2.0 * DAMPING * ratio) ** 2)

    def _tick(self, tick: int) -> Floats:
        kick = FLUCTUATION * np.sqrt(1.0 - self._keep**2)
        self._fluctuation = self._keep * self._fluctuation + kick * self._draws.normal(tick)
        level: Floats = self._fluctuation.sum(axis=0)
        return level

    def fluctuation(self, first: int, count: int, reads: Floats) -> Floats:
        """Relative change of the machines' level by other causes, (reads, turbines).

        `reads`: step numbers among first..first+count-1.
        """
        return self._slow.read(first, count, reads)

    def level(
        self,
        rotor_rpm: Floats,
        load: Floats,
        wind: Floats,
        turbulence: Floats,
        fluctuation: Floats,
        wear: Wear,
        ice: Floats | None,
    ) -> Floats:
        """Vibration level (samples, turbines), without sensor noise.

        `wind` m/s; `turbulence` (samples,) intensity; `ice`: mass that lies unevenly.
        """
        speed = rotor_rpm * self._per_rpm
        level = self._load * load
        level += SPEED * speed
        level *= self._build
        level *= (1.0 + TURBULENT * (turbulence - USUAL))[:, None]
        level *= level
        imbalance = self._imbalance + ROTOR_WEAR * wear.rotor + PITCH_WEAR * wear.pitch
        lopsided = speed * imbalance if ice is None else speed * (imbalance + ICE * ice)
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
        sway = wind * wind
        sway *= (SWAY_SCALE * SWAY * turbulence)[:, None]
        level += sway
        level *= 1.0 + fluctuation
        level += AT_REST
        return level
