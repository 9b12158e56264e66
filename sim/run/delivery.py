"""Delivery of a run, or of a part: every farm simulated, and driven through the pipeline.

    deliver(scenario, store, record, advance, run_dir=..., workers=...)

`run`, `demo` and `campaign` all call it. Shards run in worker processes (`sim.run.shards`). Faults
of the wire need a proxy in front of the store, which runs until all shards have ended.

Not covered: the run directory, the store's start, the verdict and the report (`sim.run.command`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from sim.run import fired_log, operations, truth
from sim.run.attempts import Attempts
from sim.run.early import EarlyOracle
from sim.run.finished import only_done
from sim.run.in_process import run_in_process
from sim.run.injection_log import InjectionLog
from sim.run.part import Part, part_of
from sim.run.planned_faults import counted_in
from sim.run.record import Record, timed_commits
from sim.run.shard_plan import shard_plans
from sim.run.shards import run_shards
from sim.scenario import Scenario
from sim.store import target
from sim.store.target import Target

if TYPE_CHECKING:
    from sim.chaos.proxy import FaultProxy


def deliver(
    scenario: Scenario,
    store: Target,
    record: Record,
    advance: Callable[[int], None],
    *,
    run_dir: Path,
    workers: int,
    part: Part | None = None,
    compact: bool = False,
    oracle: EarlyOracle | None = None,
    attempts: Attempts | None = None,
    in_process: bool = False,
) -> None:
    """Simulate and deliver. Results of shards, operations and injected faults go into `record`.

    advance: called with the number of rows delivered since its last call; negative when a killed
        worker's shard begins again.
    part: the turbines to deliver; None: the whole fleet.
    oracle: gets each shard that is done, and has its shares judged by workers that are free.
    in_process: no worker process; see `sim.run.in_process`.
    compact: one object per farm, stage and hour (`sim.run.compact`).
    attempts: of a run that can be resumed; None for one that cannot.

    Raises TargetError of the fault proxy, and all that `sim.run.shards.run_shards` raises.
    """
    part = part_of(scenario.fleet) if part is None else part
    faults = counted_in(scenario.faults, scenario.fleet, part.farms)
    note = partial(fired_log.note, run_dir)
    # A store of this run's own is empty.
    shared = record.part is not None and store.server is None
    with target.fault_proxy(store, scenario.seed, faults, note) as proxy:
        plans = shard_plans(
            scenario,
            part,
            workers,
            store,
            proxy,
            run_dir,
            compact,
            early=oracle is not None,
            shared=shared,
            resumable=attempts is not None,
            resumed=attempts is not None and attempts.takes_over,
        )
        watch = _Watch(store, record, proxy, run_dir)
        if attempts is not None:
            record.injections.merge(fired_log.fired(run_dir))
            killed = fired_log.kills(run_dir)
            plans = [
                replace(plan, kill_rows=plan.kill_rows[killed[plan.part.name] :]) for plan in plans
            ]
            record.began = tuple(attempts.began)
            record.notes += [attempts.note] if attempts.note else []
            record.shards += attempts.done(run_dir, plans, store)
        done = {result.name for result in record.shards}
        left = [plan for plan in plans if plan.part.name not in done]
        advance(sum(result.rows for result in record.shards))
        try:
            if in_process:
                run_in_process(left, advance, watch, record)
            else:
                run_shards(
                    left,
                    workers,
                    lambda _, delivered: advance(delivered),
                    watch,
                    record.shards,
                    record.injections,
                    record.spans,
                    oracle,
                )
        finally:
            record.operations = operations.merge(run_dir, attempts is not None, record.began)
            record.commits = timed_commits(record.shards, record.operations, record.began)
            ended = record.shards if attempts is None else only_done(run_dir, record.shards)
            truth.merge(run_dir / "truth", part.farms, ended)
            if proxy is not None:
                record.injections.merge(proxy.injections)
                record.foreign = proxy.foreign
        if proxy is not None:
            proxy.settle()
    if taken_over := sum(result.taken_over for result in record.shards):
        record.notes.append(
            f"the lake held what an earlier attempt delivered from {taken_over:,} nodes; its "
            "record is lost, so requests, objects and cost count its effects once, without failed "
            "requests, and throughput and latency are those of this attempt"
        )
    elif shared and not faults and (there := _already_there(record)):
        record.notes.append(
            f"the lake held {there:,} object{'s' * (there > 1)} of an earlier attempt, which "
            "delivered no batch; objects and bytes written, and cost, are without them"
        )
    if undelivered := record.undelivered:
        turbine, error = next(iter(undelivered.items()))
        record.errors.append(
            f"{len(undelivered)} nodes could not deliver everything; {turbine}: {error}"
        )


def _already_there(record: Record) -> int:
    """Return the number of objects that were created before this attempt."""
    table = record.operations
    if table is None:
        return 0
    refused = pc.and_(pc.equal(table["kind"], "put"), pc.equal(table["outcome"], "exists"))
    return int(pc.sum(refused).as_py() or 0)


class _Watch:
    """Called regularly during a run: the store must live, and fired faults are logged."""

    def __init__(
        self,
        store: Target,
        record: Record,
        proxy: FaultProxy | None,
        run_dir: Path,
    ) -> None:
        self._store, self._record, self._proxy = store, record, proxy
        self._log = InjectionLog(run_dir)

    def __call__(self) -> None:
        """Raises TargetError, OSError."""
        proxy = () if self._proxy is None else (self._proxy.injections,)
        self._log.note(self._record.injections, *proxy)
        self._store.require_alive()
