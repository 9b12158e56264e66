"""The embedded LocalStack: keys, readiness, ports, and a clean end.

Starts real servers, about 1.2 s each. Not covered: the Docker image (its init hook runs in
tests/pipeline/test_buckets.py).
"""

import http.server
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from pipeline import lake
from sim.errors import TargetError
from sim.store import installation, localstack, readiness
from sim.store.localstack import EmbeddedLocalStack
from sim.store.server_record import read_state, write_state

HIVE_KEYS = [
    f"ingestion/year=2024/month=01/day=15/hour=05/A-{n:04}-0-599.parquet" for n in range(1_100)
]


def wait_until(condition: Any, within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def a_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def hive_bucket(localstack: str) -> tuple[Any, str]:
    s3, name = lake.client(localstack), "hive-keys"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": lake.REGION})
    # Without versions LocalStack lists all on one page, and list_object_versions would not be used.
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=name, Key=key, Body=b"x"), HIVE_KEYS))
    return s3, name


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("list_objects_v2", "Contents"),
        ("list_objects", "Contents"),
        ("list_object_versions", "Versions"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "ingestion/year=2024/"])
def test_more_than_a_thousand_hive_keys_are_listed_completely(
    hive_bucket: tuple[Any, str], operation: str, field: str, prefix: str
) -> None:
    s3, name = hive_bucket
    pages = list(s3.get_paginator(operation).paginate(Bucket=name, Prefix=prefix))
    assert [item["Key"] for page in pages for item in page.get(field, ())] == HIVE_KEYS


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_small_pages_start_after_and_delimiters_are_right_too(
    hive_bucket: tuple[Any, str], size: int
) -> None:
    s3, name = hive_bucket
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=name, StartAfter=HIVE_KEYS[1_080], PaginationConfig={"PageSize": size}
    )
    assert [item["Key"] for page in pages for item in page.get("Contents", ())] == HIVE_KEYS[1_081:]
    page = s3.list_objects_v2(Bucket=name, Delimiter="/", Prefix="ingestion/")
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["ingestion/year=2024/"]


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects", "list_object_versions"])
def test_names_that_need_quoting_come_back_unchanged(localstack: str, operation: str) -> None:
    s3, name = lake.client(localstack), f"odd-keys-{operation.replace('_', '-')}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": lake.REGION})
    keys = [f"a b+%41=é/{n}" for n in range(5)]
    for key in keys:
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    pages = list(
        s3.get_paginator(operation).paginate(
            Bucket=name, Prefix="a b+%41", PaginationConfig={"PageSize": 2}
        )
    )
    field = "Versions" if operation == "list_object_versions" else "Contents"
    assert [item["Key"] for page in pages for item in page.get(field, ())] == keys
    # boto3 leaves the prefix unchanged there.
    if operation != "list_objects":
        assert {page["Prefix"] for page in pages} == {"a b+%41"}
    folders = getattr(s3, operation)(Bucket=name, Delimiter="/")
    assert [entry["Prefix"] for entry in folders["CommonPrefixes"]] == ["a b+%41=é/"]


def test_it_serves_loopback_only_and_leaves_nothing() -> None:
    with EmbeddedLocalStack() as store:
        pid, directory = store.pid, store._directory
        listening = [
            c for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN
        ]
        assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
        assert store.cpu_seconds() > 0.1
        assert lake.missing(store.endpoint_url) == list(lake.BUCKETS.values())
    assert not psutil.pid_exists(pid)
    assert directory is not None
    assert not directory.exists()
    with pytest.raises(TargetError, match="not started"):
        store.cpu_seconds()


def test_a_server_that_died_is_reported_with_its_log() -> None:
    with EmbeddedLocalStack() as store:
        store.require_alive()
        os.kill(store.pid, signal.SIGKILL)
        assert wait_until(lambda: store._process is not None and store._process.poll() is not None)
        with pytest.raises(TargetError, match=r"stopped unexpectedly \(exit code -9\)(?s:.)*Ready"):
            store.cpu_seconds()


class HalfALocalStack(http.server.BaseHTTPRequestHandler):
    """A server that is not ready: its health report or its S3 is wrong."""

    protocol_version = "HTTP/1.1"
    report = b"{}"
    put_status = 200

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(200, self.report if "health" in self.path else b"windfleet")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(self.put_status)

    def do_DELETE(self) -> None:
        self.answer(204)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("report", "put_status", "ready"),
    [("running", 200, True), ("available", 200, False), ("running", 500, False)],
)
def test_ready_requires_a_report_of_s3_and_an_object_read_back(
    report: str, put_status: int, ready: bool
) -> None:
    attributes = {
        "report": b'{"services": {"s3": "%s"}}' % report.encode(),
        "put_status": put_status,
    }
    handler = type("Handler", (HalfALocalStack,), attributes)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert readiness.s3_works(server.server_port) is ready
        assert readiness.listens(os.getpid(), server.server_port)
        assert not readiness.listens(os.getpid(), a_free_port())
        assert not readiness.listens(os.getppid(), server.server_port)
        server.shutdown()


def test_a_taken_port_is_reported_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(localstack, "LAUNCHER", tmp_path / "not-reached.py")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(TargetError, match=f"Port {port} on 127.0.0.1 is taken"):
            EmbeddedLocalStack().start(port)
    with pytest.raises(TargetError, match="not a port"):
        EmbeddedLocalStack().start(70_000)


def test_a_lost_race_for_a_free_port_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = iter([other.getsockname()[1], a_free_port()])
        monkeypatch.setattr(localstack, "_free_port", lambda: next(ports))
        with EmbeddedLocalStack() as store:
            assert lake.missing(store.endpoint_url)
        assert next(ports, None) is None


def test_a_missing_environment_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(installation, "PYTHON", tmp_path / "python")
    with pytest.raises(TargetError, match="make localstack"):
        EmbeddedLocalStack().start()


def test_a_server_that_dies_while_starting_shows_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    broken = tmp_path / "launcher.py"
    broken.write_text("raise SystemExit('no component plugins found')")
    monkeypatch.setattr(localstack, "LAUNCHER", broken)
    store = EmbeddedLocalStack()
    with pytest.raises(TargetError, match=r"exit code 1(?s:.)*no component plugins found"):
        store.start()
    assert store._directory is None


def test_a_server_that_never_becomes_ready_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    sleeper = tmp_path / "launcher.py"
    sleeper.write_text("import time; print('hm', flush=True); time.sleep(60)")
    monkeypatch.setattr(localstack, "LAUNCHER", sleeper)
    monkeypatch.setattr(localstack, "READY_WITHIN_S", 0.5)
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(TargetError, match=r"not ready within(?s:.)*hm"):
        EmbeddedLocalStack().start()
    assert {child.pid for child in psutil.Process().children()} <= before


PARENT = """
import multiprocessing, sys, time
from sim.store.localstack import EmbeddedLocalStack
store = EmbeddedLocalStack(processes=2 if sys.argv[1] == "as two processes" else 1)
store.start()
if sys.argv[1] == "with a child":  # which inherits our end of the server's standard input
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    child.start()
    print(child.pid, end=" ")
print(store.pid, store._directory, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("case", ["alone", "with a child", "as two processes"])
def test_a_killed_parent_takes_the_server_with_it(case: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, case], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        *children, pid, directory = parent.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        parent.kill()
        try:
            assert wait_until(lambda: not psutil.pid_exists(int(pid)))
            assert wait_until(lambda: not pathlib.Path(directory).exists())
        finally:
            for child in children:
                os.kill(int(child), signal.SIGKILL)


def test_up_status_down(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(localstack, "HOME", tmp_path)
    assert localstack.status() is None
    assert localstack.down() is None
    port = a_free_port()
    server = localstack.up(port)
    try:
        assert server.endpoint_url == f"http://127.0.0.1:{port}"
        assert localstack.up(port) == localstack.status() == server
        with pytest.raises(TargetError, match=f"already running on port {port}"):
            localstack.up(a_free_port())
        assert server.gateway == "short"
        with pytest.raises(TargetError, match="already running with the gateway short"):
            localstack.up(port, "stock")
        with pytest.raises(TargetError, match="windfleet store down"):
            EmbeddedLocalStack().start(detach=True)
        assert lake.missing(server.endpoint_url)
    finally:
        assert localstack.down() == server
    assert localstack.status() is None
    assert not psutil.pid_exists(server.pid)
    assert not pathlib.Path(server.directory).exists()


def test_down_never_ends_a_process_that_reuses_the_pid(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(localstack, "HOME", tmp_path)
    precious = tmp_path / "precious"
    precious.mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        created = psutil.Process(bystander.pid).create_time()
        stale = localstack.Server(
            "http://127.0.0.1:1", 1, bystander.pid, created - 3_600, "then", str(precious)
        )
        write_state(tmp_path, stale)
        try:
            assert localstack.down() is None
            assert bystander.poll() is None
            assert read_state(tmp_path) is None
            assert precious.exists()
        finally:
            bystander.kill()


def test_an_incomplete_record_is_no_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(localstack, "HOME", tmp_path)
    (tmp_path / "server.json").write_text("{ half a rec")
    assert localstack.status() is None
