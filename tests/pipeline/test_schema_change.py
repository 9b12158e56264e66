"""Columns that appear and disappear during a run, and text outside UTF-8: no row is lost.

No row's result depends on other rows.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline import generations, source
from pipeline.node import Delivered, EdgeNode
from pipeline.records import CHANNEL_NAMES, NODE_COLUMNS, RESCUED, RETIRED_NAME, TABLE
from sim.campaign.memory_store import MemoryStore
from sim.check.read.nodes import NodeFile, read_rows
from tests.support.examples import examples
from tests.support.pipeline_world import Row, config, drain, drive, good, rows_of, write

NAMES = (
    "blade_load", "hub humidity (%)", 'a "b" c', "it's", "order", "select", "Wind_Speed_2",
    "Dreh\u00b4moment", "rowid",
    RESCUED, "farm_id", "rule", 'x,"wind_speed', '{"status":', "\\", "id2", "*", "[x]",
)  # fmt: skip
GARBLED = (b"\xff", b"run\xc3", b"\xed\xa0\x80", b"\xc0\x80")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def change(database: Path, *statements: tuple[str, tuple[Any, ...]] | str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(*((statement,) if isinstance(statement, str) else statement))


def add(name: str) -> str:
    return f"ALTER TABLE {TABLE} ADD COLUMN {quoted(name)}"


def put(name: str, number: int, value: object) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL that stores a value. Bytes of GARBLED are stored as text."""
    slot = "CAST(? AS TEXT)" if value in GARBLED else "?"
    return f"UPDATE {TABLE} SET {quoted(name)} = {slot} WHERE id = ?", (value, number)


def rescued(row: Row) -> Any:
    return row[RESCUED] and json.loads(row[RESCUED])


def plain(value: object) -> object:
    return value.hex().upper() if isinstance(value, bytes) else value


@pytest.mark.parametrize("name", NAMES)
def test_a_new_column_of_any_name_is_kept_and_breaks_no_rule(tmp_path: Path, name: str) -> None:
    database = write(tmp_path / "n.db", [good(i) for i in range(1, 7)])
    cells = {
        2: 1.5,
        3: 7,
        4: 'text with "wind_speed": 3, and \\"status\\":',
        5: b"\x00\xff",
        6: float("inf"),
    }
    change(database, add(name), *(put(name, i, value) for i, value in cells.items()))
    store = MemoryStore()
    assert [type(r) for r in drive([EdgeNode(config(), database)], store)] == [Delivered]
    found = {row["id"]: rescued(row) for row in rows_of(store, "ingestion")}
    assert found == {1: None, **{i: {name: plain(value)} for i, value in cells.items()}}
    assert len(rows_of(store, "validated")) == 6
    assert rows_of(store, "quarantine") == []


def test_a_wrong_type_in_a_known_column_breaks_the_rule_beside_new_columns(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", [good(1), good(2, wind_speed="n/a"), good(3)])
    change(database, add("order"), add("a"), put("order", 2, 3), put("a", 2, 1), put("order", 3, 4))
    (spoiled,) = rows_of(store := drain(tmp_path / "m.db", []), "quarantine") or [None]
    assert spoiled is None
    drive([EdgeNode(config(), database)], store)
    (spoiled,) = rows_of(store, "quarantine")
    assert (spoiled["id"], spoiled["rule"]) == (2, "type")
    assert spoiled[RESCUED] == '{"a":1,"order":3,"wind_speed":"n/a"}'


@pytest.mark.parametrize("column", ["status", "turbine_id", "wind_speed", "timestamp", "extra"])
@pytest.mark.parametrize("garbled", GARBLED)
def test_text_outside_utf_8_is_rescued_as_hex_and_stops_no_node(
    tmp_path: Path, column: str, garbled: bytes
) -> None:
    database = write(tmp_path / "n.db", [good(i) for i in (1, 2, 3)])
    change(database, add("extra"), put(column, 2, garbled), put("extra", 3, b"\x01"))
    store = MemoryStore()
    assert [type(r) for r in drive([EdgeNode(config(), database)], store)] == [Delivered]
    row = rows_of(store, "ingestion")[1]
    assert rescued(row) == {column: garbled.hex().upper()}
    assert column == "extra" or row[column] is None
    assert [(r["id"], r["rule"]) for r in rows_of(store, "quarantine")] == (
        [] if column == "extra" else [(2, "type")]
    )


def test_names_compare_as_in_sqlite(tmp_path: Path) -> None:
    """Capitals A-Z make no difference to a column's name; other letters do."""
    database = write(tmp_path / "n.db", [good(1), good(2, temperature="hot")])
    change(database, f"ALTER TABLE {TABLE} RENAME COLUMN temperature TO Temperature")
    change(database, f"ALTER TABLE {TABLE} RENAME COLUMN recorded_at TO RECORDED_AT")
    source.check(database)
    first, second = source.read(database, 0, 10).to_pylist()
    assert {name: first[name] for name in NODE_COLUMNS} == good(1)
    assert (first[RESCUED], second["temperature"], rescued(second)) == (
        None,
        None,
        {"temperature": "hot"},
    )


@pytest.mark.parametrize("gone", [CHANNEL_NAMES[:1], CHANNEL_NAMES[3:5], CHANNEL_NAMES])
def test_a_missing_channel_reads_as_null_and_its_rows_are_kept(
    tmp_path: Path, gone: tuple[str, ...]
) -> None:
    database = write(tmp_path / "n.db", [good(1)])
    database.rename(tmp_path / RETIRED_NAME.format(stem="n", generation=0))
    write(database, [good(2, id=1)])
    change(
        database,
        *(f"ALTER TABLE {TABLE} DROP COLUMN {name}" for name in gone),
        add("new"),
        put("new", 1, 1.5),
    )
    source.check(database)
    store = MemoryStore()
    drive([EdgeNode(config(), database)], store)
    before, after = rows_of(store, "ingestion")
    assert {name: before[name] for name in NODE_COLUMNS} == good(1)
    assert {name: after[name] for name in NODE_COLUMNS} == {
        **good(2),
        "id": after["id"],
        **dict.fromkeys(gone),
    }
    assert [row["rule"] for row in rows_of(store, "quarantine")] == ["null"]


@pytest.mark.parametrize("name", ["id", "timestamp", "recorded_at", "turbine_id", "status"])
def test_a_missing_required_column_is_an_error(tmp_path: Path, name: str) -> None:
    columns = ", ".join(n for n in NODE_COLUMNS if n != name)
    database = tmp_path / "n.db"
    change(
        database,
        f"CREATE TABLE {TABLE} ({columns})",
        f"INSERT INTO {TABLE} ({columns.split(',')[0]}) VALUES (1)",
    )
    for ask in (source.check, lambda path: source.read(path, 0, 1)):
        with pytest.raises(source.SourceError, match=f"lacks the column {name}"):
            ask(database)


def test_a_number_in_a_text_column_is_not_text(tmp_path: Path) -> None:
    """A table without types keeps a number in a column of text."""
    database = tmp_path / "n.db"
    change(
        database, f"CREATE TABLE {TABLE} (id INTEGER PRIMARY KEY, {', '.join(NODE_COLUMNS[1:])})"
    )
    write(database, [good(1, status=5)])
    (row,) = source.read(database, 0, 1).to_pylist()
    assert (row["status"], rescued(row)) == (None, {"status": 5})


def test_many_new_columns(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", [good(1)])
    names = [f"c{i:03d}" for i in range(520)]
    change(database, *map(add, names), *(put(name, 1, i) for i, name in enumerate(names)))
    (row,) = source.read(database, 0, 1).to_pylist()
    assert list(rescued(row).items()) == [(name, i) for i, name in enumerate(names)]


CELL = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.text(max_size=6), st.binary(max_size=4),
    st.sampled_from(GARBLED), st.sampled_from(('"wind_speed":', ',"status":1', "\x00", "a\x00b")),
)  # fmt: skip
COLUMN = st.sampled_from((*NODE_COLUMNS[1:], *NAMES))


CELLS = st.lists(st.tuples(COLUMN, st.integers(1, 6), CELL), max_size=8)


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(COLUMN, st.integers(1, 6), CELL), max_size=8),
    st.integers(1, 6),
    st.lists(COLUMN, max_size=2),
)
@example([("timestamp", 1, 0.1), ("status", 6, GARBLED[0])], 3, [])
@example([("blade_load", 1, -0.0)], 1, [])
def test_a_row_reads_the_same_in_any_read_and_in_the_oracle(
    cells: list[tuple[str, int, object]], first: int, late: list[str]
) -> None:
    """Alone, with others, before its file had one more column, and afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        database = write(Path(folder) / "n.db", [good(i) for i in range(1, 7)])
        names = list(dict.fromkeys(name for name, _, _ in cells if name not in NODE_COLUMNS))
        change(database, *map(add, names))
        for name, number, value in cells:
            change(database, put(name, number, value))
        together = source.read(database, 0, 10).to_pylist()
        alone = [source.read(database, i, 1).to_pylist()[0] for i in range(6)]
        assert repr(alone) == repr(together)
        assert repr(source.read(database, first - 1, 10).to_pylist()) == repr(together[first - 1 :])
        change(
            database,
            *(add(name) for name in dict.fromkeys(late) if name not in (*NODE_COLUMNS, *names)),
        )
        assert repr(source.read(database, 0, 10).to_pylist()) == repr(together)
        oracle = read_rows(NodeFile("A", "n", database, database)).to_pylist()
    for ours, theirs in zip(together, oracle, strict=True):
        assert repr(rescued(ours)) == repr(theirs[RESCUED] and json.loads(theirs[RESCUED]))
        assert theirs["misfit"] == any(name in NODE_COLUMNS for name in rescued(ours) or ())
        assert repr({n: ours[n] for n in NODE_COLUMNS}) == repr(
            {n: theirs[n] for n in NODE_COLUMNS}
        )


def test_both_queries_of_a_read_see_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row stored between the queries has garbled text that the first one did not see."""
    database = tmp_path / "n.db"
    change(database, "PRAGMA journal_mode = WAL")
    write(database, [good(1, wind_speed="n/a")])
    query, calls = source._query, []

    def interrupted(*how: Any) -> Any:
        calls.append(how)
        table = query(*how)
        if len(calls) == 1:
            write(database, [good(2)])
            change(database, put("status", 2, GARBLED[0]))
        return table

    monkeypatch.setattr(source, "_query", interrupted)
    assert [row["id"] for row in generations.read(database, 0, 10).to_pylist()] == [1]
    assert len(calls) > 1
