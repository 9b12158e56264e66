"""States and limits of a farm's machines over time, read as arrays of inner steps.

A machine may be out of service for two reasons at once, its own and the grid's; its status shows
its own. A change counts from the first inner step that ends after it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock


class Timeline:
    """States of a farm's machines and its limits, to be read for a part of it.

    Times are seconds since 1970, in ascending order.
    """

    def __init__(self, clock: SimClock, part: FarmPart) -> None:
        turbines, self._part = part.farm.turbines, part
        self._inner, self._start_s = clock.inner, clock.start_us / 1e6
        self._own, self._grid = [0] * turbines, [0] * turbines
        # inner step, turbine of the part, state
        self._changes: list[tuple[int, int, int]] = []
        self._changes_read = 0
        self._state = np.zeros(part.turbines, dtype=np.int8)
        self._limited: list[float] = []  # limits in force
        self._limits: list[tuple[int, float]] = []  # inner step, share of rated power
        self._limits_read = 0
        self._limit = 1.0

    def set(self, now_s: float, turbine: int, state: int) -> None:
        """Set the machine's own state, an index of STATES; 0: ready."""
        self._change(now_s, turbine, state, self._own)

    def set_grid(self, now_s: float, turbine: int, state: int) -> None:
        """Set the state that the grid forces upon a machine; 0: none."""
        self._change(now_s, turbine, state, self._grid)

    def off_grid(self, turbine: int) -> bool:
        """Return True if the grid keeps the machine stopped."""
        return bool(self._grid[turbine])

    def limit(self, now_s: float, share: float) -> None:
        """Limit the farm to a share of rated power from now on; the lowest of several counts."""
        self._limited.append(share)
        self._limits.append((self._step(now_s), min(self._limited)))

    def end_limit(self, now_s: float, share: float) -> None:
        """End one limit of this share."""
        self._limited.remove(share)
        self._limits.append((self._step(now_s), min(self._limited, default=1.0)))

    def read(self, first: int, last: int) -> tuple[npt.NDArray[np.int8], Floats]:
        """(down, limit) of the samples first..last-1.

        down (inner steps, turbines of the part): 0 or a state's index. limit (inner steps,): share
        of rated power. Samples must be requested once and in order.
        """
        k = self._inner[0]
        begin, end = first * k, last * k
        down = np.repeat(self._state[None, :], end - begin, axis=0)
        while (
            self._changes_read < len(self._changes) and self._changes[self._changes_read][0] < end
        ):
            step, turbine, state = self._changes[self._changes_read]
            down[max(step - begin, 0) :, turbine] = state
            self._changes_read += 1
        limit = np.full(end - begin, self._limit)
        while self._limits_read < len(self._limits) and self._limits[self._limits_read][0] < end:
            step, share = self._limits[self._limits_read]
            limit[max(step - begin, 0) :] = share
            self._limits_read += 1
        self._state, self._limit = down[-1].copy(), float(limit[-1])
        return down, limit

    def _change(self, now_s: float, turbine: int, state: int, reason: list[int]) -> None:
        before = self._own[turbine] or self._grid[turbine]
        reason[turbine] = state
        shown = self._own[turbine] or self._grid[turbine]
        if shown != before and turbine in self._part.indices:
            self._changes.append((self._step(now_s), turbine - self._part.first, shown))

    def _step(self, now_s: float) -> int:
        """The first inner step that ends after a time."""
        k, h = self._inner
        return int((now_s - self._start_s) // h) + k
