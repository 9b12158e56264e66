"""`verify --cluster`: each part is judged where its node files are."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pipeline import lake
from sim.cluster import parts
from sim.errors import ENVIRONMENT, INVALID, LAKE_WRONG, PASS
from tests.support import cluster_world, runs
from tests.support.cluster_world import WORKERS, Cluster

LOCAL = ("--cluster", "local:2")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    cluster_world.use(monkeypatch, made)
    monkeypatch.setattr(parts, "PAUSE_S", 0.01)
    monkeypatch.setattr(parts, "GONE_AFTER_S", 0.0)
    monkeypatch.setattr(parts, "_ASK_EVERY_S", 0.0)
    return made


def judged(text: str) -> list[str]:
    """Return the lines of a verdict, without those of the cluster and without paths."""
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if re.match("(PASS|FAIL|UNKNOWN)  ", line))
    end = next(i for i, line in enumerate(lines) if line.startswith("report: "))
    return lines[begin:end]


def test_parts_are_judged_where_they_are(tmp_path: Path, clean_lake: str, cluster: Cluster) -> None:
    """The verdict of one process, on a good lake and on one that lost an object."""
    out, there = tmp_path / "out", tmp_path / "there"
    store = ("--endpoint-url", clean_lake)
    scenario = runs.scenario(tmp_path)
    made = runs.inside(
        "run",
        scenario,
        *LOCAL,
        "--out",
        out,
        *store,
        "--parts",
        2,
        "--workers",
        1,
        "--worker-dir",
        there,
    )
    assert made.code == PASS, made.text
    again = runs.inside("verify", out, *LOCAL, *store)
    assert again.code == PASS, again.text
    assert judged(again.out)[-1] == "the same figures as in result.json"

    whole = tmp_path / "whole"
    shutil.copytree(out, whole)
    for part in there.glob("*/part-?-of-?"):
        shutil.copytree(part / "nodes", whole / "nodes", dirs_exist_ok=True)
        shutil.copytree(part / "truth", whole / "truth", dirs_exist_ok=True)
    s3, bucket = lake.client(clean_lake), lake.BUCKETS["validated"]
    key = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"]
    s3.delete_object(Bucket=bucket, Key=key)
    alone = runs.inside("verify", whole, *store)
    found = runs.inside("verify", out, *LOCAL, *store)
    assert alone.code == found.code == LAKE_WRONG, found.text
    assert judged(found.out) == judged(alone.out)
    # A directory that all workers see, in any number of parts.
    seen = runs.inside("verify", whole, *LOCAL, *store, "--parts", 3)
    assert judged(seen.out) == judged(alone.out)
    assert len(cluster.attempts) == 2 + 2 + 2 + 3

    other = runs.inside("verify", out, *LOCAL, *store, "--parts", 3)
    assert other.code == INVALID
    assert other.said_once("its node files are in 2 parts", "leave out --parts 3")

    (second,) = there.glob("*/part-2-of-2")
    cluster.blind = {*WORKERS}
    gone = runs.inside("verify", out, *LOCAL, *store)
    assert gone.code == ENVIRONMENT
    assert gone.said_once("part 1: its node files are in ", "dask worker tcp://10.0.0.1:8786")

    # The machine is lost after the roll call.
    cluster.blind = {WORKERS[0]}
    lose_second(cluster)
    lost = runs.inside("verify", out, *LOCAL, *store)
    assert lost.code == ENVIRONMENT, lost.text
    assert lost.said_once("is on 10.0.0.8, whose worker is gone", "dask worker"), lost.text

    cluster.lost.clear()
    shutil.rmtree(second)
    cluster.blind = set()
    missing = runs.inside("verify", out, *LOCAL, *store)
    assert missing.code == ENVIRONMENT
    assert missing.said_once(f"part 2: its node files are in {second}", "no worker has them")


def lose_second(cluster: Cluster) -> None:
    """Lose the second worker as soon as parts are sent."""
    send = cluster.as_completed

    def lose(futures: object, **options: object) -> Cluster:
        cluster.lost.add(WORKERS[1])
        return send(futures, **options)  # type: ignore[arg-type]

    cluster.as_completed = lose  # type: ignore[method-assign]


def test_a_run_without_a_store_cannot_be_judged_again(tmp_path: Path, cluster: Cluster) -> None:
    refused = runs.inside("verify", tmp_path / "x", *LOCAL)
    assert refused.code == INVALID
    assert refused.said_once("is no directory")


def test_a_cluster_that_lost_all_its_workers_is_waited_for_no_longer(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "NOBODY_AFTER_S", 0.01)
    send = cluster.as_completed

    def lose(futures: object, **options: object) -> Cluster:
        cluster.lost = {*WORKERS}
        return send(futures, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cluster, "as_completed", lose)
    done = runs.inside("run", runs.scenario(tmp_path), *LOCAL, "--out", tmp_path / "out")
    assert done.code == ENVIRONMENT, done.text
    assert "no worker is left; waiting" in done.out
    assert "no worker has been there for 0.01 s; start it there with: dask worker" in done.text
