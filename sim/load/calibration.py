"""Detect a load generator that limits its own results.

There are two rules. Either one leads to exit code 7.

1. The plan asks for a higher rate than the generator makes with a null store. `calibrate` measures
   this in a short closed phase with the run's own users, processes, mix and batches. Such a plan is
   not run.
2. In a phase, requests started late although a user was free for them. Their lateness at the 99th
   percentile is more than OWN_LATE_S, and more than OWN_SHARE of the phase's latency, so that it
   matters for the figures. A user was free if, at the intended start, fewer requests than users
   were due and not ended, and the node had no flush under way. The generator caused that lateness
   itself. If all users were busy, the target caused it.

A generator whose processes use all of their CPU time is named by `sim.measure.bottleneck`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.arrays import Floats, Ints
from sim.load.arrivals import Nodes, peak_per_s
from sim.load.batches import Batches
from sim.load.engine import LocustEngine
from sim.load.null_store import NullStore
from sim.load.phase import Phase, PhaseRecord
from sim.load.settings import EngineSettings
from sim.load_schedule import Load

CALIBRATE_S: Final = 3.0
WARM_UP_S: Final = 1.0
TRIES: Final = 3
OWN_LATE_S: Final = 0.05
"""Ten times the wait of a greenlet for its turn on a busy machine."""
OWN_SHARE: Final = 0.1
"""A herd's first moment delays any generator by half a second.

That is a small share of the latencies of a herd, which reach half a minute.
"""
FEWEST: Final = 20
"""Fewest requests with a free user for a verdict on their lateness."""


@dataclass(frozen=True)
class Generator:
    """The most a generator can make. cpu_s: CPU time of the clients per request, in seconds."""

    per_s: float
    cpu_s: float


def calibrate(settings: EngineSettings, batches: Batches) -> Generator:
    """Measure a generator with these users, processes, mix and batches, against a null store.

    Raises EngineError, TimeoutError.
    """
    with NullStore() as store:
        with_null_store = replace(
            settings,
            endpoint_url=store.endpoint_url,
            folder=settings.folder / "null",
            server_pid=store.pid,
            require_alive=lambda: None,
            progress=lambda phase, progress: None,
            repeat_batch=True,
            own=True,
            by_bucket=False,
        )
        phase = Phase("calibration", None, settings.users, CALIBRATE_S, WARM_UP_S)
        record = LocustEngine(with_null_store, batches).run(phase)
    end_s = (_ns(record.requests["end"]) - record.started_ns) / 1e9
    counted = int(np.count_nonzero((end_s >= WARM_UP_S) & (end_s < CALIBRATE_S)))
    cpu_s = _cpu_s(record) / max(record.requests.num_rows, 1)
    return Generator(counted / (CALIBRATE_S - WARM_UP_S), cpu_s)


def check_generator(
    settings: EngineSettings, batches: Batches, load: Load, nodes: Nodes
) -> tuple[Generator, str | None]:
    """Return the generator, and a message if it is too slow for the plan.

    Other work on the machine makes the generator slower. So the best of TRIES counts. There is no
    further try if its CPU time per request shows that none can be fast enough. Raises the errors of
    `calibrate`.
    """
    best = calibrate(settings, batches)
    for _ in range(TRIES - 1):
        if too_slow_for(load, nodes, best) is None:
            break
        most = replace(best, per_s=load.processes / max(best.cpu_s, 1e-9))
        if too_slow_for(load, nodes, most) is not None:
            break
        best = max(best, calibrate(settings, batches), key=lambda one: one.per_s)
    return best, too_slow_for(load, nodes, best)


def too_slow_for(load: Load, nodes: Nodes, generator: Generator) -> str | None:
    """Return a message about the first entry that asks for more than the generator makes.

    The first moment of a herd is ignored: all nodes come at once, and no generator keeps up.
    """
    for number, entry in enumerate(load.schedule, 1):
        steady = replace(entry, outage_s=0.0, kind="fleet") if entry.kind == "herd" else entry
        wanted = peak_per_s(steady, nodes)
        if wanted > generator.per_s:
            processes = f"{load.processes} process{'es' * (load.processes > 1)}"
            return (
                f"{number}-{entry.kind} asks for {wanted:,.0f} requests/s, and this generator "
                f"makes {generator.per_s:,.0f} with a store that only answers ({load.users} users, "
                f"{processes}): take more processes or users, or ask for a lower rate"
            )
    return None


def own_late_s(requests: pa.Table, users: int) -> Floats:
    """Return the lateness, in seconds, of the requests of an open phase that had a free user.

    users: the number of users of each process.
    """
    made = requests.filter(pc.is_valid(requests["start"]))
    parts = [np.empty(0)]
    for worker in pc.unique(made["worker"]).to_pylist():
        mine = made.filter(pc.equal(made["worker"], worker)).sort_by(
            [("intended_start", "ascending")]
        )
        intended, start = _ns(mine["intended_start"]), _ns(mine["start"])
        end = np.where(np.asarray(mine["end"].is_null()), np.iinfo(np.int64).max, _ns(mine["end"]))
        under_way = np.arange(len(intended)) - np.searchsorted(np.sort(end), intended, side="right")
        free = (under_way < users) & (_node_free_ns(mine, end) <= intended)
        parts.append((start - intended)[free] / 1e9)
    return np.concatenate(parts)


def late_by_itself(records: Sequence[PhaseRecord], users: int, processes: int) -> str | None:
    """Return a message about the first phase in which the generator itself was late, or None."""
    for record in records:
        if record.phase.arrivals is None or record.lost_workers:
            continue
        late_s = own_late_s(record.requests, -(-users // processes))
        latency_s = _latency_s(record.requests)
        if len(late_s) < FEWEST or len(latency_s) == 0:
            continue
        p99 = float(np.quantile(late_s, 0.99))
        if p99 > max(OWN_LATE_S, OWN_SHARE * float(np.quantile(latency_s, 0.99))):
            return (
                f"{record.phase.name}: requests started {1000 * p99:,.0f} ms late (99th "
                "percentile) though users were free: the generator did not get to them. Take more "
                "processes, or stop other work on this machine"
            )
    return None


def _latency_s(requests: pa.Table) -> Floats:
    ended = requests.filter(pc.is_valid(requests["end"]))
    return (_ns(ended["end"]) - _ns(ended["intended_start"])) / 1e9


def _node_free_ns(mine: pa.Table, end: Ints) -> Ints:
    """Return the end of the node's previous flush for each request, 0 if there is none."""
    node, flush = np.asarray(mine["node"]), np.asarray(pc.equal(mine["kind"], "flush"))
    free = np.zeros(len(node), dtype=np.int64)
    rows = np.flatnonzero(flush)
    rows = rows[np.argsort(node[rows], kind="stable")]
    same = node[rows[1:]] == node[rows[:-1]]
    free[rows[1:][same]] = end[rows[:-1][same]]
    return free


def _cpu_s(record: PhaseRecord) -> float:
    clients = record.resources.filter(pc.starts_with(record.resources["process"], "client-"))
    used = clients.group_by("process").aggregate([("cpu_s", "min"), ("cpu_s", "max")])
    return float(pc.sum(pc.subtract(used["cpu_s_max"], used["cpu_s_min"])).as_py() or 0.0)


def _ns(column: pa.ChunkedArray) -> Ints:
    values: Ints = column.cast(pa.int64()).fill_null(0).to_numpy()
    return values
