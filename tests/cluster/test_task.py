"""One part on a worker: its process, its environment, its end. The worker is a dummy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import distributed
import pytest

from sim.cluster import child, record_files, task
from sim.cluster.parts import _reason
from sim.cluster.task import PartTask, Source, run_part
from sim.cluster.worker_info import worker_info
from sim.errors import ENVIRONMENT, ClusterError
from sim.run.part_index import PartIndex

KEY = "part"
NAMES = ("objects.parquet", "part.json")


class Started(list[tuple[list[str], dict[str, str]]]):
    """Arguments and environment of each process that a task started. `program`: runs instead."""

    program = "pass"

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes]
    ) -> Any:
        self.append((list(arguments), dict(environment)))
        return subprocess.Popen(
            [sys.executable, "-c", self.program],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A worker with two threads, which runs one task. `events`: that it sent."""
    events: list[str] = []
    dummy = SimpleNamespace(
        address="tcp://10.0.0.7:4711",
        status=SimpleNamespace(name="running"),
        state=SimpleNamespace(tasks={KEY: SimpleNamespace(state="executing")}, nthreads=2),
        get_current_task=lambda: KEY,
        log_event=lambda topic, event: events.append(event["event"]),
        events=events,
    )
    monkeypatch.setattr(distributed, "get_worker", lambda: dummy)
    return dummy


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    found = Started()
    monkeypatch.setattr(child, "start", found.start)
    return found


@pytest.fixture
def part(tmp_path: Path) -> PartTask:
    here = worker_info()
    return PartTask(
        run="run",
        part=PartIndex(3, 16),
        command=("run", task.SCENARIO, "--shard", "3/16", "--out", task.OUT),
        scenario="name: x\n",
        record=NAMES,
        keep=True,
        folder=str(tmp_path / "parts"),
        versions=here["versions"],
        workers=None,
        threads_on={here["host"]: 2},
    )


def test_a_worker_s_own_endpoint_is_left_out(
    worker: SimpleNamespace, started: Started, part: PartTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://192.0.2.1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    with pytest.raises(ClusterError):
        run_part(part)
    ((arguments, environment),) = started
    assert not [name for name in environment if name.startswith("AWS_ENDPOINT")]
    assert environment["AWS_ACCESS_KEY_ID"] == "mine"
    assert "--endpoint-url" not in arguments
    assert arguments[arguments.index("--shard") + 1] == "3/16"
    assert Path(arguments[1]).read_text() == "name: x\n"
    assert worker.events == ["began", "ended"]


@pytest.mark.parametrize(
    ("threads", "asked", "workers"),
    [(1, None, 6), (2, None, 3), (4, None, 1), (9, None, 1), (2, 5, 5)],
)
def test_the_cores_of_a_host_are_used_once(
    worker: SimpleNamespace,
    started: Started,
    part: PartTask,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    asked: int | None,
    workers: int,
) -> None:
    monkeypatch.setattr(task, "worker_info", lambda: {**worker_info(), "cores": 6})
    with pytest.raises(ClusterError):
        run_part(replace(part, threads_on={worker_info()["host"]: threads}, workers=asked))
    ((arguments, _),) = started
    assert arguments[arguments.index("--workers") + 1] == str(workers)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            "import sys; print('windfleet: no space'); sys.exit(3)",
            "exit code 3: windfleet: no space",
        ),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("pass", "exit code 0"),
    ],
)
def test_a_failure_of_the_machine_is_for_dask_to_try_again(
    worker: SimpleNamespace, started: Started, part: PartTask, program: str, words: str
) -> None:
    started.program = program
    with pytest.raises(ClusterError, match=words) as failed:
        run_part(part)
    assert worker.address in str(failed.value)


def test_another_failure_is_reported_at_once(
    worker: SimpleNamespace, started: Started, part: PartTask
) -> None:
    started.program = "import sys; print('windfleet: a bug'); sys.exit(1)"
    reply = run_part(part)
    assert reply.files is None
    assert _reason(reply) == f"{worker.address}: exit code 1: windfleet: a bug"


@pytest.mark.parametrize("way", ["cancelled", "forgotten", "the worker closes"])
def test_a_part_that_nobody_waits_for_is_stopped(
    worker: SimpleNamespace,
    started: Started,
    part: PartTask,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    started.program = "import time; time.sleep(60)"
    begin = started.start

    def lose(*arguments: Any) -> Any:
        process = begin(*arguments)
        match way:
            case "cancelled":
                worker.state.tasks[KEY].state = "cancelled"
            case "forgotten":
                worker.state.tasks.clear()
            case _:
                worker.status.name = "closing"
        return process

    monkeypatch.setattr(child, "start", lose)
    with pytest.raises(ClusterError, match="signal 15"):
        run_part(part)


def test_a_worker_that_joined_with_another_version_runs_nothing(
    worker: SimpleNamespace, started: Started, part: PartTask
) -> None:
    reply = run_part(replace(part, versions={**part.versions, "windfleet": "9.9"}))
    assert (reply.exit_code, reply.files, started) == (ENVIRONMENT, None, [])
    assert "other versions" in reply.message


def test_a_record_that_is_too_large_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(b"12345")
    assert set(record_files.read(tmp_path, NAMES).values()) == {b"12345"}
    monkeypatch.setattr(record_files, "MOST_BYTES", 9)
    with pytest.raises(ClusterError, match="--parts N"):
        record_files.read(tmp_path, NAMES)


def test_a_part_whose_files_are_elsewhere_does_not_begin(
    worker: SimpleNamespace, started: Started, part: PartTask, tmp_path: Path
) -> None:
    (tmp_path / "part.json").write_text("another")
    source = Source(str(tmp_path / "part.json"), "0" * 64)
    with pytest.raises(ClusterError, match=r"part\.json is not there, or is another file"):
        run_part(replace(part, source=source))
    assert started == []


def test_nothing_of_a_verdict_stays_on_the_worker(
    worker: SimpleNamespace,
    started: Started,
    part: PartTask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started.program = (
        "import os, sys; os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]);"
        "[open(name, 'w').write(name) for name in ('objects.parquet', 'part.json')]"
    )
    begin = started.start

    def with_place(arguments: Any, environment: Any, output: Any) -> Any:
        started.program = f"import sys; sys.argv[1:] = [{arguments[5]!r}]; " + started.program
        return begin(arguments, environment, output)

    monkeypatch.setattr(child, "start", with_place)
    reply = run_part(replace(part, keep=False))
    assert reply.files == {name: name.encode() for name in NAMES}
    assert not Path(reply.folder).exists()
    assert not list(tmp_path.iterdir())


def test_a_part_that_no_worker_survives_is_reported_in_one_line() -> None:
    error = distributed.KilledWorker(KEY, SimpleNamespace(address="tcp://10.0.0.7:1"), 3)
    reason = _reason((type(error), error, None))
    assert reason == "every worker that ran it died (tcp://10.0.0.7:1 was the last)"
    assert os.linesep not in reason
