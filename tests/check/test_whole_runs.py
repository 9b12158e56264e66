"""The oracle on whole runs: the real pipeline's lake, causes of `unknown`, workers, node files."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import records
from pipeline.config import NodeConfig
from pipeline.node import Delivered, EdgeNode, run
from pipeline.ports import SystemClock
from sim.check import LakeReader, judge
from sim.check.read.nodes import NodeFile, read_rows
from sim.store.folder import FolderStore, make
from sim.store.s3_lake import s3_lake
from tests.support import lakebuilder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return a folder with `nodes/` and the hand-made `lake/` of the builder."""
    lakebuilder.write_nodes(tmp_path / "nodes")
    lakebuilder.write_lake(tmp_path / "lake", lakebuilder.build())
    return tmp_path


def test_the_real_pipeline_writes_the_lake_of_the_oracle_and_the_builder(tmp_path):
    lakebuilder.write_nodes(tmp_path / "nodes")
    nodes = [
        EdgeNode(NodeConfig.load(p), p.with_suffix(".db"))
        for p in sorted((tmp_path / "nodes").glob("*/*.json"))
    ]
    with ThreadPoolExecutor(2) as pool:
        make(tmp_path / "lake")
        results = list(run(nodes, FolderStore(tmp_path / "lake"), SystemClock(), pool, 1 << 61))
    assert all(isinstance(result, Delivered) for result in results)
    verdict = judge(tmp_path / "nodes", LakeReader.folder(tmp_path / "lake"), None, 1)
    assert verdict.counts == {}
    assert (verdict.status, verdict.errors) == ("pass", [])
    assert verdict.figures["rows.quarantined"] == sum(
        bool(rule) for rule, _ in lakebuilder.SPOILED.values()
    )


def test_the_digest_covers_the_sorted_data_objects(made):
    names = [n for n in lakebuilder.build() if "-metadata/" not in n and "-checkpoints/" not in n]
    lines = sorted(
        f"{n} {hashlib.sha256((made / 'lake' / n).read_bytes()).hexdigest()}\n" for n in names
    )
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert judge(made / "nodes", LakeReader.folder(made / "lake"), None, 1).digest == digest


def test_the_number_of_workers_changes_nothing(made, monkeypatch):
    monkeypatch.setattr("sim.check.shares.SHARE_TURBINES", 1)
    monkeypatch.setattr("sim.check.shares.FILES_PER_WORKER", 1)
    moved = next((made / "lake").glob("expanso-databricks-enriched/**/A-002-268-357.parquet"))
    moved.rename(moved.with_name("B-001-7-8.parquet"))
    seen: list[tuple[int, int]] = []
    lake = LakeReader.folder(made / "lake")
    one = judge(made / "nodes", lake, None, 1)
    two = judge(made / "nodes", lake, None, 2, lambda done, total: seen.append((done, total)))
    assert one == two
    assert one.counts == {"misplaced": 1, "manifest.dangling": 1}
    total = len(lakebuilder.build())
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_nothing_to_judge_is_unknown(made, tmp_path):
    lake = LakeReader.folder(made / "lake")
    (tmp_path / "none").mkdir()
    for nodes, reader, place in (
        (tmp_path / "none", lake, "none"),
        (made / "nodes", LakeReader.folder(tmp_path / "none"), "none"),
        (made / "nodes", s3_lake("http://127.0.0.1:9"), "http://127.0.0.1:9"),
    ):
        verdict = judge(nodes, reader, None, 1)
        assert verdict.status == "unknown"
        assert place in verdict.errors[0]


def test_nodes_without_rows_confirm_nothing(made):
    for path in (made / "nodes").glob("*/*.db"):
        with sqlite3.connect(path) as connection:
            connection.execute(f"DELETE FROM {records.TABLE}")
    lake = made / "empty"
    (lake / "expanso-databricks-ingestion").mkdir(parents=True)
    assert judge(made / "nodes", LakeReader.folder(lake), None, 1).status == "unknown"


def test_an_empty_lake_has_lost_everything(made):
    lake = made / "empty"
    (lake / "expanso-databricks-ingestion").mkdir(parents=True)
    verdict = judge(made / "nodes", LakeReader.folder(lake), None, 1)
    assert verdict.status == "fail"
    figures = verdict.figures
    assert figures["rows.lost"] == figures["rows.generated"] * 3 - sum(
        bool(r) for r, _ in lakebuilder.SPOILED.values()
    )


@pytest.mark.parametrize("harm", ["not SQLite", "no database", "no config", "bad config", "column"])
def test_an_unreadable_node_file_is_unknown_for_its_turbine_only(made, harm):
    database = made / "nodes" / "A" / "A-001.db"
    if harm == "not SQLite":
        database.write_bytes(b"hello" * 100)
    elif harm == "no database":
        database.unlink()
    elif harm == "no config":
        database.with_suffix(".json").unlink()
    elif harm == "bad config":
        database.with_suffix(".json").write_text('{"turbine_id": 7}')
    else:
        with sqlite3.connect(database) as connection:
            connection.execute(f"ALTER TABLE {records.TABLE} DROP COLUMN status")
    verdict = judge(made / "nodes", LakeReader.folder(made / "lake"), None, 1)
    assert (verdict.status, verdict.counts) == ("unknown", {"node.unreadable": 1})
    assert "A-001" in verdict.findings[0].detail
    assert verdict.figures["rows.generated"] == 2 * lakebuilder.ROWS
    assert verdict.digest


def test_a_defect_beside_an_unreadable_node_file_is_a_failure(made):
    (made / "nodes" / "A" / "A-001.db").write_bytes(b"hello" * 100)
    next((made / "lake").glob("expanso-databricks-enriched/**/B-001-*.parquet")).unlink()
    assert judge(made / "nodes", LakeReader.folder(made / "lake"), None, 1).status == "fail"


def test_rows_in_the_wal_of_a_database_are_read(made):
    path = made / "nodes" / "B" / "B-001.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        f"INSERT INTO {records.TABLE} (turbine_id, status) VALUES ('B-001', 'running')"
    )
    connection.commit()
    assert path.with_name("B-001.db-wal").stat().st_size
    file = NodeFile("B", "B-001", path, path.with_suffix(".json"))
    assert len(read_rows(file)) == lakebuilder.ROWS + 1
    connection.close()


@pytest.mark.parametrize("column", ["wind_speed", "timestamp"])
def test_text_in_every_row_of_a_column_of_numbers_is_rescued(made, column):
    path = made / "nodes" / "B" / "B-001.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {records.TABLE} SET {column} = 'n/a'")
    rows = read_rows(NodeFile("B", "B-001", path, path.with_suffix(".json")))
    assert rows.column(column).null_count == lakebuilder.ROWS
    assert set(rows.column(records.RESCUED).to_pylist()) == {json.dumps({column: "n/a"})}


def test_reading_a_node_leaves_no_files(made):
    before = sorted((made / "nodes").rglob("*"))
    judge(made / "nodes", LakeReader.folder(made / "lake"), None, 1)
    assert sorted((made / "nodes").rglob("*")) == before


def test_truth_reports_the_outcome_of_the_faults(made):
    (made / "truth").mkdir()
    faults = {
        "turbine_id": ["A-001", "A-001", "B-001", "B-001"],
        "kind": ["odd", "odd", "sensor.stuck", "sensor.stuck"],
        "first_id": [30, 60, 300, None],
        "last_id": [31, 61, 314, None],
        "rows": [2, 2, 15, 0],
    }
    pq.write_table(pa.table(faults), made / "truth" / "faults.parquet")
    pq.write_table(
        pa.table({"turbine_id": ["A-001"], "state": ["running"]}), made / "truth" / "states.parquet"
    )
    verdict = judge(made / "nodes", LakeReader.folder(made / "lake"), made / "truth", 1)
    assert verdict.truth == [
        {
            "kind": "odd",
            "injected": 2,
            "rows": 4,
            "quarantined_by_rule": {"type": 2, "time.range": 2},
        },
        {"kind": "sensor.stuck", "injected": 2, "rows": 15, "quarantined_by_rule": {"stuck": 6}},
    ]


def test_unreadable_truth_is_an_error_and_no_pass(made):
    (made / "truth").mkdir()
    (made / "truth" / "faults.parquet").write_bytes(b"hello")
    verdict = judge(made / "nodes", LakeReader.folder(made / "lake"), made / "truth", 1)
    assert verdict.status == "unknown"
    assert "faults.parquet" in verdict.errors[0]


def test_completeness_adds_up_to_the_figures(made):
    next(
        (made / "lake").glob("expanso-databricks-validated/validated/year*/**/B-001-*.parquet")
    ).unlink()
    verdict = judge(made / "nodes", LakeReader.folder(made / "lake"), None, 1)
    for stage, rows in verdict.rows_by_stage.items():
        cells = [cell for cell in verdict.completeness if cell["stage"] == stage]
        extra = 1 if stage == "aggregated" else 0  # one window has two revisions
        assert sum(int(cell["actual"]) for cell in cells) + extra == rows
    assert (
        sum(int(cell["lost"]) for cell in verdict.completeness) == verdict.figures["rows.lost"] > 0
    )


def test_the_oracle_reads_the_lake_on_s3(clean_lake, made):
    from obstore import put
    from obstore.store import S3Store

    options = {
        "access_key_id": "test",
        "secret_access_key": "test",
        "client_options": {"allow_http": True},
    }
    stores = {}
    for name, content in lakebuilder.build().items():
        bucket, key = name.split("/", 1)
        if bucket not in stores:
            stores[bucket] = S3Store(
                bucket,
                endpoint=clean_lake,
                region="us-west-2",
                virtual_hosted_style_request=False,
                **options,
            )
        put(stores[bucket], key, content)
    here = judge(made / "nodes", LakeReader.folder(made / "lake"), None, 1)
    there = judge(made / "nodes", s3_lake(clean_lake), None, 2)
    assert here == there
    assert there.status == "pass"
    assert json.dumps(there.completeness)  # plain types only
