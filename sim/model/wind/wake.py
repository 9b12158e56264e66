"""Wakes of a farm: share of the wind left and turbulence gained at each turbine.

Both are tabulated by wind direction and free wind speed, and interpolated between table points.

- Deficit: Gaussian, self-similar (Bastankhah and Porte-Agel 2014, Renewable Energy 70). Its width
  grows with the turbulence at the machine that makes it, k = 0.38 I + 0.004 (Niayifar and
  Porte-Agel 2016, Energies 9). Deficits, each relative to the wind at the machine that makes it,
  add up (same source). The rotor feels the mean over its disc.
- Added turbulence: Crespo and Hernandez 1996, the strongest of the upstream machines (weighted by
  the overlap), added in squares.
- Site speed-up, a smooth function of direction per turbine, is part of the table.

Each direction is computed at its first use, by fixed-point iteration over all speeds at once, so a
short run pays for a few directions.

Not covered: machines that stand still (they get the wake of a running one), blockage, yaw
deflection, wakes of other farms.
"""

from __future__ import annotations

import math

import numpy as np

from sim import seeds
from sim.arrays import Floats, Ints
from sim.fleet.farm import Farm
from sim.model.air import normal_turbulence

STEP_DEG = 3.0
SECTORS = round(360.0 / STEP_DEG)
SPEEDS = np.array([3.0, 6.0, 8.5, 10.0, 11.5, 13.0, 16.0, 20.0, 26.0])  # free wind, m/s
ITERATIONS = 4
REACH = 2.3  # standard deviations across a wake
RANGE_D = 80.0  # rotor diameters downwind
CLOSEST_D = 1.5  # the far-wake model does not hold nearer
WANDER_DEG = 2.0  # std of the wind direction within the ten minutes that a table point represents
HARMONICS = 3  # of direction, in the site's speed-up
MOST_THRUST = 0.96  # thrust coefficient; momentum theory ends at 1
LEAST_WIND = 0.2  # of the free wind, in the deepest wake
# Niayifar and Porte-Agel 2016: growth of the width per diameter, k = 0.38 I + 0.004
GROWTH, GROWTH_CALM = 0.38, 0.004
START = 0.2  # width at the rotor over sqrt(beta) (Bastankhah and Porte-Agel 2014)
DISC = 1.0 / 16.0  # variance of a uniform disc along one axis, in squared diameters
# Crespo and Hernandez 1996: 0.73 a^0.8325 I^0.0325 (x / D)^-0.32
ADDED, ADDED_INDUCTION, ADDED_AMBIENT, ADDED_DISTANCE = 0.73, 0.8325, 0.0325, -0.32
REACH_START, REACH_GROWTH = 0.4, 0.085  # width for the choice of pairs: at the rotor, per diameter


class Wakes:
    """The table of one farm, arrays (SECTORS, speeds, turbines).

    `factor`: wind over free wind; `added`: turbulence intensity; NaN for directions not computed
    yet.
    """

    def __init__(self, farm: Farm, seed: int) -> None:
        self.kind, self.iref, n = farm.turbine_type, farm.climate.iref, farm.turbines
        self.positions = farm.positions
        draw = seeds.rng(seed, "site", farm.farm_id)
        self._site = (
            draw.standard_normal((1 + 2 * HARMONICS, n))
            * farm.climate.terrain
            / math.sqrt(1 + HARMONICS)
        )
        self.factor = np.full((SECTORS, len(SPEEDS), n), np.nan)
        self.added = np.full((SECTORS, len(SPEEDS), n), np.nan)
        thrust = np.array(self.kind.thrust_curve).T
        self._thrust = (thrust[0], np.minimum(thrust[1], MOST_THRUST))

    def at(self, direction: Floats, speed: Floats) -> tuple[Floats, Floats]:
        """(factor, added intensity), each (times, turbines).

        `direction`: origin of the wind in deg, `speed`: free wind in m/s, (times,) each.
        """
        sector = direction / STEP_DEG
        below = np.floor(sector)
        part = (sector - below)[:, None]
        low = below.astype(np.int64) % SECTORS
        high = (low + 1) % SECTORS
        for needed in sorted({*low.tolist(), *high.tolist()}):
            if np.isnan(self.factor[needed, 0, 0]):
                self._fill(needed)
        row = np.clip(np.searchsorted(SPEEDS, speed) - 1, 0, len(SPEEDS) - 2)
        share = np.clip((speed - SPEEDS[row]) / (SPEEDS[row + 1] - SPEEDS[row]), 0.0, 1.0)[:, None]
        found = []
        for table in (self.factor, self.added):
            total = table[low, row]
            total *= (1.0 - part) * (1.0 - share)
            for side, level, weight in (
                (low, row + 1, (1.0 - part) * share),
                (high, row, part * (1.0 - share)),
                (high, row + 1, part * share),
            ):
                corner = table[side, level]
                corner *= weight
                total += corner
            found.append(total)
        return found[0], found[1]

    def site(self, radians: float) -> Floats:
        """Speed-up of each turbine over the farm's mean wind, (turbines,); wind from `radians`."""
        angles = np.arange(1, HARMONICS + 1) * radians
        terms = np.concatenate([[1.0], np.cos(angles), np.sin(angles)])
        total: Floats = 1.0 + np.einsum("h,hn->n", terms, self._site)
        return total

    def _fill(self, sector: int) -> None:
        """Compute one direction at all speeds."""
        radians = math.radians(sector * STEP_DEG)
        upstream, downstream, down, across = self._pairs(radians)
        ambient = normal_turbulence(self.iref, SPEEDS)[:, None]
        site = self.site(radians)
        free = SPEEDS[:, None] * site
        speed, intensity = free.copy(), np.repeat(ambient, len(site), axis=1)
        gain = np.zeros_like(speed)
        if len(upstream):
            first = np.flatnonzero(np.r_[True, downstream[1:] != downstream[:-1]])
            receivers = downstream[first]
            for _ in range(ITERATIONS):
                thrust = np.interp(speed, *self._thrust)
                deficit, overlap = self._deficit(thrust, intensity, upstream, down, across)
                deficit *= speed[:, upstream]
                speed = free.copy()
                speed[:, receivers] -= np.add.reduceat(deficit, first, axis=1)
                np.maximum(speed, LEAST_WIND * free, out=speed)
                induction = 0.5 * (1.0 - np.sqrt(1.0 - thrust))
                added = ADDED * induction[:, upstream] ** ADDED_INDUCTION * ambient**ADDED_AMBIENT
                added = added * down**ADDED_DISTANCE * overlap
                gain[:, receivers] = np.maximum.reduceat(added, first, axis=1)
                intensity = np.sqrt(ambient**2 + gain**2)
        self.factor[sector], self.added[sector] = speed / SPEEDS[:, None], gain

    def _pairs(self, radians: float) -> tuple[Ints, Ints, Floats, Floats]:
        """Pairs (upstream, downstream) sorted by the second, with distances downwind and across.

        Distances are in rotor diameters.
        """
        along = -(
            self.positions[:, 0] * math.sin(radians) + self.positions[:, 1] * math.cos(radians)
        )
        side = self.positions[:, 0] * math.cos(radians) - self.positions[:, 1] * math.sin(radians)
        # row: the downstream turbine, column: the upstream one
        down = (along[:, None] - along) / self.kind.rotor_diameter
        across = np.abs(side[:, None] - side) / self.kind.rotor_diameter
        width = REACH_START + REACH_GROWTH * down
        downstream, upstream = np.nonzero(
            (down > CLOSEST_D) & (down < RANGE_D) & (across < REACH * width)
        )
        return upstream, downstream, down[downstream, upstream], across[downstream, upstream]

    def _deficit(
        self,
        thrust: Floats,
        intensity: Floats,
        upstream: Ints,
        down: Floats,
        across: Floats,
    ) -> tuple[Floats, Floats]:
        """(wind lost as a share of the upstream turbine's, overlap 0..1), each (speeds, pairs)."""
        root = np.sqrt(1.0 - thrust)
        beta = 0.5 * (1.0 + root) / root
        growth = (GROWTH * intensity + GROWTH_CALM)[:, upstream]
        start = (START * np.sqrt(beta))[:, upstream]
        width = growth * down + start  # standard deviation, rotor diameters
        square = width**2
        centre = 1.0 - np.sqrt(np.maximum(1.0 - thrust[:, upstream] / (8.0 * square), 0.0))
        # variance averaged over the disc, and with meandering
        wide = square + DISC + (math.radians(WANDER_DEG) * down) ** 2
        overlap = np.exp(-0.5 * across**2 / wide)
        return centre * square / np.sqrt(wide * (square + DISC)) * overlap, overlap
