"""The modelled line from a farm to the cloud: one link for all its nodes, first come, first served.

Modelled are the wait for the line, bytes over bandwidth, and latency. They give freshness: the
virtual time from a row's event to the moment it can be read in the lake. Wall time plays no part;
the speed of the real store is measured elsewhere.

A batch is sent when its flush begins, and the batches of a flush in the order of their turbines.
So a batch waits for those of all turbines before it. Several shards may have delivered the farm,
and its line is therefore modelled at the end, from what they sent (`Sent`).

Not covered: losses, and protocol overhead per object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.partition import Ints
from pipeline.records import TIME_MAX_US, TIME_MIN_US
from sim.measure.freshness import Arrival
from sim.measure.histogram import Histogram

ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Sent:
    """One batch on its way.

    at_s: virtual seconds since the start. runs: event times in order, as (first, step, number of
    rows), times in us since 1970. A batch of even samples has one run.
    """

    at_s: float
    turbine: str
    first_id: int
    bytes: int
    runs: tuple[tuple[int, int, int], ...]


def runs(event_us: Ints) -> tuple[tuple[int, int, int], ...]:
    """Return event times, shape (rows,), as runs of even steps: (first, step, number of rows)."""
    if not len(event_us):
        return ()
    steps = np.diff(event_us)
    begins = np.concatenate([[0], np.flatnonzero(np.diff(steps)) + 2])
    counts = np.diff(begins, append=len(event_us))
    step = np.where(counts > 1, np.append(steps, 0)[begins], 0)
    return tuple(zip(event_us[begins].tolist(), step.tolist(), counts.tolist(), strict=True))


def freshness(
    sent: Iterable[Sent], start_us: int, bandwidth_bit_per_s: float, latency_s: float
) -> Histogram:
    """Return the freshness of a farm's rows with an event time in range, in seconds.

    sent: the batches of all its turbines, in any order.
    """
    found = Histogram()
    ages: list[Ints] = []
    rows = 0
    for batch, at_s in _arrived(sent, bandwidth_bit_per_s, latency_s):
        arrived_us = start_us + at_s * 1e6
        for first, step, count in batch.runs:
            event_us = first + step * np.arange(count)
            in_range = event_us[(event_us >= TIME_MIN_US) & (event_us < TIME_MAX_US)]
            # Not below zero: a node's clock may be fast.
            ages.append(np.maximum(arrived_us - in_range, 0.0) / 1e6)
            rows += count
        if rows >= ROWS_AT_ONCE:
            found.record_many(np.concatenate(ages))
            ages, rows = [], 0
    if ages:
        found.record_many(np.concatenate(ages))
    return found


def arrivals(
    sent: Iterable[Sent], start_us: int, bandwidth_bit_per_s: float, latency_s: float
) -> list[Arrival]:
    """Return the batches of a farm with the ages of their rows, as `freshness` counts them.

    A run of rows counts as a whole, by its first and last event time.
    """
    found = []
    for batch, at_s in _arrived(sent, bandwidth_bit_per_s, latency_s):
        arrived_us = start_us + at_s * 1e6
        spans = [
            (first, first + step * (count - 1), count)
            for first, step, count in batch.runs
            if first >= TIME_MIN_US and first + step * (count - 1) < TIME_MAX_US
        ]
        rows = sum(count for _, _, count in spans)
        if rows:
            mean_us = sum((first + last) / 2 * count for first, last, count in spans) / rows
            oldest_us = min(min(first, last) for first, last, _ in spans)
            ages = [max(arrived_us - event_us, 0.0) / 1e6 for event_us in (mean_us, oldest_us)]
            found.append(Arrival(at_s, rows, *ages))
    return found


def _arrived(
    sent: Iterable[Sent], bandwidth_bit_per_s: float, latency_s: float
) -> Iterator[tuple[Sent, float]]:
    """Yield the batches in the order of the line, each with the second at which it arrives."""
    free_s = 0.0
    for batch in sorted(sent, key=lambda each: (each.at_s, each.turbine, each.first_id)):
        free_s = max(free_s, batch.at_s) + batch.bytes * 8 / bandwidth_bit_per_s
        yield batch, free_s + latency_s
