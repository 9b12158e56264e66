"""Content of the lake: same bytes for any order of work, each row once in its hour, no names."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pipeline.node
from pipeline import records
from pipeline.config import Asset
from pipeline.node import EdgeNode, run
from pipeline.stages.enrich import pseudonym
from sim.campaign.memory_store import MemoryStore
from tests.support.examples import examples
from tests.support.pipeline_reference import SPOIL, batches, messy
from tests.support.pipeline_world import (
    END,
    FULL_ASSET,
    HOUR,
    SECOND,
    SECRET,
    FixedClock,
    Row,
    config,
    documents,
    drain,
    drive,
    good,
    objects,
    rows_of,
    write,
)

WINDOW_SETTINGS = st.sampled_from(
    ({}, {"window_s": 420, "allowed_lateness_s": 0}, {"window_s": 5000})
)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messy(), st.lists(st.integers(1, 59), max_size=6), WINDOW_SETTINGS, st.booleans())
def test_the_cadence_of_flushes_leaves_no_trace(
    rows: list[Row], seen: list[int], how: Row, restart: bool
) -> None:
    node = config(**how)
    with tempfile.TemporaryDirectory() as folder:
        once = drain(Path(folder) / "once.db", rows, node)
        often, written = MemoryStore(), 0
        database = Path(folder) / "often" / "once.db"
        database.parent.mkdir()
        edge = EdgeNode(node, database)
        for n in [*sorted(seen), len(rows)]:
            write(database, rows[written:n])
            written = max(n, written)
            if restart:
                edge = EdgeNode(node, database)
            drive([edge], often, None)
        drive([edge], often)
    assert often.objects == once.objects
    account(once, rows)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messy("A-001", 40), messy("A-002", 40), messy("B-001", 40), st.sampled_from((1, 50, 10**6)))
def test_nodes_together_give_the_bytes_of_nodes_alone(
    a: list[Row], b: list[Row], c: list[Row], chunk: int
) -> None:
    nodes = [
        config("A-001"),
        config("A-002", Asset(), window_s=420),
        config("B-001", flush_every_s=7000),
    ]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.node, "CHUNK_ROWS", chunk)
        paths = [
            write(Path(folder) / f"{n.turbine_id}.db", rows)
            for n, rows in zip(nodes, (a, b, c), strict=True)
        ]
        edges = [EdgeNode(n, path) for n, path in zip(nodes, paths, strict=True)]
        together, alone = MemoryStore(), MemoryStore()
        with ThreadPoolExecutor(3) as pool:
            list(run(edges, together, FixedClock(), pool, END))
        for n, path in zip(nodes, paths, strict=True):
            drive([EdgeNode(n, path)], alone)
    assert together.objects == alone.objects


def account(store: MemoryStore, rows: list[Row]) -> None:
    """Check ingestion = validated + quarantined = the node's rows.

    Each row must be in the object of its hour and its batch.
    """
    placed: dict[str, list[int]] = {}
    for stage in ("ingestion", "validated", "quarantine", "enriched"):
        placed[stage] = []
        for key, table in objects(store, stage).items():
            assert table.num_rows > 0
            ids = table.column("id").to_pylist()
            assert ids == sorted(ids)
            placed[stage] += ids
            hour, first, last = hour_and_ids(key)
            assert first <= ids[0] <= ids[-1] <= last
            assert (first, last) in batches(rows, 900)
            for i in ids:
                assert hour == wanted_hour(rows[i - 1]), (key, rows[i - 1])
    assert sorted(placed["ingestion"]) == [row["id"] for row in rows]
    assert sorted(placed["validated"] + placed["quarantine"]) == [row["id"] for row in rows]
    assert placed["validated"] == placed["enriched"]
    assert all(
        hour_and_ids(key)[0] * HOUR == t["window_start"][0].value // HOUR * HOUR
        for key, t in windows_of(store)
    )
    manifests(store, rows)


def windows_of(store: MemoryStore):  # type: ignore[no-untyped-def]
    for key, table in objects(store, "aggregated").items():
        starts = [start.value for start in table.column("window_start")]
        assert len({start // HOUR for start in starts}) == 1
        assert starts == sorted(starts)
        yield key, table


def manifests(store: MemoryStore, rows: list[Row]) -> None:
    """Check that manifests name every data object once, with its facts."""
    named = []
    for document in documents(store, "metadata").values():
        assert document["destination"]["data_path"] == [
            entry["key"] for entry in document["objects"]
        ]
        source = document["source"]
        assert source["record_count"] == source["last_id"] - source["first_id"] + 1
        for entry in document["objects"]:
            body = store.objects[entry["bucket"], entry["key"]]
            named.append((entry["bucket"], entry["key"]))
            assert (entry["bytes"], entry["sha256"]) == (
                len(body),
                hashlib.sha256(body).hexdigest(),
            )
            table = pq.read_table(io.BytesIO(body))
            assert pq.ParquetFile(io.BytesIO(body)).num_row_groups == 1
            assert entry["rows"] == table.num_rows
            column = "window_start" if entry["stage"] == "aggregated" else "timestamp"
            times = [t.value for t in table.column(column) if t.is_valid]
            assert (entry["min_event_us"], entry["max_event_us"]) == (
                min(times, default=None),
                max(times, default=None),
            )
            ids = table.column("id").to_pylist() if "id" in table.schema.names else [None]
            assert (entry["first_id"], entry["last_id"]) == (ids[0], ids[-1])
    data = [place for place in store.objects if not place[0].endswith(("metadata", "checkpoints"))]
    assert sorted(named) == sorted(data)


def hour_and_ids(key: str) -> tuple[int, int, int]:
    """Return hour since 1970, first id and last id, from a key."""
    found = re.fullmatch(
        r".*/year=(\d{4})/month=(\d\d)/day=(\d\d)/hour=(\d\d)/A-001-(\d+)-(\d+)\.parquet", key
    )
    assert found, key
    year, month, day, hour, first, last = map(int, found.groups())
    days = date(year, month, day).toordinal() - 719_163
    return days * 24 + hour, first, last


def wanted_hour(row: Row) -> int:
    """Return the hour of a row: of its event time, else of its recording time, else 1970.

    Only years 1 to 9999 are times.
    """
    for name in ("timestamp", "recorded_at"):
        if (
            isinstance(row[name], int)
            and -62_135_596_800 * SECOND <= row[name] < 253_402_300_800 * SECOND
        ):
            return int(row[name] // HOUR)
    return 0


@pytest.mark.parametrize(
    "kind", ["no time", "time 0", "time -1", "time 9e18", "time lowest", "time highest"]
)
@pytest.mark.parametrize("also", [None, "unrecorded", "recorded highest", "recorded lowest"])
def test_nonsense_times_are_kept_where_they_can_be_found(
    tmp_path: Path, kind: str, also: str | None
) -> None:
    cells = {**SPOIL[kind], **(SPOIL[also] if also else {})}
    rows = [good(1), good(2, **cells), good(3)]
    account(drain(tmp_path / "n.db", rows), rows)


def test_a_batch_over_an_hour_becomes_an_object_for_each(tmp_path: Path) -> None:
    rows = [good(i, step_s=60) for i in range(50, 70)]
    rows = [{**row, "id": i + 1} for i, row in enumerate(rows)]
    store = drain(tmp_path / "n.db", rows, config(flush_every_s=7200))
    day = "year=2024/month=01/day=15"
    assert [*objects(store, "validated")] == [
        f"validated/{day}/hour={h}/A-001-1-20.parquet" for h in ("00", "01")
    ]


def test_values_of_a_wrong_type_are_rescued_and_the_rest_is_kept(tmp_path: Path) -> None:
    odd = good(2, wind_speed="9,5", status=b"\x00\xff", timestamp=1.5, rotor_rpm=None)
    store = drain(tmp_path / "n.db", [good(1), odd, good(3)])
    plain, rescued, _ = sorted(rows_of(store, "ingestion"), key=lambda row: row["id"])
    assert plain[records.RESCUED] is None
    assert json.loads(rescued[records.RESCUED]) == {
        "wind_speed": "9,5",
        "status": "00FF",
        "timestamp": 1.5,
    }
    assert [rescued[n] for n in ("wind_speed", "status", "timestamp", "rotor_rpm")] == [None] * 4
    assert rescued["temperature"] == odd["temperature"]
    (rejected,) = rows_of(store, "quarantine")
    assert rejected == {**rescued, "rule": "type"}


def test_ingestion_holds_the_cells_of_the_node(tmp_path: Path) -> None:
    rows = [good(i) for i in range(1, 8)]
    found = rows_of(drain(tmp_path / "n.db", rows), "ingestion")
    assert found == [{**row, "farm_id": "A", records.RESCUED: None} for row in rows]


def test_nothing_personal_leaves_the_node(tmp_path: Path) -> None:
    store = drain(tmp_path / "n.db", [good(1), good(2, status="dancing")])
    (row,) = rows_of(store, "enriched")
    assert re.fullmatch("p-[0-9a-f]{16}", row["operator_ref"])
    assert (row["latitude_coarse"], row["longitude_coarse"]) == (41.9, -93.1)
    assert (row["serial_number"], row["region"], row["rated_power"]) == ("S-77", "us-east-1", 3.0)
    for (bucket, key), body in store.objects.items():
        told_there = (
            body
            if key.endswith(".json")
            else repr(pq.read_table(io.BytesIO(body)).to_pylist()).encode()
        )
        for secret in SECRET.values():
            assert str(secret).encode() not in body + told_there, (bucket, key)


def test_pseudonyms_are_keyed() -> None:
    assert pseudonym("Olga", "00") == pseudonym("Olga", "00") != pseudonym("Olga", "01")
    assert pseudonym("Olga", "00") != pseudonym("Otto", "00")
    assert pseudonym("Olga", "") is pseudonym(None, "00") is None


def test_a_node_without_a_description_delivers(tmp_path: Path) -> None:
    store = drain(tmp_path / "n.db", [good(1)], config(asset=Asset(), privacy_key="", labels={}))
    (row,) = rows_of(store, "enriched")
    assert all(
        row[name] is None
        for name in ("region", "turbine_type", "operator_ref", "hub_height", "latitude_coarse")
    )


def test_no_value_of_another_node_is_in_an_object(tmp_path: Path) -> None:
    other = Asset(turbine_type="SECRET-TYPE", serial_number="SECRET-SERIAL", rated_power=7.75)
    one = EdgeNode(
        config("A-001", FULL_ASSET), write(tmp_path / "1.db", [good(i) for i in range(1, 40)])
    )
    rows = [
        good(i, "A-002", status="SECRET-STATE") if i % 3 else good(i, "A-002") for i in range(1, 40)
    ]
    two = EdgeNode(config("A-002", other), write(tmp_path / "2.db", rows))
    store = MemoryStore()
    drive([two, one], store)
    mine = {place: body for place, body in store.objects.items() if "A-001" in place[1]}
    assert len(mine) == 6
    assert not [place for place, body in mine.items() if b"SECRET" in body or b"A-002" in body]


def test_history_of_a_turbine_whose_name_begins_like_another(tmp_path: Path) -> None:
    """`A-1-2` and `A-1` share a prefix: neither may read the other's rows as its own past."""
    shared = MemoryStore()
    for turbine in ("A-1-2", "A-1", "A-10"):
        rows = [good(i, turbine, step_s=60) for i in range(1, 100)]
        rows[80]["timestamp"] = rows[3]["timestamp"] + (1 if turbine == "A-1" else 0)
        alone = drain(tmp_path / f"{turbine}.db", rows, config(turbine))
        drive([EdgeNode(config(turbine), tmp_path / f"{turbine}.db")], shared)
        assert alone.objects.items() <= shared.objects.items()
