"""The loopback server: what it answers, and all that it refuses."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.console import SafeConsole
from sim.watch.command import Follower
from sim.watch.server import MOST_CLIENTS, WatchServer, listening, url_of
from tests.support import runs, watch_samples
from tests.support.watch_samples import polled


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    state = polled(watch_samples.delivering(tmp_path_factory.mktemp("served")))
    listener = listening(0)
    with WatchServer(listener, Follower(state, SafeConsole(quiet=True)).answers):
        yield listener.getsockname()[1]


def ask(
    port: int, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_the_page_its_state_and_metrics(port: int) -> None:
    status, headers, body = ask(port, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"windfleet" in body
    status, headers, body = ask(port, "/state.json?x=1")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body)["scenario"] == "watched"
    status, headers, body = ask(port, "/metrics")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'windfleet_rows_durable_total{farm="A"} 30.0' in body


def test_a_page_loads_nothing_from_elsewhere_and_is_in_no_frame(port: int) -> None:
    _, headers, body = ask(port, "/")
    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    script = next(each for each in policy.split("; ") if each.startswith("script-src"))
    assert "unsafe" not in script
    assert script.count("'sha256-") == body.count(b"<script>") == 2
    for path in ("/", "/state.json", "/metrics", "/none"):
        _, headers, _ = ask(port, path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:80", "LOCALHOST", "[::1]:9"])
def test_this_machine_may_ask(port: int, host: str) -> None:
    assert ask(port, "/state.json", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "localhost.", "", "[::2]"]
)
def test_a_name_from_elsewhere_is_refused(port: int, host: str) -> None:
    status, _, body = ask(port, "/state.json", Host=host)
    assert status == 421
    assert b"watched" not in body


@pytest.mark.parametrize("hosts", [[], ["localhost", "evil.example"]])
def test_a_request_names_one_host(port: int, hosts: list[str]) -> None:
    lines = ["GET /state.json HTTP/1.1", *(f"Host: {host}" for host in hosts), "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.makefile("rb").readline().split()[1] == b"421"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_reading_is_allowed(port: int, method: str) -> None:
    status, headers, _ = ask(port, "/", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_has_no_body(port: int) -> None:
    status, headers, body = ask(port, "/metrics", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize("path", ["/none", "/../etc/passwd", "/state.json/x", "/metrics/"])
def test_there_is_nothing_else(port: int, path: str) -> None:
    assert ask(port, path)[0] == 404


def test_clients_that_say_nothing_take_no_more_than_their_places(port: int) -> None:
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(MOST_CLIENTS)]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as further:
        assert further.recv(1) == b"", "closed at once"
    for each in idle:
        each.close()
    assert runs.wait_until(lambda: is_answered(port), 10)


def is_answered(port: int) -> bool:
    try:
        return ask(port, "/state.json")[0] == 200
    except OSError:
        return False


def test_only_this_machine_can_connect() -> None:
    with listening(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize("command", ["watch", "run"])
def test_a_port_that_is_taken_ends_the_command_before_anything_begins(
    tmp_path: Path, command: str
) -> None:
    with listening(0) as taken:
        number = taken.getsockname()[1]
        if command == "watch":
            done = runs.inside("watch", tmp_path / "run", "--port", number)
        else:
            scenario = runs.scenario(tmp_path)
            done = runs.inside("run", scenario, "--out", tmp_path / "run", "--serve", number)
    assert done.code == 3
    assert done.err == (
        f"windfleet: port {number} of 127.0.0.1 cannot be used for the page: Address already in "
        "use; name another one, or none for a free one\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["watch"], "watch takes the DIR of a run, or --grafana FILE"),
        (["watch", "x", "--port", "70000"], "'70000' is not a port"),
        (["run", "--serve", "quickstart"], "write SCENARIO before --serve"),
        (["run", "quickstart", "--serve", "--cluster", "local:2"], "leave it out with --cluster"),
    ],
)
def test_arguments_that_do_not_fit(arguments: list[str], text: str) -> None:
    done = runs.inside(*arguments)
    assert done.code == 2
    assert text in done.err


def test_only_serve_tells_where_the_scenario_goes() -> None:
    for port in ("99999", "x"):
        done = runs.inside("watch", "x", "--port", port)
        assert done.code == 2
        assert f"'{port}' is not a port; give one from 1 to 65535" in done.err
        assert "SCENARIO" not in done.err
    assert "SCENARIO before" not in runs.inside("run", "quickstart", "--serve", "99999").err
    taken = runs.inside("run", "--serve", "quickstart").err
    assert "'quickstart' is not a port" in taken
    assert "write SCENARIO before --serve" in taken


def test_the_dashboard_is_written(tmp_path: Path) -> None:
    done = runs.inside("watch", "--grafana", tmp_path / "grafana.json")
    assert (done.code, done.out) == (0, f"dashboard: {tmp_path}/grafana.json\n")
    assert json.loads((tmp_path / "grafana.json").read_text())["title"] == "windfleet"
    done = runs.inside("watch", "--grafana", tmp_path / "none" / "grafana.json")
    assert done.code == 3
    assert "cannot be written" in done.err
