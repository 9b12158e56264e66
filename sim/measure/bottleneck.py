"""The limit of a load test, found from samples of its processes.

In the order in which they are tried:

- Store: its server is one Python process under one lock and cannot use more than one core. At BUSY
  of a core it is the limit. A server that uses well over a core is of another kind; nothing is
  concluded from it.
- Generator: a client process at BUSY of a core, or a rate near the generator's own maximum,
  measured with a null store. The figures then describe the generator, not the store (exit code 7).
- Nothing: the store kept up with the offered load.
- Standstill: no request ended for a long time, although some were in progress.
- Machine: no core is idle, and other programs use some of them. They affect the figures.
- Users: as many connections as users, and requests that start late. With more users the test might
  find a higher limit.
- Anything else is unknown, and reported so.

Not covered: stores on other machines, whose processes cannot be sampled; disks, memory and other
work of the machine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.arrays import Floats, Ints

BUSY: Final = 0.85
ONE_CORE: Final = 1.3
"""Most cores of a server of one process: work outside the lock adds to its one core."""
KEPT_UP: Final = 0.97
"""A load was kept up with if at least this share of the offered rate was achieved."""
EDGE: Final = 2
"""Missing requests that do not count: those in progress at either end of a span."""
_CLIENT: Final = "client-"
SERVER: Final = "server"
IDLE: Final = "idle"
OTHERS: Final = "others"
"""Not processes, but cores of the machine.

IDLE: cores that nobody used. OTHERS: cores that programs other than store and generator used.
"""
_MEDIAN: Final = re.compile(r"service\.\w+\.p50")
_NO_IDLE: Final = 0.2  # cores; fewer count as none
_DISTURBING: Final = 0.3  # cores used by other programs
# Cores. A store that uses less has nothing to do, so a busy machine is not its limit.
_IDLE_STORE: Final = 0.1
_LATE_S: Final = 0.05
_STOOD_S: Final = 1.0
# Times the median service time: slow requests that end together are no standstill.
_STOOD_TIMES: Final = 3

LimitKind = Literal[
    "nothing", "server", "generator", "standstill", "concurrency", "machine", "unknown"
]


@dataclass(frozen=True)
class ProcessUsage:
    """One process over a span.

    `cores`: 1.0 is one core all the time. `rss_bytes`: largest resident memory.
    """

    cores: float
    rss_bytes: int
    connections: int


@dataclass(frozen=True)
class Limit:
    """The limit, and the reason in a sentence."""

    what: LimitKind
    text: str


def usage(resources: pa.Table, from_ns: int, to_ns: int) -> dict[str, ProcessUsage]:
    """Return process -> usage, from the samples of resources.parquet within a span (ns since 1970).

    A process with fewer than two samples is left out.
    """
    times = _ns(resources["time"])
    inside = resources.filter(pa.array((times >= from_ns) & (times <= to_ns)))
    found = {}
    for process in sorted(pc.unique(inside["process"]).to_pylist()):
        mine = inside.filter(pc.equal(inside["process"], process)).sort_by("time")
        if mine.num_rows < 2:
            continue
        at, cpu_s = _ns(mine["time"]), mine["cpu_s"].to_numpy()
        span_s = max((at[-1] - at[0]) / 1e9, 1e-9)
        rss, connections = (
            pc.max(mine[name]).as_py() or 0 for name in ("rss_bytes", "connections")
        )
        found[process] = ProcessUsage(
            max(float(cpu_s[-1] - cpu_s[0]), 0.0) / span_s, rss, connections
        )
    return found


def cores(resources: pa.Table, process: str, started_ns: int) -> tuple[Floats, Floats]:
    """Return one process over time: times (s since `started_ns`), and cores since the last sample.

    The first sample has no predecessor and is left out.
    """
    mine = resources.filter(pc.equal(resources["process"], process)).sort_by("time")
    at = (_ns(mine["time"]) - started_ns) / 1e9
    cpu_s = mine["cpu_s"].to_numpy()
    used: Floats = np.maximum(np.diff(cpu_s), 0.0) / np.maximum(np.diff(at), 1e-9)
    return at[1:], used


def figures(usages: Mapping[str, ProcessUsage]) -> dict[str, float]:
    """Return the figures of the processes, by the names of `sim.measure.figures`."""
    clients = [usage for name, usage in usages.items() if name.startswith(_CLIENT)]
    found: dict[str, float] = {}
    if clients:
        found["cpu.client"] = max(client.cores for client in clients)
        found["connections.max"] = float(sum(client.connections for client in clients))
    if (server := usages.get(SERVER)) is not None:
        found |= {"cpu.server": server.cores, "memory.server": float(server.rss_bytes)}
    found |= {f"cpu.{name}": usages[name].cores for name in (IDLE, OTHERS) if name in usages}
    return found


def kept_up(found: Mapping[str, float], length_s: float) -> bool:
    """Return True if a span with these figures achieved the offered rate."""
    offered = found["load.offered_per_s"]
    missing = (offered - found["load.achieved_per_s"]) * length_s
    return missing <= max((1 - KEPT_UP) * offered * length_s, 0 if found["load.errors"] else EDGE)


def disturbed(found: Mapping[str, float]) -> bool:
    """Return True if other work on the machine disturbed the test.

    That is: no core is idle, and programs other than store and generator use some.
    """
    return found.get("cpu.idle", math.inf) < _NO_IDLE and found.get("cpu.others", 0.0) > _DISTURBING


def standstill(found: Mapping[str, float]) -> float:
    """Return the length of a standstill in seconds; 0 if there was none.

    In a standstill no request ends although some are in progress, for far longer than they usually
    take.
    """
    typical_s = max(
        (value for name, value in found.items() if _MEDIAN.fullmatch(name)), default=0.0
    )
    stood_s = found.get("load.standstill", 0.0)
    return stood_s if stood_s > max(_STOOD_S, _STOOD_TIMES * typical_s) else 0.0


def find_limit(
    found: Mapping[str, float],
    kept_up: bool,
    users: int,
    generator_per_s: float | None,
    stood_s: float = 0.0,
) -> Limit:
    """Return the limit of a span of load with these figures (rate, lateness, cores).

    users: the most users there were.
    kept_up: the whole offered load was achieved, not only in this span; a closed loop offers
    nothing.
    generator_per_s: the generator's own maximum, measured with a null store.
    stood_s: the longest `standstill` of any phase.
    """
    server, client = found.get("cpu.server"), found.get("cpu.client")
    achieved = found.get("load.achieved_per_s", 0.0)
    late_s = found.get("load.late.p99", 0.0)
    connections = found.get("connections.max", 0.0)
    seen = "; ".join(
        f"{process} is at {_percent(used)} of a core"
        for process, used in (("the store's process", server), ("the busiest client", client))
        if used is not None
    )
    seen = seen or "no process was sampled"
    if server is not None and BUSY <= server <= ONE_CORE:
        other = f"; the busiest client is at {_percent(client)}" if client is not None else ""
        text = f"The store: its one core is {_percent(min(server, 1.0))} busy{other}."
        return Limit("server", text)
    if client is not None and client >= BUSY:
        return Limit(
            "generator",
            f"The load generator: {seen}. Add processes; until then the figures show its own "
            "limit.",
        )
    if generator_per_s and achieved >= BUSY * generator_per_s:
        text = (
            f"The load generator: it makes at most {generator_per_s:,.0f} requests/s with a null "
            f"store, and made {achieved:,.0f} here."
        )
        return Limit("generator", text)
    if kept_up:
        return Limit(
            "nothing", f"None was reached: the store kept up with the offered load; {seen}."
        )
    if stood_s:
        text = f"for {stood_s:.1f} s no request ended, although some were in progress."
        return Limit("standstill", f"The store, or the connection to it, stood still: {text}")
    if disturbed(found) and (server is None or server >= _IDLE_STORE):
        text = (
            f"The machine: no core is idle, and other programs use {found['cpu.others']:.1f} "
            f"cores; {seen}."
        )
        return Limit("machine", text)
    if connections >= users and late_s > _LATE_S:
        text = (
            f"The users: all {users} connections are in use, and requests start {late_s:.2f} s "
            f"late (p99); {seen}."
        )
        return Limit("concurrency", text)
    return Limit("unknown", f"Unknown: {seen}; {connections:,.0f} connections of {users} users.")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _ns(column: pa.ChunkedArray) -> Ints:
    values: Ints = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
    return values
