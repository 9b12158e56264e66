"""Delivery of a run, or of a part: every farm simulated, and driven through the pipeline.

    deliver(scenario, store, record, advance, run_dir=..., workers=...)

`run`, `demo` and `campaign` all call it. Shards run in worker processes (`sim.run.shards`). Faults
of the wire need a proxy in front of the store, which runs until all shards have ended.

Not covered: the run directory, the store's start, the verdict and the report (`sim.run.command`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sim.chaos.faults import InjectionCounts
from sim.chaos.proxy import FaultProxy
from sim.run import operations, truth
from sim.run.attempts import Attempts
from sim.run.early import EarlyOracle
from sim.run.finished import only_done
from sim.run.in_process import run_in_process
from sim.run.injection_log import InjectionLog
from sim.run.part import Part, part_of
from sim.run.planned_faults import counted_in
from sim.run.record import Record
from sim.run.shard_plan import shard_plans
from sim.run.shards import run_shards
from sim.scenario import Scenario
from sim.store import target
from sim.store.target import Target


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
    with target.fault_proxy(store, scenario.seed, faults) as proxy:
        plans = shard_plans(
            scenario,
            part,
            workers,
            store,
            proxy,
            run_dir,
            compact,
            early=oracle is not None,
            # A store of this run's own is empty.
            shared=record.part is not None and store.server is None,
            resumable=attempts is not None,
            resumed=attempts is not None and attempts.takes_over,
        )
        watch = _Watch(store, record, proxy, attempts, run_dir)
        if attempts is not None:
            record.injections.merge(attempts.fired(run_dir))
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
            record.operations = operations.merge(run_dir, attempts is not None)
            ended = record.shards if attempts is None else only_done(run_dir, record.shards)
            truth.merge(run_dir / "truth", part.farms, ended)
            with suppress(OSError):  # of a full disk, which the run has met already
                watch.keep()
            if proxy is not None:
                record.injections.merge(proxy.injections)
                record.foreign = proxy.foreign
        if proxy is not None:
            proxy.settle()
    if undelivered := record.undelivered:
        turbine, error = next(iter(undelivered.items()))
        record.errors.append(
            f"{len(undelivered)} nodes could not deliver everything; {turbine}: {error}"
        )


class _Watch:
    """Called regularly during a run: the store must live, fired faults are logged and kept."""

    def __init__(
        self,
        store: Target,
        record: Record,
        proxy: FaultProxy | None,
        attempts: Attempts | None,
        run_dir: Path,
    ) -> None:
        self._store, self._record, self._proxy = store, record, proxy
        self._attempts, self._run_dir = attempts, run_dir
        self._log = InjectionLog(run_dir)
        self._kept = 0

    def __call__(self) -> None:
        """Raises TargetError, OSError."""
        proxy = () if self._proxy is None else (self._proxy.injections,)
        self._log.note(self._record.injections, *proxy)
        self.keep()
        self._store.require_alive()

    def keep(self) -> None:
        """Keep the faults that fired since the last call. Raises OSError."""
        if self._attempts is None:
            return
        counts = InjectionCounts(self._record.injections.by_point.copy())
        if self._proxy is not None:
            counts.merge(self._proxy.injections)
        if (total := counts.by_point.total()) != self._kept:
            self._attempts.keep_fired(self._run_dir, counts)
            self._kept = total
