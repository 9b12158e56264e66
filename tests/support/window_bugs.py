"""Bugs of windows, planted in the pipeline: too early, too late, again, or of other rows.

The run without faults has such a bug as well, and every other lake agrees with it. Only the
oracle's verdict on that run can find them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pipeline import process
from pipeline.batch import ints
from pipeline.records import MEASURES
from pipeline.stages import aggregate
from pipeline.sums import MEAN

Patch = Callable[[pytest.MonkeyPatch], None]


def lateness_of(times: float) -> Patch:
    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        advance = aggregate._advance

        def hurried(config: Any, *rest: Any) -> Any:
            return advance(
                replace(config, allowed_lateness_s=int(config.allowed_lateness_s * times)), *rest
            )

        monkeypatch.setattr(aggregate, "_advance", hurried)

    return plant


lateness_ignored, lateness_tenfold = lateness_of(0), lateness_of(10)
lateness_ignored.__name__, lateness_tenfold.__name__ = "lateness_ignored", "lateness_tenfold"


def watermark(newest: Callable[[Any, Any], dict[int, int]]) -> Patch:
    """The watermark follows another time of each node's batch, by its place in the groups."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        whole, advance = aggregate.aggregate, aggregate._advance

        def noting(validated: Any, groups: Any, *rest: Any) -> Any:
            times = newest(validated, groups)
            places = iter(range(len(groups.configs)))

            def by_other(config: Any, state: Any, fresh: Any, newest_us: Any, *more: Any) -> Any:
                at = times.get(next(places))
                right = advance(config, state, fresh, newest_us, *more)
                return replace(
                    advance(config, state, fresh, at, *more), max_event_us=right.max_event_us
                )

            with monkeypatch.context() as patch:
                patch.setattr(aggregate, "_advance", by_other)
                return whole(validated, groups, *rest)

        monkeypatch.setattr(process, "aggregate", noting)

    return plant


def _each_batch(column: str, pick: Callable[[Any], Any]) -> Callable[[Any, Any], dict[int, int]]:
    def of(validated: Any, groups: Any) -> dict[int, int]:
        times = ints(validated, column)
        parts = [times[a:b] for a, b in pairwise(groups.offsets)]
        return {i: int(pick(part)) for i, part in enumerate(parts) if len(part)}

    return of


def watermark_by_the_oldest_row(monkeypatch: pytest.MonkeyPatch) -> None:
    watermark(_each_batch("timestamp", np.min))(monkeypatch)


def watermark_by_recording_time(monkeypatch: pytest.MonkeyPatch) -> None:
    watermark(_each_batch("recorded_at", np.max))(monkeypatch)


def watermark_by_rejected_rows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, transform = aggregate._advance, process.transform

    def noting(works: Any) -> Any:
        newest = iter([int(max(ints(work.batch.rows, "timestamp"))) for work in works])

        def advance(config: Any, state: Any, fresh: Any, newest_us: Any, *more: Any) -> Any:
            seen = next(newest)
            return whole(config, state, fresh, max(seen, newest_us or seen), *more)

        with monkeypatch.context() as patch:
            patch.setattr(aggregate, "_advance", advance)
            return transform(works)

    monkeypatch.setattr(process, "transform", noting)


def watermark_of_the_batch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of late rows takes it back."""
    advance = aggregate._advance

    def forgetful(config: Any, state: Any, fresh: Any, newest_us: Any, *more: Any) -> Any:
        out = advance(config, replace(state, max_event_us=None), fresh, newest_us, *more)
        newest = max((t for t in (state.max_event_us, newest_us) if t is not None), default=None)
        return replace(out, max_event_us=newest)

    monkeypatch.setattr(aggregate, "_advance", forgetful)


def emitting(change: Callable[[Any, Any, Any, Any], Any]) -> Patch:
    """Replace the emitted windows by those of `change`.

    `change` gets the node's configuration and state, the right windows, and the batch's `final`.
    """

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        advance = aggregate._advance

        def advancing(config: Any, state: Any, fresh: Any, *more: Any) -> Any:
            right = advance(config, state, fresh, *more)
            return replace(right, emitted=change(config, state, right, more[-1]))

        monkeypatch.setattr(aggregate, "_advance", advancing)

    return plant


def _windier(window: Any) -> Any:
    sums = window.sums.copy()
    sums[MEAN][MEASURES.index("wind_speed")] += 1.0
    return window._replace(sums=sums)


def earlier_revisions_hold_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first revision of a window before the drain is of other rows; later ones are right."""

    def change(config: Any, state: Any, right: Any, final: bool) -> Any:
        return [
            window if final or window.revision else _windier(window) for window in right.emitted
        ]

    plain = emitting(change)
    plain(monkeypatch)


def windows_made_again_by_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needless revisions: each batch emits the windows of the one before again."""
    last: dict[str, Any] = {}

    def change(config: Any, state: Any, right: Any, final: bool) -> Any:
        if not right.emitted:
            return right.emitted
        before = last.get(config.turbine_id, ()) if state.batches else ()
        last[config.turbine_id] = right.emitted
        starts = {window.start_us for window in right.emitted}
        again = [w._replace(revision=w.revision + 1) for w in before if w.start_us not in starts]
        return sorted([*again, *right.emitted], key=lambda window: window.start_us)

    emitting(change)(monkeypatch)


def windows_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drain emits one more revision of a window, of rows that do not exist."""

    def change(config: Any, state: Any, right: Any, final: bool) -> Any:
        if not final or not right.emitted:
            return right.emitted
        first, *others = right.emitted
        sums = first.sums.copy()
        sums[0] += 1
        return [first, first._replace(revision=first.revision + 1, sums=sums), *others]

    emitting(change)(monkeypatch)


def every_batch_drains(monkeypatch: pytest.MonkeyPatch) -> None:
    advance = aggregate._advance
    monkeypatch.setattr(aggregate, "_advance", lambda *of_node: advance(*of_node[:-1], True))


def late_rows_left_out_until_the_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drain revises a late row's window; its batch does not."""
    waiting: dict[str, Any] = {}
    advance = aggregate._advance

    def patient(config: Any, state: Any, fresh: Any, newest_us: Any, past: Any, final: bool) -> Any:
        right = advance(config, state, fresh, newest_us, past, final)
        kept = waiting.pop(config.turbine_id, []) if state.batches else []
        if final:
            starts = {window.start_us for window in right.emitted}
            kept = [window for window in kept if window.start_us not in starts]
            return replace(
                right, emitted=sorted([*kept, *right.emitted], key=lambda window: window.start_us)
            )
        waiting[config.turbine_id] = [*kept, *(w for w in right.emitted if w.revision)]
        return replace(right, emitted=[w for w in right.emitted if not w.revision])

    monkeypatch.setattr(aggregate, "_advance", patient)


def last_window_taken_for_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last emitted window of a late row starts again, without its earlier rows."""
    advance = aggregate._advance

    def forgetful(
        config: Any, state: Any, fresh: Any, newest_us: Any, past: Any, final: bool
    ) -> Any:
        last = (state.closed_until_us or 0) - config.window_s * 1_000_000
        others = replace(past, sums={at: sums for at, sums in past.sums.items() if at != last})
        return advance(config, state, fresh, newest_us, others, final)

    monkeypatch.setattr(aggregate, "_advance", forgetful)


WINDOW_BUGS: dict[Patch, str] = {
    last_window_taken_for_open: "window.stale-revision",
    lateness_ignored: "window.early",
    lateness_tenfold: "window.late",
    watermark_by_the_oldest_row: "window.late",
    watermark_by_rejected_rows_too: "window.early",
    earlier_revisions_hold_anything: "window.wrong",
    windows_made_again_by_the_next_batch: "window.needless-revision",
    windows_invented: "window.invented-revision",
    every_batch_drains: "window.early",
    late_rows_left_out_until_the_drain: "window.late",
}
"""Each with the finding that names it."""
