"""The parts of a command on a cluster, seen by the client: sent, shown, collected.

- A future is released as soon as its part is here, so a worker that dies later makes nothing run
  again. One that dies before makes Dask run its part elsewhere.
- A part that failed on its machine (exit code 3) is sent again, RETRIES times, after a pause that
  doubles. One that its workers never survive ends with their number.
- A part that only some machines can run fails when they are gone for GONE_AFTER_S. Any part fails
  when no worker at all has been there for NOBODY_AFTER_S.
- After a failure the other parts go on, for `windfleet merge`. If no part has come to its verdict
  by then, the command ends at once.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sim.cluster.address import host_of
from sim.cluster.task import BEGAN, PartReply, PartTask, run_part
from sim.errors import ClusterError

RETRIES: Final = 2
PAUSE_S: Final = 1.0
"""Pause before the first retry of a part."""
STOP_WITHIN_S: Final = 30.0
"""For parts to end after Ctrl-C: longer than a worker needs to stop one."""
LOST_AFTER_S: Final = 15.0
"""Without a scheduler."""
GONE_AFTER_S: Final = 15.0
"""Without a worker on a machine. A nanny starts another one within seconds."""
NOBODY_AFTER_S: Final = 60.0
"""Without any worker. A batch system may start another one meanwhile."""
_POLL_S: Final = 0.2
_ASK_EVERY_S: Final = 2.0
_LOST: Final = "the scheduler stopped answering"


@dataclass(frozen=True)
class Begun:
    """A part that a worker begins, for the first time or again."""

    index: int
    worker: str


class Parts:
    """Parts under way.

    running: index -> worker. failed: index -> reason. again: a line for each part that a dead
    worker left to another one.
    """

    def __init__(
        self,
        client: Any,
        library: Any,
        tasks: Sequence[PartTask],
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Send all parts to the cluster. log: called with a line for each retry."""
        self._client, self._log = client, log
        self._events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._tasks = {task.part.index: task for task in tasks}
        self._failures: Counter[int] = Counter()
        self._due: dict[int, float] = {}
        self._gone_at: dict[int, float] = {}
        self._nobody_at: float | None = None
        self._asked_at = time.monotonic()
        self.running: dict[int, str] = {}
        self.failed: dict[int, str] = {}
        self.again: list[str] = []
        self._cancelled = library.CancelledError
        self._topic = tasks[0].run
        client.subscribe_topic(self._topic, lambda event: self._events.put(event[1]))
        self._of: dict[Any, int] = {}
        self._ready = library.as_completed(
            [self._sent(index) for index in self._tasks],
            with_results=True,
            raise_errors=False,
            loop=client.loop,
        )

    def _sent(self, index: int) -> Any:
        task = self._tasks[index]
        future = self._client.submit(
            run_part,
            task,
            key=f"{task.run}-part-{index}-attempt-{self._failures[index] + 1}",
            pure=False,
            workers=list(task.hosts) or None,
        )
        self._of[future] = index
        return future

    def collect(self, began: Callable[[Begun], None], ended: Callable[[PartReply], None]) -> None:
        """Wait for all parts. `began`, `ended`: called in this thread.

        Raises ClusterError if the scheduler is lost, or a part failed; `failed` has the reasons.
        """
        collected, lost_at = 0, None
        while self._of or self._due:
            self._read_events(began)
            self._send_due()
            for future, result in self._ready.next_batch(block=False):
                if future not in self._of:
                    continue  # cancelled here
                if isinstance(result, self._cancelled):
                    raise ClusterError(_LOST)  # nobody else cancels
                index = self._of.pop(future)
                if isinstance(result, PartReply) and result.files is not None:
                    ended(result)
                    collected += 1
                else:
                    self._take_failure(index, result)
                future.release()
            if self._client.status == "running":
                lost_at = None
                self._fail_stranded()
            elif lost_at is None:
                lost_at = time.monotonic()
            elif time.monotonic() > lost_at + LOST_AFTER_S:
                raise ClusterError(_LOST)
            if self.failed and not collected:
                break
        if self.failed:
            index, reason = next(iter(self.failed.items()))
            raise ClusterError(f"part {index}: {reason}")

    def _take_failure(self, index: int, result: Any) -> None:
        """Send a part again after a pause, if another attempt may help."""
        reason = _reason(result)
        self._failures[index] += 1
        number = self._failures[index]
        if isinstance(result, PartReply) or _is_killed(result) or number > RETRIES:
            self.failed[index] = reason
            return
        pause_s = PAUSE_S * 2 ** (number - 1)
        self._due[index] = time.monotonic() + pause_s
        self._log(f"part {index}: {reason}; again in {pause_s:g} s")

    def _send_due(self) -> None:
        now = time.monotonic()
        for index in [index for index, at in self._due.items() if now >= at]:
            del self._due[index]
            self._ready.add(self._sent(index))

    def _fail_stranded(self) -> None:
        """Fail parts that no worker can run, which Dask would wait for.

        Raises ClusterError if there is no worker at all.
        """
        now = time.monotonic()
        if now < self._asked_at + _ASK_EVERY_S:
            return
        self._asked_at = now
        there = {host_of(worker) for worker in self._workers()}
        self._require_anybody(bool(there), now)
        bound = {future: index for future, index in self._of.items() if self._tasks[index].hosts}
        for future, index in bound.items():
            if there & {*self._tasks[index].hosts}:
                self._gone_at.pop(index, None)
            elif now > self._gone_at.setdefault(index, now) + GONE_AFTER_S:
                del self._of[future]
                self.running.pop(index, None)
                self.failed[index] = _stranded(self._tasks[index], self._client.scheduler.address)
                future.cancel()

    def _workers(self) -> set[str]:
        """Return the addresses of the workers that the scheduler knows now."""
        return set(self._client.scheduler_info(n_workers=-1)["workers"])

    def _require_anybody(self, there: bool, now: float) -> None:
        if there:
            self._nobody_at = None
            return
        if self._nobody_at is None:
            self._nobody_at = now
            self._log(f"no worker is left; waiting {NOBODY_AFTER_S:g} s for another one")
        if now > self._nobody_at + NOBODY_AFTER_S:
            fix = start_there(self._client.scheduler.address)
            raise ClusterError(f"no worker has been there for {NOBODY_AFTER_S:g} s; {fix}")

    def _read_events(self, began: Callable[[Begun], None], wait_s: float = _POLL_S) -> None:
        """Read events of the workers until there is none for `wait_s`."""
        try:
            while True:
                event = self._events.get(timeout=wait_s)
                index, worker = event["part"], event["worker"]
                if event["event"] == BEGAN:
                    self._note_death(index, self.running.get(index), worker)
                    self.running[index] = worker
                    began(Begun(index, worker))
                elif self.running.get(index) == worker:
                    del self.running[index]
        except queue.Empty:
            pass

    def _note_death(self, index: int, before: str | None, now: str) -> None:
        """Say that a worker died: its part begins again, and it never sent its end."""
        if before is not None:
            self.again.append(f"part {index}: the worker {before} died; it ran again on {now}")
            self._log(self.again[-1])

    def stop(self) -> None:
        """Cancel all parts, and wait until the workers have ended them."""
        self._due.clear()
        if not self._of:
            return
        if self._client.status == "running":
            self._client.cancel(list(self._of), force=True)
        self._of.clear()
        give_up = time.monotonic() + STOP_WITHIN_S
        while self.running and self._client.status == "running" and time.monotonic() < give_up:
            self._read_events(lambda begun: None)
            there = self._workers()  # one that died ends nothing any more
            self.running = {index: name for index, name in self.running.items() if name in there}


def _reason(result: Any) -> str:
    """Return why there is no record of a part, in one line."""
    if isinstance(result, PartReply):
        return f"{result.worker}: exit code {result.exit_code}: {result.message}"
    error = _error(result)
    if _is_killed(result):
        return f"every worker that ran it died ({error.last_worker.address} was the last)"
    return str(error) or type(error).__name__


def _error(result: Any) -> Any:
    return result[1] if isinstance(result, tuple) else result


def _is_killed(result: Any) -> bool:
    """Return True for a part that no worker survives."""
    return type(_error(result)).__name__ == "KilledWorker"


def _stranded(task: PartTask, scheduler: str) -> str:
    where = task.source.path if task.source is not None else "its files"
    return f"{where} is on {names(task.hosts)}, whose worker is gone; {start_there(scheduler)}"


def names(hosts: Iterable[str]) -> str:
    """Return names of machines in words."""
    return " and ".join(sorted(hosts))


def start_there(scheduler: str) -> str:
    """Return how to bring back a machine whose worker is gone."""
    return f"start it there with: dask worker {scheduler}"
