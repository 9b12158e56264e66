"""Readings of a data set as arrays of (turbines, samples), from its node databases, for pictures.

Values outside the limits of `records.CHANNELS`, and samples without a row, are NaN. Of several rows
with the same time the last one counts. A data set of more than MOST_CELLS is thinned out: every
k-th turbine of each farm is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline import generations
from pipeline.records import CHANNEL_NAMES, CHANNELS, STATES
from sim.arrays import Floats, Ints
from sim.fleet.farm import Farm
from sim.scenario import Scenario

MOST_CELLS: Final = 4_000_000  # turbines x samples: 350 MB as float64 with all channels


@dataclass(frozen=True)
class FarmReadings:
    """One farm's readings.

    `turbines`: their indices in the farm. `times_us` (samples,). `channels`: name -> (turbines,
    samples). `status` (turbines, samples): index in STATES, -1 for none.
    """

    farm: Farm
    turbines: Sequence[int]
    times_us: Ints
    channels: dict[str, Floats]
    status: npt.NDArray[np.int8]

    @property
    def hours(self) -> Floats:
        """Hours since the first sample."""
        hours: Floats = (self.times_us - self.times_us[0]) / 3.6e9
        return hours

    @property
    def load(self) -> Floats:
        """Power as a share of rated, (turbines, samples)."""
        share: Floats = self.channels["power_output"] / self.farm.turbine_type.rated_power
        return share


def read(scenario: Scenario, nodes: Path, whole: Sequence[str] = ()) -> list[FarmReadings]:
    """Readings of all farms, of every turbine for those in `whole`.

    Raises pipeline.source.SourceError.
    """
    cells = scenario.fleet.turbines * scenario.clock.samples
    every = max(1, -(-cells // MOST_CELLS))
    return [
        _farm(scenario, farm, nodes, 1 if farm.farm_id in whole else every)
        for farm in scenario.fleet.farms
    ]


def _farm(scenario: Scenario, farm: Farm, nodes: Path, every: int) -> FarmReadings:
    clock = scenario.clock
    chosen = range(0, farm.turbines, every)
    shape = len(chosen), clock.samples
    channels = {name: np.full(shape, np.nan) for name in CHANNEL_NAMES}
    status = np.full(shape, -1, dtype=np.int8)
    states = {name: index for index, name in enumerate(STATES)}
    for row, turbine in enumerate(chosen):
        database = nodes / farm.farm_id / f"{farm.turbine_ids[turbine]}.db"
        table = generations.read(database, 0, 2 * clock.samples + 100_000)
        time = table.column("timestamp").fill_null(0).to_numpy()
        at = (time - clock.start_us) // clock.sample_us
        inside = np.flatnonzero((at >= 0) & (at < clock.samples))
        for limits in CHANNELS:
            values = table.column(limits.name).to_numpy()[inside].astype(np.float64)
            values[~((values >= limits.low) & (values <= limits.high))] = np.nan
            channels[limits.name][row, at[inside]] = values
        names = table.column("status").to_pylist()
        status[row, at[inside]] = [states.get(names[i], -1) for i in inside]
    times = clock.start_us + np.arange(clock.samples, dtype=np.int64) * clock.sample_us
    return FarmReadings(farm, chosen, times, channels, status)
