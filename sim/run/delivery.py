"""Delivery of a run, or of a part: every farm simulated, and driven through the pipeline.

    deliver(scenario, store, record, advance, run_dir=..., workers=...)

`run`, `demo` and `campaign` all call it. Shards run in worker processes (`sim.run.shards`). Faults
of the wire need a proxy in front of the store, which runs until all shards have ended.

Not covered: the run directory, the store's start, the verdict and the report (`sim.run.command`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sim.run import operations, truth
from sim.run.early import EarlyOracle
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
    in_process: bool = False,
) -> None:
    """Simulate and deliver. Results of shards, operations and injected faults go into `record`.

    advance: called with the number of rows delivered since its last call; negative when a killed
        worker's shard begins again.
    part: the turbines to deliver; None: the whole fleet.
    oracle: gets each shard that is done, and has its shares judged by workers that are free.
    in_process: no worker process; see `sim.run.in_process`.
    compact: one object per farm, stage and hour (`sim.run.compact`).

    Raises TargetError of the fault proxy, and all that `sim.run.shards.run_shards` raises.
    """
    part = part_of(scenario.fleet) if part is None else part
    faults = counted_in(scenario.faults, scenario.fleet, part.farms)
    with target.fault_proxy(store, scenario.seed, faults) as proxy:
        log = InjectionLog(run_dir)

        def require_healthy() -> None:
            log.note(record.injections, *(() if proxy is None else (proxy.injections,)))
            store.require_alive()

        try:
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
            )
            if in_process:
                run_in_process(plans, advance, require_healthy, record)
            else:
                run_shards(
                    plans,
                    workers,
                    lambda _, delivered: advance(delivered),
                    require_healthy,
                    record.shards,
                    record.injections,
                    record.spans,
                    oracle,
                )
        finally:
            record.operations = operations.merge(run_dir)
            truth.merge(run_dir / "truth", part.farms, record.shards)
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
