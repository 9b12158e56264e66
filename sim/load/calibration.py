"""Whether it was the generator that was the limit: what it can make at all, and how late it was by itself.

Two rules, either is enough, and exit code 7 says so:

1. It is asked for more than it makes before a null store (`calibrate`: a short closed phase with the run's own users,
   processes, mix and batches). Such a plan is not run.
2. While a phase ran, requests started late though a user was free for them: at the 99th percentile of those by more
   than OWN_LATE_S, and by more than OWN_SHARE of the phase's latency, so that it tells in what was measured. A user was
   free when fewer requests than users were due and not ended at the intended start, and the node had no
   flush under way; what is late then is late by the generator's own doing. Where all users were busy, the target was.

A generator whose processes are at their processors' limit is named by `sim.measure.bottleneck`.
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
from sim.load.engine import Engine, Settings
from sim.load.null_store import NullStore
from sim.load.phase import Phase, PhaseRecord
from sim.load_schedule import Load

CALIBRATE_S: Final = 3.0
WARM_UP_S: Final = 1.0
TRIES: Final = 3
OWN_LATE_S: Final = 0.05
"""Ten times what a greenlet waits for its turn on a busy machine."""
OWN_SHARE: Final = 0.1
"""A herd's first moment costs any generator half a second; what takes half a minute then is not told wrongly by it."""
FEWEST: Final = 20


@dataclass(frozen=True)
class Generator:
    """What one can do before a null store: requests a second, and processor seconds of the clients per request."""

    per_s: float
    cpu_s: float


def calibrate(settings: Settings, batches: Batches) -> Generator:
    """Of a generator with these users, processes, mix and batches. Raises EngineError, TimeoutError."""
    with NullStore() as store:
        there = replace(
            settings,
            endpoint_url=store.endpoint_url,
            folder=settings.folder / "null",
            server_pid=store.pid,
            require_alive=lambda: None,
            progress=lambda phase, watch: None,
            again=True,
            own=True,
        )
        phase = Phase("calibration", None, settings.users, CALIBRATE_S, WARM_UP_S)
        record = Engine(there, batches).run(phase)
    end_s = (_ns(record.requests["end"]) - record.started_ns) / 1e9
    counted = int(np.count_nonzero((end_s >= WARM_UP_S) & (end_s < CALIBRATE_S)))
    return Generator(
        counted / (CALIBRATE_S - WARM_UP_S), _cpu_s(record) / max(record.requests.num_rows, 1)
    )


def judged(
    settings: Settings, batches: Batches, load: Load, nodes: Nodes
) -> tuple[Generator, str | None]:
    """The generator, and why it is too slow for the plan. Raises what `calibrate` raises.

    Other work on the machine makes it look slower than it is: the best of TRIES counts, unless its own processor time
    says that no try can be good enough.
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
    """What of the schedule asks for more than the generator makes; a herd comes at once, and is late by nature."""
    for number, entry in enumerate(load.schedule, 1):
        wanted = peak_per_s(
            replace(entry, outage_s=0.0, kind="fleet") if entry.kind == "herd" else entry, nodes
        )
        if wanted > generator.per_s:
            return (
                f"{number}-{entry.kind} asks for {wanted:,.0f} requests/s, and this generator makes "
                f"{generator.per_s:,.0f} before a store that does nothing ({load.users} users, {load.processes} "
                f"process{'es' * (load.processes > 1)}): take more processes or users, or ask for less"
            )
    return None


def own_late_s(requests: pa.Table, users: int) -> Floats:
    """Lateness of those requests of an open phase for which a user was free; seconds. `users`: of each process."""
    made = requests.filter(pc.is_valid(requests["start"]))
    parts = [np.empty(0)]
    for worker in pc.unique(made["worker"]).to_pylist():
        mine = made.filter(pc.equal(made["worker"], worker)).sort_by(
            [("intended_start", "ascending")]
        )
        intended, start = _ns(mine["intended_start"]), _ns(mine["start"])
        end = np.where(np.asarray(mine["end"].is_null()), np.iinfo(np.int64).max, _ns(mine["end"]))
        there = np.arange(len(intended)) - np.searchsorted(np.sort(end), intended, side="right")
        free = (there < users) & (_node_free_ns(mine, end) <= intended)
        parts.append((start - intended)[free] / 1e9)
    return np.concatenate(parts)


def late_by_itself(records: Sequence[PhaseRecord], users: int, processes: int) -> str | None:
    """The phase in which the generator was late by its own doing, in words."""
    for record in records:
        if record.phase.arrivals is None or record.lost_workers:
            continue
        late_s, latency_s = (
            own_late_s(record.requests, -(-users // processes)),
            _latency_s(record.requests),
        )
        if len(late_s) < FEWEST or len(latency_s) == 0:
            continue
        p99 = float(np.quantile(late_s, 0.99))
        if p99 > max(OWN_LATE_S, OWN_SHARE * float(np.quantile(latency_s, 0.99))):
            return (
                f"{record.phase.name}: requests started {1000 * p99:,.0f} ms late (99th percentile) though users were "
                "free: the generator did not get to them. Take more processes, or leave the machine to it"
            )
    return None


def _latency_s(requests: pa.Table) -> Floats:
    ended = requests.filter(pc.is_valid(requests["end"]))
    return (_ns(ended["end"]) - _ns(ended["intended_start"])) / 1e9


def _node_free_ns(mine: pa.Table, end: Ints) -> Ints:
    """When the node's flush before had ended; 0 where there is none."""
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
