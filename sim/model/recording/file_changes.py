"""Changes of a node's file while it runs: a fresh file, a new channel, a dropped channel.

    node.replaced    rows go to a fresh file, which numbers them from 1; the old one is kept
    schema.added     ALTER TABLE: one more channel, with values from then on, null before
    schema.dropped   new firmware: a fresh file without the channel. Dropping the column in place
                     would rewrite rows that are not delivered yet, which no node does

Each takes effect between two rows in the order of storing, and lasts to the end of the run. Ids
here are those of the lake (`pipeline.records.GENERATION_IDS`); `nodefile` carries the changes out.
A second change of the same kind and channel has no effect.

New channels are rough functions of a row's own readings, of a realistic size:

    blade_load     kN m   bending moment of a blade's root: LOAD_KNM * v^2 * cos(pitch), with the
                          dynamic pressure of the wind and the part of the chord that faces it
    hub_humidity   %      outside air of OUTSIDE_HUMIDITY %, warmed to the nacelle's temperature
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.records import CHANNEL_NAMES, GENERATION_IDS
from sim.arrays import Floats, Ints
from sim.model.air import vapour_pressure
from sim.model.clock import SimClock
from sim.model.faults.occurrence import Occurrence
from sim.model.recording.block import FileChange

OUTSIDE_HUMIDITY: Final = 75.0  # %, relative
LOAD_KNM: Final = 25.0  # kN m per (m/s)^2; ours
_WIND, _PITCH, _NACELLE, _AIR = (
    CHANNEL_NAMES.index(name)
    for name in ("wind_speed", "blade_pitch", "temperature", "ambient_temperature")
)


class FileChanges:
    """The changes of a farm's node files so far. Blocks must come in order.

    `gone`: (turbine, channel) -> true time in us from which on the node has no such column.
    """

    def __init__(self, clock: SimClock, occurrences: Sequence[Occurrence]) -> None:
        self._clock = clock
        self._waiting = [event for event in occurrences if event.target == "file"]
        self._begun: list[tuple[Occurrence, int]] = []  # with the first id that it affects
        self.gone: dict[tuple[int, str], int] = {}

    def apply(
        self, ids: Ints, stored: Ints, values: Floats, offsets: Ints
    ) -> tuple[list[FileChange], dict[str, Floats]]:
        """Apply the changes within a block. Returns them, and the new channels.

        New channels are (rows,) arrays, NaN where there is none. ids, stored (true time, us):
        (rows,); values: (channels, rows). Ids and values are changed in place.
        """
        changes: list[FileChange] = []
        for event in list(self._waiting):
            own = slice(int(offsets[event.turbine]), int(offsets[event.turbine + 1]))
            row = own.start + int(np.searchsorted(stored[own], self._clock.time_us(event.first)))
            if row == own.stop:
                continue  # not due in this block
            self._waiting.remove(event)
            if self._repeated(event):
                continue
            if event.kind != "schema.added":
                generation = int(ids[row]) // GENERATION_IDS + 1
                ids[row : own.stop] += generation * GENERATION_IDS + 1 - int(ids[row])
            if event.kind == "schema.dropped":
                self.gone[event.turbine, str(event.channel)] = self._clock.time_us(event.first)
            self._begun.append((event, int(ids[row])))
            changes.append(FileChange(event.turbine, row, event.kind, event.channel))
        extra: dict[str, Floats] = {}
        gone: list[tuple[int, slice]] = []
        for event, first_id in self._begun:
            low, high = (int(at) for at in offsets[event.turbine : event.turbine + 2])
            rows = slice(low + int(np.searchsorted(ids[low:high], first_id)), high)
            event.recorded(ids[rows])
            if event.kind == "schema.dropped":
                gone.append((CHANNEL_NAMES.index(str(event.channel)), rows))
            elif event.kind == "schema.added":
                column = extra.setdefault(str(event.channel), np.full(len(ids), np.nan))
                column[rows] = _reading(str(event.channel), values[:, rows])
        for channel, rows in gone:  # after the new channels, which still read these sensors
            values[channel, rows] = np.nan
        return changes, extra

    def _repeated(self, event: Occurrence) -> bool:
        """Return True if the same change was made to the node's file before."""
        return event.channel is not None and any(
            (old.turbine, old.kind, old.channel) == (event.turbine, event.kind, event.channel)
            for old, _ in self._begun
        )


def _reading(channel: str, values: Floats) -> Floats:
    """Readings of a new channel from those of the same rows, (rows,), one decimal."""
    if channel == "blade_load":
        return np.asarray(
            np.round(LOAD_KNM * values[_WIND] ** 2 * np.cos(np.radians(values[_PITCH])), 1)
        )
    with np.errstate(over="ignore", invalid="ignore"):
        share = vapour_pressure(values[_AIR]) / vapour_pressure(values[_NACELLE])
    return np.asarray(np.round(np.clip(OUTSIDE_HUMIDITY * share, 0.0, 100.0), 1), dtype=np.float64)
