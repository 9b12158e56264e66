"""The raw record of store operations: on disk at once, however its worker ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.retry import Operation
from pipeline.under_way import MOST_CALLS
from sim.chaos.file_faults import disk_full
from sim.measure.operations import SCHEMA
from sim.run.operations import PARTS, Recorder, merge
from tests.support import runs
from tests.support.operations import table

ONE = Operation(
    1, 2, 3, "put", "expanso-databricks-ingestion", 'i/year=2024/"A, 1"-1-2.parquet', 0, "ok", 1
)
KILLS = "faults: [{kind: worker.kill, count: 3}]\n"


@pytest.mark.parametrize("name", ["a:b", "caf\udce9", "s3:x"])
def test_a_folder_whose_name_is_no_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Pyarrow takes a relative path with a colon for a URI and rejects names outside UTF-8."""
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    assert merge(Path(name)).num_rows == 0
    assert (tmp_path / name / "operations.parquet").stat().st_size > 0


def test_appended_operations_are_merged_unchanged(tmp_path: Path) -> None:
    rows = [
        ONE._replace(start=n, bytes=2**40 + n, outcome="missing")
        for n in (1_705_276_800_000_000_001, 5)
    ]
    for worker, of_worker in (("A", rows), ("B", [ONE]), ("C", [])):
        recorder = Recorder(tmp_path, worker)
        for row in of_worker:
            recorder.append(row)
        recorder.close()
    merged = merge(tmp_path)
    assert merged.schema == SCHEMA
    assert merged.equals(pq.read_table(tmp_path / "operations.parquet"))
    expected = table([ONE, rows[1], rows[0]], "").drop("worker")
    assert merged.drop("worker").combine_chunks().equals(expected)
    assert merged["worker"].to_pylist() == ["B", "A", "A"]
    assert not (tmp_path / PARTS).exists()
    assert merge(tmp_path).num_rows == 0  # a run that ended before any worker began


def test_a_killed_worker_has_written_all_but_its_last_line(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
from pathlib import Path
from pipeline.retry import Operation
from sim.run.operations import Recorder
recorder = Recorder(Path(sys.argv[1]), "A")
for n in range(1000):
    recorder.append(Operation(*{tuple(ONE)})._replace(start=n))
os.write(recorder._file, b"1\\t2\\t3")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert (
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode
        == -signal.SIGKILL
    )
    again = Recorder(tmp_path, "A")  # the worker that takes its place
    again.append(ONE._replace(start=1000))
    again.close()
    assert merge(tmp_path)["start"].cast("int64").to_pylist() == list(range(1001))


def test_a_disk_that_is_full_for_a_while_loses_no_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, "A")
    recorder.append(ONE._replace(start=1))
    with disk_full():
        recorder.append(ONE._replace(start=2))
        recorder.append(ONE._replace(start=3))
        monkeypatch.setattr("sim.run.operations.PENDING_BYTES", 100)
        with pytest.raises(OSError, match="too large"):
            recorder.append(ONE._replace(start=4))
    recorder.append(ONE._replace(start=5))
    recorder.close()
    assert merge(tmp_path)["start"].cast("int64").to_pylist() == [1, 2, 3, 4, 5]


def test_the_operations_of_killed_workers_are_in_the_record(
    localstack: str, tmp_path: Path
) -> None:
    """Each object has a PUT on record, except for calls that SIGKILL left without an answer."""
    path, out = runs.scenario(tmp_path, runs.SCENARIO + KILLS), tmp_path / "run"
    arguments = ("--endpoint-url", localstack, "--empty-lake", "--save-lake", "--workers", 2)
    done = runs.quick("run", path, "--out", out, *arguments)
    assert done.code == 0, done.text
    assert runs.result(out)["faults"] == [{"kind": "worker.kill", "planned": 3, "fired": 3}]
    operations = pq.read_table(
        out / "operations.parquet", columns=["kind", "outcome", "bucket", "key"]
    ).to_pylist()
    made = {
        (o["bucket"], o["key"]) for o in operations if (o["kind"], o["outcome"]) == ("put", "ok")
    }
    found = {
        (o["bucket"], o["key"])
        for o in operations
        if (o["kind"], o["outcome"]) == ("put", "exists")
    }
    lake = {
        tuple(str(file.relative_to(out / "lake")).split(os.sep, 1))
        for file in (out / "lake").rglob("*.*")
    }
    assert len(lake) > 100
    assert lake <= made | found
    assert len(lake - made) <= 3 * MOST_CALLS
