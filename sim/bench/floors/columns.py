"""The stages by hand: rules and windows of clean rows, over one table of all nodes.

Rows are clean if they break no rule and come in the order of their times. Any other rows are
refused: with them the pipeline has work that this floor has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline import records
from pipeline.config import NodeConfig
from sim.arrays import Bools, Floats, Ints
from sim.errors import BenchError

NUMBERS: Final = ("id", "timestamp", "recorded_at", *records.CHANNEL_NAMES)
_STUCK: Final = tuple(channel.name for channel in records.CHANNELS if channel.stuck)
_DAY_US: Final = 86_400_000_000
Codes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Rows:
    """Rows of many nodes. Node i has the rows offsets[i]..offsets[i+1]-1.

    numbers: NUMBERS by name. status: index in STATES. node: of each row.
    """

    numbers: dict[str, npt.NDArray[Any]]
    status: Codes
    offsets: Ints
    node: Ints


@dataclass(frozen=True)
class Windows:
    """Windows of many nodes. Node i has the windows bounds[i]..bounds[i+1]-1.

    columns: the numbers of AGGREGATED by name. kinds: of anomalies, per window.
    """

    columns: dict[str, npt.NDArray[Any]]
    kinds: list[list[str]]
    bounds: Ints


def joined(tables: Sequence[pa.Table]) -> Rows:
    """Join the rows of the nodes, one table each."""
    table = pa.concat_tables(tables).combine_chunks()
    sizes = [len(each) for each in tables]
    numbers = {name: table.column(name).combine_chunks().to_numpy() for name in NUMBERS}
    found = table.column("status").combine_chunks().dictionary_encode()
    codes = np.array([records.STATES.index(word) for word in found.dictionary.to_pylist()], np.int8)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    node = np.repeat(np.arange(len(tables)), sizes)
    return Rows(numbers, codes[np.asarray(found.indices)], offsets, node)


def require_clean(rows: Rows, configs: Sequence[NodeConfig]) -> None:
    """Check every rule of `records.RULES`. Raises BenchError."""
    numbers, node = rows.numbers, rows.node
    time, recorded = numbers["timestamp"], numbers["recorded_at"]
    broken = (time < records.TIME_MIN_US) | (time >= records.TIME_MAX_US)
    broken |= time - records.FUTURE_TOLERANCE_US > recorded
    broken |= time + records.STALE_AFTER_US < recorded
    for channel in records.CHANNELS:
        values = numbers[channel.name]
        broken |= ~((values >= channel.low) & (values <= channel.high))  # NaN, too
    rated = np.array([config.asset.rated_power for config in configs])[node]
    power, rotor, wind = (numbers[n] for n in ("power_output", "rotor_rpm", "wind_speed"))
    still = (rotor < records.ROTOR_STANDSTILL_RPM) | (wind < records.WIND_CALM)
    broken |= (power > records.POWER_FLOOR * rated) & still
    broken |= power > records.RATED_CEILING * rated
    late = (time[1:] <= time[:-1]) & (node[1:] == node[:-1])
    if broken.any() or late.any() or any(_stuck(rows, name) for name in _STUCK):
        raise BenchError(
            f"{broken.sum()} rows break a rule and {late.sum()} are late, or a sensor is stuck; "
            "the floors need clean rows: take another --seed"
        )


def _stuck(rows: Rows, name: str) -> bool:
    values, time = rows.numbers[name], rows.numbers["timestamp"]
    same = (values[1:] == values[:-1]) & (values[1:] != 0)
    if np.count_nonzero(same) < records.STUCK_ROWS - 1:  # too few for one series
        return False
    ends = np.append(np.flatnonzero(~same | (rows.node[1:] != rows.node[:-1])), len(values) - 1)
    first = np.append(0, ends[:-1] + 1)
    long: Bools = (ends - first + 1 >= records.STUCK_ROWS) & (values[first] != 0)
    return bool(np.any(long & (time[ends] - time[first] >= records.STUCK_AFTER_US)))


def windows(rows: Rows, configs: Sequence[NodeConfig]) -> Windows:
    """Sum up all windows, the last one of a node too, as a drain does."""
    numbers, node, count = rows.numbers, rows.node, len(rows.node)
    width_us = configs[0].window_s * 1_000_000
    window = numbers["timestamp"] // width_us
    begun = (window[1:] != window[:-1]) | (node[1:] != node[:-1])
    at = np.concatenate(([0], np.flatnonzero(begun) + 1))
    size = np.diff(np.append(at, count))
    columns: dict[str, npt.NDArray[Any]] = {}
    for measure in records.MEASURES:
        values = numbers[measure]
        mean = np.add.reduceat(values, at) / size
        squares = np.add.reduceat((values - np.repeat(mean, size)) ** 2, at)
        columns |= {
            measure: mean,
            f"{measure}_min": np.minimum.reduceat(values, at),
            f"{measure}_max": np.maximum.reduceat(values, at),
            f"{measure}_std": np.sqrt(squares / size),
        }
    counts, efficiency = _judged(rows, configs, at)
    start = window[at] * width_us
    columns |= {
        "efficiency": efficiency,
        "rows": size.astype(np.int64),
        "anomaly_count": counts.sum(axis=0).astype(np.int64),
        "window_start": start,
        "window_end": start + width_us,
        "date": (start // _DAY_US).astype(np.int32),
        "revision": np.zeros(len(at), np.int32),
    }
    kinds = [
        [kind for kind, number in zip(records.ANOMALIES, each, strict=True) if number > 0]
        for each in counts.T.tolist()
    ]
    return Windows(columns, kinds, np.searchsorted(at, rows.offsets))


def _judged(rows: Rows, configs: Sequence[NodeConfig], at: Ints) -> tuple[Floats, Floats]:
    """Return the counts of each kind of anomaly, and the efficiency, of each window."""
    numbers = rows.numbers
    power, wind = numbers["power_output"], numbers["wind_speed"]
    speed, curve = np.array(configs[0].asset.power_curve).T
    promise = np.interp(wind, speed, curve, left=0.0, right=0.0)
    rated = np.array([config.asset.rated_power for config in configs])[rows.node]
    rpm = np.array([config.asset.rated_rpm or np.inf for config in configs])[rows.node]
    running = rows.status == records.STATES.index("running")
    judged = running & (promise >= records.PROMISE_FLOOR * rated) & (promise > 0)

    def total(values: npt.NDArray[Any]) -> Floats:
        return np.add.reduceat(values.astype(float), at)

    under = total(power * judged) < records.UNDERPERFORMANCE * total(promise * judged)
    counts = (
        total(numbers["vibration_level"] > records.VIBRATION_ALARM),
        total(numbers["generator_temperature"] > records.GENERATOR_ALARM),
        total(numbers["gearbox_temperature"] > records.GEARBOX_ALARM),
        total(numbers["rotor_rpm"] > records.OVERSPEED * rpm),
        np.where(under, total(judged), 0),
    )
    with np.errstate(all="ignore"):
        return np.stack(counts), total(np.maximum(power, 0)) / total(promise)
