"""Reading node files: incremental, without changes to them, with a clear error if unreadable."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline import source
from pipeline.config import ConfigError, NodeConfig
from pipeline.database import SourceBusy
from pipeline.node import Delivered, EdgeNode, Failed
from pipeline.records import NODE_COLUMNS, NODE_DDL, RESCUED, TABLE
from sim.campaign.memory_store import MemoryStore
from tests.support.pipeline_world import config, drive, good, write


def test_rows_after_the_cursor_come_in_id_order_up_to_the_limit(tmp_path: Path) -> None:
    database = write(tmp_path / "n.db", [good(i) for i in (3, 1, 7, 5)])
    assert source.read(database, 0, 10).column("id").to_pylist() == [1, 3, 5, 7]
    assert source.read(database, 1, 2).column("id").to_pylist() == [3, 5]
    assert source.read(database, 7, 2).num_rows == 0
    assert source.read(database, 0, 10).schema == source.RAW


def test_a_column_of_nulls_and_a_column_of_whole_numbers_keep_their_types(tmp_path: Path) -> None:
    rows = [good(i, wind_speed=5, temperature=None, status=None, recorded_at=None) for i in (1, 2)]
    table = source.read(write(tmp_path / "n.db", rows), 0, 10)
    assert table.schema == source.RAW
    assert table.column("wind_speed").to_pylist() == [5.0, 5.0]
    assert table.column("status").null_count == table.column(RESCUED).null_count == 2


def test_rows_in_a_wal_are_read_and_the_file_stays_unchanged(tmp_path: Path) -> None:
    database = tmp_path / "n.db"
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        write(database, [good(1)])
        before = database.read_bytes()
        assert source.read(database, 0, 10).num_rows == 1
        assert database.read_bytes() == before
    assert source.read(database, 0, 10).num_rows == 1


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    for ask in (source.check, lambda path: source.read(path, 0, 1)):
        with pytest.raises(source.SourceError, match=r"n\.db: no such file"):
            ask(tmp_path / "n.db")
    assert list(tmp_path.iterdir()) == []


def test_each_kind_of_unreadable_file_has_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text(
        "no database, but long enough to have a header of one hundred bytes\n" * 9
    )
    (tmp_path / "empty.db").touch()
    write_columns(
        tmp_path / "lacks.db",
        [name for name in NODE_COLUMNS if name not in ("turbine_id", "status")],
    )
    for name, expected in (
        ("text.db", "not a readable SQLite database"),
        ("empty.db", f"has no table {TABLE}"),
        ("lacks.db", f"table {TABLE} lacks the columns turbine_id, status"),
    ):
        for ask in (source.check, lambda path: source.read(path, 0, 1)):
            with pytest.raises(source.SourceError, match=expected) as error:
                ask(tmp_path / name)
            assert name in str(error.value)


def test_a_locked_file_is_reported_and_read_later(tmp_path: Path) -> None:
    """Another process locks it: SQLite's locks do not count within one process."""
    database = write(tmp_path / "n.db", [good(1)])
    hold = (
        f"import sqlite3; c = sqlite3.connect({str(database)!r});"
        " c.execute('BEGIN EXCLUSIVE'); print(1, flush=True)"
    )
    command = [sys.executable, "-c", f"{hold}; input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        node, store = EdgeNode(config(), database), MemoryStore()
        (result,) = drive([node], store)
        assert isinstance(result, Failed)
        assert isinstance(result.error, SourceBusy)
        assert "locked" in str(result.error)
        holder.communicate("done")
    assert [type(r) for r in drive([node], store)] == [Delivered]


def test_an_added_column_and_odd_paths_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%20é"
    folder.mkdir()
    database = write(folder / "n.db", [good(1)])
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"ALTER TABLE {TABLE} ADD COLUMN humidity REAL")
    source.check(database)
    assert source.read(database, 0, 1).num_rows == 1


def write_columns(path: Path, names: list[str]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE {TABLE} ({', '.join(names)})")


def test_a_row_written_without_times_gets_them(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "n.db")) as connection, connection:
        connection.execute(NODE_DDL)
        connection.execute(f"INSERT INTO {TABLE} (turbine_id) VALUES ('A-001')")
    (row,) = source.read(tmp_path / "n.db", 0, 1).to_pylist()
    assert row["timestamp"] > 1.7e15
    assert abs(row["recorded_at"] - row["timestamp"]) <= 1_000_000


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"turbine_id": ""}, "turbine_id"),
        ({"turbine_id": "A/1"}, "must have no slash or backslash"),
        ({"turbine_id": "A\\1"}, "must have no slash or backslash"),
        ({"turbine_id": ".."}, "must not begin with . or _"),
        ({"turbine_id": "_A"}, "must not begin with . or _"),
        ({"farm_id": "."}, "farm_id is '.', .*must not begin with . or _"),
        ({"turbine_id": "A\n1"}, "must be printable"),
        ({"turbine_id": "caf\udce9"}, "must be printable"),
        ({"turbine_id": "é" * 101}, "must have at most 200 bytes"),
        ({"turbine_id": "A.retired-0"}, "must not look like the name of a retired file"),
        ({"node_id": "\ud800"}, "surrogates not allowed"),
        ({"farm_id": 3}, "farm_id"),
        ({"flush_every_s": 0}, "flush_every_s"),
        ({"window_s": "600"}, "window_s"),
        ({"allowed_lateness_s": -1}, "allowed_lateness_s"),
        ({"privacy_key": "xyz"}, "privacy_key is not hexadecimal"),
        ({"colour": "red"}, "colour"),
        ({"asset": {"power_curve": [["a", 1]]}}, "could not convert"),
        ({"asset": 3}, "not a node configuration"),
    ],
)
def test_an_invalid_configuration_is_reported(tmp_path: Path, cells: object, expected: str) -> None:
    path = tmp_path / "A-001.json"
    assert isinstance(cells, dict)
    path.write_text(json.dumps({**json.loads(config().to_json()), **cells}))
    with pytest.raises(ConfigError, match=expected) as error:
        NodeConfig.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "name", ["A 1. ", "A*[1]?{2}", "A%41#", "A-", "A=1", "é" * 100, "a.retired-x"]
)
def test_a_name_that_every_reader_finds_is_accepted(name: str) -> None:
    """Globs of DuckDB and pyarrow and the store's own paths return such keys unchanged."""
    assert NodeConfig.for_turbine(name).turbine_id == name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_configuration_is_utf_8_in_any_locale(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "A-001.json"
    path.write_text(
        config(labels={"region": "Côte"}).to_json().replace("\\u00f4", "ô"), encoding=encoding
    )
    load = "import sys; from pathlib import Path; from pipeline.config import NodeConfig"
    code = f"{load}; print(ascii(NodeConfig.load(Path(sys.argv[1])).labels['region']))"
    plain = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": str(Path.cwd()),
    }
    command = [sys.executable, "-c", code, str(path)]
    assert (
        subprocess.run(command, env=plain, capture_output=True, text=True, check=True).stdout
        == "'C\\xf4te'\n"
    )


@pytest.mark.parametrize(
    ("body", "text"), [(b"\xff\xfe{", "not UTF-8 at byte 0"), (b"[" * 100_000, "nested too deep")]
)
def test_a_configuration_of_bytes_or_of_endless_length(
    tmp_path: Path, body: bytes, text: str
) -> None:
    path = tmp_path / "A-001.json"
    path.write_bytes(body)
    with pytest.raises(ConfigError, match=text):
        NodeConfig.load(path)


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "A-001.json"
    path.write_text(config().to_json())
    assert NodeConfig.load(path) == config()
    with pytest.raises(ConfigError, match="No such file"):
        NodeConfig.load(tmp_path / "B.json")
    path.write_text("[1]")
    with pytest.raises(ConfigError):
        NodeConfig.load(path)


@pytest.mark.parametrize("value", [1705278900123456.8, 0.1, float("inf"), float("-inf")])
def test_a_number_that_does_not_fit_is_rescued_to_the_last_bit(
    tmp_path: Path, value: float
) -> None:
    database = write(tmp_path / "n.db", [good(1, timestamp=value)])
    row = source.read(database, 0, 1).to_pylist()[0]
    assert row["timestamp"] is None
    assert json.loads(row[RESCUED]) == {"timestamp": value}
