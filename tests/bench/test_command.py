"""`windfleet bench` inside the test: refusals, tables, files; then small measurements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.config import NodeConfig
from sim.bench import command, growth, parts, record
from sim.bench.floors import columns
from sim.bench.growth import Job
from sim.bench.record import SizeRecord, read_record, write_record
from sim.errors import BenchError
from tests.support import runs
from tests.support.bench_samples import bench, point, size


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_record(bench(size(), size(60), growth=(point(), point(1000))), tmp_path / "bench.json")
    return tmp_path / "bench.json"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--rows", "3601"), "'3601' is not a number of rows a batch; give one from 1 to 3600"),
        (("--rows", "0"), "'0' is not a number of rows a batch"),
        (("--rounds", "0"), "'0' is not a whole number of 1 or more"),
        (("--turbines", "-1"), "'-1' is not a whole number of 1 or more"),
        (("--turbines", "9999"), "--turbines 9999: the largest farm has 316; --growth takes"),
        (("--compare", "no/file"), "no/file: cannot be read: No such file or directory; name a"),
        (("--from", "http://x"), "'http://x' is a URL"),
        (("--json", "no/file"), "--json no/file: there is no folder no; make it, or name another"),
        (("--json", "."), "--json . is a folder; name a file"),
        (("--only", "query", "--json", "x"), "--json does not go with --only query"),
        (("--only", "query", "--from", "x"), "--from does not go with --only query"),
        (("--only", "rows"), "invalid choice: 'rows'"),
    ],
)
def test_refusals(
    arguments: tuple[str, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = runs.inside("bench", *arguments)
    assert ended.code == 2
    assert text in ended.err
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr("sim.bench.command.measure", measured)
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    ended = runs.inside("bench", "--compare", tmp_path / "other.json")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "other.json: not a file of `windfleet bench --json`" in ended.err


def test_an_earlier_run_is_shown(file: Path) -> None:
    ended = runs.inside("bench", "--from", file, COLUMNS="200")
    assert (ended.code, ended.err) == (0, "")
    process = re.search(r"· process\W+([\d.]+)\W+([\d.]+)\W+([\d.]+)", ended.out)
    assert process is not None
    assert process.groups() == ("100", "33.3", "3.00")
    assert "100 nodes x 600 rows: 33 objects/s, PUT ceiling 600/s (wall time): 0.06" in ended.out
    assert re.search(r"│ 1,000 +│ +16\.7 │(?: +16\.7 │){4} +0\.00 │ +66\.7 │ +0\.10 │", ended.out)


def test_markdown_has_the_sizes_side_by_side(file: Path) -> None:
    lines = runs.inside("bench", "--from", file, "--markdown").out.splitlines()
    head = (
        "| part, CPU us/row | 600 rows a batch | floor | ratio | 60 rows a batch | floor | ratio |"
    )
    at = lines.index(head)
    assert lines[at + 1] == "| --- | --: | --: | --: | --: | --: | --: |"
    assert "| write | 66.7 | 33.3 | 2.00 | 667 | 333 | 2.00 |" in lines
    assert (
        "| whole job | 400 + 100 | 150 + 100 | 2.67 | 4,000 + 1,000 | 1,500 + 1,000 | 2.67 |"
        in lines
    )
    assert "| whole job, in one number | 500 | 250 | 2.00 | 5,000 | 2,500 | 2.00 |" in lines


def test_two_files_are_compared(file: Path, tmp_path: Path) -> None:
    write_record(bench(size(scale=2.0)), tmp_path / "new.json")
    ended = runs.inside("bench", "--from", tmp_path / "new.json", "--compare", file, COLUMNS="160")
    assert ended.code == 0, "a slower part is shown, and is no failure"
    assert len(re.findall(r"│ slower +│", ended.out)) == 9
    assert "not comparable: the new file lacks it" in ended.out


def test_what_was_measured_is_shown_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def measured(turbines: int, rows: int, *more: object) -> SizeRecord:
        asked.append((turbines, rows, *more))
        return size(rows)

    monkeypatch.setattr(command, "measure", measured)
    kept = tmp_path / "bench.json"
    options = ("--rows", 60, 60, 7, "--turbines", 5, "--seed", 3, "--gateway", "stock")
    ended = runs.inside("bench", *options, "--json", kept)
    assert (ended.code, ended.err) == (0, "")
    assert asked == [(5, 60, 3, 3, "stock"), (5, 7, 3, 3, "stock")]
    assert read_record(kept).sizes == [size(60), size(7)]
    assert (read_record(kept).seed, read_record(kept).gateway) == (3, "stock")
    assert len(re.findall("whole job, in one number", ended.out)) == 2


def test_an_interrupted_run_keeps_the_results_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(turbines: int, rows: int, *more: object) -> SizeRecord:
        if rows == 7:
            raise KeyboardInterrupt
        return size(rows)

    monkeypatch.setattr(command, "measure", measured)
    ended = runs.inside("bench", "--rows", 60, 7, "--json", tmp_path / "bench.json")
    assert ended.code == 130
    assert read_record(tmp_path / "bench.json").sizes == [size(60)]


def test_a_small_measurement() -> None:
    found = parts.measure(2, 30, 1, 7, "short")
    assert (found.rows, found.objects) == (60, 12)
    assert found.names() == [
        *(record.SAMPLES, record.WRITE, record.READ, record.STAGES, record.PROCESS),
        *(record.PUT, record.DELIVER, record.VERIFY, record.JOB),
    ]
    floors = {name for name in found.names() if found.floor(name) is not None}
    assert floors == set(found.names()) - {record.SAMPLES, record.STAGES}
    assert found.product(record.JOB).wall_s > found.product(record.VERIFY).wall_s > 0


def test_a_floor_that_differs_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code 5: one of the two is wrong, and nothing tells which."""
    windows = columns.windows

    def with_an_anomaly(rows: columns.Rows, configs: list[NodeConfig]) -> columns.Windows:
        found = windows(rows, configs)
        found.columns["anomaly_count"] += 1
        return found

    monkeypatch.setattr(columns, "windows", with_an_anomaly)
    differs = "A-001, aggregated: the floor differs from the product in anomaly_count"
    with pytest.raises(BenchError, match=differs) as found:
        parts.measure(1, 30, 1, 7, "short")
    assert found.value.exit_code == 5


@pytest.mark.parametrize(
    ("job", "objects"),
    [
        (Job("turbines", 9, 9, 20, 3600), 9 * 6),
        (Job("flushes", 3, 9, 60, 20), 9 * (3 * (3 + 2) + 1)),
    ],
)
def test_a_growing_job_delivers_and_passes(job: Job, objects: int) -> None:
    found = growth.point(job, 1, 7, "short")
    assert (found.rows, len(found.fixed_s)) == (job.turbines * job.samples, 1)
    assert found.objects == objects
    assert min(found.worker_bytes, found.store_bytes) > 20e6
    assert {name for name in found.names() if found.product(name).server_s > 0} <= {
        *(record.DELIVER, record.VERIFY, record.JOB)
    }


def test_a_lake_that_is_wrong_is_no_measurement() -> None:
    verdict = parts.check.Verdict(status="fail", counts={"rows.lost": 3})
    with pytest.raises(BenchError, match=r"verdict is fail: \{'rows.lost': 3\}") as found:
        parts.require_passed(verdict)
    assert found.value.exit_code == 5
    parts.require_passed(parts.check.Verdict(status="pass"))
