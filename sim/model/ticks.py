"""Slow changes, computed at ticks (every few inner steps) and interpolated linearly between them.

Tick j is the first inner step of the j-th stretch of `every` steps. Stretches count from the run's
start, so ticks do not depend on how a run is cut into blocks. During stretch j the value moves from
that of tick (j - 1) to that of tick j. A value therefore never depends on the future, and lags by
at most one stretch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim import seeds
from sim.arrays import Floats


class SlowSeries:
    """A series of (columns,) points, made one after another by `make(tick)`.

    `first` is the point before tick 0.
    """

    def __init__(self, every: int, first: Floats, make: Callable[[int], Floats]) -> None:
        self.every = every
        self._make = make
        self._last = -1  # the newest tick made
        self._points = [first, first]

    def read(self, first: int, count: int, at: Floats | None = None) -> Floats:
        """Values at the inner steps first..first+count-1, (count, columns).

        With `at`, values only at those step numbers, (len(at), columns); fractions of a step are
        allowed. Steps must be requested in order.
        """
        low, high = first // self.every, (first + count - 1) // self.every
        while self._last < high:
            self._last += 1
            self._points.append(self._make(self._last))
        base = self._last - len(self._points) + 1  # the tick of the first point kept
        points = np.stack(self._points[low - 1 - base :])
        del self._points[: low - 1 - base]
        if self.every == 1 and at is None:
            return points[1 : count + 1]
        step = np.arange(first, first + count) if at is None else at
        stretch, into = np.divmod(step, self.every)
        place = stretch.astype(np.intp) - low
        out: Floats = (points[1:] - points[:-1])[place]
        out *= ((into + 1.0) / self.every)[:, None]
        out += points[:-1][place]
        return out


class Draws:
    """Random numbers for ticks, some for each turbine.

    Those of a tick are a function of (seed, path, tick) and the turbine's index in the farm.
    """

    TICKS = 64  # drawn at once

    def __init__(
        self, seed: int, path: tuple[str | int, ...], turbines: range, each: int = 1
    ) -> None:
        self._seed, self._path, self._turbines, self._each = seed, path, turbines, each
        self._page = -1
        self._drawn: Floats = np.empty((0, 0, 0))

    def normal(self, tick: int) -> Floats:
        """Standard normal numbers of a tick, (each, turbines)."""
        if tick // self.TICKS != self._page:
            self._page = tick // self.TICKS
            drawn = seeds.normals(
                self._turbines, self.TICKS * self._each, self._seed, *self._path, self._page
            )
            self._drawn = drawn.reshape(self.TICKS, self._each, -1)
        of_tick: Floats = self._drawn[tick % self.TICKS]
        return of_tick
