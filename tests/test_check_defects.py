"""The oracle names each planted defect for what it is, counts it right, and finds nothing else."""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import lakebuilder
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sim.check import LakeReader, Verdict, judge

Objects = dict[str, bytes]
HOUR_1 = "year=2024/month=01/day=15/hour=01"
INGESTED = f"expanso-databricks-ingestion/ingestion/{HOUR_1}/A-002-268-357.parquet"
VALIDATED = INGESTED.replace("ingestion", "validated")
ENRICHED = INGESTED.replace("ingestion", "enriched")
QUARANTINED = "expanso-databricks-validated/validated/_quarantine/year=2024/month=01/day=15/hour=00/A-001-1-87.parquet"
AGGREGATED = f"expanso-databricks-aggregated/aggregated/{HOUR_1}/A-002-718-800.parquet"
MANIFEST = f"expanso-databricks-metadata/metadata/{HOUR_1}/A-002-268-357.json"
CHECKPOINT = "expanso-databricks-checkpoints/checkpoints/A/A-002.json"


@pytest.fixture(scope="module")
def lake() -> Objects:
    return lakebuilder.build()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodes")
    lakebuilder.write_nodes(folder)
    return folder


@pytest.fixture
def judged(tmp_path: Path, nodes: Path, lake: Objects) -> Callable[..., Verdict]:
    """Judges the good lake with some objects changed (bytes), or removed (None)."""

    def run(changes: dict[str, bytes | None] | None = None, nodes: Path = nodes) -> Verdict:
        objects = {name: content for name, content in {**lake, **(changes or {})}.items() if content is not None}
        shutil.rmtree(tmp_path / "lake", ignore_errors=True)
        lakebuilder.write_lake(tmp_path / "lake", objects)
        return judge(nodes, LakeReader.folder(tmp_path / "lake"), None, 1)

    return run


def wrong(verdict: Verdict) -> dict[str, int]:
    """The figures that must be 0 in a right lake, and are not."""
    counts = ("lost", "duplicated", "misplaced", "altered", "unexpected")
    names = [*(f"rows.{c}" for c in counts), "windows.wrong", "manifest.mismatches", "checkpoint.mismatches"]
    return {name: verdict.figures[name] for name in names if verdict.figures[name]}


def edit(content: bytes, column: str, row: int, value: object) -> bytes:
    """The Parquet file with one cell changed."""
    table = pq.read_table(io.BytesIO(content))
    mask = pa.array([i == row for i in range(len(table))])
    field = table.schema.field(column)
    changed = pc.if_else(mask, pa.scalar(value, field.type), table.column(column).combine_chunks())
    return write(table.set_column(table.schema.get_field_index(column), field, changed))


def write(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def rejson(content: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(content) | changes).encode()


def finding(verdict: Verdict, kind: str) -> tuple[str, str, str, str, int]:
    """(stage, turbine, hour, key, rows) of the only finding of a kind."""
    (found,) = [f for f in verdict.findings if f.kind == kind]
    return found.stage, found.turbine, found.hour, found.key, found.rows


AT_1 = "2024-01-15T01:00:00Z"


def test_a_right_lake_passes_with_every_row_accounted_for(judged):
    verdict = judged()
    assert (verdict.status, verdict.counts, verdict.errors, wrong(verdict)) == ("pass", {}, [], {})
    rejected = sum(bool(rule) for rule, _ in lakebuilder.SPOILED.values())
    rows = lakebuilder.ROWS * 3
    assert verdict.rows_by_stage == {
        "ingestion": rows,
        "validated": rows - rejected,
        "quarantine": rejected,
        "enriched": rows - rejected,
        "aggregated": verdict.figures["windows.expected"] + 1,
    }
    assert verdict.figures["rows.late"] == 1
    assert verdict.objects == sum("metadata" not in n and "checkpoints" not in n for n in lakebuilder.build())


def test_deleted_object_is_lost(judged):
    verdict = judged({VALIDATED: None})
    assert verdict.status == "fail"
    assert wrong(verdict) == {"rows.lost": 90, "manifest.mismatches": 1}
    assert verdict.counts == {"lost": 1, "manifest.dangling": 1}
    assert finding(verdict, "lost") == ("validated", "A-002", AT_1, VALIDATED, 90)
    assert verdict.figures["rows.unbalanced"] == 90
    (cell,) = [c for c in verdict.completeness if c["lost"]]
    assert (cell["farm"], cell["hour"], cell["stage"]) == ("A", AT_1, "validated")
    assert cell["actual"] == cell["expected"] - 90


def test_object_moved_to_the_next_hour_is_misplaced(judged, lake):
    there = INGESTED.replace("hour=01", "hour=02")
    verdict = judged({INGESTED: None, there: lake[INGESTED]})
    assert wrong(verdict) == {"rows.misplaced": 90, "manifest.mismatches": 1}
    assert verdict.counts == {"misplaced": 1, "manifest.dangling": 1}
    assert finding(verdict, "misplaced") == ("ingestion", "A-002", AT_1, there, 90)


@pytest.mark.parametrize(
    "name",
    [
        ENRICHED.replace("A-002-268-357", "A-002-268-358"),
        ENRICHED.replace("A-002-268-357", "A-001-1-2"),
        ENRICHED.replace("A-002-268-357", "B-001-1-2"),
        ENRICHED.replace("A-002", "Z-999"),
        ENRICHED.replace(".parquet", "-copy.parquet"),
        ENRICHED.replace("hour=01", "hour=02"),
    ],
)
def test_copy_under_another_name_is_duplicated(judged, lake, name, monkeypatch):
    monkeypatch.setattr("sim.check.verdict.SHARE_TURBINES", 1)  # so that the copy lies in another share
    verdict = judged({name: lake[ENRICHED]})
    assert wrong(verdict) == {"rows.duplicated": 90}
    assert verdict.counts == {"duplicated": 1}
    assert finding(verdict, "duplicated") == ("enriched", "A-002", AT_1, name, 90)


def test_moved_under_another_turbines_name_is_misplaced(judged, lake):
    there = VALIDATED.replace("A-002-268-357", "B-001-1-2")
    verdict = judged({VALIDATED: None, there: lake[VALIDATED]})
    assert wrong(verdict) == {"rows.misplaced": 90, "manifest.mismatches": 1}
    assert finding(verdict, "misplaced") == ("validated", "A-002", AT_1, there, 90)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        (INGESTED, "wind_speed", 7.25),
        (INGESTED, "wind_speed", None),
        (VALIDATED, "timestamp", lakebuilder.START_US),
        (VALIDATED, "turbine_id", "A-001"),
        (ENRICHED, "operator_ref", "person1@example.org"),
        (ENRICHED, "latitude_coarse", 41.123),
        (ENRICHED, "farm_id", "B"),
        (QUARANTINED, "_rescued_data", '{"wind_speed": "n/b", "status": "00FF"}'),
    ],
)
def test_changed_value_is_altered(judged, lake, name, column, value):
    verdict = judged({name: edit(lake[name], column, 0, value)})
    assert wrong(verdict) == {"rows.altered": 1, "manifest.mismatches": 1}
    assert verdict.counts == {"altered": 1, "manifest.disagrees": 1}
    assert finding(verdict, "altered")[3:] == (name, 1)
    (found,) = [f for f in verdict.findings if f.kind == "altered"]
    assert column in found.detail


def test_last_bit_of_a_float_counts(judged, lake):
    value = pq.read_table(io.BytesIO(lake[VALIDATED])).column("wind_speed")[5].as_py()
    assert wrong(judged({VALIDATED: edit(lake[VALIDATED], "wind_speed", 5, math.nextafter(value, 99))})) == {
        "rows.altered": 1,
        "manifest.mismatches": 1,
    }


def test_dropped_manifest_is_a_mismatch_and_nothing_else(judged):
    verdict = judged({MANIFEST: None})
    assert wrong(verdict) == {"manifest.mismatches": 1}
    assert verdict.counts == {"manifest.missing": 1}
    assert finding(verdict, "manifest.missing") == ("metadata", "A-002", AT_1, MANIFEST, 90)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"job_id": "j-2"}, "manifest.disagrees"),
        ({"rejected": {"range": 3}}, "manifest.disagrees"),
        ({"destination": {"data_path": []}}, "manifest.disagrees"),
        ({"source": {}}, "manifest.disagrees"),
        ({"objects": 7}, "manifest.unreadable"),
    ],
)
def test_manifest_that_says_something_else(judged, lake, changes, kind):
    verdict = judged({MANIFEST: rejson(lake[MANIFEST], **changes)})
    assert wrong(verdict) == {"manifest.mismatches": 1}
    assert verdict.counts == {kind: 1}


@pytest.mark.parametrize("field", ["rows", "bytes", "sha256", "min_event_us", "max_event_us", "first_id", "last_id"])
def test_every_fact_of_an_object_in_a_manifest_is_checked(judged, lake, field):
    document = json.loads(lake[MANIFEST])
    document["objects"][0][field] = 1
    assert judged({MANIFEST: json.dumps(document).encode()}).counts == {"manifest.disagrees": 1}


def test_manifest_that_leaves_an_object_out(judged, lake):
    document = json.loads(lake[MANIFEST])
    del document["objects"][0], document["destination"]["data_path"][0]
    verdict = judged({MANIFEST: json.dumps(document).encode()})
    assert verdict.counts == {"manifest.missing": 1}
    assert finding(verdict, "manifest.missing")[3] == INGESTED


def test_misplaced_manifest(judged, lake):
    assert judged({MANIFEST: None, MANIFEST.replace("=01/A", "=02/A"): lake[MANIFEST]}).counts == {
        "manifest.misplaced": 1
    }


def test_manifest_of_no_batch(judged, lake):
    assert judged({MANIFEST.replace("268-357", "268-356"): lake[MANIFEST]}).counts == {"manifest.unexpected": 1}


def test_wrong_rule_in_quarantine(judged, lake):
    verdict = judged({QUARANTINED: edit(lake[QUARANTINED], "rule", 3, "range")})
    assert wrong(verdict) == {"rows.altered": 1, "manifest.mismatches": 1}
    assert verdict.counts == {"quarantine.wrong-rule": 1, "manifest.disagrees": 1}


def test_row_that_belongs_in_quarantine_but_was_let_through(judged, lake):
    key = QUARANTINED.replace("_quarantine/", "")
    bad, good = (pq.read_table(io.BytesIO(lake[name])) for name in (QUARANTINED, key))
    moved = bad.slice(3, 1).select(good.column_names)
    kept = pa.concat_tables([bad.slice(0, 3), bad.slice(4)])
    verdict = judged({QUARANTINED: write(kept), key: write(pa.concat_tables([good, moved]))})
    assert wrong(verdict) == {"rows.lost": 1, "rows.unexpected": 1, "manifest.mismatches": 2}
    assert verdict.counts == {"lost": 1, "unexpected": 1, "manifest.disagrees": 2}
    assert verdict.figures["rows.unbalanced"] == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("power_output", 1.25),
        ("temperature_std", 0.125),
        ("wind_speed_max", 10.5),
        ("efficiency", None),
        ("rows", 61),
        ("anomaly_count", 1000),
        ("anomaly_kinds", ["vibration"]),
        ("window_end", lakebuilder.START_US),
    ],
)
def test_window_that_is_wrong(judged, lake, column, value):
    verdict = judged({AGGREGATED: edit(lake[AGGREGATED], column, 3, value)})
    assert wrong(verdict) == {"windows.wrong": 1, "manifest.mismatches": 1}
    assert verdict.counts == {"window.wrong": 1, "manifest.disagrees": 1}
    (found,) = [f for f in verdict.findings if f.kind == "window.wrong"]
    assert column in found.detail


def test_latest_revision_without_the_late_row_is_stale(judged, lake):
    table = pq.read_table(io.BytesIO(lake[AGGREGATED]))
    first_edition = table.filter(pc.equal(table.column("revision"), 0))
    assert len(first_edition) == len(table) - 1
    verdict = judged({AGGREGATED: write(first_edition)})
    assert wrong(verdict) == {"windows.wrong": 1, "manifest.mismatches": 1}
    assert verdict.counts == {"window.stale-revision": 1, "manifest.disagrees": 1}


def test_missing_and_duplicated_windows(judged, lake):
    windows = pq.read_table(io.BytesIO(lake[AGGREGATED])).num_rows
    gone = judged({AGGREGATED: None})
    assert wrong(gone) == {"windows.wrong": windows, "manifest.mismatches": 1}
    assert gone.counts == {"window.missing": windows - 1, "window.stale-revision": 1, "manifest.dangling": 1}
    copy = AGGREGATED.replace("718-800", "628-717")
    twice = judged({copy: lake[AGGREGATED]})
    assert wrong(twice) == {"windows.wrong": windows}
    assert twice.counts == {"window.duplicated": windows}


def test_window_without_rows_and_missing_revision(judged, lake):
    table = pq.read_table(io.BytesIO(lake[AGGREGATED]))
    at = table.column("revision").to_pylist().index(1)
    gap = judged({AGGREGATED: edit(lake[AGGREGATED], "revision", at, 2)})
    assert wrong(gap) == {"windows.wrong": 1, "manifest.mismatches": 1}
    assert gap.counts == {"window.revision-gap": 1, "manifest.disagrees": 1}
    start = table.schema.get_field_index("window_start")
    first = table.slice(0, 1)
    early = pa.array(
        [lakebuilder.START_US // lakebuilder.HOUR_US * lakebuilder.HOUR_US], table.schema.field(start).type
    )
    other = pa.concat_tables([first.set_column(start, table.schema.field(start), early)])
    strange = judged({AGGREGATED.replace("hour=01", "hour=00").replace("718-800", "628-717"): write(other)})
    assert wrong(strange) == {"windows.wrong": 1}
    assert strange.counts == {"window.unexpected": 1}


def test_window_moved_to_another_hour(judged, lake):
    windows = pq.read_table(io.BytesIO(lake[AGGREGATED])).num_rows
    verdict = judged({AGGREGATED: None, AGGREGATED.replace("hour=01", "hour=03"): lake[AGGREGATED]})
    assert wrong(verdict) == {"windows.wrong": windows, "manifest.mismatches": 1}
    assert verdict.counts == {"window.misplaced": windows, "manifest.dangling": 1}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"last_id": 799}, "checkpoint.behind"),
        ({"last_id": 801}, "checkpoint.ahead"),
        ({"batches": 1}, "checkpoint.disagrees"),
        ({"node_id": "n-9"}, "checkpoint.disagrees"),
        ({"last_id": None}, "checkpoint.unreadable"),
    ],
)
def test_checkpoint_that_is_off(judged, lake, changes, kind):
    verdict = judged({CHECKPOINT: rejson(lake[CHECKPOINT], **changes)})
    assert wrong(verdict) == {"checkpoint.mismatches": 1}
    assert verdict.counts == {kind: 1}


def test_missing_checkpoint(judged):
    assert judged({CHECKPOINT: None}).counts == {"checkpoint.missing": 1}


def test_truncated_object_is_unreadable_and_its_rows_count_as_lost(judged, lake):
    verdict = judged({INGESTED: lake[INGESTED][:-100]})
    assert wrong(verdict) == {"rows.lost": 90, "manifest.mismatches": 1}
    assert verdict.counts == {"object.unreadable": 1, "manifest.disagrees": 1}
    assert finding(verdict, "object.unreadable") == ("ingestion", "A-002", AT_1, INGESTED, 90)


def test_object_with_another_schema(judged, lake):
    table = pq.read_table(io.BytesIO(lake[ENRICHED]))
    extra = table.append_column("operator_contact", pa.array(["x"] * len(table)))
    verdict = judged({ENRICHED: write(extra)})
    assert wrong(verdict) == {"manifest.mismatches": 1}
    assert verdict.counts == {"object.schema": 1, "manifest.disagrees": 1}
    lacking = judged({ENRICHED: write(table.drop_columns(["region"]))})
    assert wrong(lacking) == {"rows.altered": 90, "manifest.mismatches": 1}
    assert lacking.counts == {"object.schema": 1, "manifest.disagrees": 1}


@pytest.mark.parametrize(
    "name",
    [
        "expanso-databricks-ingestion/ingestion/readme.txt",
        "expanso-databricks-metadata/metadata/year=2024/A-001.json",
        "expanso-databricks-checkpoints/A-001.json",
    ],
)
def test_object_of_no_known_form(judged, name):
    verdict = judged({name: b"hello"})
    assert verdict.counts == {"object.foreign": 1}
    assert finding(verdict, "object.foreign")[3] == name


def test_rows_of_a_turbine_that_is_not_in_the_fleet_are_unexpected(judged, lake):
    table = pq.read_table(io.BytesIO(lake[INGESTED]))
    strange = table.set_column(3, "turbine_id", pa.array(["Z-001"] * len(table)))
    verdict = judged({INGESTED.replace("A-002", "Z-001"): write(strange)})
    assert wrong(verdict) == {"rows.unexpected": 90}
    assert verdict.counts == {"object.foreign": 1}
