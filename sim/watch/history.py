"""Figures over the time of a run, in a bounded number of slots.

A slot is one second wide at first. When SLOTS are full, each two become one, so that a run of days
needs no more memory than one of minutes. Latencies are counted in bins 8 % wide.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.arrays import Floats, Ints

SLOTS: Final = 600
LOWEST_S: Final = 1e-4
_STEP: Final = 1.08
_BINS: Final = 220  # up to 2,000 s
_MIDS: Final = LOWEST_S * _STEP ** (np.arange(_BINS) + 0.5)


class History:
    """Sums, peaks and latencies by slot. Times are seconds since 1970."""

    def __init__(self) -> None:
        self.width_s = 1
        self.start_s: int | None = None
        self._sums: dict[str, Floats] = {}
        self._peaks: dict[str, Floats] = {}
        self._spreads: dict[str, Ints] = {}

    def add(self, name: str, at_s: Floats, amounts: Floats | None = None) -> None:
        """Add amounts (1 each by default) at their times."""
        if len(at_s):
            slots = self._slots(at_s)
            sums = self._sums.setdefault(name, np.zeros(SLOTS))
            sums += np.bincount(slots, amounts, SLOTS)

    def peak(self, name: str, at_s: Floats, values: Floats) -> None:
        """Keep the largest of the values in each slot."""
        if len(at_s):
            slots = self._slots(at_s)
            np.maximum.at(self._peaks.setdefault(name, np.zeros(SLOTS)), slots, values)

    def spread(self, name: str, at_s: Floats, seconds: Floats) -> None:
        """Add latencies at the times at which they ended."""
        if len(at_s):
            slots = self._slots(at_s)
            bins = np.log(np.maximum(seconds, LOWEST_S) / LOWEST_S) / np.log(_STEP)
            places = slots * _BINS + np.minimum(bins.astype(np.int64), _BINS - 1)
            counts = np.bincount(places, minlength=SLOTS * _BINS).reshape(SLOTS, _BINS)
            self._spreads.setdefault(name, np.zeros((SLOTS, _BINS), dtype=np.int64))
            self._spreads[name] += counts

    def complete(self, until_s: float) -> int:
        """Return the number of slots that have ended by a time."""
        if self.start_s is None:
            return 0
        return int(np.clip((until_s - self.start_s) // self.width_s, 0, SLOTS))

    def rates(self, name: str) -> Floats:
        """Return the amounts per second, by slot."""
        return self._sums.get(name, np.zeros(SLOTS)) / self.width_s

    def peaks(self, name: str) -> Floats:
        """Return the largest values, by slot."""
        return self._peaks.get(name, np.zeros(SLOTS))

    def quantiles(self, name: str, share: float) -> Floats:
        """Return a quantile of the latencies in seconds, by slot; NaN where there is none."""
        counts = self._spreads.get(name)
        if counts is None:
            return np.full(SLOTS, np.nan)
        upto = np.cumsum(counts, axis=1)
        ranks = np.maximum(1, np.ceil(share * upto[:, -1]))
        found: Floats = _MIDS[np.argmax(upto >= ranks[:, None], axis=1)]
        return np.where(upto[:, -1] == 0, np.nan, found)

    def _slots(self, at_s: Floats) -> Ints:
        """Return the slot of each time, and make room for the last of them."""
        if self.start_s is None:
            self.start_s = int(at_s.min())
        while at_s.max() - self.start_s >= SLOTS * self.width_s:
            self._fold()
        # Files of other workers may begin a little earlier.
        return np.maximum((at_s - self.start_s) // self.width_s, 0).astype(np.int64)

    def _fold(self) -> None:
        half = SLOTS // 2
        self.width_s *= 2
        for values in self._sums.values():
            values[:] = np.concatenate((values[::2] + values[1::2], np.zeros(half)))
        for values in self._peaks.values():
            values[:] = np.concatenate((np.maximum(values[::2], values[1::2]), np.zeros(half)))
        for counts in self._spreads.values():
            counts[:half], counts[half:] = counts[::2] + counts[1::2], 0
