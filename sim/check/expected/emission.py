"""The batch that makes each revision of a window, computed only from the rows.

Watermark  The newest event time of a valid row up to the end of a batch, less the allowed lateness,
           rounded down to a whole window. It only rises.
Revisions  A batch makes each window that its watermark is the first to pass. It also makes a
           revision of each window passed earlier in which it has valid rows.
Drain      The last batch of a node passes every window. A node that is run by hand may also have
           earlier drains. The rows do not show them, but the lake does (`drains`). A run drains
           once, so a window that looks like an earlier drain's counts as made too early.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from sim.check.expected.rows import SECOND_US, Expectation
from sim.check.read.columns import NULL, Bools, Ints

_ALL: Final = int(np.iinfo(np.int64).max)
_FOR_EVER_S: Final = 10**12
"""Longest lateness used. It closes no window before the drain; a longer one overflows times."""


@dataclass(frozen=True)
class Progress:
    """State after each batch, shape (batches,), us, `NULL` for none. Both ascend within a node.

    `newest`  newest event time of a valid row of the node so far
    `closed`  every window that ends at or before this time has been made
    """

    newest: Ints
    closed: Ints


def progress(expected: Expectation, drained: Bools | None = None) -> Progress:
    """Recompute the watermark after every batch of all nodes.

    drained: mask of the batches of earlier drains, shape (batches,).
    """
    batches = expected.batches
    if len(batches.start) == 0:
        return Progress(batches.start, batches.start)
    time = np.where(expected.rule < 0, expected.columns["timestamp"], NULL)
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
    if drained is not None:
        at = np.flatnonzero(drained & some)
        closed[at] = newest[at] // length[at] * length[at] + length[at]
        for first, end in pairwise(bounds.tolist()):
            closed[first:end] = np.maximum.accumulate(closed[first:end])
    last = bounds[1:][np.diff(bounds) > 0] - 1
    closed[last] = np.where(some[last], _ALL, NULL)
    return Progress(newest, closed)


def node_bounds(expected: Expectation) -> Ints:
    """Index of each node's first batch, and the number of batches: shape (nodes + 1,)."""
    return np.searchsorted(expected.batches.owner, np.arange(len(expected.nodes) + 1))


def drains(expected: Expectation, batch: Ints, start: Ints) -> Bools:
    """Mask of the batches of drains, as the lake shows them; shape (batches,).

    A drain makes the window of the newest row so far. A watermark never passes the window of the
    newest row, so no other batch makes that window.

    batch, start: batch and start of each window in the lake, (windows,).
    """
    newest, found = progress(expected).newest, np.zeros(len(expected.batches.start), dtype=bool)
    length = np.array([node.window_s * SECOND_US for node in expected.nodes], dtype=np.int64)
    in_place = batch >= 0
    batch, start = batch[in_place], start[in_place]
    length = length[expected.batches.owner[batch]]
    found[batch[(newest[batch] != NULL) & (start == newest[batch] // length * length)]] = True
    return found


def closing_batch(
    expected: Expectation, owner: Ints, end: Ints, drained: Bools | None = None
) -> Ints:
    """Index of the first batch that passes each window's end, shape (windows,); `owner` ascends."""
    closed, bounds = progress(expected, drained).closed, node_bounds(expected)
    mine = np.searchsorted(owner, np.arange(len(expected.nodes) + 1))
    out = np.empty(len(owner), dtype=np.int64)
    for i in range(len(expected.nodes)):
        windows = slice(mine[i], mine[i + 1])
        out[windows] = bounds[i] + np.searchsorted(closed[bounds[i] : bounds[i + 1]], end[windows])
    return out
