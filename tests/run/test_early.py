"""A run whose farms are judged while others are delivered: the lake at the end decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import sim.run.command
from pipeline import lake
from sim.check import shares as work
from sim.check.share import Share
from tests.support import runs

Change = Callable[[Any, str, str], None]


@pytest.fixture
def judged_at_the_end(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Share]]:
    """Return the calls that judge shares at the end: first all that are left, then guests."""
    calls: list[Sequence[Share]] = []
    run = work._run

    def noted(reader: Any, shares: Sequence[Share], *rest: Any) -> Iterator[Any]:
        calls.append(shares)
        return run(reader, shares, *rest)

    monkeypatch.setattr(work, "_run", noted)
    return calls


def run(folder: Path, endpoint_url: str) -> runs.Ended:
    path = runs.scenario(folder, runs.SCENARIO)
    where = ("--endpoint-url", endpoint_url, "--empty-lake", "--workers", 2)
    return runs.inside("run", path, "--out", folder / "run", *where)


def test_nothing_is_left_to_judge_at_the_end(
    localstack: str, tmp_path: Path, judged_at_the_end: list[Sequence[Share]]
) -> None:
    ended = run(tmp_path, localstack)
    assert ended.code == 0, ended.text
    assert [[share.farm for share in shares] for shares in judged_at_the_end] == [[""], []]
    line = runs.result(tmp_path / "run")["timeline"]
    assert sum(line["judge"]) > 0
    assert [phase["name"] for phase in line["phases"]] == [
        "start the store",
        "ceiling",
        "simulate and deliver",
        "judge",
    ]


def _overwrite(client: Any, bucket: str, key: str) -> None:
    body = bytearray(client.get_object(Bucket=bucket, Key=key)["Body"].read())
    body[len(body) // 2] ^= 1
    client.put_object(Bucket=bucket, Key=key, Body=bytes(body))


def _delete(client: Any, bucket: str, key: str) -> None:
    client.delete_object(Bucket=bucket, Key=key)


def _add(client: Any, bucket: str, key: str) -> None:
    body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    folder, _, name = key.rpartition("/")
    turbine, first, last = name.removesuffix(".parquet").rsplit("-", 2)
    more = f"{folder}/{turbine}-{first}-{int(last) + 1}.parquet"
    client.put_object(Bucket=bucket, Key=more, Body=body)


CHANGES: dict[str, Change] = {"A-001": _overwrite, "B-001": _delete, "G-001": _add}


def test_objects_that_change_after_their_early_verdict_are_found(
    localstack: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    judged_at_the_end: list[Sequence[Share]],
) -> None:
    deliver = sim.run.command.deliver

    def delivered_and_changed(*args: Any, **named: Any) -> None:
        deliver(*args, **named)
        client, bucket = lake.client(localstack), lake.BUCKETS["validated"]
        keys = [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]
        for turbine, change in CHANGES.items():
            change(client, bucket, next(key for key in keys if f"/{turbine}-" in key))

    monkeypatch.setattr(sim.run.command, "deliver", delivered_and_changed)
    ended = run(tmp_path, localstack)
    assert ended.code == 5, ended.text
    assert [share.farm for share in judged_at_the_end[0]] == ["A", "B", "G", ""]
    findings = runs.result(tmp_path / "run")["findings"]
    found = {(each["farm"], each["kind"]) for each in findings}
    assert found >= {("A", "manifest.disagrees"), ("B", "lost"), ("G", "duplicated")}
