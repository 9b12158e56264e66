"""An executor without threads: store calls are made in the order in which they are submitted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Inline(Executor):
    """Executor whose `submit` runs the call in the caller's thread.

    An exception such as `sim.chaos.faults.Crash`, which is no `Exception`, is not kept in the
    future. It ends the caller, as the end of a process would.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
