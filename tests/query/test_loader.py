"""The loader: each object exactly once, whatever ends a load, and its account of bad objects."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipeline.catalog.tables import BY_NAME, SOURCE_FILE, TABLES
from sim.check.read.lake import LakeReader
from sim.errors import ENVIRONMENT, LAKE_WRONG, QueryError
from sim.query.engine import Engine
from sim.query.loader import LoadOptions, load
from sim.query.warehouse import Warehouse
from tests.support import lakehouse
from tests.support.paths import ROOT

RAW = BY_NAME["wind_turbine_raw"]
VALIDATED = BY_NAME["wind_turbine_validated"]
TWO = (RAW, VALIDATED)


class Killed(BaseException):
    """The process is gone."""


def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse", LakeReader.folder(tmp_path / "lake"))


def content(where: Warehouse, name: str) -> pa.Table:
    return DeltaTable(str(where.table(name))).to_pyarrow_table()


def counts(where: Warehouse, name: str = "wind_turbine_raw") -> Counter[tuple[str, int]]:
    found = content(where, name)
    return Counter(zip(found["turbine_id"].to_pylist(), found["id"].to_pylist(), strict=True))


def expected(*parts: tuple[str, int, int]) -> Counter[tuple[str, int]]:
    return Counter((turbine, i) for turbine, first, n in parts for i in range(first, first + n))


def test_every_object_is_loaded_once_with_its_source(tmp_path: Path) -> None:
    where = warehouse(tmp_path)
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    lakehouse.add(tmp_path / "lake", "A-002", 1, 3)
    first = load(where, LoadOptions())
    assert (first.objects, first.rows) == (2 * len(TABLES), 8 * len(TABLES))
    again = load(where, LoadOptions())
    assert (again.objects, again.rows) == (0, 0)
    assert counts(where) == expected(("A-001", 1, 5), ("A-002", 1, 3))
    sources = set(content(where, "wind_turbine_raw")[SOURCE_FILE].to_pylist())
    assert sources == {
        f"expanso-databricks-ingestion/ingestion/{lakehouse.HOUR}/{name}.parquet"
        for name in ("A-001-1-5", "A-002-1-3")
    }


def test_parts_of_a_key_are_no_columns(tmp_path: Path) -> None:
    """The keys hold `year=2024/month=01/...`, which a reader could take for partitions."""
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5)
    load(warehouse(tmp_path), LoadOptions())
    for table in TABLES:
        assert content(warehouse(tmp_path), table.name).column_names == table.schema.names


def test_a_key_that_a_listing_shows_late_is_loaded_then(tmp_path: Path) -> None:
    where = warehouse(tmp_path)
    lakehouse.add(tmp_path / "lake", "B-001", 6, 5, TWO)
    load(where, LoadOptions(), TWO)
    lakehouse.add(tmp_path / "lake", "A-001", 1, 5, TWO)  # sorts before the key that is loaded
    assert load(where, LoadOptions(), TWO).objects == 2
    assert counts(where) == expected(("B-001", 6, 5), ("A-001", 1, 5))


def steps(where: Warehouse, options: LoadOptions) -> list[str]:
    seen: list[str] = []
    load(where, options, TWO, seen.append)
    return seen


def test_a_kill_at_every_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Each step of a load of several batches is struck once; the next load goes on."""
    options = LoadOptions(batch_objects=2)
    parts = [(f"A-00{i}", 1, i) for i in range(1, 6)]
    for part in parts:
        lakehouse.add(tmp_path / "lake", *part, TWO)

    def world(name: str) -> Warehouse:
        return Warehouse(tmp_path / name, LakeReader.folder(tmp_path / "lake"))

    there = steps(world("count"), options)
    assert len(there) > 15
    for strike in range(len(there)):
        where = world(f"strike-{strike}")
        numbers = itertools.count()

        def kill(name: str, numbers: itertools.count[int] = numbers, at: int = strike) -> None:
            if next(numbers) == at:
                raise Killed(name)

        with pytest.raises(Killed):
            load(where, options, TWO, kill)
        load(where, LoadOptions(), TWO)
        for table in TWO:
            assert counts(where, table.name) == expected(*parts), (strike, there[strike])


@pytest.mark.parametrize("seed", range(8))
def test_random_kills_and_new_objects_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    options = LoadOptions(batch_objects=3)
    draw = random.Random(seed)
    where = warehouse(tmp_path)
    parts: list[tuple[str, int, int]] = []
    for round_ in range(12):
        for _ in range(draw.randrange(4)):
            parts.append((f"{draw.choice('ABC')}-{len(parts):03}", 1, draw.randrange(1, 9)))
            lakehouse.add(tmp_path / "lake", *parts[-1], TWO)
        if not parts:
            continue

        def perhaps(name: str) -> None:
            if draw.random() < 0.15:
                raise Killed(name)

        try:
            load(where, options, TWO, perhaps if round_ < 11 else lambda name: None)
        except Killed:
            continue
    for table in TWO:
        assert counts(where, table.name) == expected(*parts)


def test_two_loaders_at_once_share_the_work(tmp_path: Path) -> None:
    options = LoadOptions(batch_objects=2)
    parts = [(f"A-{i:03}", 1, 4) for i in range(12)]
    for part in parts:
        lakehouse.add(tmp_path / "lake", *part, TWO)
    loaded = []
    threads = [
        threading.Thread(target=lambda: loaded.append(load(warehouse(tmp_path), options, TWO)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.objects for each in loaded) == [0, 0, 24]
    assert counts(warehouse(tmp_path)) == expected(*parts)


def test_a_loader_killed_five_times_loads_every_row_once(tmp_path: Path) -> None:
    """Whole processes, ended by SIGKILL in the midst of their work."""
    parts = [(f"{farm}-{i:03}", 1, 3) for farm in "ABCD" for i in range(100)]
    for part in parts:
        lakehouse.add(tmp_path / "lake", *part, TWO)
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from sim.query import loader\nfrom tests.query.test_loader import TWO, warehouse\n"
        "options = loader.LoadOptions(batch_objects=5)\n"
        "loader.load(warehouse(Path(sys.argv[1])), options, TWO)\n"
    )
    killed = 0
    for wait_s in (0.0, 0.05, 0.1, 0.2, 0.4):
        child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT)
        log = tmp_path / "warehouse" / "_batches" / "wind_turbine_raw.jsonl"
        before = log.stat().st_size if log.exists() else 0
        until = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < until:
            if log.exists() and log.stat().st_size > before:
                time.sleep(wait_s)
                break
            time.sleep(0.005)
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
        child.wait()
    assert killed >= 3
    load(warehouse(tmp_path), LoadOptions(), TWO)
    for table in TWO:
        assert counts(warehouse(tmp_path), table.name) == expected(*parts)


def with_column(tmp_path: Path, name: str, values: pa.Array) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    wider = lakehouse.rows(RAW.source, "A-002", 1, 2).append_column(name, values)
    pq.write_table(wider, lakehouse.path_of(tmp_path / "lake", RAW, "A-002", 1, 2))


def test_an_unknown_column_is_added(tmp_path: Path) -> None:
    where = warehouse(tmp_path)
    with_column(tmp_path, "humidity", pa.array([0.5, 0.6]))
    assert load(where, LoadOptions(), TWO).added == ["wind_turbine_raw.humidity"]
    found = content(where, "wind_turbine_raw").sort_by([("turbine_id", "ascending")])
    assert found["humidity"].to_pylist() == [None, None, 0.5, 0.6]
    lakehouse.add(tmp_path / "lake", "A-003", 1, 2, TWO)
    assert load(where, LoadOptions(), TWO).rows == 4


def test_an_unknown_column_is_rescued(tmp_path: Path) -> None:
    where = warehouse(tmp_path)
    with_column(tmp_path, "humidity", pa.array([0.5, None]))
    assert load(where, LoadOptions("rescue"), TWO).added == []
    found = content(where, "wind_turbine_raw").sort_by([("turbine_id", "ascending")])
    assert "humidity" not in found.column_names
    texts = found["_rescued_data"].to_pylist()
    assert [text and json.loads(text) for text in texts] == [None, None, {"humidity": 0.5}, None]


def test_an_unknown_column_is_ignored_or_refused(tmp_path: Path) -> None:
    with_column(tmp_path, "humidity", pa.array([0.5, 0.6]))
    with pytest.raises(QueryError, match=r"A-002-1-2.parquet: unknown columns humidity") as refused:
        load(warehouse(tmp_path), LoadOptions("failOnNewColumns"), TWO)
    assert refused.value.exit_code == LAKE_WRONG
    assert load(warehouse(tmp_path), LoadOptions("none"), TWO).rows == 6
    assert "humidity" not in content(warehouse(tmp_path), "wind_turbine_raw").column_names


def test_a_value_that_does_not_fit_is_rescued(tmp_path: Path) -> None:
    where = warehouse(tmp_path)
    lakehouse.add(tmp_path / "lake", "A-001", 1, 3, TWO)
    odd = lakehouse.rows(RAW.source, "A-002", 1, 3)
    place = odd.schema.get_field_index("rotor_rpm")
    odd = odd.set_column(place, "rotor_rpm", pa.array(["7.5", "fast", None]))
    pq.write_table(odd, lakehouse.path_of(tmp_path / "lake", RAW, "A-002", 1, 3))
    load(where, LoadOptions(), TWO)
    found = content(where, "wind_turbine_raw")
    found = found.filter(pc.equal(found["turbine_id"], "A-002")).sort_by([("id", "ascending")])
    assert found["rotor_rpm"].to_pylist() == [7.5, None, None]
    assert found["_rescued_data"].to_pylist() == [None, '{"rotor_rpm": "fast"}', None]


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("A-009-1-2.parquet", b"no Parquet at all", "Parquet"),
        ("A-009-1-2.parquet", b"", "Parquet"),
        ("notes.txt", b"hello", "not a Parquet object"),
        ("A-009-1-2.json", b"{}", "not a Parquet object"),
    ],
)
def test_a_bad_object_is_refused_or_left_out_by_name(
    tmp_path: Path, name: str, body: bytes, why: str
) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    path = lakehouse.path_of(tmp_path / "lake", RAW, "A-001", 1, 2).with_name(name)
    path.write_bytes(body)
    for _ in range(2):
        with pytest.raises(QueryError, match=name) as refused:
            load(warehouse(tmp_path), LoadOptions(), TWO)
        assert refused.value.exit_code == LAKE_WRONG
        assert content(warehouse(tmp_path), "wind_turbine_raw").num_rows == 0
    loaded = load(warehouse(tmp_path), LoadOptions(skip_bad=True), TWO)
    assert len(loaded.bad) == 1
    assert name in loaded.bad[0]
    assert why in loaded.bad[0]
    assert counts(warehouse(tmp_path)) == expected(("A-001", 1, 2))


def test_hidden_names_are_passed_over(tmp_path: Path) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    folder = lakehouse.path_of(tmp_path / "lake", RAW, "A-001", 1, 2).parent
    (folder / "_SUCCESS").write_text("")
    (folder / ".part").write_text("")
    (folder / "_temporary").mkdir()
    (folder / "_temporary" / "x.parquet").write_bytes(b"?")
    assert load(warehouse(tmp_path), LoadOptions(), TWO).objects == 2


def test_a_warehouse_of_another_lake_or_version_is_refused(tmp_path: Path) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    load(warehouse(tmp_path), LoadOptions(), TWO)
    lakehouse.add(tmp_path / "other", "A-001", 1, 2, TWO)
    other = Warehouse(tmp_path / "warehouse", LakeReader.folder(tmp_path / "other"))
    with pytest.raises(QueryError, match=r"another lake .*--warehouse"):
        load(other, LoadOptions(), TWO)
    file = tmp_path / "warehouse" / "warehouse.json"
    file.write_text(file.read_text().replace('"version": 2', '"version": 1'))
    with pytest.raises(QueryError, match="another version"):
        load(warehouse(tmp_path), LoadOptions(), TWO)


def test_a_lake_that_lost_objects_is_another_lake(tmp_path: Path) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    load(warehouse(tmp_path), LoadOptions(), TWO)
    lakehouse.path_of(tmp_path / "lake", RAW, "A-001", 1, 2).unlink()
    with pytest.raises(QueryError, match=r"1 of its objects .*A-001-1-2.parquet"):
        load(warehouse(tmp_path), LoadOptions(), TWO)


def test_a_folder_with_something_else_is_refused_and_untouched(tmp_path: Path) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "letter.txt").write_text("dear")
    with pytest.raises(QueryError, match=r"letter.txt and is no warehouse"):
        load(warehouse(tmp_path), LoadOptions(), TWO)
    assert [path.name for path in (tmp_path / "warehouse").iterdir()] == ["letter.txt"]


def test_a_moved_run_keeps_its_warehouse(tmp_path: Path) -> None:
    run = tmp_path / "run"
    lakehouse.add(run / "lake", "A-001", 1, 2, TWO)
    load(warehouse(run), LoadOptions(), TWO)
    run.rename(tmp_path / "moved")
    assert load(warehouse(tmp_path / "moved"), LoadOptions(), TWO).objects == 0


@pytest.mark.parametrize(
    ("options", "versions"),
    [(LoadOptions(batch_objects=4), 3), (LoadOptions(batch_bytes=1), 10), (LoadOptions(), 1)],
)
def test_bounds_of_a_batch(tmp_path: Path, options: LoadOptions, versions: int) -> None:
    """Ten objects in so many transactions; version 0 creates the table."""
    for i in range(10):
        lakehouse.add(tmp_path / "lake", f"A-{i:03}", 1, 2, TWO)
    load(warehouse(tmp_path), options, TWO)
    assert DeltaTable(str(warehouse(tmp_path).table("wind_turbine_raw"))).version() == versions
    assert counts(warehouse(tmp_path)) == expected(*((f"A-{i:03}", 1, 2) for i in range(10)))


def test_an_overwritten_key_is_not_loaded_again(tmp_path: Path) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    load(warehouse(tmp_path), LoadOptions(), TWO)
    other = lakehouse.rows(RAW.source, "A-777", 1, 9)
    pq.write_table(other, lakehouse.path_of(tmp_path / "lake", RAW, "A-001", 1, 2))
    assert load(warehouse(tmp_path), LoadOptions(), TWO).objects == 0
    assert counts(warehouse(tmp_path)) == expected(("A-001", 1, 2))


@pytest.mark.parametrize("there", [False, True])
def test_a_lake_without_its_buckets_leaves_nothing_behind(tmp_path: Path, there: bool) -> None:
    (tmp_path / "lake" / "expanso-databricks-ingestion").mkdir(parents=True)
    if there:
        (tmp_path / "warehouse").mkdir()
    with pytest.raises(QueryError, match="holds no bucket expanso-databricks-validated"):
        load(warehouse(tmp_path), LoadOptions(), TWO)
    assert not (tmp_path / "warehouse").exists()


def test_a_table_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)

    def fails(*arguments: object, **options: object) -> None:
        raise DeltaError("no space left")

    monkeypatch.setattr("sim.query.stored_table.write_deltalake", fails)
    with pytest.raises(QueryError, match=r"wind_turbine_raw: cannot be written: no space"):
        load(warehouse(tmp_path), LoadOptions(), TWO)
    monkeypatch.undo()
    load(warehouse(tmp_path), LoadOptions(), TWO)
    assert counts(warehouse(tmp_path)) == expected(("A-001", 1, 2))


@pytest.mark.parametrize("most_bytes", [0, 100, 6_000])
def test_a_full_disk_is_one_message_and_costs_no_row(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], most_bytes: int
) -> None:
    """A bound on the size of a file stands for the disk: it strikes at the first long write."""
    lakehouse.add(tmp_path / "lake", "A-001", 1, 500, TWO)
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, bounds[1]))
    try:
        with pytest.raises(QueryError, match=r"warehouse.*File too large") as refused:
            load(warehouse(tmp_path), LoadOptions(), TWO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
    assert refused.value.exit_code == ENVIRONMENT
    assert str(refused.value).isprintable()
    assert capfd.readouterr().err == ""
    load(warehouse(tmp_path), LoadOptions(), TWO)
    for table in TWO:
        assert counts(warehouse(tmp_path), table.name) == expected(("A-001", 1, 500))


@pytest.mark.parametrize("name", ["s3:/bucket", "a b#c?d", "ünï'c+"])
def test_a_warehouse_with_an_odd_name_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2)
    monkeypatch.chdir(tmp_path)
    where = Warehouse(Path(name), LakeReader.folder(tmp_path / "lake"))
    load(where, LoadOptions())
    (rows,) = Engine(where).run("SELECT COUNT(*) AS n FROM wind_turbine_raw")
    assert rows.to_pylist() == [{"n": 2}]
    assert (tmp_path / name / "wind_turbine_raw" / "_delta_log").is_dir()


@pytest.mark.parametrize("name", ["a%20b", "back\\slash", "new\nline"])
def test_a_path_that_delta_misreads_is_refused_and_not_made(tmp_path: Path, name: str) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    where = Warehouse(tmp_path / name, LakeReader.folder(tmp_path / "lake"))
    with pytest.raises(QueryError, match="Delta tables cannot be in a path with") as refused:
        load(where, LoadOptions(), TWO)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("to_nothing", [False, True])
def test_a_warehouse_that_is_a_file_or_a_dead_link_is_refused(
    tmp_path: Path, to_nothing: bool
) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    if to_nothing:
        (tmp_path / "warehouse").symlink_to(tmp_path / "nowhere")
    else:
        (tmp_path / "warehouse").write_text("dear")
    with pytest.raises(QueryError, match="warehouse: is no folder") as refused:
        load(warehouse(tmp_path), LoadOptions(), TWO)
    assert refused.value.exit_code == ENVIRONMENT


def test_a_bad_object_that_is_taken_away_stops_no_later_load(tmp_path: Path) -> None:
    """A refused batch leaves no trace in the log."""
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    path = lakehouse.path_of(tmp_path / "lake", RAW, "A-002", 1, 2)
    path.write_bytes(b"half")
    with pytest.raises(QueryError, match="A-002-1-2"):
        load(warehouse(tmp_path), LoadOptions(), TWO)
    path.unlink()
    load(warehouse(tmp_path), LoadOptions(), TWO)
    assert counts(warehouse(tmp_path)) == expected(("A-001", 1, 2))


def test_a_text_that_is_not_utf8_is_a_bad_object_and_the_others_are_loaded(
    tmp_path: Path,
) -> None:
    """Texts are validated for a batch together, and then one by one to find the object."""
    for i in range(3):
        lakehouse.add(tmp_path / "lake", f"A-00{i}", 1, 2, TWO)
    odd = lakehouse.rows(RAW.source, "A-003", 1, 2)
    place = odd.schema.get_field_index("status")
    bytes_ = pa.array([b"\xff", b"ok"]).view(pa.string())
    odd = odd.set_column(place, odd.schema.field(place), bytes_)
    pq.write_table(odd, lakehouse.path_of(tmp_path / "lake", RAW, "A-001", 9, 2))
    loaded = load(warehouse(tmp_path), LoadOptions(skip_bad=True), TWO)
    assert [bad.partition(":")[0][-18:] for bad in loaded.bad] == ["A-001-9-10.parquet"]
    assert counts(warehouse(tmp_path)) == expected(*((f"A-00{i}", 1, 2) for i in range(3)))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rotor_rpm", "has two columns rotor_rpm"),
        ("_source_file", "has a column _source_file, which is the loader's own"),
        ("", "has a column without a name"),
    ],
)
def test_an_object_with_a_name_that_no_table_can_have_is_bad(
    tmp_path: Path, name: str, why: str
) -> None:
    with_column(tmp_path, name, pa.array([0.5, 0.6]))
    loaded = load(warehouse(tmp_path), LoadOptions(skip_bad=True), TWO)
    assert [bad.partition(": ")[2] for bad in loaded.bad] == [why]
    assert counts(warehouse(tmp_path)) == expected(("A-001", 1, 2))


@pytest.mark.parametrize(
    "name",
    ["A 2 +%20 é.parquet", "#?.parquet", "a=b&c.parquet", "q'uo\"te.parquet", "x=1/y/z.parquet"],
)
def test_an_object_of_any_key_is_loaded_once(tmp_path: Path, name: str) -> None:
    lakehouse.add(tmp_path / "lake", "A-001", 1, 2, TWO)
    path = lakehouse.path_of(tmp_path / "lake", RAW, "A-001", 1, 2)
    (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
    path.rename(path.parent / name)
    for objects in (2, 0):
        assert load(warehouse(tmp_path), LoadOptions(), TWO).objects == objects
    (source,) = set(content(warehouse(tmp_path), RAW.name)["_source_file"].to_pylist())
    assert source == f"expanso-databricks-ingestion/ingestion/{lakehouse.HOUR}/{name}"
