"""Every query of the dashboard, asked of a real Prometheus that scrapes watched runs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from sim.console import SafeConsole
from sim.watch import grafana
from sim.watch.command import Follower
from sim.watch.metrics import exposition
from sim.watch.server import WatchServer, listening
from sim.watch.state import RunState
from tests.support import prometheus, runs, watch_samples
from tests.support.watch_samples import START_S, append, batch


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.mark.skipif(prometheus.program() is None, reason=prometheus.MISSING)
def test_prometheus_answers_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """On a run, a load test and one that is over, scraped together."""
    folder = watch_samples.delivering(tmp_path / "run")
    load = watch_samples.loading(tmp_path / "load")
    over = watch_samples.ended_load(tmp_path / "over")
    with ExitStack() as stack:
        ports, followers = [], []
        for each in (folder, load, over):
            followers.append(Follower(RunState(each, time.time), SafeConsole(quiet=True)))
            followers[-1].poll()
            listener = listening(0)
            ports.append(listener.getsockname()[1])
            stack.enter_context(WatchServer(listener, followers[-1].answers))
        server = stack.enter_context(prometheus.scraping(tmp_path, ports, free_port()))
        assert runs.wait_until(lambda: server.number("min(count_over_time(up[1m]))") >= 3, 60)
        assert server.number("sum(up)") == 3
        append(folder, batch("H-001", 21, 30, at_s=41), worker="H")
        followers[0].poll()
        rows = "sum(windfleet_rows_durable_total)"
        assert runs.wait_until(lambda: server.number(rows) == 120, 60)
        for title, query in grafana.queries():
            found = server.ask(query.replace(grafana.INTERVAL, "1m"))
            assert found, f"{title}: {query} finds nothing"
        assert len(server.ask("windfleet_rows_durable_total / windfleet_rows_planned")) == 8
        assert server.number("sum(rate(windfleet_rows_durable_total[1m]))") > 0
        median = 'sum by (le) (windfleet_store_operation_seconds_bucket{kind="put"})'
        assert 0.01 < server.number(f"histogram_quantile(0.5, {median})") < 0.025


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine")
def test_promtool_has_no_objection(tmp_path: Path) -> None:
    for folder in (
        watch_samples.delivering(tmp_path / "run"),
        watch_samples.loading(tmp_path / "load"),
    ):
        text = exposition(watch_samples.polled(folder, START_S + 10.0))
        command = ["promtool", "check", "metrics"]
        done = subprocess.run(command, input=text, capture_output=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")
