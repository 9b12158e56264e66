"""`python -m pipeline`: one real node by hand, its exit codes, and one error message each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import lake
from pipeline.__main__ import main
from pipeline.config import NodeConfig
from pipeline.node import EdgeNode, run
from pipeline.partition import bucket
from pipeline.store import S3ObjectStore
from sim.campaign.inline_executor import Inline
from tests.support.pipeline_world import END, FixedClock, config, drain, good, write

UNTIL = "2024-01-15T01:00:00Z"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A database of one hour and a half, with its configuration beside it."""
    (tmp_path / "A-001.json").write_text(config().to_json())
    return write(tmp_path / "A-001.db", [good(i, step_s=60) for i in range(1, 91)])


def error(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr."""
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_an_error_in_a_name_is_one_line_without_escape_sequences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--db", str(tmp_path / "a\x1b[2J\n\udce9.db")]) == 2
    assert "a\\x1b[2J\\n\\xe9.db: no such file" in error(capsys)


@pytest.mark.parametrize("name", ["..", "A\\1", "A/1", "_A", "x" * 201])
def test_a_turbine_id_unfit_for_keys_is_refused(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    database = write(tmp_path / "n.db", [good(1, turbine_id=name)])
    assert main(["--db", str(database)]) == 2
    assert "choose another name" in error(capsys)


def test_a_file_name_of_the_greatest_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name of a retired file or a configuration beside it exceeds the file system's limit."""
    database = write(tmp_path / f"{'n' * 244}.db", [good(1)])
    assert main(["--db", str(database), "--endpoint-url", "http://127.0.0.1:9"]) == 3
    assert "127.0.0.1:9" in error(capsys)


def stored(endpoint_url: str) -> dict[tuple[str, str], bytes]:
    s3 = lake.client(endpoint_url)
    out = {}
    for name in lake.BUCKETS.values():
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for item in page.get("Contents", ()):
                out[name, item["Key"]] = s3.get_object(Bucket=name, Key=item["Key"])["Body"].read()
    return out


def test_a_node_is_delivered_in_steps_and_equals_the_lake_in_memory(
    clean_lake: str, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--db", str(node), "--endpoint-url", clean_lake]
    assert main([*ask, "--until", UNTIL]) == 0
    assert capsys.readouterr().out == "A-001: 59 rows in 4 batches, 15 data objects; last id 59\n"
    assert main([*ask, "--until", UNTIL]) == 0
    assert capsys.readouterr().out == "A-001: 0 rows in 0 batches, 0 data objects; last id 59\n"
    assert main(ask) == 0  # no time: closed batches only
    assert "last id 89" in capsys.readouterr().out
    data = {k: v for k, v in stored(clean_lake).items() if k[0] == bucket("validated")}
    reference = drain(node, [])
    assert (
        data.items()
        <= {k: v for k, v in reference.objects.items() if k[0] == bucket("validated")}.items()
    )


def test_the_lake_in_s3_is_the_lake_in_memory(clean_lake: str, node: Path) -> None:
    results = run(
        [EdgeNode(config(), node)], S3ObjectStore(clean_lake), FixedClock(), Inline(), END
    )
    assert len(list(results)) == 7
    assert stored(clean_lake) == drain(node, []).objects


@pytest.mark.parametrize(
    "theirs", [b"", b"ZZZZ behind any Parquet file in every order", b"A in front of it"]
)
def test_other_content_is_reported_and_kept(
    clean_lake: str, node: Path, theirs: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "validated/year=2024/month=01/day=15/hour=00/A-001-1-14.parquet"
    store = S3ObjectStore(clean_lake)
    store.create(bucket("validated"), key, theirs)
    assert main(["--db", str(node), "--endpoint-url", clean_lake]) == 5
    assert key in error(capsys)
    assert store.get(bucket("validated"), key)[0] == theirs


def test_an_invalid_checkpoint_is_reported(
    clean_lake: str, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    S3ObjectStore(clean_lake).create(bucket("checkpoints"), "checkpoints/A/A-001.json", b"{}")
    assert main(["--db", str(node), "--endpoint-url", clean_lake]) == 5
    assert "not a checkpoint" in error(capsys)


def test_a_missing_bucket_is_reported_with_the_fix(
    clean_lake: str, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.client(clean_lake).delete_bucket(Bucket=bucket("metadata"))
    ask = ["--db", str(node), "--endpoint-url", clean_lake, "--until", UNTIL]
    assert main(ask) == 3
    printed = error(capsys)
    assert bucket("metadata") in printed
    assert "--create-buckets" in printed
    assert main([*ask, "--create-buckets"]) == 0
    assert "last id 59" in capsys.readouterr().out


def test_a_missing_store_is_reported(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--db", str(node), "--endpoint-url", "http://127.0.0.1:9"]) == 3
    assert "127.0.0.1:9" in error(capsys)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.db", None, "no such file"),
        (
            "text.db",
            b"this is no database at all, and it is long enough" * 9,
            "not a readable SQLite database",
        ),
        ("empty.db", b"", "has no table sensor_readings"),
    ],
)
def test_an_invalid_database_is_reported(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    expected: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["--db", str(tmp_path / name), "--endpoint-url", "http://127.0.0.1:9"]) == 2
    printed = error(capsys)
    assert name in printed
    assert expected in printed


def test_an_invalid_configuration_is_reported(
    node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node.with_suffix(".json").write_text('{"turbine_id": "A-001"}')
    assert main(["--db", str(node)]) == 2
    assert "A-001.json" in error(capsys)


def test_a_node_without_configuration_takes_its_name_from_the_rows(
    clean_lake: str, tmp_path: Path
) -> None:
    database = write(tmp_path / "some.db", [good(1, "Q-7")])
    assert main(["--db", str(database), "--endpoint-url", clean_lake, "--until", UNTIL]) == 0
    assert S3ObjectStore(clean_lake).list(bucket("checkpoints"), "checkpoints/Q/", "Q-7") == [
        "checkpoints/Q/Q-7.json"
    ]


def test_a_database_without_rows_is_accepted(
    clean_lake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "--db",
                str(write(tmp_path / "n-1.db", [])),
                "--endpoint-url",
                clean_lake,
                "--until",
                UNTIL,
            ]
        )
        == 0
    )
    assert capsys.readouterr().out == "n-1: 0 rows in 0 batches, 0 data objects; last id 0\n"


@pytest.mark.parametrize("text", ["2024-01-15T01:00:00", "noon", ""])
def test_a_time_without_zone_or_sense_is_refused(
    node: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--db", str(node), "--until", text])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert "--until" in printed
    assert ("has no time zone" if "T" in text else "is not an ISO 8601 time") in printed


def test_a_damaged_object_of_the_past_stops_the_node_and_is_named(
    clean_lake: str, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--db", str(node), "--endpoint-url", clean_lake]
    assert main([*ask, "--until", UNTIL]) == 0
    key = "validated/year=2024/month=01/day=15/hour=00/A-001-1-14.parquet"
    lake.client(clean_lake).put_object(Bucket=bucket("validated"), Key=key, Body=b"not Parquet")
    write(node, [good(91, step_s=60, timestamp=good(3, step_s=60)["timestamp"])])
    capsys.readouterr()
    assert main([*ask, "--until", "2024-01-15T03:00:00Z"]) == 5
    printed = capsys.readouterr()
    assert f"{key} is damaged" in printed.err
    assert printed.err.count("\n") == 1


def test_rows_in_quarantine_are_reported(
    clean_lake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [good(1, wind_speed=None), good(2, turbine_id="B-9"), good(3), good(4, wind_speed=None)]
    database = write(tmp_path / "n.db", rows)
    (tmp_path / "n.json").write_text(config().to_json())
    assert main(["--db", str(database), "--endpoint-url", clean_lake, "--until", UNTIL]) == 0
    assert "; 3 rows in quarantine (null 2, identity 1)\n" in capsys.readouterr().out


def test_the_endpoint_comes_from_the_environment_too(
    clean_lake: str, node: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", clean_lake)
    assert main(["--db", str(node), "--until", UNTIL]) == 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(SystemExit, match="2"):
        main(["--db", str(node), "--until", UNTIL])
    assert "AWS_ENDPOINT_URL: 'nonsense' is not a URL" in capsys.readouterr().err


def test_a_job_placed_anew_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACALHAU_EXECUTION_ID", "e-first")
    first = NodeConfig.for_turbine("A-001")
    monkeypatch.setenv("BACALHAU_EXECUTION_ID", "e-second")
    assert NodeConfig.for_turbine("A-001") == first


@pytest.mark.parametrize("name", ["Q/../../x", "", "Z\n1"])
def test_a_turbine_id_unfit_for_keys_is_reported(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    database = write(tmp_path / "n.db", [good(1, turbine_id=name)])
    assert main(["--db", str(database), "--endpoint-url", "http://127.0.0.1:9"]) == 2
    assert "no configuration for turbine" in error(capsys)


@pytest.mark.parametrize(
    ("change", "printed"),
    [
        ({"labels": [1]}, "labels is [1]"),
        ({"labels": {"region": 5}}, "must map names to text"),
        ({"job_id": 7}, "job_id is 7; it must be text"),
        ({"asset": {"rated_power": "x"}}, "asset.rated_power is 'x'; it must be a number"),
        ({"asset": {"technician": 3}}, "asset.technician is 3; it must be text"),
        ({"asset": None}, "the document and its asset must be JSON objects"),
    ],
)
def test_each_wrong_field_of_a_configuration_is_named(
    node: Path, change: dict[str, object], printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = node.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert main(["--db", str(node), "--endpoint-url", "http://127.0.0.1:9"]) == 2
    assert printed in error(capsys)
