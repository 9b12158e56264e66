"""The oracle's own reader of node files: rows found, odd cells and columns, errors."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.records import CHANNEL_NAMES, GENERATION_IDS, NODE_COLUMNS, NODE_DDL, RESCUED, TABLE
from sim.check.read import nodes
from sim.check.read.databases import NodeError
from sim.check.read.nodes import NODE_ROWS, NodeFile, discover, read_config, read_rows
from tests.support import lakebuilder

Row = dict[str, Any]


def good(number: int, **changes: Any) -> Row:
    known = {
        "id": number,
        "timestamp": 1000 + number,
        "recorded_at": 2000 + number,
        "turbine_id": "A-001",
    }
    return known | dict.fromkeys(CHANNEL_NAMES, 1.5) | {"status": "running"} | changes


def made(path: Path, rows: Sequence[Row], *more: str, ddl: str = NODE_DDL) -> Path:
    """Return a node's file with these rows, after the statements `more`."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(ddl)
        for statement in more:
            connection.execute(statement)
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            connection.execute(
                f"INSERT INTO {TABLE} ({names}) VALUES ({', '.join('?' * len(row))})",
                [*row.values()],
            )
    return path


def file(database: Path, *retired: Path) -> NodeFile:
    return NodeFile("A", "A-001", database, database.with_suffix(".json"), retired)


def read(path: Path) -> list[Row]:
    table = read_rows(file(path))
    assert table.schema == NODE_ROWS
    return table.to_pylist()


def as_read(row: Row, rescued: Row | None = None, misfit: bool = False) -> Row:
    texts = None if rescued is None else json.dumps(rescued, sort_keys=True)
    return {name: row.get(name) for name in NODE_COLUMNS} | {RESCUED: texts, "misfit": misfit}


def test_rows_are_read_as_they_were_stored(tmp_path: Path) -> None:
    rows = [
        good(1),
        good(2, wind_speed=None, status=None, timestamp=None),
        good(7, turbine_id="Ä", wind_speed=3),
    ]
    path = made(tmp_path / "a b?.db", rows[::-1])
    assert read(path) == [as_read(row) for row in rows]
    assert read(made(tmp_path / "empty.db", [])) == []


def test_cells_that_do_not_fit_are_rescued(tmp_path: Path) -> None:
    rows = [
        good(1, wind_speed="n/a", status=b"\x00\xff"),
        good(2),
        good(3, timestamp=1.5, temperature=b"\x0a", wind_speed=7),
        good(4, recorded_at="late", turbine_id=b"A"),
    ]
    assert read(made(tmp_path / "n.db", rows)) == [
        as_read(
            rows[0] | {"wind_speed": None, "status": None},
            {"wind_speed": "n/a", "status": "00FF"},
            True,
        ),
        as_read(rows[1]),
        as_read(
            rows[2] | {"timestamp": None, "temperature": None},
            {"timestamp": 1.5, "temperature": "0A"},
            True,
        ),
        as_read(
            rows[3] | {"recorded_at": None, "turbine_id": None},
            {"recorded_at": "late", "turbine_id": "41"},
            True,
        ),
    ]


def test_an_odd_cell_after_thousands_of_rows_is_rescued(tmp_path: Path) -> None:
    """Types are not guessed from the first thousands of rows."""
    rows = [good(i) for i in range(1, 1200)] + [good(5000, timestamp="late", wind_speed="n/a")]
    *_, last = read(made(tmp_path / "n.db", rows))
    told = {"timestamp": "late", "wind_speed": "n/a"}
    assert last == as_read(rows[-1] | {"timestamp": None, "wind_speed": None}, told, True)


def test_a_plain_file_is_taken_as_it_is_and_any_other_is_read_column_by_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed: list[int] = []
    real = nodes._mixed

    def noted(uri: str, table: pa.Table) -> pa.Table:
        mixed.append(len(table))
        return real(uri, table)

    monkeypatch.setattr(nodes, "_mixed", noted)
    plain = [good(1), good(2, wind_speed=None)]
    assert read(made(tmp_path / "plain.db", plain)) == list(map(as_read, plain))
    assert mixed == []
    for number, odd in enumerate(({"wind_speed": "?"}, {"id": 1.5}, {"status": b"x"}, {"ice": 1})):
        more = [f"ALTER TABLE {TABLE} ADD COLUMN ice"] if "ice" in odd else []
        ddl = NODE_DDL.replace("id INTEGER PRIMARY KEY AUTOINCREMENT", "id")
        path = made(tmp_path / f"{number}.db", [good(1), good(2) | odd], *more, ddl=ddl)
        with contextlib.suppress(NodeError):
            read(path)
    assert mixed == [2] * 4


def test_an_id_that_is_twice_in_a_plain_file_is_refused(tmp_path: Path) -> None:
    ddl = NODE_DDL.replace("id INTEGER PRIMARY KEY AUTOINCREMENT", "id INTEGER")
    with pytest.raises(NodeError, match="id 2 is in the table twice"):
        read(made(tmp_path / "n.db", [good(1), good(2), good(2)], ddl=ddl))


@pytest.mark.parametrize("rows", [9, 10, 11, 25])
def test_a_file_of_more_rows_than_a_batch_is_read_whole(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "_BATCH_ROWS", (10, *nodes._BATCH_ROWS[1:]))
    stored = [good(i) for i in range(1, rows)] + [good(rows, timestamp="late", wind_speed="?")]
    *first, last = read(made(tmp_path / "n.db", stored))
    assert first == list(map(as_read, stored[:-1]))
    assert last[RESCUED] == '{"timestamp": "late", "wind_speed": "?"}'


@pytest.mark.parametrize("name", ["turbine_id", "status"])
def test_text_that_is_not_utf_8_is_rescued_as_its_bytes(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / "n.db", [good(1), good(2)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {TABLE} SET {name} = CAST(x'c328' AS TEXT) WHERE id = 2")
    assert read(path) == [as_read(good(1)), as_read(good(2) | {name: None}, {name: "C328"}, True)]


def test_unknown_columns_are_kept_and_are_no_misfit(tmp_path: Path) -> None:
    more = [
        f'ALTER TABLE {TABLE} ADD COLUMN "{name}"'
        for name in ("ice", "Icing", "empty", "a b".replace('"', '""'))
    ]
    rows = [good(1), good(2, ice=0.5), good(3, ice="x", Icing=b"\x01", wind_speed="?")]
    path = made(tmp_path / "n.db", rows, *more)
    assert read(path) == [
        as_read(rows[0]),
        as_read(rows[1], {"ice": 0.5}),
        as_read(
            rows[2] | {"wind_speed": None}, {"ice": "x", "Icing": "01", "wind_speed": "?"}, True
        ),
    ]


def test_a_name_with_a_quote_in_it(tmp_path: Path) -> None:
    path = made(tmp_path / "n.db", [], f'ALTER TABLE {TABLE} ADD COLUMN "a""b"')
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f'INSERT INTO {TABLE} (id, "a""b") VALUES (1, 7)')
    assert [row[RESCUED] for row in read(path)] == ['{"a\\"b": 7}']


def test_column_names_compare_as_in_sqlite(tmp_path: Path) -> None:
    """ASCII letters match in either case, others exactly; the Kelvin sign is no k."""
    ddl = (
        NODE_DDL.replace("wind_speed", "WIND_Speed")
        .replace("  id ", "  ID ")
        .replace("vibration_level REAL,", "")
    )
    path = made(
        tmp_path / "n.db",
        [],
        f"ALTER TABLE {TABLE} ADD COLUMN vibration_level\u212a",
        ddl=ddl.replace(",\n  \n", ",\n"),
    )
    row = {name: value for name, value in good(1).items() if name != "vibration_level"}
    with closing(sqlite3.connect(path)) as connection, connection:
        names = ", ".join(row)
        connection.execute(
            f"INSERT INTO {TABLE} ({names}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
        )
    assert read(path) == [as_read(row)]


def test_a_missing_channel_is_null(tmp_path: Path) -> None:
    path = made(tmp_path / "n.db", [good(1), good(2)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"ALTER TABLE {TABLE} DROP COLUMN rotor_rpm")
    assert read(path) == [as_read(good(i, rotor_rpm=None)) for i in (1, 2)]


@pytest.mark.parametrize("columns", [["status"], ["timestamp", "turbine_id"]])
def test_a_missing_required_column_is_reported(tmp_path: Path, columns: list[str]) -> None:
    path = made(tmp_path / "n.db", [good(1)])
    with closing(sqlite3.connect(path)) as connection, connection:
        for name in columns:
            connection.execute(f"ALTER TABLE {TABLE} DROP COLUMN {name}")
    with pytest.raises(NodeError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: no such column: {', '.join(columns)}"


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "n.db"
    with pytest.raises(NodeError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: no such file; the oracle needs all node files of the run"
    path.write_bytes(b"hello" * 100)
    with pytest.raises(NodeError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("file is not a database")


@pytest.mark.parametrize("ids", [[1, GENERATION_IDS - 1], [1]])
def test_valid_ids_are_accepted(tmp_path: Path, ids: list[int]) -> None:
    assert [row["id"] for row in read(made(tmp_path / "n.db", [good(i) for i in ids]))] == ids


@pytest.mark.parametrize("ids", [[0, 5], [-7, 5], [5, GENERATION_IDS]])
def test_invalid_ids_are_reported(tmp_path: Path, ids: list[int]) -> None:
    path = made(tmp_path / "n.db", [good(i) for i in ids])
    with pytest.raises(NodeError) as caught:
        read(path)
    assert (
        str(caught.value)
        == f"{path}: ids are {ids[0]} to {ids[-1]}, must be within 1 to {GENERATION_IDS - 1}"
    )


def test_rows_of_all_files_of_a_node_are_read(tmp_path: Path) -> None:
    lost = tmp_path / "A-001.retired-1.db"
    lost.touch()
    retired = [made(tmp_path / "A-001.retired-0.db", [good(3), good(4)]), lost]
    now = made(tmp_path / "A-001.db", [good(1)])
    table = read_rows(file(now, *retired))
    assert table.column("id").to_pylist() == [3, 4, 2 * GENERATION_IDS + 1]
    with pytest.raises(NodeError) as caught:
        read_rows(file(now, lost))
    assert str(caught.value) == f"{lost}: retired file 0 of the node is missing"


def test_an_empty_current_file_is_not_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "n.db").touch()
    with pytest.raises(NodeError):
        read(tmp_path / "n.db")


def test_rows_in_the_wal_are_read_and_no_file_is_left(tmp_path: Path) -> None:
    path = made(tmp_path / "n.db", [good(1)])
    assert [row["id"] for row in read(path)] == [1]
    assert [each.name for each in tmp_path.iterdir()] == ["n.db"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"INSERT INTO {TABLE} (id, status) VALUES (2, x'00')")
        connection.commit()
        assert [(row["id"], row["misfit"]) for row in read(path)] == [(1, False), (2, True)]
    path.with_name("n.db-wal").touch()
    before = sorted(tmp_path.iterdir())
    assert [row["id"] for row in read(path)] == [1, 2]
    assert sorted(tmp_path.iterdir()) == before


def test_turbines_are_found_with_all_their_files(tmp_path: Path) -> None:
    names = [
        "B/B-1.db",
        "A/A-2.json",
        "A/A-1.db",
        "A/A-1.json",
        "A/A-1.retired-10.db",
        "A/A-1.retired-9.db",
    ]
    names += [
        "A/A-3.retired-0.db",
        "A/A-4.retired-01.db",
        "A/A-1.db-wal",
        "A/A-5.retired-0.json",
        "top.db",
        "A/x/deep.db",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(farm: str, turbine: str, *retired: str) -> NodeFile:
        folder = tmp_path / farm
        old = tuple(folder / name for name in retired)
        return NodeFile(farm, turbine, folder / f"{turbine}.db", folder / f"{turbine}.json", old)

    assert discover(tmp_path) == [
        found("A", "A-1", "A-1.retired-9.db", "A-1.retired-10.db"),
        found("A", "A-2"),
        found("A", "A-3", "A-3.retired-0.db"),
        found("A", "A-4.retired-01"),
        found("A", "A-5.retired-0"),
        found("B", "B-1"),
    ]


def test_a_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "A-001.json"
    known = lakebuilder.node_config("A-001") | {"flush_every_s": 900}
    path.write_text(json.dumps(known))
    node = read_config(file(tmp_path / "A-001.db"))
    assert (node.turbine, node.farm, node.database) == ("A-001", "A", "A-001.db")
    assert node.ids == {"job_id": "j-1", "execution_id": "e-0", "node_id": "n-0"}
    assert (node.labels, node.privacy_key) == (known["labels"], "00ff10")
    assert (node.flush_every_s, node.window_s) == (900, 600)
    assert node.asset == known["asset"] | {"power_curve": lakebuilder.CURVE}
    for broken in (
        lambda c: c.pop("farm_id"),
        lambda c: c.update(window_s="x"),
        lambda c: c.update(asset=7),
    ):
        config = lakebuilder.node_config("A-001")
        broken(config)
        path.write_text(json.dumps(config))
        with pytest.raises(NodeError, match="not a node configuration"):
            read_config(file(tmp_path / "A-001.db"))
    path.unlink()
    with pytest.raises(NodeError, match="cannot read the node's configuration: No such file"):
        read_config(file(tmp_path / "A-001.db"))


def test_a_column_of_whole_numbers_is_read_as_numbers(tmp_path: Path) -> None:
    """SQLite keeps 3.0 of a REAL column as 3.0; an untyped column keeps the given value."""
    ddl = NODE_DDL.replace("wind_speed REAL", "wind_speed")
    path = made(tmp_path / "n.db", [good(1, wind_speed=3), good(2, wind_speed=4)], ddl=ddl)
    assert [row["wind_speed"] for row in read(path)] == [3.0, 4.0]
    large = made(tmp_path / "l.db", [good(1, wind_speed=2**53 + 1)], ddl=ddl)
    assert [row["wind_speed"] for row in read(large)] == [2.0**53]
    mixed = made(
        tmp_path / "m.db",
        [good(1, wind_speed=3), good(2, wind_speed="4"), good(3, wind_speed=2.5)],
        ddl=ddl,
    )
    assert [(row["wind_speed"], row["misfit"]) for row in read(mixed)] == [
        (3.0, False),
        (None, True),
        (2.5, False),
    ]
    assert read_rows(file(mixed)).schema.field("wind_speed").type == pa.float64()
