"""Node files of other makers: ids, journals, tables and names. Pipeline and oracle agree on them.

`deliver` drains nodes into a lake in a folder. `judged` is the oracle's verdict of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from pipeline import database, generations, source
from pipeline.database import SourceBusy
from pipeline.node import Delivered, EdgeNode, Failed, run
from pipeline.records import NODE_COLUMNS, NODE_DDL, RESCUED, TABLE
from sim.campaign.inline_executor import Inline
from sim.check import LakeReader, Verdict, judge
from sim.check.read import databases
from sim.check.read.databases import NodeError
from sim.check.read.nodes import NodeFile, read_rows
from sim.store.folder import FolderStore, make
from tests.support.pipeline_world import FixedClock, config, good, write

MIN, MAX = -(2**63), 2**63 - 1
KEY = "id INTEGER PRIMARY KEY AUTOINCREMENT"


def node_of(folder: Path, turbine: str = "A-001") -> EdgeNode:
    """Return a node with its configuration in a run's folder. Its database does not exist yet."""
    path = folder / "nodes" / "A" / f"{turbine}.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(
        config(turbine, flush_every_s=60).to_json(), encoding="utf-8"
    )
    return EdgeNode(config(turbine, flush_every_s=60), path)


def deliver(
    folder: Path, nodes: Iterable[EdgeNode], until_us: int | None = 2**63
) -> list[Delivered | Failed]:
    if not (folder / "lake").exists():
        make(folder / "lake")
    return list(
        run(
            list(nodes),
            FolderStore(folder / "lake"),
            FixedClock(),
            Inline(),
            until_us,
            lock_wait_s=0.0,
        )
    )


def judged(folder: Path, by_hand: bool = False) -> Verdict:
    return judge(folder / "nodes", LakeReader.folder(folder / "lake"), None, 1, by_hand=by_hand)


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def file_of(path: Path) -> NodeFile:
    return NodeFile("A", path.stem, path, path.with_suffix(".json"))


# --- integers


def test_every_integer_is_a_time(tmp_path: Path) -> None:
    """-2^63 is NaT to numpy and pandas. An exporter writes it for a missing time."""
    node = node_of(tmp_path)
    now = good(1)["timestamp"]
    times = [None, MIN, MIN + 1, -1, 0, now, MAX - 1, MAX]
    rows = [
        good(i, timestamp=t, recorded_at=r) for i, (t, r) in enumerate(product(times, times), 1)
    ]
    write(node.database, rows)
    assert all(isinstance(result, Delivered) for result in deliver(tmp_path, [node]))
    verdict = judged(tmp_path)
    assert (verdict.status, verdict.counts, verdict.errors) == ("pass", {}, [])
    assert verdict.figures["rows.ingested"] == len(rows)


@pytest.mark.parametrize("recorded", [None, MIN, 0, MAX])
def test_the_first_and_the_last_row_of_a_file(tmp_path: Path, recorded: int | None) -> None:
    node = node_of(tmp_path)
    write(node.database, [good(1, recorded_at=None), good(2, recorded_at=recorded)])
    assert all(isinstance(result, Delivered) for result in deliver(tmp_path, [node]))
    assert (judged(tmp_path).status, judged(tmp_path).counts) == ("pass", {})


# --- ids

BAD_IDS = {
    "null": (
        NODE_DDL.replace(KEY, "id INTEGER"),
        f"UPDATE {TABLE} SET id = NULL WHERE id = 2",
        "1 row without an id",
    ),
    "text": (
        NODE_DDL.replace(KEY, "id TEXT PRIMARY KEY"),
        "",
        "3 rows with an id that is not an integer",
    ),
    "real": (NODE_DDL.replace(KEY, "id REAL"), "", "3 rows with an id that is not an integer"),
    "half": (
        NODE_DDL.replace(KEY, "id NUMERIC"),
        f"UPDATE {TABLE} SET id = 2.5 WHERE id = 2",
        "not an integer",
    ),
    "blob": (
        NODE_DDL.replace(KEY, "id INTEGER"),
        f"UPDATE {TABLE} SET id = x'02' WHERE id = 2",
        "not an integer",
    ),
    "twice": (
        NODE_DDL.replace(KEY, "id INTEGER"),
        f"UPDATE {TABLE} SET id = 2 WHERE id = 3",
        "the id of another row",
    ),
    "descending": (
        # no alias of the rowid, by SQLite's manual
        NODE_DDL.replace(KEY, "id INTEGER PRIMARY KEY DESC"),
        f"UPDATE {TABLE} SET id = NULL WHERE id = 2",
        "without an id",
    ),
    "without rowid": (
        NODE_DDL.replace(KEY, "id INTEGER PRIMARY KEY") + " WITHOUT ROWID",
        f"UPDATE {TABLE} SET id = 'two' WHERE id = 2",
        "not an integer",
    ),
    "pair": (
        NODE_DDL.replace(KEY, "id INTEGER").replace(
            "status TEXT", "status TEXT, PRIMARY KEY (id, status)"
        ),
        f"UPDATE {TABLE} SET id = 2, status = 'standby' WHERE id = 3",
        "the id of another row",
    ),
}


@pytest.mark.parametrize("kind", BAD_IDS)
def test_unreliable_ids_are_refused_with_the_fix(tmp_path: Path, kind: str) -> None:
    """By check, by the first read and by a later one.

    The lake contains nothing of the node. Other nodes are judged.
    """
    ddl, spoil, text = BAD_IDS[kind]
    bad, sound = node_of(tmp_path, "A-001"), node_of(tmp_path, "A-002")
    execute(write(bad.database, [good(i) for i in (1, 2, 3)], ddl), spoil)
    write(sound.database, [good(i, "A-002") for i in (1, 2, 3)])
    for ask in (
        source.check,
        lambda path: source.read(path, 0, 10),
        lambda path: source.read(path, 3, 10, 7),
    ):
        with pytest.raises(source.SourceError, match=f"{text}.*INTEGER PRIMARY KEY"):
            ask(bad.database)
    results = deliver(tmp_path, [bad, sound])
    assert {r.node.config.turbine_id for r in results if isinstance(r, Failed)} == {"A-001"}
    with pytest.raises(NodeError, match="must be integers without nulls or duplicates"):
        read_rows(file_of(bad.database))
    verdict = judged(tmp_path)
    assert (verdict.status, verdict.counts) == ("unknown", {"node.unreadable": 1})
    assert verdict.figures["rows.ingested"] == 3


GOOD_IDS = {
    "no key": NODE_DDL.replace(KEY, "id INTEGER"),
    "without rowid": NODE_DDL.replace(KEY, "id INTEGER PRIMARY KEY") + " WITHOUT ROWID",
    "at the end": NODE_DDL.replace(KEY, "ID integer").replace(
        "status TEXT", "status TEXT, PRIMARY KEY (Id)"
    ),
    "quoted": NODE_DDL.replace(KEY, '"id" INTEGER PRIMARY KEY'),
    "strict": NODE_DDL + " STRICT",
}


@pytest.mark.parametrize("kind", GOOD_IDS)
def test_a_table_with_other_declarations_is_delivered(tmp_path: Path, kind: str) -> None:
    node = node_of(tmp_path)
    write(node.database, [good(i) for i in (1, 2, 3)], GOOD_IDS[kind])
    assert all(isinstance(result, Delivered) for result in deliver(tmp_path, [node], None))
    write(node.database, [good(i) for i in (7, 8)], GOOD_IDS[kind])
    deliver(tmp_path, [node])
    verdict = judged(tmp_path)
    assert (verdict.status, verdict.counts, verdict.figures["rows.ingested"]) == ("pass", {}, 5)


def test_an_already_drained_node_passes_unless_a_run_drove_it(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    for ids in ((1, 2, 3), (7, 8), (13, 14, 15)):
        write(node.database, [good(i) for i in ids])
        assert all(isinstance(result, Delivered) for result in deliver(tmp_path, [node]))
    verdict = judged(tmp_path, by_hand=True)
    assert (verdict.status, verdict.counts, verdict.figures["rows.ingested"]) == ("pass", {}, 8)
    verdict = judged(tmp_path)
    assert (verdict.status, set(verdict.counts)) == ("fail", {"window.early"})


@pytest.mark.parametrize("ids", [[1, 2, 3], [1, 2, 2], [1, None, 3]])
def test_a_view_is_read_if_its_ids_are_good(tmp_path: Path, ids: list[int | None]) -> None:
    node = node_of(tmp_path)
    write(node.database, [good(i) for i in (1, 2, 3)])
    others = ", ".join(NODE_COLUMNS[1:])
    execute(
        node.database,
        f"ALTER TABLE {TABLE} RENAME TO raw",
        "CREATE TABLE numbers (row, id)",
        *(
            f"INSERT INTO numbers VALUES ({i}, {'NULL' if n is None else n})"
            for i, n in enumerate(ids, 1)
        ),
        f"CREATE VIEW {TABLE} AS SELECT numbers.id, {others} FROM raw JOIN numbers ON row = raw.id",
    )
    whole = ids == [1, 2, 3]
    assert [type(result) for result in deliver(tmp_path, [node])] == (
        [Delivered] if whole else [Failed]
    )
    assert judged(tmp_path).status == ("pass" if whole else "unknown")


def test_ids_are_read_unless_sqlite_numbers_the_table() -> None:
    rowid = (NODE_DDL, GOOD_IDS["at the end"], GOOD_IDS["quoted"], GOOD_IDS["strict"])
    tables = [ddl.replace("IF NOT EXISTS ", "").encode() for ddl in rowid]
    assert [database.id_is_rowid(ddl) for ddl in tables] == [True] * 4
    others = [ddl.replace("IF NOT EXISTS ", "").encode() for ddl, _, _ in BAD_IDS.values()]
    assert not any(
        database.id_is_rowid(ddl)
        for ddl in (*others, b"CREATE VIEW x AS SELECT 1", b"CREATE TABLE \xff")
    )


def test_a_table_made_anew_in_the_same_file_is_looked_at_again(tmp_path: Path) -> None:
    path = write(tmp_path / "n.db", [good(1)])
    assert source.read(path, 0, 10).num_rows == 1
    execute(path, f"DROP TABLE {TABLE}")
    execute(write(path, [good(1), good(2)], BAD_IDS["null"][0]), BAD_IDS["null"][1])
    with pytest.raises(source.SourceError, match="without an id"):
        source.read(path, 1, 10, good(1)["recorded_at"])


@pytest.mark.parametrize("how", ["VIRTUAL", "STORED"])
def test_generated_columns_count(tmp_path: Path, how: str) -> None:
    ddl = NODE_DDL.replace("status TEXT", f"state TEXT, status TEXT AS (lower(state)) {how}")
    node, columns = node_of(tmp_path), ", ".join(NODE_COLUMNS[:-1])
    execute(
        write(node.database.with_name("plain"), [good(i) for i in (1, 2)]),
        f"ATTACH '{node.database}' AS made",
        ddl.replace(f"EXISTS {TABLE}", f"EXISTS made.{TABLE}"),
        f"INSERT INTO made.{TABLE} ({columns}, state) SELECT {columns}, status FROM {TABLE}",
    )
    source.check(node.database)
    assert [type(result) for result in deliver(tmp_path, [node])] == [Delivered]
    verdict = judged(tmp_path)
    assert (verdict.status, verdict.counts, verdict.figures["rows.ingested"]) == ("pass", {}, 2)


# --- journals and locks

DIE = f"""
import os, signal, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA journal_mode = " + sys.argv[2]); c.execute("PRAGMA cache_size = 2")
c.execute("BEGIN"); c.execute("UPDATE {TABLE} SET temperature = 99")
c.executemany("INSERT INTO {TABLE} (turbine_id) VALUES (?)", [("x" * 900,)] * 200)
os.kill(os.getpid(), signal.SIGKILL)
"""


def die_writing(path: Path, mode: str) -> None:
    """A writer's death within a transaction, with some of its pages in the file."""
    subprocess.run([sys.executable, "-c", DIE, str(path), mode], check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mode", ["DELETE", "PERSIST", "TRUNCATE"])
def test_a_hot_journal_delays_the_node_and_is_judged_as_rolled_back(
    tmp_path: Path, mode: str
) -> None:
    node = node_of(tmp_path)
    write(node.database, [good(i) for i in (1, 2, 3)])
    deliver(tmp_path, [node])
    die_writing(node.database, mode)
    before = contents(node.database.parent)
    assert len(before["A-001.db-journal"]) > 512
    with pytest.raises(SourceBusy, match=r"died within a transaction.*A-001\.db-journal.*again"):
        source.check(node.database)
    (result,) = deliver(tmp_path, [node])
    assert isinstance(result, Failed)
    assert isinstance(result.error, SourceBusy)
    assert node.stopped is None
    verdict = judged(tmp_path)
    assert (verdict.status, verdict.counts, verdict.figures["rows.ingested"]) == ("pass", {}, 3)
    assert contents(node.database.parent) == before
    execute(node.database, f"SELECT * FROM {TABLE}")  # the node's software starts again
    assert deliver(tmp_path, [node]) == []
    assert source.read(node.database, 0, 10).num_rows == 3


@pytest.mark.parametrize("left", ["empty", "zeroed", "truncated"])
def test_a_journal_that_is_not_hot_is_ignored(tmp_path: Path, left: str) -> None:
    node = node_of(tmp_path)
    write(node.database, [good(1)])
    if left == "truncated":
        execute(
            node.database, "PRAGMA journal_mode = TRUNCATE", f"UPDATE {TABLE} SET temperature = 1"
        )
    else:
        Path(f"{node.database}-journal").write_bytes(
            b"" if left == "empty" else bytes(512) + b"old" * 1000
        )
    assert [type(result) for result in deliver(tmp_path, [node])] == [Delivered]
    assert (judged(tmp_path).status, judged(tmp_path).counts) == ("pass", {})


def test_a_persistent_journal_of_finished_transactions_is_ignored(tmp_path: Path) -> None:
    node = node_of(tmp_path)
    write(node.database, [good(1), good(2)])
    with closing(sqlite3.connect(node.database, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = PERSIST")
        writer.execute(f"UPDATE {TABLE} SET temperature = 21 WHERE id = 2")
        assert Path(f"{node.database}-journal").stat().st_size
        assert [type(result) for result in deliver(tmp_path, [node])] == [Delivered]
        assert (judged(tmp_path).status, judged(tmp_path).counts) == ("pass", {})


def test_the_oracle_reads_a_wal_from_a_copy(tmp_path: Path) -> None:
    path = write(tmp_path / "A-001.db", [good(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(f"SELECT * FROM {TABLE}").fetchall()  # from now on the log is its
        write(path, [good(2)])
        (tmp_path / "left").mkdir()
        for ending in ("", "-wal"):
            shutil.copyfile(f"{path}{ending}", tmp_path / "left" / f"A-001.db{ending}")
    before = contents(tmp_path / "left")
    assert read_rows(file_of(tmp_path / "left" / "A-001.db")).num_rows == 2
    assert contents(tmp_path / "left") == before


@pytest.mark.parametrize("ending", ["", "-wal", "-journal"])
def test_the_oracle_refuses_a_file_that_changes_during_its_read(
    tmp_path: Path, ending: str
) -> None:
    path = write(tmp_path / "A-001.db", [good(1)])
    with pytest.raises(NodeError, match="written to during the read"), databases.settled(path):
        Path(f"{path}{ending}").write_bytes(b"more")


HOLD = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("BEGIN EXCLUSIVE"); print(1, flush=True)
time.sleep(float(sys.argv[2])); c.execute("COMMIT"); input()
"""


def test_a_lock_is_waited_for_within_a_bound(tmp_path: Path) -> None:
    path = write(tmp_path / "n.db", [good(1)])
    command = [sys.executable, "-c", HOLD, str(path), "0.4"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(SourceBusy, match="locked; try again"):
            generations.read(path, 0, 10, lock_wait_s=0.0)
        assert generations.read(path, 0, 10).num_rows == 1
        holder.communicate("done")


READ = """
import sys
from pathlib import Path
from pipeline import source
try:
    source.check(Path(sys.argv[1]))
    print(source.read(Path(sys.argv[1]), 0, 10).num_rows, "rows")
except source.SourceError as error:
    print(type(error).__name__, error)
"""


def read_without_rights(path: Path) -> str:
    """Read in a process limited to the folder's permissions, though root runs the tests."""
    drop = "-dac_override,-dac_read_search"
    command = [sys.executable, "-c", READ, str(path)]
    if os.geteuid() == 0:
        if not (setpriv := shutil.which("setpriv")):
            pytest.skip("root reads everything, and there is no setpriv to take that away")
        command = [setpriv, f"--bounding-set={drop}", f"--inh-caps={drop}", *command]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("left", ["closed", "empty log", "log"])
def test_a_file_in_wal_mode_in_a_folder_that_may_not_be_written(tmp_path: Path, left: str) -> None:
    """A file that SQLite closed is readable as it is; rows in a WAL need a -shm."""
    made, folder = tmp_path / "made.db", tmp_path / "node"
    folder.mkdir()
    execute(write(made, [good(1)]), "PRAGMA journal_mode = WAL")
    with closing(sqlite3.connect(made, isolation_level=None)) as writer:
        if left == "log":
            writer.execute(f"SELECT * FROM {TABLE}").fetchall()  # from now on the log is its
            write(made, [good(2)])
            shutil.copyfile(f"{made}-wal", folder / "n.db-wal")
        shutil.copyfile(made, folder / "n.db")
    if left == "empty log":
        (folder / "n.db-wal").touch()
    folder.chmod(0o555)
    try:
        text = read_without_rights(folder / "n.db")
    finally:
        folder.chmod(0o755)
    if left == "log":
        assert text.startswith("SourceBusy")
        assert "WAL mode" in text
        assert f"write in the folder {folder}" in text
    else:
        assert text == "1 rows\n"


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "n.db", [good(1)])
    path.chmod(0)
    assert "SourceError" in (text := read_without_rights(path))
    assert "may not read the file" in text


def test_a_damaged_page_is_named_by_sqlite(tmp_path: Path) -> None:
    path = write(tmp_path / "n.db", [good(i) for i in range(1, 200)])
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 8192 + whole[12288:])
    with pytest.raises(
        source.SourceError, match=r"not a readable SQLite database .*malformed"
    ) as error:
        source.read(path, 0, 1000)
    assert not isinstance(error.value, SourceBusy)


# --- names


@pytest.mark.parametrize("name", ["a b?c#d%41é", "caf\udce9", "q'\"*[x]", "-", "new\nline"])
def test_a_path_of_any_bytes(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    path = write(folder / f"{name}.db", [good(1)])
    for way in (path, Path(f"/{path}"), Path(os.path.relpath(path))):
        source.check(way)
        assert generations.read(way, 0, 10).num_rows == 1
        assert read_rows(file_of(way)).num_rows == 1


def test_a_file_name_of_sqlites_greatest_length(tmp_path: Path) -> None:
    """A retired file's name would exceed the file system's limit, so there is none."""
    path = write(tmp_path / f"{'n' * 244}.db", [good(1)])
    assert generations.read(path, 0, 10).num_rows == 1
    longer = tmp_path.joinpath(*["d" * 100] * 5) / "n.db"
    longer.parent.mkdir(parents=True)
    path.rename(longer)
    with pytest.raises(source.SourceError, match="only paths of at most 504 bytes; move the file"):
        source.read(longer, 0, 10)


def test_a_link_to_a_file_with_a_wal(tmp_path: Path) -> None:
    path = write(tmp_path / "real.db", [good(1)])
    link = tmp_path / "links" / "A-001.db"
    link.parent.mkdir()
    link.symlink_to(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(f"SELECT * FROM {TABLE}").fetchall()  # from now on the log is its
        write(path, [good(2)])
        assert source.read(link, 0, 10).num_rows == read_rows(file_of(link)).num_rows == 2


def test_a_name_outside_utf_8_in_messages_and_files(tmp_path: Path) -> None:
    assert database.shown("caf\udce9.db") == databases.path_text("caf\udce9.db") == "caf\\xe9.db"
    with pytest.raises(source.SourceError, match=r"caf\\xe9\.db: no such file"):
        source.check(tmp_path / "caf\udce9.db")


def test_the_verdict_of_a_node_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    """The file's name cannot be the one in its configuration. Other nodes are judged."""
    node = node_of(tmp_path)
    write(node.database, [good(1)])
    deliver(tmp_path, [node])
    shutil.copyfile(node.database, node.database.with_name("caf\udce9.db"))
    shutil.copyfile(node.database.with_suffix(".json"), node.database.with_name("caf\udce9.json"))
    verdict = judged(tmp_path)
    assert (verdict.status, verdict.counts) == ("unknown", {"node.unreadable": 1})
    assert all(
        text.isprintable()
        for finding in verdict.findings
        for text in (finding.turbine, finding.detail)
    )


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("column", ["status", "temperature", "extra"])
def test_text_is_text_in_every_encoding_of_a_file(
    tmp_path: Path, encoding: str, column: str
) -> None:
    """Text beyond ASCII beside a blob is valid; half of a surrogate pair is not."""
    node = node_of(tmp_path)
    execute(node.database, f"PRAGMA encoding='{encoding}'", NODE_DDL)
    write(node.database, [good(i) for i in range(1, 6)])
    half = {"UTF-8": "eda080", "UTF-16le": "00d8", "UTF-16be": "d800"}[encoding]
    execute(
        node.database,
        f"ALTER TABLE {TABLE} ADD COLUMN extra",
        *(
            f"UPDATE {TABLE} SET {column} = {cell} WHERE id = {i}"
            for i, cell in enumerate(("'\u00dc'", "x'ff'", f"CAST(x'{half}' AS TEXT)"), 1)
        ),
    )
    assert all(isinstance(result, Delivered) for result in deliver(tmp_path, [node]))
    rows = source.read(node.database, 0, 10).to_pylist()
    text = rows[0]["status"] if column == "status" else json.loads(rows[0][RESCUED])[column]
    assert text == "\u00dc"
    assert [json.loads(row[RESCUED])[column] for row in rows[1:3]] == ["FF", half.upper()]
    verdict = judged(tmp_path)
    assert (verdict.status, verdict.counts, verdict.errors) == ("pass", {}, [])
