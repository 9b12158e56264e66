"""Batches: their boundaries, which depend on the rows only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import batch, node, source
from pipeline.batch import Groups, cut, floats, ints, nulls
from pipeline.node import EdgeNode
from pipeline.records import GENERATION_IDS
from pipeline.source import RAW
from sim.campaign.memory_store import MemoryStore
from tests.support.pipeline_reference import LAST, batches
from tests.support.pipeline_world import SECOND, config, documents, drive, good, write

FLUSH_S = 900
SLOT = FLUSH_S * SECOND


def raw(recorded: list[int | None], first_id: int = 1, ids: list[int] | None = None) -> pa.Table:
    columns: dict[str, pa.Array] = {
        field.name: pa.nulls(len(recorded), field.type) for field in RAW
    }
    columns["id"] = pa.array(ids or range(first_id, first_id + len(recorded)), pa.int64())
    columns["recorded_at"] = pa.array(recorded, pa.int64())
    return pa.table(columns, schema=RAW)


def ranges(recorded: list[int | None], until_us: int | None) -> list[tuple[int, int]]:
    return [b.id_range for b in cut(raw(recorded), FLUSH_S, until_us)]


def test_a_flush_leaves_the_last_batch_open_and_a_drain_closes_it() -> None:
    recorded = [0, 1, SLOT, SLOT + 1, 3 * SLOT]
    assert ranges(recorded, None) == [(1, 2), (3, 4)]
    assert ranges(recorded, LAST) == [(1, 2), (3, 4), (5, 5)]
    assert [b.final for b in cut(raw(recorded), FLUSH_S, LAST)] == [False, False, True]
    assert not any(b.final for b in cut(raw(recorded), FLUSH_S, None))


def test_no_rows_no_batch() -> None:
    assert ranges([], None) == ranges([], LAST) == ranges([5], None) == ranges([5], 5) == []


def test_a_clock_that_steps_back_cuts_and_keeps_the_order_of_ids() -> None:
    assert ranges([SLOT, 2 * SLOT, SLOT + 1, SLOT + 2, 2 * SLOT], LAST) == [
        (1, 1),
        (2, 2),
        (3, 4),
        (5, 5),
    ]


def test_times_before_1970_round_down() -> None:
    assert ranges([-1, 0, 1], LAST) == [(1, 1), (2, 3)]


def test_a_row_without_recording_time_goes_with_the_row_before() -> None:
    assert ranges([0, None, SLOT, None, None], LAST) == [(1, 2), (3, 5)]
    assert ranges([None, None, 0, 1], LAST) == [(1, 2), (3, 4)]  # no row before them
    assert ranges([None, None], None) == []
    assert ranges([0, None, None], None) == []


def test_a_drain_takes_the_rows_recorded_before_its_time() -> None:
    recorded = [0, 10, 20, None, 30, 40]
    assert ranges(recorded, 20) == [(1, 2)]
    assert ranges(recorded, 21) == [(1, 4)]  # the row without a time goes with the one before
    assert ranges(recorded, 0) == []


def test_a_drain_sees_rows_after_one_from_a_fast_clock() -> None:
    assert ranges([0, LAST, 10, 20], 100) == [(1, 1), (2, 2), (3, 4)]
    assert cut(raw([0, LAST, 10, 20]), FLUSH_S, 100)[-1].final


def test_a_slot_with_too_many_rows_is_cut_by_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_BATCH_ROWS", 4)
    monkeypatch.setattr(batch, "READ_ROWS", 5)
    assert ranges([1] * 5, None) == ranges([1] * 5, LAST) == [(1, 4)]
    assert ranges([1] * 4, None) == []
    assert ranges([1] * 4, LAST) == [(1, 4)]
    assert ranges([1, 1, 1, 1, SLOT], None) == [(1, 4)]
    # more of the second slot may follow
    assert ranges([0, SLOT, SLOT, SLOT, SLOT], LAST) == [(1, 1)]


def test_rows_of_a_fresh_file_are_another_batch() -> None:
    second, third = GENERATION_IDS + 1, 2 * GENERATION_IDS + 1
    ids = [5, 6, second, second + 1, third]
    found = [b.id_range for b in cut(raw([7] * 5, ids=ids), FLUSH_S, None)]
    assert found == [(5, 6), (second, second + 1)]
    found = [b.id_range for b in cut(raw([7, None, None, 7, 7], ids=ids), FLUSH_S, LAST)]
    assert found == [(5, 6), (second, second), (second + 1, second + 1), (third, third)]


def test_a_batch_has_a_hundred_thousand_rows_at_most() -> None:
    most = 100_000
    assert ranges([1] * (most + 1), None) == ranges([1] * (most + 1), LAST) == [(1, most)]
    assert ranges([1] * most, None) == []
    assert ranges([1] * most, LAST) == [(1, most)]


def drained(recorded: list[int | None], reads: list[int]) -> list[tuple[int, int]]:
    """Return ids of the batches after a flush at each length of `reads`, and a drain at the end."""
    out: list[tuple[int, int]] = []
    for seen, until in [*((n, None) for n in reads), (len(recorded), LAST)]:
        while True:
            last = out[-1][1] if out else 0
            part = recorded[last:seen][: batch.READ_ROWS]
            found = cut(raw(part, last + 1), FLUSH_S, until)
            out += [b.id_range for b in found]
            if len(part) < batch.READ_ROWS or found[-1].final:
                break
    return out


times = st.one_of(
    st.none(), st.integers(-3, 3).map(lambda n: n * SLOT // 2), st.sampled_from((LAST - 1, -LAST))
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(times, max_size=30),
    st.lists(st.integers(0, 30), max_size=5),
    st.sampled_from((3, 7, 1000)),
)
def test_batches_are_the_same_whenever_flushed(
    recorded: list[int | None], reads: list[int], most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "MAX_BATCH_ROWS", most)
        patch.setattr(batch, "READ_ROWS", most + 1)
        found = drained(recorded, [min(n, len(recorded)) for n in sorted(reads)])
        assert found == drained(recorded, [])
    assert [i for first, last in found for i in range(first, last + 1)] == list(
        range(1, len(recorded) + 1)
    )
    if most == 1000:
        assert found == batches(
            [{"id": i + 1, "recorded_at": r} for i, r in enumerate(recorded)], FLUSH_S
        )


def test_a_drain_ends_if_more_than_one_read_follows_its_time(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", [good(i) for i in range(1, 40)])
    reads: list[int] = []

    read_file = source.read

    def read(
        path: Path, after_id: int, limit: int, anchor_us: int | None, lock_wait_s: float
    ) -> pa.Table:
        reads.append(after_id)
        assert len(reads) < 10, reads
        return read_file(path, after_id, limit, anchor_us, lock_wait_s)

    store = MemoryStore()
    with pytest.MonkeyPatch.context() as patch:
        for module in (batch, node):
            patch.setattr(module, "READ_ROWS", 5)
        patch.setattr(batch, "MAX_BATCH_ROWS", 4)
        patch.setattr(source, "read", read)
        for until_row in (8, 8, 19):
            drive([EdgeNode(config(), database)], store, good(until_row)["timestamp"])
    (checkpoint,) = documents(store, "checkpoints").values()
    assert checkpoint["last_id"] == 18
    assert len(reads) > 3


def test_columns_as_arrays() -> None:
    table = raw([SLOT, None])
    assert ints(table, "recorded_at").tolist() == [SLOT, 0]
    assert ints(pa.table({"t": pa.array([5, None], pa.timestamp("us"))}), "t").tolist() == [5, 0]
    assert nulls(table, "recorded_at").tolist() == [False, True]
    assert nulls(table, "id").tolist() == [False, False]
    assert np.array_equal(
        floats(pa.table({"a": [1.0, None], "b": [2.0, 3.0]}), ["b", "a"]),
        [[2, 3], [1, np.nan]],
        True,
    )


def test_groups_follow_their_rows_through_a_selection() -> None:
    groups = Groups([None] * 4, np.array([0, 2, 2, 5, 6]))  # type: ignore[list-item]
    assert groups.of_row.tolist() == [0, 0, 2, 2, 2, 3]
    kept = groups.select(np.array([False, False, True, False, True, True]))
    assert kept.offsets.tolist() == [0, 0, 0, 2, 3]
