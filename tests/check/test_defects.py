"""Defects planted in the lake of a real run: `windfleet verify` names and counts them, exit 5.

test_mutants.py holds the whole catalogue, for the oracle. These tests cover the command on a lake
that the real pipeline wrote, a lake still in the store, and the order of exit codes.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline import lake
from pipeline.records import TABLE
from sim.check import Verdict
from sim.measure.thresholds import Outcome
from sim.run.record import Record
from sim.run.result import decide
from tests.support import runs

VERDICT = ("verify.json", "verify.html", "verify-junit.xml")
WRONG = (
    *(
        f"rows.{name}"
        for name in ("lost", "duplicated", "misplaced", "altered", "unexpected", "unbalanced")
    ),
    *("windows.wrong", "manifest.mismatches", "checkpoint.mismatches"),
)


@pytest.fixture
def run(localstack: str, tmp_path: Path) -> Path:
    """Copy a good run with its saved lake, to be damaged."""
    return runs.copy(runs.saved(localstack)[0], tmp_path / "run")


def verified(run: Path, *options: object) -> runs.Ended:
    """Run the command `verify` in this process, without workers."""
    return runs.inside("verify", run, "--workers", 1, *options)


def an_object(run: Path, stage: str, turbine: str = "B-002") -> Path:
    """Return a turbine's largest object of a stage, in the last hour, outside quarantine."""
    found = (run / "lake" / f"expanso-databricks-{stage}").glob(
        f"{stage}/year*/**/hour=01/{turbine}-*.parquet"
    )
    return max(found, key=lambda path: path.stat().st_size)


def rows_of(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def wrong(done: runs.Ended) -> dict[str, int]:
    """Return the figures that must be 0 and are not."""
    figures = done.figures()
    return {name: figures[name] for name in WRONG if figures[name]}


def test_an_undamaged_lake_gets_the_verdict_of_its_run(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    workers = "import sim.check.shares as shares; shares.FILES_PER_WORKER = 1"
    done = runs.quick("verify", run, "--workers", 2, plant=workers)
    assert done.code == 0, done.text
    assert done.out.count("\nPASS  Every one of ") == 1
    assert "the same figures as in result.json" in done.out
    assert (done.err, done.found(), done.left) == ("", {}, [])
    result = runs.result(run)
    assert done.figures()["rows.generated"] > 1000
    for name, value in done.figures().items():
        assert value == result["figures"][name]["value"]
    assert f"lake digest: {result['lake']['digest']}" in done.out
    now = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert {path.name for path in now.keys() - before.keys()} == set(VERDICT)
    assert {path: now[path] for path in before} == before


@pytest.mark.parametrize("stage", ["ingestion", "enriched"])
def test_a_deleted_object_is_reported_as_lost_rows(run: Path, stage: str) -> None:
    victim = an_object(run, stage)
    rows = rows_of(victim)
    victim.unlink()
    done = verified(run)
    assert done.code == 5, done.text
    assert done.found() == {"lost": 1, "manifest.dangling": 1}
    unbalanced = {"rows.unbalanced": rows} if stage == "ingestion" else {}
    assert wrong(done) == {"rows.lost": rows, "manifest.mismatches": 1} | unbalanced
    assert f"\nlost: 1 finding, {rows} rows, farm B, in {stage}\n  B-002 {stage} " in done.out
    assert done.out.index("\nFAIL  Found: ") < done.out.index("\nlost: ") < done.out.index("stage ")
    assert victim.name in done.out
    assert re.search(
        r"^differs from result.json in: .*rows\.lost.*, lake digest$", done.out, re.MULTILINE
    )


def test_an_object_under_the_next_hour_is_reported_as_misplaced_rows(run: Path) -> None:
    victim = an_object(run, "validated")
    rows = rows_of(victim)
    there = victim.parent.with_name("hour=02") / victim.name
    there.parent.mkdir()
    victim.rename(there)
    done = verified(run)
    assert done.code == 5, done.text
    assert done.found() == {"misplaced": 1, "manifest.dangling": 1}
    assert wrong(done) == {"rows.misplaced": rows, "manifest.mismatches": 1}
    assert f"\nmisplaced: 1 finding, {rows} rows, farm B, in validated\n" in done.out


def test_a_copy_under_another_name_is_reported_as_duplicated_rows(run: Path) -> None:
    victim = an_object(run, "enriched")
    turbine, first, last = victim.stem.rsplit("-", 2)
    shutil.copy(victim, victim.with_name(f"{turbine}-{first}-{int(last) + 1}.parquet"))
    done = verified(run)
    assert done.code == 5, done.text
    assert done.found() == {"duplicated": 1}
    assert wrong(done) == {"rows.duplicated": rows_of(victim)}


def test_a_changed_value_is_reported_as_an_altered_row(run: Path) -> None:
    victim = an_object(run, "enriched")
    table = pq.read_table(victim, partitioning=None)
    at, column = table.num_rows // 2, table.schema.get_field_index("power_output")
    mask = pa.array([n == at for n in range(table.num_rows)])
    power = table["power_output"].combine_chunks()
    changed = pc.if_else(
        mask, pc.add(pc.fill_null(power, 0.0), pa.scalar(0.001, power.type)), power
    )
    pq.write_table(table.set_column(column, table.field(column), changed), victim)
    done = verified(run)
    assert done.code == 5, done.text
    assert done.found() == {"altered": 1, "manifest.disagrees": 1}  # its sha256 differs too
    assert wrong(done) == {"rows.altered": 1, "manifest.mismatches": 1}
    assert "power_output" in done.out


def test_a_deleted_manifest_is_reported_as_missing(run: Path) -> None:
    victim = next((run / "lake" / "expanso-databricks-metadata").glob("**/G-001-*.json"))
    victim.unlink()
    done = verified(run)
    assert done.code == 5, done.text
    assert done.found() == {"manifest.missing": 1}
    assert wrong(done) == {"manifest.mismatches": 1}
    assert victim.name in done.out


def test_a_checkpoint_set_back_is_reported_as_a_mismatch(run: Path) -> None:
    victim = run / "lake" / "expanso-databricks-checkpoints" / "checkpoints" / "A" / "A-001.json"
    checkpoint = json.loads(victim.read_text())
    victim.write_text(json.dumps(checkpoint | {"last_id": checkpoint["last_id"] - 1}))
    done = verified(run)
    assert done.code == 5, done.text
    assert wrong(done) == {"checkpoint.mismatches": 1}


@pytest.mark.parametrize("harm", ["not SQLite", "no column"])
def test_an_unreadable_node_file_is_named_and_leaves_the_verdict_unknown(
    run: Path, harm: str
) -> None:
    victim = run / "nodes" / "A" / "A-002.db"
    if harm == "not SQLite":
        victim.write_bytes(b"this is no database" * 500)
    else:
        with sqlite3.connect(victim) as connection:
            connection.execute(f"ALTER TABLE {TABLE} DROP COLUMN status")
    done = verified(run)
    assert done.code == 6, done.text
    assert "\nUNKNOWN  Not decided: " in done.out
    assert done.found() == {"node.unreadable": 1}
    assert "A-002.db" in done.out
    assert "Traceback" not in done.text
    assert wrong(done) == {}
    an_object(run, "ingestion", "B-001").unlink()
    assert verified(run).code == 5  # a known defect outweighs an unknown part


@pytest.mark.parametrize(
    ("status", "passed", "stopped_by", "decided"),
    [
        ("pass", [True], None, ("pass", 0)),
        ("pass", [True, False], None, ("fail", 4)),
        ("pass", [None, False], None, ("fail", 4)),
        ("pass", [True, None], None, ("unknown", 6)),
        ("unknown", [True], None, ("unknown", 6)),
        ("unknown", [False], None, ("fail", 4)),
        ("fail", [True], None, ("fail", 5)),
        ("fail", [False], None, ("fail", 5)),
        ("fail", [None], None, ("fail", 5)),
        (None, [], None, ("unknown", 6)),
        (None, [False], 3, ("unknown", 3)),
        ("pass", [True], 130, ("unknown", 130)),
    ],
)
def test_exit_codes_have_an_order_of_precedence(
    status: str | None, passed: list[bool | None], stopped_by: int | None, decided: tuple[str, int]
) -> None:
    record = Record(verdict=Verdict(status=status) if status else None, stopped_by=stopped_by)
    outcomes = [Outcome(text="rows.lost == 0", passed=each, value=None) for each in passed]
    assert decide(record, outcomes) == decided


# Delete one object of the ingestion stage after delivery, before the verdict.
SPOIL = """\
import sim.run.command as command
from pipeline import lake
judge_lake = command.judge_lake
def spoil(scenario, store, record, progress, **options):
    s3 = lake.client(store.endpoint_url)
    bucket = lake.BUCKETS["ingestion"]
    key = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"]
    s3.delete_object(Bucket=bucket, Key=key)
    judge_lake(scenario, store, record, progress, **options)
command.judge_lake = spoil
"""


@pytest.fixture
def judge(localstack: str, tmp_path: Path) -> Callable[..., runs.Ended]:
    """Run the tiny scenario on the shared LocalStack, with a threshold that cannot be met."""

    def run(plant: str) -> runs.Ended:
        arguments = [
            "run",
            runs.scenario(tmp_path),
            "--out",
            tmp_path / "run",
            "--set",
            "expect=[rows.generated >= 1e9]",
        ]
        arguments += ["--endpoint-url", localstack, "--empty-lake", "--workers", 1]
        return runs.quick(*arguments, plant=plant) if plant else runs.inside(*arguments)

    return run


def test_a_missed_threshold_is_4_and_a_lake_in_the_store_can_be_verified_and_spoiled(
    judge: Callable[..., runs.Ended], localstack: str, tmp_path: Path
) -> None:
    done = judge("")
    assert done.code == 4, done.text
    assert "not met: rows.generated >= 1e9" in done.out
    result = runs.result(tmp_path / "run")
    assert (result["verdict"], result["exit_code"]) == ("fail", 4)
    assert [e["passed"] for e in result["expectations"]] == [False]

    judged = verified(tmp_path / "run", "--endpoint-url", localstack)
    assert (judged.code, judged.found()) == (0, {}), judged.text  # verify judges the lake only
    assert "the same figures as in result.json" in judged.out

    s3, bucket = lake.client(localstack), lake.BUCKETS["validated"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="validated/half")
    judged = verified(tmp_path / "run", "--endpoint-url", localstack)
    assert (judged.code, judged.found()) == (5, {"upload.unfinished": 1}), judged.text
    assert (judged.figures()["objects.unfinished"], wrong(judged)) == (1, {})
    assert "\n  validated multipart upload that was never completed: abort it half\n" in judged.out
    s3.abort_multipart_upload(Bucket=bucket, Key="validated/half", UploadId=upload["UploadId"])

    key = s3.list_objects_v2(Bucket=bucket, Prefix="validated/year=")["Contents"][0]["Key"]
    (tmp_path / "gone.parquet").write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    s3.delete_object(Bucket=bucket, Key=key)
    judged = verified(tmp_path / "run", "--endpoint-url", localstack)
    assert (judged.code, judged.found()) == (5, {"lost": 1, "manifest.dangling": 1}), judged.text
    rows = rows_of(tmp_path / "gone.parquet")
    assert wrong(judged) == {"rows.lost": rows, "rows.unbalanced": rows, "manifest.mismatches": 1}
    assert key in judged.out


def test_a_wrong_lake_outweighs_a_missed_threshold(
    judge: Callable[..., runs.Ended], tmp_path: Path
) -> None:
    done = judge(SPOIL)
    assert done.code == 5, done.text
    assert done.left == []
    result = runs.result(tmp_path / "run")
    assert (result["verdict"], result["exit_code"]) == ("fail", 5)
    assert result["figures"]["rows.lost"]["value"] > 0
    assert {finding["kind"] for finding in result["findings"]} == {"lost", "manifest.dangling"}
    junit = (tmp_path / "run" / "junit.xml").read_text()
    assert 'message="verdict fail, exit code 5"' in junit
    assert "FAIL" in done.out
    assert "not met: rows.generated >= 1e9" in done.out
