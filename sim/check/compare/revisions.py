"""Revisions of windows against the batches that must make them: nothing too early, too late, needless or left out.

`window.early` (made by a batch whose watermark has not passed the window yet), `window.late` (by a later batch than
the one that must), `window.needless-revision` (one too many: it says what the batch's or the one before says),
`window.invented-revision` (one too many that says something else), `window.missing-revision`,
`window.revision-order` (numbers ascend while batches do not). A window of which an object is missing or misplaced has
that as its diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim.check.expected.windows import Windows
from sim.check.read.columns import Bools, Ints


@dataclass(frozen=True)
class Found:
    """Revisions in the lake, each once, sorted by window and number; shape (found,).

    `row` of the lake, `batch` that made it (negative where its key does not say so), and `made`: place of the expected
    revision of that window and batch, -1 where the batch makes none.
    """

    row: Ints
    window: Ints
    number: Ints
    batch: Ints
    made: Ints


class Report(Protocol):
    """Where findings go (`compare_windows.WindowReport`)."""

    windows: Windows

    def add(self, kind: str, row: int, detail: str) -> None: ...
    def batch(self, number: int) -> str: ...
    def may_be_unreadable(self, place: int) -> bool: ...
    def never_made(self, place: int) -> None: ...
    def same(self, rows: Ints, places: Ints) -> Bools: ...


def judge_batches(
    found: Found, unclear: Ints, incomplete: Ints, report: Report
) -> tuple[Ints, Ints]:
    """Windows with a revision of another batch than must be, and the places in `found` of revisions too many.

    Nothing is said of `unclear` windows, and of `incomplete` ones not that a revision is missing.
    """
    windows = report.windows
    clear = ~np.isin(found.window, unclear)
    matched = np.unique(found.made, return_index=True)[1]
    matched = matched[found.made[matched] >= 0]
    odd = np.setdiff1d(np.flatnonzero(clear), matched)
    odd = odd[np.lexsort((found.batch[odd], found.window[odd]))]
    due = np.setdiff1d(np.arange(len(windows.window)), found.made[matched])
    due = due[~np.isin(windows.window[due], unclear)]
    pairs, odd_left, due_left = _pairs(odd, found.window[odd], due, windows.window[due])
    for i, place in pairs:
        kind = "window.early" if found.batch[i] < windows.batch[place] else "window.late"
        report.add(
            kind,
            int(found.row[i]),
            _made(found, i, report) + f", must be by {_batch(place, report)}",
        )
    surplus = np.array(odd_left, dtype=np.int64)
    _report_surplus(found, surplus, report)
    left = [p for p in due_left if not report.may_be_unreadable(p)]
    left = [
        p
        for p, known in zip(left, np.isin(windows.window[left], incomplete).tolist(), strict=True)
        if not known
    ]
    for place in left:
        report.never_made(place)
    bad = np.concatenate([found.window[odd], windows.window[np.array(left, dtype=np.int64)]])
    return np.unique(bad), surplus


def _pairs(
    odd: Ints, odd_window: Ints, due: Ints, due_window: Ints
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Revisions that are there and must not be, with those that must be and are not, in order, window by window; and
    what is left of both. Where any is there too many, the rest of those due is no finding of its own.
    """
    pairs, odd_left, due_left = [], [], []
    of_window: dict[int, list[int]] = {}
    for place, window in zip(due.tolist(), due_window.tolist(), strict=True):
        of_window.setdefault(window, []).append(place)
    waiting = {window: iter(places) for window, places in of_window.items()}
    for i, window in zip(odd.tolist(), odd_window.tolist(), strict=True):
        place = next(waiting.get(window, iter(())), None)
        if place is None:
            odd_left.append(i)
        else:
            pairs.append((i, place))
    touched = set(odd_window.tolist())
    due_left = [p for window, places in of_window.items() if window not in touched for p in places]
    return pairs, odd_left, due_left


def _report_surplus(found: Found, surplus: Ints, report: Report) -> None:
    """Revisions too many: made before the window was passed, or after that by a batch without a row of it."""
    windows = report.windows
    first = windows.first[found.window[surplus]]
    early = found.batch[surplus] < windows.batch[first]
    for i, place in zip(surplus[early].tolist(), first[early].tolist(), strict=True):
        must = f", the first must be by {_batch(place, report)}"
        report.add("window.early", int(found.row[i]), _made(found, i, report) + must)
    later = surplus[~early]
    stands = _standing(windows, found.window[later], found.batch[later])
    for i, nothing_new in zip(
        later.tolist(), report.same(found.row[later], stands).tolist(), strict=True
    ):
        made = _made(found, i, report)
        if nothing_new:
            report.add(
                "window.needless-revision", int(found.row[i]), f"{made}, and says nothing new"
            )
        else:
            report.add(
                "window.invented-revision",
                int(found.row[i]),
                f"{made}, and is of no rows up to then",
            )


def _standing(windows: Windows, window: Ints, batch: Ints) -> Ints:
    """Place of the newest revision of each window as of a batch, which has made one at least."""
    size = int(max(windows.batch.max(initial=0), batch.max(initial=0))) + 1
    return (
        np.searchsorted(windows.window * size + windows.batch, window * size + batch, side="right")
        - 1
    )


def _made(found: Found, i: int, report: Report) -> str:
    return f"revision {found.number[i]} was made by {report.batch(int(found.batch[i]))}"


def _batch(place: int, report: Report) -> str:
    return report.batch(int(report.windows.batch[place]))
