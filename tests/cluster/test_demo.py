"""`demo --cluster`: the data set of one process, from a folder that all machines share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from sim.cluster import parts, roll_call
from sim.errors import ENVIRONMENT, INVALID, PASS, ClusterError
from tests.support import cluster_world, runs
from tests.support.cluster_world import WORKERS, Cluster

SMALL: Final = (
    *("--farms", "E,F", "--turbines", "5", "--workers", "1", "--no-dashboard", "--nodes"),
    *("--layout", "turbine"),
    *("--set", "data_faults=[{kind: row.duplicate, rate: 50 per turbine-day}]"),
    *("--start", "2024-07-01T00:30:00Z", "--sample-every", "1m", "--set", "clock.duration=1h"),
    *("--set", "pipeline.flush_every=30m", "--set", "events=[]"),
)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    cluster_world.use(monkeypatch, made)
    monkeypatch.setattr(parts, "PAUSE_S", 0.01)
    return made


def demo(folder: Path, *options: object) -> runs.Ended:
    return runs.inside("demo", *SMALL, "--to", folder, *options)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".windfleet-lock"
    }


def test_the_data_set_is_that_of_one_process(tmp_path: Path, cluster: Cluster) -> None:
    """One part fails on its machine, and is made again."""
    cluster.failures = {2: [ClusterError("tcp://10.0.0.8:1: no space")]}
    made = demo(tmp_path / "made", "--cluster", "local:2", "--parts", "3")
    assert made.code == PASS, made.text
    assert [index for index, _ in cluster.attempts] == [1, 2, 3, 2]
    assert "part 2: tcp://10.0.0.8:1: no space; again in 0.01 s" in made.out
    assert "part 1 of 3: 60 rows, about " in made.out
    assert "; 2 parts at once" in made.out
    assert made.out.count(": judged, ") == 3
    whole = demo(tmp_path / "whole")
    assert whole.code == PASS
    found, want = files(tmp_path / "made"), files(tmp_path / "whole")
    assert sorted(found) == sorted(want)
    assert [name for name in want if found[name] != want[name]] == []
    assert not any(path.is_symlink() for path in (tmp_path / "made").rglob("*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "whole"]
    again = demo(tmp_path / "made", "--cluster", "local:2")
    assert again.code == INVALID
    assert "--overwrite" in again.err
    assert len(cluster.attempts) == 4, "refused before any part"


def test_a_folder_that_is_not_shared_is_refused(tmp_path: Path, cluster: Cluster) -> None:
    cluster.blind = {WORKERS[1]}
    refused = demo(tmp_path / "made", "--cluster", "local:2")
    assert refused.code == ENVIRONMENT
    assert "--worker-dir DIR" in refused.err
    assert f"worker {WORKERS[1]}: does not see {tmp_path / 'made.parts'}" in refused.err
    assert WORKERS[0] not in refused.err
    assert not cluster.attempts
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_parts_that_ended_are_kept(tmp_path: Path, cluster: Cluster) -> None:
    broken = ClusterError("tcp://10.0.0.8:1: no space")
    cluster.failures = {2: [broken] * 3}
    ended = demo(
        tmp_path / "made",
        "--cluster",
        "local:2",
        "--parts",
        "2",
        "--worker-dir",
        tmp_path / "shared",
    )
    assert ended.code == ENVIRONMENT
    assert ended.said_once("part 2: tcp://10.0.0.8:1: no space", "1 of 2 parts are in "), ended.text
    assert "make the others with --shard I/2, then windfleet merge" in ended.err
    (part,) = (tmp_path / "shared").glob("*/part-1-of-2")
    other = tmp_path / "part-2"
    assert demo(other, "--shard", "2/2").code == PASS
    merged = runs.inside("merge", part, other, "--out", tmp_path / "merged")
    assert merged.code == PASS, merged.text


def test_parts_that_do_not_fit_a_host_together_are_refused(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both workers are on one host, whose memory holds one part."""
    info = roll_call.worker_info()
    monkeypatch.setattr(roll_call, "worker_info", lambda: {**info, "memory_bytes": 900 << 20})
    refused = demo(tmp_path / "made", "--cluster", "local:2")
    assert refused.code == ENVIRONMENT
    assert f"{info['host']}: 2 parts at once need about 1.3 GiB of memory" in refused.err
    assert "start its workers with 1 threads in all" in refused.err
    assert not cluster.attempts
