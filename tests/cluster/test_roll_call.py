"""The roll call waits for no worker without a bound."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sim.cluster import roll_call
from sim.cluster.worker_info import worker_info
from sim.errors import ClusterError


class Cluster:
    """A client of two workers, of which one never answers."""

    def __init__(self) -> None:
        self.scheduler = type("Scheduler", (), {"address": "tcp://127.0.0.1:1"})
        self.hung = threading.Event()

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {name: {"name": name, "nthreads": 1} for name in ("tcp://a", "tcp://b")}}

    def run(self, function: Any, workers: list[str], on_error: str) -> dict[str, Any]:
        if workers == ["tcp://b"]:
            self.hung.wait()
        return {workers[0]: function()}

    def run_on_scheduler(self, function: Any) -> Any:
        return function()


def test_a_worker_that_never_answers_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "ANSWER_WITHIN_S", 0.3)
    cluster = Cluster()
    with pytest.raises(ClusterError) as refused:
        roll_call.call_workers(cluster, needs_localstack=False)
    text = str(refused.value)
    assert "worker tcp://b: does not answer: TimeoutError: no answer within 0 s" in text
    assert "tcp://a" not in text
    cluster.hung.set()
    monkeypatch.setattr(roll_call, "ANSWER_WITHIN_S", 30.0)
    found = roll_call.call_workers(cluster, needs_localstack=False)
    assert found.threads_on == {worker_info()["host"]: 2}
