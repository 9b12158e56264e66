"""A Delta table of the warehouse: appends by transaction, and small files written together."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from pipeline.catalog.tables import BY_NAME
from sim.errors import QueryError
from sim.query import stored_table
from sim.query.stored_table import StoredTable
from tests.support import lakehouse

RAW = BY_NAME["wind_turbine_raw"]


class Killed(BaseException):
    """The process is gone."""


FEW = 3


def opened(path: Path, kill_at: str = "") -> StoredTable:
    def step(name: str) -> None:
        if kill_at and name.startswith(kill_at):
            raise Killed(name)

    return StoredTable(path, RAW, step)


def content(path: Path) -> pa.Table:
    return DeltaTable(str(path)).to_pyarrow_table().sort_by([("id", "ascending")])


def filled(path: Path, batches: int) -> pa.Table:
    """Append so many batches of two rows; the last has a column more. Return all rows."""
    table = opened(path)
    for number in range(1, batches + 1):
        rows = lakehouse.rows(table.schema, "A-001", 2 * number, 2)
        evolves = number == batches
        if evolves:
            rows = rows.append_column("humidity", pa.array([0.5, 0.6]))
        table.append(rows, number, evolves)
    return content(path)


def test_small_files_become_one_with_the_same_rows_and_transaction(tmp_path: Path) -> None:
    before = filled(tmp_path, 4)
    table = opened(tmp_path)
    table.compact(FEW)
    assert len(DeltaTable(str(tmp_path)).file_uris()) == 1
    assert content(tmp_path).equals(before)
    assert opened(tmp_path).last == 4
    more = lakehouse.rows(table.schema, "A-001", 20, 2)
    table.append(more, 5, False)
    assert (content(tmp_path).num_rows, opened(tmp_path).last) == (10, 5)


def test_few_files_and_large_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, batches in ((tmp_path / "few", 2), (tmp_path / "large", 4)):
        filled(path, batches)
        opened(path, "compact").compact(FEW)
        assert len(DeltaTable(str(path)).file_uris()) == batches
        monkeypatch.setattr(stored_table, "LARGE_BYTES", 2)


def test_a_query_that_has_begun_keeps_its_files(tmp_path: Path) -> None:
    before = filled(tmp_path, 4)
    begun = DeltaTable(str(tmp_path)).to_pyarrow_dataset()
    opened(tmp_path).compact(FEW)
    assert begun.to_table().sort_by([("id", "ascending")]).equals(before)


@pytest.mark.parametrize("step", ["compact", "remove old files"])
def test_a_kill_within_the_compaction_changes_no_row(tmp_path: Path, step: str) -> None:
    before = filled(tmp_path, 4)
    with pytest.raises(Killed):
        opened(tmp_path, step).compact(FEW)
    assert content(tmp_path).equals(before)
    opened(tmp_path).compact(FEW)
    assert content(tmp_path).equals(before)
    assert len(DeltaTable(str(tmp_path)).file_uris()) == 1


def test_transactions_are_read_from_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stored_table._PROPERTIES, "delta.checkpointInterval", "3")
    filled(tmp_path, 4)
    assert (tmp_path / "_delta_log" / "_last_checkpoint").exists()
    (tmp_path / "_delta_log" / "00000000000000000001.json").unlink()  # the checkpoint has it
    assert opened(tmp_path).last == 4


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    log = tmp_path / "_delta_log" / "00000000000000000000.json"
    log.write_text("{")
    with pytest.raises(QueryError, match=f"{tmp_path.name}.*: cannot be opened"):
        opened(tmp_path)
