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
short run pays for a few directions. A part of a farm pays for its own turbines and for those
upstream of them, as far as the iterations reach.

Not covered: machines that stand still (they get the wake of a running one), blockage, yaw
deflection, wakes of other farms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim import seeds
from sim.arrays import Floats, Indices
from sim.fleet.part import FarmPart
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
RECEIVERS = 64  # turbines whose pairs are computed together: bounds memory
REACH_START, REACH_GROWTH = 0.4, 0.085  # width for the choice of pairs: at the rotor, per diameter


@dataclass(frozen=True)
class _Pairs:
    """Pairs of turbines: those downstream, each with those upstream of it.

    `first`: place of each receiver's first pair. `decay`: of added turbulence, over the distance.
    `iterations`: the first ones, in which the receivers' wind is computed.
    """

    upstream: Indices  # (pairs,)
    down: Floats  # (pairs,) rotor diameters
    across: Floats  # (pairs,) rotor diameters
    decay: Floats  # (pairs,)
    receivers: Indices  # (receivers,)
    first: Indices  # (receivers,)
    iterations: int


class Wakes:
    """The table of a part of a farm, arrays (SECTORS, speeds, turbines).

    `factor`: wind over free wind; `added`: turbulence intensity. `filled` (SECTORS,): directions
    that are computed.
    """

    def __init__(self, part: FarmPart, seed: int) -> None:
        farm = part.farm
        self.kind, self.iref, n = farm.turbine_type, farm.climate.iref, farm.turbines
        self.positions, self._part = farm.positions, part
        draw = seeds.rng(seed, "site", farm.farm_id)
        self._site = (
            draw.standard_normal((1 + 2 * HARMONICS, n))
            * farm.climate.terrain
            / math.sqrt(1 + HARMONICS)
        )
        self.factor = np.empty((SECTORS, len(SPEEDS), part.turbines))
        self.added = np.empty_like(self.factor)
        self.filled = np.zeros(SECTORS, dtype=bool)
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
            if not self.filled[needed]:
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
        """Speed-up of the farm's turbines over its mean wind, (turbines,); wind from `radians`."""
        angles = np.arange(1, HARMONICS + 1) * radians
        terms = np.concatenate([[1.0], np.cos(angles), np.sin(angles)])
        total: Floats = 1.0 + np.einsum("h,hn->n", terms, self._site)
        return total

    def _fill(self, sector: int) -> None:
        """Compute one direction at all speeds."""
        radians = math.radians(sector * STEP_DEG)
        groups = self._pairs(radians)
        ambient = normal_turbulence(self.iref, SPEEDS)[:, None]
        free = SPEEDS[:, None] * self.site(radians)
        speed, gain = free, np.zeros_like(free)
        for iteration in range(ITERATIONS):
            thrust = np.interp(speed, *self._thrust)
            root = np.sqrt(1.0 - thrust)
            start = START * np.sqrt(0.5 * (1.0 + root) / root)
            growth = GROWTH * np.sqrt(ambient**2 + gain**2) + GROWTH_CALM
            added = ADDED * (0.5 * (1.0 - root)) ** ADDED_INDUCTION * ambient**ADDED_AMBIENT
            before, speed, gain = speed, free.copy(), np.zeros_like(free)
            for pairs in groups:
                if iteration < pairs.iterations:
                    at, to = pairs.upstream, pairs.receivers
                    width = growth[:, at] * pairs.down + start[:, at]
                    deficit, overlap = _deficit(thrust[:, at], width, pairs)
                    deficit *= before[:, at]
                    speed[:, to] -= np.add.reduceat(deficit, pairs.first, axis=1)
                    overlap *= added[:, at]
                    overlap *= pairs.decay
                    gain[:, to] = np.maximum.reduceat(overlap, pairs.first, axis=1)
            np.maximum(speed, LEAST_WIND * free, out=speed)
        own = self._part.own
        self.factor[sector], self.added[sector] = speed[:, own] / SPEEDS[:, None], gain[:, own]
        self.filled[sector] = True

    def _pairs(self, radians: float) -> list[_Pairs]:
        """All pairs that the wind of the part's turbines depends on, RECEIVERS turbines at a time.

        The last iteration is for the part only, the one before for those upstream of it, too, and
        so on.
        """
        along = -(
            self.positions[:, 0] * math.sin(radians) + self.positions[:, 1] * math.cos(radians)
        )
        side = self.positions[:, 0] * math.cos(radians) - self.positions[:, 1] * math.sin(radians)
        by_side = np.argsort(side, kind="stable")
        reach = REACH * (REACH_START + REACH_GROWTH * RANGE_D) * self.kind.rotor_diameter
        found: list[_Pairs] = []
        wanted, known = np.array(self._part.indices), np.zeros(len(side), dtype=bool)
        for iterations in range(ITERATIONS, 0, -1):
            known[wanted] = True
            above = np.zeros_like(known)
            wanted = wanted[np.argsort(side[wanted], kind="stable")]
            for low in range(0, len(wanted), RECEIVERS):
                receivers = wanted[low : low + RECEIVERS]
                edges = side[receivers[[0, -1]]] + [-reach, reach]
                begin, end = np.searchsorted(side[by_side], edges, side="left")
                near = np.sort(by_side[begin:end])
                pairs = self._between(along, side, receivers, near, iterations)
                above[pairs.upstream] = True
                if len(pairs.first):
                    found.append(pairs)
            wanted = np.flatnonzero(above & ~known)
        return found

    def _between(
        self, along: Floats, side: Floats, receivers: Indices, near: Indices, iterations: int
    ) -> _Pairs:
        """The pairs of `receivers` with turbines of `near` upstream of them."""
        diameter = self.kind.rotor_diameter
        # row: the downstream turbine, column: the upstream one
        down = (along[receivers][:, None] - along[near]) / diameter
        across = np.abs(side[receivers][:, None] - side[near]) / diameter
        width = REACH_START + REACH_GROWTH * down
        row, column = np.nonzero((down > CLOSEST_D) & (down < RANGE_D) & (across < REACH * width))
        first = np.flatnonzero(np.diff(row, prepend=-1))
        down = down[row, column]
        return _Pairs(
            near[column],
            down,
            across[row, column],
            down**ADDED_DISTANCE,
            receivers[row[first]],
            first,
            iterations,
        )


def _deficit(thrust: Floats, width: Floats, pairs: _Pairs) -> tuple[Floats, Floats]:
    """(wind lost as a share of the upstream turbine's, overlap 0..1), each (speeds, pairs).

    `thrust`: coefficient of the upstream turbine. `width`: standard deviation of the wake, rotor
    diameters.
    """
    square = width**2
    centre = 1.0 - np.sqrt(np.maximum(1.0 - thrust / (8.0 * square), 0.0))
    # variance averaged over the disc, and with meandering
    wide = square + DISC + (math.radians(WANDER_DEG) * pairs.down) ** 2
    overlap: Floats = np.exp(-0.5 * pairs.across**2 / wide)
    return centre * square / np.sqrt(wide * (square + DISC)) * overlap, overlap
