"""The parts of a run on a cluster, seen by the client: sent, shown, collected.

- A future is released as soon as its part is here, so a worker that dies later makes nothing run
  again. One that dies before makes Dask run its part elsewhere.
- A part whose worker failed (exit code 3) is tried again, RETRIES times. One that its workers
  never survive ends with their number.
- After a failure the other parts go on, for `windfleet merge`. If no part has come to its verdict
  by then, the run ends at once.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sim.cluster.task import BEGAN, PartReply, PartTask, run_part
from sim.errors import ClusterError

RETRIES: Final = 2
STOP_WITHIN_S: Final = 30.0
"""For parts to end after Ctrl-C: longer than a worker needs to stop one."""
LOST_AFTER_S: Final = 15.0
"""Without a scheduler."""
_POLL_S: Final = 0.2
_LOST: Final = "the scheduler stopped answering"


@dataclass(frozen=True)
class Begun:
    """A part that a worker begins, for the first time or again."""

    index: int
    worker: str


class Parts:
    """Parts under way. `running`: index -> worker."""

    def __init__(self, client: Any, library: Any, tasks: Sequence[PartTask]) -> None:
        """Send all parts to the cluster. Larger ones need no precedence: they are equal."""
        self._client = client
        self._events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self.running: dict[int, str] = {}
        self.failed: dict[int, str] = {}
        self._cancelled = library.CancelledError
        self._topic = tasks[0].run
        client.subscribe_topic(self._topic, lambda event: self._events.put(event[1]))
        self._of = {
            client.submit(
                run_part,
                task,
                key=f"{task.run}-part-{task.part.index}",
                pure=False,
                retries=RETRIES,
            ): task.part.index
            for task in tasks
        }
        self._ready = library.as_completed(
            list(self._of), with_results=True, raise_errors=False, loop=client.loop
        )

    def collect(self, began: Callable[[Begun], None], ended: Callable[[PartReply], None]) -> None:
        """Wait for all parts. `began`, `ended`: called in this thread.

        Raises ClusterError if the scheduler is lost, or a part failed; `failed` has the reasons.
        """
        collected, lost_at = 0, None
        while self._of:
            self._hear(began)
            for future, result in self._ready.next_batch(block=False):
                if isinstance(result, self._cancelled):
                    raise ClusterError(_LOST)  # nobody else cancels
                index = self._of.pop(future)
                if isinstance(result, PartReply) and result.files is not None:
                    ended(result)
                    collected += 1
                else:
                    self.failed[index] = _reason(result)
                future.release()
            if self._client.status == "running":
                lost_at = None
            elif lost_at is None:
                lost_at = time.monotonic()
            elif time.monotonic() > lost_at + LOST_AFTER_S:
                raise ClusterError(_LOST)
            if self.failed and not collected:
                break
        if self.failed:
            index, reason = next(iter(self.failed.items()))
            raise ClusterError(f"part {index}: {reason}")

    def _hear(self, began: Callable[[Begun], None], wait_s: float = _POLL_S) -> None:
        """Read events of the workers until there is none for `wait_s`."""
        try:
            while True:
                event = self._events.get(timeout=wait_s)
                index, worker = event["part"], event["worker"]
                if event["event"] == BEGAN:
                    self.running[index] = worker
                    began(Begun(index, worker))
                elif self.running.get(index) == worker:
                    del self.running[index]
        except queue.Empty:
            pass

    def stop(self) -> None:
        """Cancel all parts, and wait until the workers have ended them."""
        if not self._of:
            return
        if self._client.status == "running":
            self._client.cancel(list(self._of), force=True)
        self._of.clear()
        give_up = time.monotonic() + STOP_WITHIN_S
        while self.running and self._client.status == "running" and time.monotonic() < give_up:
            self._hear(lambda begun: None)


def _reason(result: Any) -> str:
    """Return why there is no record of a part, in one line."""
    if isinstance(result, PartReply):
        return f"{result.worker}: exit code {result.exit_code}: {result.message}"
    error = result[1] if isinstance(result, tuple) else result
    if type(error).__name__ == "KilledWorker":
        return f"every worker that ran it died ({error.last_worker.address} was the last)"
    return str(error) or type(error).__name__
