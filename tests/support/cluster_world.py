"""A cluster in this process: Dask's client by a dummy, whose workers run parts one by one.

A part runs by `main` in this process, so nothing starts but what the part itself starts.
"""

from __future__ import annotations

import io
import os
import queue
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import IO, Any

import distributed
import pytest

from sim.cli import main
from sim.cluster import child, command, library

WORKERS = ("tcp://10.0.0.7:1", "tcp://10.0.0.8:1")


@dataclass(eq=False)
class Future:
    """A part that was sent. workers: machines that may run it; None: all."""

    function: Callable[[Any], Any]
    task: Any
    workers: Sequence[str] | None

    def release(self) -> None:
        """Do nothing."""

    def cancel(self) -> None:
        """Do nothing: nobody runs it."""


@dataclass
class Cluster:
    """Workers with a thread each, and the client that reaches them.

    lost: workers that are gone. blind: workers that do not see the files of others. failures:
    number of a part -> errors of its next attempts. attempts: (part, worker) of all of them.
    """

    workers: tuple[str, ...] = WORKERS
    lost: set[str] = field(default_factory=set)
    blind: set[str] = field(default_factory=set)
    failures: dict[int, list[BaseException]] = field(default_factory=dict)
    attempts: list[tuple[int, str]] = field(default_factory=list)
    status: str = "running"
    loop: None = None
    scheduler: Any = field(default_factory=lambda: SimpleNamespace(address="tcp://10.0.0.1:8786"))
    CancelledError = distributed.CancelledError

    def __post_init__(self) -> None:
        """Begin without events."""
        self._heard: Callable[[Any], None] = lambda event: None
        self._sent: queue.SimpleQueue[Future] = queue.SimpleQueue()

    @property
    def there(self) -> list[str]:
        return [name for name in self.workers if name not in self.lost]

    def subscribe_topic(self, topic: str, handler: Callable[[Any], None]) -> None:
        self._heard = handler

    def submit(
        self,
        function: Callable[[Any], Any],
        task: Any,
        key: str,
        pure: bool,
        workers: Sequence[str] | None,
    ) -> Future:
        return Future(function, task, workers)

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {name: {"name": name, "nthreads": 1} for name in self.there}}

    def run(
        self,
        function: Any,
        *arguments: Any,
        workers: Iterable[str] | None = None,
        on_error: str = "raise",
    ) -> dict[str, Any]:
        return {
            name: None if name in self.blind and arguments else function(*arguments)
            for name in workers or self.there
        }

    def run_on_scheduler(self, function: Any) -> Any:
        return function()

    def cancel(self, futures: Any, force: bool) -> None:
        """Do nothing: no part runs outside of `next_batch`."""

    def as_completed(self, futures: Iterable[Future], **options: Any) -> Cluster:
        for future in futures:
            self.add(future)
        return self

    def add(self, future: Future) -> None:
        self._sent.put(future)

    def next_batch(self, block: bool) -> list[tuple[Future, Any]]:
        """Run the next part, if there is one whose machine is there."""
        for _ in range(self._sent.qsize()):
            future = self._sent.get()
            able = [
                name
                for name in self.there
                if not future.workers or name.split(":")[1].strip("/") in future.workers
            ]
            if able:
                return [(future, self._result(future, able[len(self.attempts) % len(able)]))]
            self._sent.put(future)
        return []

    def _result(self, future: Future, worker: str) -> Any:
        index = future.task.part.index
        self.attempts.append((index, worker))
        key = f"part-{index}"
        dummy = SimpleNamespace(
            address=worker,
            status=SimpleNamespace(name="running"),
            state=SimpleNamespace(tasks={key: SimpleNamespace(state="executing")}, nthreads=1),
            get_current_task=lambda: key,
            log_event=lambda topic, event: self._heard((0, event)),
        )
        before, distributed.get_worker = distributed.get_worker, lambda: dummy
        try:
            if waiting := self.failures.get(index):
                raise waiting.pop(0)
            return future.function(future.task)
        except BaseException as error:
            return type(error), error, None
        finally:
            distributed.get_worker = before


def start(arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> Any:
    """Run a command in this process, in place of `child.start`."""
    before = dict(os.environ)
    text = io.StringIO()
    try:
        os.environ.clear()
        os.environ.update(environment)
        with redirect_stdout(text), redirect_stderr(text):
            code = main(list(arguments))
    finally:
        os.environ.clear()
        os.environ.update(before)
    output.write(text.getvalue().encode())
    return SimpleNamespace(returncode=code, pid=0, stdin=None, wait=lambda: code)


def use(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    """Let `--cluster` reach this cluster, whatever address it names."""

    @contextmanager
    def connected(dask: Any, address: Any, progress: Any) -> Any:
        yield cluster

    monkeypatch.setattr(library, "distributed", lambda settings=None: cluster)
    monkeypatch.setattr(command, "_connected", connected)
    monkeypatch.setattr(child, "start", start)
