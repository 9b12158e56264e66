"""Intervals of constant values, turbine by turbine, noted as samples pass: states and ice."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sim.arrays import Indices
from sim.model.clock import SimClock


class Intervals:
    """Intervals of small integers. Samples must come once and in order."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._next = 0
        self._last: npt.NDArray[Any] | None = None
        self._changes: list[tuple[Indices, Indices, npt.NDArray[Any]]] = []

    def note(self, values: npt.NDArray[Any], first: int) -> None:
        """Note `values` (turbines, samples) of the samples from `first` on."""
        before = np.empty_like(values)
        before[:, 1:] = values[:, :-1]
        before[:, 0] = -1 if self._last is None else self._last
        turbine, sample = np.nonzero(values != before)
        self._changes.append((turbine, sample + first, values[turbine, sample]))
        self._last, self._next = values[:, -1].copy(), first + values.shape[1]

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """Intervals [from, to) by turbine and time.

        Columns: turbine, value, from and to (us UTC), rows (samples).
        """
        turbine, sample, value = (
            np.concatenate(parts) for parts in zip(*self._changes, strict=True)
        )
        order = np.lexsort((sample, turbine))
        turbine, sample, value = turbine[order], sample[order], value[order]
        until = np.append(sample[1:], self._next)
        until[np.append(turbine[1:] != turbine[:-1], True)] = self._next
        step, start = self._clock.sample_us, self._clock.start_us
        columns = {
            "turbine": turbine,
            "value": value,
            "from": start + sample * step,
            "to": start + until * step,
        }
        return columns | {"rows": until - sample}
