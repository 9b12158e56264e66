"""What limits a load test, named in words from samples of its processes: the store's core, the generator, its users.

The store's embedded server is one Python process under one lock: it cannot use more than one core, so a server at BUSY
of a core is the limit; from one well above a core (it is none of that sort) nothing is concluded. A client process at
BUSY of a core, or a rate near what the generator makes before a null store, means that the generator is: the figures
then say what it can do, not the store (exit code 7). As many connections as users, and requests that start late: more
users would find more. On a machine without idle cores, some of which others use, the figures are theirs too. Anything
else is unknown, and said so.

Not covered: stores on other machines, whose processes are not seen; disks, memory and whatever else the machine does.
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
_ONE_CORE: Final = 1.3  # what runs outside the lock comes on top
KEPT_UP: Final = 0.97
"""A rate achieved of at least this share of what was offered has kept up with it."""
EDGE: Final = 2
"""Requests that may be under way where a span begins or ends: so many missing are no sign of falling behind."""
_CLIENT: Final = "client-"
SERVER: Final = "server"
IDLE: Final = "idle"
OTHERS: Final = "others"
"""Not processes: the cores of the machine that nobody used, and those that neither store nor generator did."""
_MEDIAN: Final = re.compile(r"service\.\w+\.p50")
_NO_IDLE: Final = 0.2  # cores
_MUCH: Final = 0.3  # cores, used by others
_IDLE_STORE: Final = (
    0.1  # cores; a store that uses less has nothing to do, whatever the machine is busy with
)
_LATE_S: Final = 0.05
_STOOD_S: Final = 1.0
_STOOD_TIMES: Final = (
    3  # the median service time: slow requests that end together are no standstill
)

What = Literal["nothing", "server", "generator", "standstill", "concurrency", "machine", "unknown"]


@dataclass(frozen=True)
class Usage:
    """One process over a span: cores (1.0 is one core all the time), largest memory and number of connections."""

    cores: float
    rss_bytes: int
    connections: int


@dataclass(frozen=True)
class Limit:
    """What was the limit, and why, in a sentence."""

    what: What
    text: str


def usage(resources: pa.Table, from_ns: int, to_ns: int) -> dict[str, Usage]:
    """Process -> usage from the samples of resources.parquet within a span (ns since 1970); two samples at least."""
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
        found[process] = Usage(max(float(cpu_s[-1] - cpu_s[0]), 0.0) / span_s, rss, connections)
    return found


def cores(resources: pa.Table, process: str, started_ns: int) -> tuple[Floats, Floats]:
    """One process over time: seconds since `started_ns` of each sample but the first, and cores used since the last."""
    mine = resources.filter(pc.equal(resources["process"], process)).sort_by("time")
    at = (_ns(mine["time"]) - started_ns) / 1e9
    cpu_s = mine["cpu_s"].to_numpy()
    used: Floats = np.maximum(np.diff(cpu_s), 0.0) / np.maximum(np.diff(at), 1e-9)
    return at[1:], used


def figures(usages: Mapping[str, Usage]) -> dict[str, float]:
    """The figures of the processes, by the names of `sim.measure.figures`."""
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
    """Whether a span with these figures achieved what was offered."""
    offered = found["load.offered_per_s"]
    missing = (offered - found["load.achieved_per_s"]) * length_s
    return missing <= max((1 - KEPT_UP) * offered * length_s, 0 if found["load.errors"] else EDGE)


def disturbed(found: Mapping[str, float]) -> bool:
    """Whether other work on the machine was in the way: no core idle, and not for the store and generator alone."""
    return found.get("cpu.idle", math.inf) < _NO_IDLE and found.get("cpu.others", 0.0) > _MUCH


def standstill(found: Mapping[str, float]) -> float:
    """Seconds for which nothing ended though requests were under way, far longer than they take; else 0."""
    typical_s = max(
        (value for name, value in found.items() if _MEDIAN.fullmatch(name)), default=0.0
    )
    stood_s = found.get("load.standstill", 0.0)
    return stood_s if stood_s > max(_STOOD_S, _STOOD_TIMES * typical_s) else 0.0


def name(
    found: Mapping[str, float],
    kept_up: bool,
    users: int,
    generator_per_s: float | None,
    stood_s: float = 0.0,
) -> Limit:
    """What limits a span of load with these figures (rate, lateness, cores), made by at most so many users.

    `stood_s`: the longest `standstill` of any phase.
    `kept_up`: whether all that was offered was achieved, not only in this span; of a closed loop nothing is offered.
    """
    server, client = found.get("cpu.server"), found.get("cpu.client")
    achieved = found.get("load.achieved_per_s", 0.0)
    late_s, held = found.get("load.late.p99", 0.0), found.get("connections.max", 0.0)
    seen = "; ".join(
        f"{who} {_percent(used)}"
        for who, used in (("the store's process is at", server), ("the busiest client at", client))
        if used is not None
    )
    seen = f"{seen} of a core" if seen else "no process was sampled"
    if server is not None and BUSY <= server <= _ONE_CORE:
        client_too = f"; client {_percent(client)}" if client is not None else ""
        return Limit(
            "server", f"The store: its one core is busy {_percent(min(server, 1.0))}{client_too}."
        )
    if client is not None and client >= BUSY:
        return Limit(
            "generator",
            f"The load generator: {seen}. Add processes, or take the figures as its own limit.",
        )
    if generator_per_s and achieved >= BUSY * generator_per_s:
        text = f"The load generator: it makes {generator_per_s:,.0f} requests/s before a null store, {achieved:,.0f} here."
        return Limit("generator", text)
    if kept_up:
        return Limit("nothing", f"Nothing yet: the store kept up with what was asked; {seen}.")
    if stood_s:
        text = f"for {stood_s:.1f} s nothing ended though requests were under way."
        return Limit("standstill", f"The store, or the way to it, stood still: {text}")
    if disturbed(found) and (server is None or server >= _IDLE_STORE):
        text = f"The machine: no core is idle, and others use {found['cpu.others']:.1f} of them; {seen}."
        return Limit("machine", text)
    if held >= users and late_s > _LATE_S:
        text = f"The users: all {users} connections are in use and requests start {late_s:.2f} s late (p99); {seen}."
        return Limit("concurrency", text)
    return Limit("unknown", f"Not known: {seen}; {held:,.0f} connections of {users} users.")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _ns(column: pa.ChunkedArray) -> Ints:
    values: Ints = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
    return values
