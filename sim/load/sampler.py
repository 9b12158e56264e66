"""Samples of the processes of a phase, each second, from outside.

Each sample has CPU time, memory, threads and connections.

- A process that has ended has no more samples.
- The server is the sum over its tree of processes.
- Connections are the established TCP connections to the target's port; for the server, at that
  port.
- `idle` and `others` are not processes. They are the unused CPU time of this machine and the CPU
  time of all other processes. They show whether the machine is busy with other work or the store is
  slow.
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
    """Return the TCP port of an endpoint."""
    parts = urlsplit(endpoint_url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def server_at(endpoint_url: str) -> int | None:
    """Return the pid of the process that listens at the endpoint.

    None if it runs on another machine, or if this user may not inspect it.
    """
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
    """A thread that samples for the length of a `with` block.

    processes: returns the pids by name, for each sample. now_ns: the phase's clock, ns since 1970.
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
        """Return the samples so far, in RESOURCES."""
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
    """Return (cpu_s, rss_bytes, threads, connections). None if the process has ended."""
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
