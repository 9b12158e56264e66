"""Weather noise: a Gaussian field over the sphere and time, one octave of periods at a time.

Weather must be the same for every farm, run, worker and block. Like real wind it must be correlated
over every scale from minutes to weeks. An octave is therefore not a filter that runs along time but
a function of (seed, octave, place, time). Any part of it can be computed on its own:

    f(x, t) = sum_j B((t - t_j) / spacing) P_j(x - c (t - t_j))

- P_j are frozen patterns, one per knot t_j of a time lattice, each of a few random Fourier features
  of the sphere (Rahimi and Recht 2007).
- B is the cubic B-spline, corrected to variance 1 at every t.
- c is the steering wind that each pattern drifts with while it lasts. A front therefore reaches the
  eastern farm later (Taylor's hypothesis). A pattern lasts two spacings to either side of its knot,
  so patterns of farms with different steering never drift apart without bound.

Drift contributes half of an octave's mean square frequency, the change of patterns the other half.
The spread of wave numbers is log-normal, which turns the correlation over distance from a
Gaussian's into nearly an exponential's.

Random numbers are drawn in blocks of knots. Wave vectors and phases are keyed by (seed, name,
octave, block), strengths by the component too, so a new component does not change the others.

Not covered: anisotropic patterns; vectors across the poles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim import seeds
from sim.arrays import Floats, Ints

EARTH_M = 6_371_000.0
FEATURES = 4  # Fourier features of a pattern by default
KNOTS = 32  # in a block of random numbers
SPREAD = 0.5  # of the logarithm of wave numbers
# rms frequency of cubic B-spline noise times its spacing: the spectrum is sinc(f spacing)**8
BSPLINE_BAND = 0.195


@dataclass(frozen=True)
class Octave:
    """Patterns of about `period_s` whose correlation falls over `length_m`.

    `index` names the octave in the seed's path.
    """

    index: int
    period_s: float
    length_m: float

    @property
    def spacing_s(self) -> float:
        """Seconds between knots, a whole number of minutes.

        The change of patterns then makes half of the octave's squared frequency.
        """
        return 60.0 * round(BSPLINE_BAND * self.period_s * math.sqrt(2.0) / 60.0)

    @property
    def steering(self) -> float:
        """Steering wind in m/s at which drift makes the other half of the squared frequency."""
        return math.sqrt(0.5) * 2.0 * math.pi * self.length_m / self.period_s


@dataclass(frozen=True)
class Place:
    """A point of the sphere with its east and north, each (3,), unit vectors."""

    up: Floats
    east: Floats
    north: Floats

    @classmethod
    def at(cls, latitude: float, longitude: float) -> Place:
        """The place at a latitude and longitude in degrees."""
        phi, lam = math.radians(latitude), math.radians(longitude)
        return cls(
            np.array([math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)]),
            np.array([-math.sin(lam), math.cos(lam), 0.0]),
            np.array(
                [-math.sin(phi) * math.cos(lam), -math.sin(phi) * math.sin(lam), math.cos(phi)]
            ),
        )


@dataclass(frozen=True)
class Knots:
    """Patterns of the knots from `first` on, seen from one place.

    `east`, `north`: wave numbers in rad/m, (knots, features). `phase`: rad at the place.
    `strength`: (knots, 2 * features, components) of cosines, then of sines.
    """

    first: int
    east: Floats
    north: Floats
    phase: Floats
    strength: Floats


@lru_cache(maxsize=256)
def _waves(seed: int, name: str, octave: int, block: int, features: int) -> tuple[Floats, Floats]:
    """(wave vectors (KNOTS, features, 3) for a correlation length of 1, phases)."""
    draw = seeds.rng(seed, "octave", name, octave, block)
    vector = draw.standard_normal((KNOTS, features, 3))
    vector *= np.exp(SPREAD * draw.standard_normal((KNOTS, features, 1)) - SPREAD**2)
    vector.setflags(write=False)
    phase = draw.uniform(0.0, 2.0 * math.pi, (KNOTS, features))
    phase.setflags(write=False)
    return vector, phase


def knots(
    seed: int,
    name: str,
    octave: Octave,
    components: tuple[str, ...],
    place: Place,
    first: int,
    last: int,
    features: int = FEATURES,
) -> Knots:
    """The knots first..last-1 of an octave, seen from a place."""
    blocks = range(first // KNOTS, (last - 1) // KNOTS + 1)
    pairs = [_waves(seed, name, octave.index, block, features) for block in blocks]
    vector = np.concatenate([pair[0] for pair in pairs])
    phase = np.concatenate([pair[1] for pair in pairs])
    strength = np.empty((len(blocks) * KNOTS, 2 * features, len(components)))
    for at, block in enumerate(blocks):
        for column, component in enumerate(components):
            draw = seeds.rng(seed, "octave", name, octave.index, block, component)
            strength[at * KNOTS : (at + 1) * KNOTS, :, column] = draw.standard_normal(
                (KNOTS, 2 * features)
            )
    keep = slice(first - blocks[0] * KNOTS, last - blocks[0] * KNOTS)
    vector, phase, strength = vector[keep], phase[keep], strength[keep] / math.sqrt(features)
    scale = 1.0 / octave.length_m
    up = np.mod(np.einsum("jfd,d->jf", vector, place.up) * (EARTH_M * scale), 2.0 * math.pi)
    east = np.einsum("jfd,d->jf", vector, place.east) * scale
    north = np.einsum("jfd,d->jf", vector, place.north) * scale
    return Knots(first, east, north, up + phase, strength)


def bspline(x: Floats) -> Floats:
    """Weights (..., 4) of the two knots before and the two after; their squares sum to 1.

    `x`: position in [0, 1) between the middle two.
    """
    y = 1.0 - x
    weights = np.stack(
        [y**3, 4.0 - 6.0 * x**2 + 3.0 * x**3, 4.0 - 6.0 * y**2 + 3.0 * y**3, x**3], axis=-1
    )
    norm: Floats = weights / np.sqrt(np.square(weights).sum(axis=-1, keepdims=True))
    return norm


def series(
    seed: int,
    name: str,
    octave: Octave,
    components: tuple[str, ...],
    place: Place,
    seconds: Floats,
    steering: tuple[float, float],
) -> Floats:
    """The field at one place, (times, components), each of mean 0 and variance 1.

    `seconds`: UTC since 1970. `steering`: m/s east and north.
    """
    spacing = octave.spacing_s
    before = np.floor(seconds / spacing).astype(np.int64)
    first = int(before.min()) - 1
    found = knots(seed, name, octave, components, place, first, int(before.max()) + 3)
    turn = found.east * steering[0] + found.north * steering[1]  # rad/s
    weights = bspline(seconds / spacing - before)
    total = np.zeros((len(seconds), len(components)))
    for offset in range(4):
        knot = before - 1 + offset
        row: Ints = knot - first
        angle = found.phase[row] - turn[row] * (seconds - knot * spacing)[:, None]
        basis = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
        basis *= weights[:, offset, None]
        total += np.einsum("tf,tfc->tc", basis, found.strength[row])
    return total
