"""Early ends of a run: Ctrl-C; a store, a worker or the parent killed; a full disk.

Each time: the documented exit code, one clear message, the raw record kept, no process and no
temporary file left. Times are generous bounds, no measurements. The run is two hours of fleet time,
so that seconds of wall time end in the middle of it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import lake
from pipeline.records import TABLE
from sim.campaign.memory_store import MemoryStore
from sim.errors import TargetError
from sim.run.signals import delayed
from sim.store import target
from sim.store.localstack import EmbeddedLocalStack
from tests.support import runs

LONG = runs.SCENARIO.replace("duration: 4m", "duration: 2h")
TRUTH = ("faults", "operations", "states", "wear")
SMALLER = (
    *("--workers", 1),
    *(
        "--set=clock.duration=1m",
        "--set=fleet.farms=[G]",
        "--set=data_faults=[]",
        "--set=expect=[]",
    ),
)
UNDER_WAY = {"A": 3, "B": 4}  # the largest two of three farms: two workers begin with them
WITHIN_S = 60  # issue 2: a run without its store ends within a minute


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., runs.Command]]:
    """Start the long run. Return in the middle, after the first two farms delivered batches."""
    started: list[runs.Command] = []

    def begin(*arguments: object, endpoint_url: str = "") -> runs.Command:
        if endpoint_url:
            store, url = ["--endpoint-url", endpoint_url, "--empty-lake"], endpoint_url
        else:
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                port = listener.getsockname()[1]
            store, url = ["--port", str(port)], f"http://127.0.0.1:{port}"
        out = ["--out", tmp_path / "run", "--workers", 2]
        command = runs.start("run", runs.scenario(tmp_path, LONG), *out, *store, *arguments)
        started.append(command)
        under_way = "simulating and delivering ..."

        def over() -> bool:
            return command.process.poll() is not None

        assert runs.wait_until(lambda: under_way in command.out or over(), WITHIN_S), command.text
        s3, bucket = lake.client(url), lake.BUCKETS["checkpoints"]

        def delivers(farm: str) -> bool:
            return bool(
                s3.list_objects_v2(Bucket=bucket, Prefix=f"checkpoints/{farm}/")["KeyCount"]
            )

        for farm in UNDER_WAY:
            assert runs.wait_until(lambda f=farm: delivers(f) or over(), WITHIN_S), command.text
        assert command.process.poll() is None, command.text
        return command

    yield begin
    for command in started:
        command.close()


def ended(command: runs.Command, run: Path, code: int) -> str:
    """Check the exit code and the record so far. Return the run's error."""
    assert command.wait(WITHIN_S) == code, command.text
    assert runs.wait_until(lambda: not command.left(), 10), command.left()
    assert "Traceback" not in command.text
    assert runs.control_characters(command.out) == []
    result = runs.result(run)
    assert (result["verdict"], result["exit_code"], result["lake"]) == ("unknown", code, None)
    assert f"verdict unknown, exit code {code}" in (run / "junit.xml").read_text()
    assert (run / "report.html").stat().st_size > 1000
    assert command.out.count("\nerror: ") == len(result["errors"]) == 1
    assert not (run / ".operations").exists()
    return str(result["errors"][0])


def kept(run: Path) -> None:
    """Check the raw record: node files, ground truth, and operations that agree with figures."""
    databases = sorted((run / "nodes").glob("*/*.db"))
    assert Counter(path.parent.name for path in databases) == UNDER_WAY
    for path in databases:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()[0] > 0
        connection.close()
    assert {path.suffix for path in (run / "nodes").glob("*/*")} == {".db", ".json"}
    truth = {path.name for path in (run / "truth").iterdir()}
    assert truth == {f"{kind}-{farm}.parquet" for kind in TRUTH for farm in UNDER_WAY}
    operations = pq.read_table(run / "operations.parquet")
    accepted = [
        o
        for k, o in zip(*(operations[n].to_pylist() for n in ("kind", "outcome")), strict=True)
        if k == "put"
    ]
    assert runs.result(run)["figures"]["objects.written"]["value"] == accepted.count("ok") > 0


@pytest.mark.parametrize(
    "to_all", [False, True], ids=["to the command alone", "to its process group"]
)
def test_an_interrupt_stops_everything_and_keeps_the_record(
    start: Callable[..., runs.Command], localstack: str, tmp_path: Path, to_all: bool
) -> None:
    command = start(endpoint_url="" if to_all else localstack)
    if to_all:  # as a terminal does
        os.killpg(command.process.pid, signal.SIGINT)
    else:
        command.process.send_signal(signal.SIGINT)
    assert "interrupted" in ended(command, tmp_path / "run", 130)
    kept(tmp_path / "run")


@pytest.mark.parametrize(
    "numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)]
)
def test_an_impatient_second_interrupt_changes_nothing(
    start: Callable[..., runs.Command], localstack: str, tmp_path: Path, numbers: tuple[int, int]
) -> None:
    # Stopped workers cannot answer, so the second signal arrives during the first one's clean-up.
    first, second = numbers
    command = start(endpoint_url="" if second == signal.SIGTERM else localstack)
    workers = command.workers()
    for worker in workers:
        worker.suspend()
    command.process.send_signal(first)
    time.sleep(1)
    command.process.send_signal(second)
    time.sleep(0.5)
    for worker in workers:
        worker.resume()
    assert "interrupted" in ended(command, tmp_path / "run", 130)
    kept(tmp_path / "run")


@pytest.fixture
def default_interrupt() -> Iterator[None]:
    """Python's own handler of SIGINT, whatever command ran in this process before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("default_interrupt")
def test_an_interrupt_waits_until_a_worker_is_started() -> None:
    started: list[bool] = []

    def start_slowly() -> None:
        with delayed():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            started.append(True)

    with pytest.raises(KeyboardInterrupt):
        start_slowly()
    assert started
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_store_dying_in_mid_run_is_3_and_reported_once(
    start: Callable[..., runs.Command], tmp_path: Path
) -> None:
    command = start()
    server = command.server()
    server.kill()
    error = ended(command, tmp_path / "run", 3)
    assert f"LocalStack (pid {server.pid}) stopped unexpectedly" in error
    kept(tmp_path / "run")


def test_a_named_store_dying_in_mid_run_is_3_and_reported_once(
    start: Callable[..., runs.Command], tmp_path: Path
) -> None:
    """A named S3 stops answering: the run has no store process to watch."""
    with EmbeddedLocalStack() as store:
        command = start(endpoint_url=store.endpoint_url)
        assert store.pid is not None
        os.kill(store.pid, signal.SIGKILL)
        error = ended(command, tmp_path / "run", 3)
    assert "put " in error or "get " in error or "list " in error
    kept(tmp_path / "run")


def test_a_killed_worker_is_3_and_reported_once(
    start: Callable[..., runs.Command], localstack: str, tmp_path: Path
) -> None:
    command = start(endpoint_url=localstack)
    workers = command.workers()
    assert len(workers) == 2
    workers[0].kill()
    assert "worker process died" in ended(command, tmp_path / "run", 3)


def test_when_the_command_is_killed_workers_and_store_end_by_themselves(
    start: Callable[..., runs.Command],
) -> None:
    command = start()
    assert len(command.workers()) == 2
    assert command.server().is_running()
    command.process.kill()
    command.process.wait()
    assert runs.wait_until(lambda: not command.processes(), WITHIN_S), command.left()
    assert runs.wait_until(lambda: not list(command.temporary.glob("windfleet-*")), WITHIN_S), (
        command.left()
    )


def test_a_full_disk_is_3_and_names_the_file(localstack: str, tmp_path: Path) -> None:
    """Files of the run's processes are limited to 300 kB, which fills the disk for node files."""
    scenario = runs.scenario(tmp_path, LONG.replace("flush_every: 1m", "flush_every: 30m"))
    done = runs.quick(
        *("run", scenario, "--out", tmp_path / "run", "--endpoint-url", localstack, "--empty-lake"),
        plant="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))",
    )
    assert done.code == 3, done.text
    assert done.left == []
    assert "Traceback" not in done.text
    (error,) = runs.result(tmp_path / "run")["errors"]
    assert re.search(r"nodes/[ABG]/[ABG]-00\d\.db", error)
    assert done.out.count("\nerror: ") == 1
    assert runs.result(tmp_path / "run")["verdict"] == "unknown"


def test_a_report_that_cannot_be_written_is_3_and_names_the_run(
    localstack: str, tmp_path: Path
) -> None:
    """The disk is full at the end: the report of some 50 kB does not fit."""
    plant = (
        "import resource, sim.run.result as j; r = j.of_run\n"
        "limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))\n"
        "j.of_run = lambda *a: (limit(), r(*a))[1]"
    )
    done = runs.quick(
        *(
            "run",
            runs.scenario(tmp_path),
            "--out",
            tmp_path / "run",
            "--endpoint-url",
            localstack,
            "--empty-lake",
            *SMALLER,
        ),
        plant=plant,
    )
    assert done.code == 3, done.text
    assert done.said_once(str(tmp_path / "run"), "--out DIR"), done.err
    assert (tmp_path / "run" / "operations.parquet").exists()


def test_an_unexpected_error_is_1_and_keeps_the_record(localstack: str, tmp_path: Path) -> None:
    plant = (
        "import sim.verify.judge as it\n"
        "def judged(*_): raise ZeroDivisionError('oops')\n"
        "it.judged = judged"
    )
    arguments = (
        "run",
        runs.scenario(tmp_path),
        "--endpoint-url",
        localstack,
        "--empty-lake",
        *SMALLER,
        "--out",
    )
    done = runs.quick(*arguments, tmp_path / "run", plant=plant)
    assert (done.code, done.err, done.left) == (1, "", [])
    result = runs.result(tmp_path / "run")
    assert (result["verdict"], result["exit_code"]) == ("unknown", 1)
    error = "ZeroDivisionError: oops (a bug in windfleet; WINDFLEET_DEBUG=1 shows the traceback)"
    assert result["errors"] == [error]
    assert f"error: {error}" in done.out
    assert error in (tmp_path / "run" / "report.html").read_text()
    assert (tmp_path / "run" / "operations.parquet").exists()
    seen = runs.quick(*arguments, tmp_path / "seen", plant=plant, WINDFLEET_DEBUG="1")
    assert seen.code == 1
    assert seen.err.startswith("Traceback")
    assert seen.err.endswith("ZeroDivisionError: oops\n")
    assert runs.result(tmp_path / "seen")["errors"] == [error]


def test_a_store_that_refuses_all_has_no_ceiling_and_is_an_error(
    localstack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A store that refuses the scratch bucket.
    monkeypatch.setattr(target, "S3ObjectStore", lambda endpoint_url: MemoryStore())
    with pytest.raises(TargetError, match=r"ceiling cannot be measured.*bucket does not exist"):
        target.ceiling(target.Target(localstack))
    assert not [
        b for b in lake.client(localstack).list_buckets()["Buckets"] if "scratch" in b["Name"]
    ]
