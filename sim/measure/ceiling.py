"""The most PUTs per second that a store takes from this machine. Measured, wall time.

A bounded closed loop over a few threads. The result is the yardstick for a run's own rate: near it,
the store is the limit; far below it, something else is. The first quarter of a measurement opens
connections and does not count.

Not covered: latency at a given rate, because a closed loop slows down with the store. Use
`windfleet load` for that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

_WARM_UP_SHARE: Final = 0.25


def measure(
    put: Callable[[str, bytes], None], size_bytes: int, threads: int, seconds: float
) -> float:
    """Call `put(key, body)` from `threads` threads for `seconds` seconds. Return PUTs per second.

    No key is used twice. `put` raises if the store did not take the object; the first such error
    ends the measurement and is raised here, because a ceiling must not count failed requests.
    Raises ValueError if a size, thread count or time is not positive.
    """
    if size_bytes <= 0 or threads <= 0 or seconds <= 0:
        raise ValueError(
            f"size, threads and seconds must be positive, got {size_bytes}, {threads}, {seconds}"
        )
    body = b"\x5a" * size_bytes
    failed = threading.Event()
    counted_from = time.monotonic() + seconds * _WARM_UP_SHARE
    until = counted_from + seconds * (1 - _WARM_UP_SHARE)

    def worker(thread: int) -> tuple[int, float]:
        """Return the PUTs that ended after the warm-up, and the time when the last one ended."""
        done, number, now = 0, 0, time.monotonic()
        while now < until and not failed.is_set():
            try:
                put(f"ceiling/{thread:03d}-{number:08d}", body)
            except BaseException:
                failed.set()
                raise
            number, now = number + 1, time.monotonic()
            done += now >= counted_from
        return done, now

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="ceiling") as pool:
        results = [future.result() for future in [pool.submit(worker, i) for i in range(threads)]]
    puts = sum(done for done, _ in results)
    return puts / max(max(end for _, end in results) - counted_from, 1e-9)
