"""What the processes of a phase use, sampled each second from outside: processor time, memory, threads, connections.

A process that is gone is simply not in the sample any more. The server is a tree of processes, summed up; connections
are the established ones to (of the server: at) the target's port. `idle` and `others` are no processes: what nobody
used of this machine's cores, and what processes other than these did, so that a machine that is busy with something
else can be told from a slow store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
import pyarrow as pa

from sim.load.phase import RESOURCES
from sim.measure.bottleneck import IDLE, OTHERS

PERIOD_S: Final = 1.0
_BUSY: Final = ("user", "nice", "system", "irq", "softirq", "steal")


def port_of(endpoint_url: str) -> int:
    parts = urlsplit(endpoint_url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def server_at(endpoint_url: str) -> int | None:
    """The process of this machine that listens where the endpoint is, if there is one that we may look at."""
    host = urlsplit(endpoint_url).hostname
    if host not in ("127.0.0.1", "localhost", "::1"):
        return None
    try:
        listening: list[Any] = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, OSError):
        return None
    port = port_of(endpoint_url)
    return next(
        (
            c.pid
            for c in listening
            if c.status == psutil.CONN_LISTEN and c.laddr.port == port and c.pid
        ),
        None,
    )


class Sampler:
    """A thread that samples between `with`.

    `processes` says each time which pids there are, by name; `now_ns` is the clock of the phase, ns since 1970.
    """

    def __init__(
        self, processes: Callable[[], Mapping[str, int]], port: int, now_ns: Callable[[], int]
    ) -> None:
        self._processes, self._port, self._now_ns = processes, port, now_ns
        self._rows: list[tuple[int, str, float, int, int, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def table(self) -> pa.Table:
        """RESOURCES so far."""
        columns = list(zip(*self._rows, strict=True)) or [()] * len(RESOURCES)
        return pa.table(
            [
                pa.array(column, field.type)
                for column, field in zip(columns, RESOURCES, strict=True)
            ],
            schema=RESOURCES,
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            now_ns, ours_s = self._now_ns(), 0.0
            for name, pid in self._processes().items():
                if (used := _usage(pid, name == "server", self._port)) is not None:
                    self._rows.append((now_ns, name, *used))
                    ours_s += used[0]
            machine = psutil.cpu_times()
            busy_s = sum(getattr(machine, of, 0.0) for of in _BUSY)
            self._rows.append(
                (now_ns, IDLE, machine.idle + getattr(machine, "iowait", 0.0), 0, 0, 0)
            )
            self._rows.append((now_ns, OTHERS, busy_s - ours_s, 0, 0, 0))
            self._stop.wait(PERIOD_S)


def _usage(pid: int, with_children: bool, port: int) -> tuple[float, int, int, int] | None:
    """(cpu_s, rss_bytes, threads, connections); None when the process is gone."""
    try:
        process = psutil.Process(pid)
        found = [
            _of(one, port)
            for one in (process, *(process.children(recursive=True) if with_children else ()))
        ]
    except psutil.Error:
        return None
    cpu_s, rss, threads, connections = (sum(column) for column in zip(*found, strict=True))
    return float(cpu_s), int(rss), int(threads), int(connections)


def _of(process: psutil.Process, port: int) -> tuple[float, int, int, int]:
    with process.oneshot():
        times, rss, threads = process.cpu_times(), process.memory_info().rss, process.num_threads()
    return (
        times.user + times.system,
        rss,
        threads,
        sum(1 for c in _established(process) if port in _ports(c)),
    )


def _established(process: psutil.Process) -> Iterable[Any]:
    return [c for c in process.net_connections(kind="tcp") if c.status == psutil.CONN_ESTABLISHED]


def _ports(connection: Any) -> tuple[int, ...]:
    return connection.laddr.port, connection.raddr.port if connection.raddr else 0
