"""The batch that makes each revision of a window, from the rows alone: how far each batch closes the windows.

The watermark of a batch is the newest event time of a valid row up to its end, less the allowed lateness, rounded down
to a whole window. It only rises. A batch makes each window that it is the first to pass, and each one passed earlier in
which it has valid rows. The last batch of a node passes every window: it is the drain's. A drain before the last is not
provided for: its batches do not follow from the rows alone, and its windows count as made too early.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from sim.check.canon import NULL, Ints
from sim.check.expect import SECOND_US, Expectation

_ALL: Final = int(np.iinfo(np.int64).max)
_FOR_EVER_S: Final = 10**12
"""A lateness that closes nothing before the drain; a longer one would not fit the times."""


@dataclass(frozen=True)
class Progress:
    """After each batch, shape (batches,), us: `newest` event time of a valid row of the node so far, `NULL` for none;
    `closed`: every window that ends at or before it has been made, `NULL` for none. Both ascend within a node.
    """

    newest: Ints
    closed: Ints


def progress(expected: Expectation) -> Progress:
    """Recomputes the watermark after every batch of all nodes."""
    batches = expected.batches
    if len(batches.start) == 0:
        return Progress(batches.start, batches.start)
    time = np.where(expected.rule < 0, expected.cells["timestamp"], NULL)
    newest = np.maximum.reduceat(time, batches.start)
    bounds = node_bounds(expected)
    for first, end in pairwise(bounds.tolist()):
        newest[first:end] = np.maximum.accumulate(newest[first:end])
    length, lateness = (
        np.array([seconds * SECOND_US for seconds in of_node], dtype=np.int64)[batches.owner]
        for of_node in (
            [node.window_s for node in expected.nodes],
            [min(node.allowed_lateness_s, _FOR_EVER_S) for node in expected.nodes],
        )
    )
    some = newest != NULL
    closed = np.full(len(newest), NULL)
    closed[some] = (newest[some] - lateness[some]) // length[some] * length[some]
    last = bounds[1:][np.diff(bounds) > 0] - 1
    closed[last] = np.where(some[last], _ALL, NULL)
    return Progress(newest, closed)


def node_bounds(expected: Expectation) -> Ints:
    """Where the batches of each node begin, and the end: shape (nodes + 1,)."""
    return np.searchsorted(expected.batches.owner, np.arange(len(expected.nodes) + 1))


def closing_batch(expected: Expectation, owner: Ints, end: Ints) -> Ints:
    """Index of the first batch that passes each window's end, shape (windows,); `owner` ascends."""
    closed, bounds = progress(expected).closed, node_bounds(expected)
    mine = np.searchsorted(owner, np.arange(len(expected.nodes) + 1))
    out = np.empty(len(owner), dtype=np.int64)
    for i in range(len(expected.nodes)):
        windows = slice(mine[i], mine[i + 1])
        out[windows] = bounds[i] + np.searchsorted(closed[bounds[i] : bounds[i + 1]], end[windows])
    return out
