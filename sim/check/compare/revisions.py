"""Revisions of windows, compared with the batches that must make them.

`window.early`              made by a batch whose watermark has not passed the window yet
`window.late`               made by a later batch than the expected one
`window.needless-revision`  surplus, and equal to the expected revision as of its batch
`window.invented-revision`  surplus, and different from that
`window.missing-revision`
`window.revision-order`     a higher number was made by an earlier batch

A window with a missing or misplaced object has that as its only diagnosis.
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

    `row`    index of the row in the lake's table
    `batch`  batch that made it, negative if its key names none
    `made`   index of the expected revision of this window and batch, -1 if the batch makes none
    """

    row: Ints
    window: Ints
    number: Ints
    batch: Ints
    made: Ints


class Report(Protocol):
    """Receiver of findings (`compare.windows.WindowReport`)."""

    windows: Windows

    def add(self, kind: str, row: int, detail: str) -> None: ...
    def batch(self, number: int) -> str: ...
    def may_be_unreadable(self, place: int) -> bool: ...
    def never_made(self, place: int) -> None: ...
    def same(self, rows: Ints, places: Ints) -> Bools: ...


def judge_batches(
    found: Found, unclear: Ints, incomplete: Ints, report: Report
) -> tuple[Ints, Ints]:
    """Report revisions of wrong batches, and missing ones.

    Returns the windows with such a finding, and the indices in `found` of surplus revisions.
    unclear: windows that are not judged.
    incomplete: windows whose missing revisions get no finding here, since another finding covers
    them.
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
        detail = f"{_made(found, i, report)}, must be by {_batch(place, report)}"
        report.add(kind, int(found.row[i]), detail)
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
    """Pair surplus revisions (odd) with missing ones (due), in order, window by window.

    Returns pairs (odd, due), the odd without a partner, and the due without one. In a window with
    an odd revision, a due one without a partner gets no finding of its own, and is not returned.
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
    """Report surplus revisions.

    They were made before the watermark passed the window, or after that by a batch without a row
    of the window.
    """
    windows = report.windows
    first = windows.first[found.window[surplus]]
    early = found.batch[surplus] < windows.batch[first]
    for i, place in zip(surplus[early].tolist(), first[early].tolist(), strict=True):
        detail = f"{_made(found, i, report)}, the first must be by {_batch(place, report)}"
        report.add("window.early", int(found.row[i]), detail)
    later = surplus[~early]
    current = _current(windows, found.window[later], found.batch[later])
    same = report.same(found.row[later], current)
    for i, unchanged in zip(later.tolist(), same.tolist(), strict=True):
        kind = "window.needless-revision" if unchanged else "window.invented-revision"
        problem = "changes no value" if unchanged else "matches no rows up to that batch"
        report.add(kind, int(found.row[i]), f"{_made(found, i, report)}, and {problem}")


def _current(windows: Windows, window: Ints, batch: Ints) -> Ints:
    """Index of each window's newest expected revision as of a batch. One must exist by then."""
    size = int(max(windows.batch.max(initial=0), batch.max(initial=0))) + 1
    return (
        np.searchsorted(windows.window * size + windows.batch, window * size + batch, side="right")
        - 1
    )


def _made(found: Found, i: int, report: Report) -> str:
    return f"revision {found.number[i]} was made by {report.batch(int(found.batch[i]))}"


def _batch(place: int, report: Report) -> str:
    return report.batch(int(report.windows.batch[place]))
