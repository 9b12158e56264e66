"""An executor that runs each call within `submit`, so that store calls keep the program's order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Inline(Executor):
    """Calls run in the caller's thread.

    A BaseException such as `sim.chaos.faults.Crash` is not kept in the future. It ends the caller,
    as the end of a process would.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
