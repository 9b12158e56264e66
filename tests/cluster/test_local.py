"""`--cluster local:N`: the run of one process, on workers of Dask, one of which is killed."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import closing
from pathlib import Path

import psutil
import yaml

from pipeline import lake
from tests.support import clusters, runs

PRELOAD = "from pathlib import Path\nPath({marker!r}).touch()\n"
ELSEWHERE = "tcp://192.0.2.1:8786"


def hostile_dask(folder: Path) -> tuple[dict[str, str], Path]:
    """Return variables and a home directory that would redirect Dask, and the preload's mark."""
    marker = folder / "preloaded"
    module = folder / "preload.py"
    module.write_text(PRELOAD.format(marker=str(marker)))
    preload = [str(module)]
    settings = {
        "scheduler-address": ELSEWHERE,
        "distributed": {
            **{name: {"preload": preload} for name in ("worker", "nanny", "scheduler", "client")},
            "comm": {"default-scheme": "tls", "require-encryption": True},
            "dashboard": {"link": ELSEWHERE},
        },
    }
    home = folder / "home" / ".config" / "dask"
    home.mkdir(parents=True)
    (home / "evil.yaml").write_text(yaml.safe_dump(settings))
    variables = {
        "DASK_SCHEDULER_ADDRESS": ELSEWHERE,
        "DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME": "tls",
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        **{
            f"DASK_DISTRIBUTED__{name}__PRELOAD": json.dumps(preload)
            for name in ("WORKER", "NANNY", "SCHEDULER", "CLIENT")
        },
    }
    return {**variables, "HOME": str(folder / "home")}, marker


def test_a_worker_is_killed_and_the_result_is_that_of_one_process(
    tmp_path: Path, clean_lake: str
) -> None:
    """Parts share one S3, so the part that runs again finds the objects of its first attempt.

    The worker has ended another part before, which does not run again.
    """
    s3 = lake.client(clean_lake)

    def checkpoints() -> int:
        return int(s3.list_objects_v2(Bucket=lake.BUCKETS["checkpoints"])["KeyCount"])

    whole, _ = runs.saved(clean_lake)
    want = clusters.counted(runs.result(whole))
    lake.empty(clean_lake)
    hostile, marker = hostile_dask(tmp_path)
    hostile |= clusters.in_parts(tmp_path / "site", "sim.store.target", "CEILING_S = 0.04")
    arguments = ("run", runs.scenario(tmp_path), "--out", tmp_path / "out", "--parts", "2")
    more = ("--endpoint-url", clean_lake, "--worker-dir", tmp_path / "nodes", "--workers", 1)
    with closing(runs.start(*arguments, *more, "--cluster", "local:1", **hostile)) as started:
        assert runs.wait_until(lambda: ": pass, " in started.out, 90), started.text
        (first,) = re.findall(r"part (\d) of 2: pass", started.out)
        before = checkpoints()
        # The other part has delivered something, and is not done.
        assert runs.wait_until(lambda: checkpoints() > before, 60), started.text
        part = next(p for p in started.processes() if clusters.CHILD in clusters.command_line(p))
        listening = {
            connection.laddr.ip
            for process in started.processes()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        clusters.kill_worker_of(part)
        assert runs.wait_until(lambda: not clusters.is_running(part), 10)
        done = runs.Done(started)
    assert done.code == 0, done.text
    # Python's folder of a process that was killed; nobody is left to remove it.
    assert not [left for left in done.left if "/pymp-" not in left]
    assert done.err == ""
    assert listening == {"127.0.0.1"}
    assert not marker.exists()
    begun = re.findall(r"^part (\d) of 2 begins on tcp://127.0.0.1:", done.out, re.MULTILINE)
    other = str(3 - int(first))
    assert Counter(begun) == {first: 1, other: 2}, (
        "one part began twice, and not the one that ended"
    )
    found = clusters.counted(runs.result(tmp_path / "out"))
    died = rf"part {other}: the worker tcp://127.0.0.1:\d+ died; it ran again on tcp://"
    assert re.search(died, done.out)
    assert any(re.match(died, note) for note in runs.result(tmp_path / "out")["notes"])
    # The second attempt does not write the objects of the first again, and all count once.
    assert clusters.of_lake(found) == clusters.of_lake(want)
    names = ("objects.written", "bytes.written", "store.requests")
    assert [found["figures"][name] for name in names] == [want["figures"][name] for name in names]
    back = [path for path in (tmp_path / "out" / "parts").rglob("*") if path.is_file()]
    assert len(back) == 2 * 5
    assert sum(path.stat().st_size for path in back) < 200_000
    assert not (tmp_path / "out" / "nodes").exists()
    assert len(list((tmp_path / "nodes").glob("*/part-*-of-2/nodes/*/*.db"))) == 9
