"""The result of a run: figures, expectations, verdict and exit code, from its record.

Exit codes take precedence in this order:

1. the error that ended the run early;
2. a wrong lake (5);
3. an expectation that was not met (4);
4. an unknown verdict (6). An expectation on a figure that the run did not produce is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.buckets import LIFECYCLE
from sim.chaos.faults import KINDS
from sim.errors import LAKE_WRONG, PASS, THRESHOLD, UNKNOWN
from sim.measure import cost, freshness, latency, lifecycle, operations, thresholds, throughput
from sim.measure.environment import machine, versions
from sim.measure.histogram import Histogram
from sim.report.result import (
    Fault,
    FaultWindow,
    Result,
    Run,
    Shard,
)
from sim.run import uplink
from sim.run.planned_faults import PlannedFaults
from sim.run.record import Record, ShardResult, commits_table
from sim.scenario import Scenario
from sim.verify.judged import figure, judged


def of_run(scenario: Scenario, record: Record, replay: str) -> Result:
    """Return the run as one object. Nothing here waits, reads or writes."""
    outlook = _outlook(scenario, record)
    values = _figures(scenario, record, outlook)
    # What a scenario expects, it expects of the whole run.
    expected = scenario.expect if record.part is None else ()
    outcomes = thresholds.evaluate(
        expected, {name: v for name, v in values.items() if v is not None}
    )
    verdict, code = decide(record, outcomes)
    clock = scenario.clock
    oracle = record.verdict
    return Result(
        scenario=scenario.name,
        seed=scenario.seed,
        verdict=verdict,
        exit_code=code,
        run=Run(
            replay=replay,
            started=record.started,
            wall_s=record.total_s,
            virtual_start=_iso(clock.start_us),
            virtual_end=_iso(clock.end_us),
            farms=len(scenario.fleet.farms if record.part is None else record.part.farms),
            turbines=(scenario.fleet if record.part is None else record.part).turbines,
            part=None if record.part is None else str(record.part),
        ),
        versions=versions(),
        environment=_environment(record),
        figures={name: figure(name, value) for name, value in values.items() if value is not None},
        expectations=tuple(outcomes),
        faults=tuple(
            Fault(kind, plan.times, record.injections.by_kind[kind])
            for kind, plan in record.planned.items()
        ),
        fault_windows=tuple(
            FaultWindow(fault.kind, fault.from_s, fault.from_s + fault.for_s, fault.farms)
            for fault in scenario.faults
            if KINDS[fault.kind].windowed
        ),
        shards=tuple(_farm(own) for _, own in sorted(_by_farm(record.shards).items())),
        throughput=throughput.series(*_timed(record)) if _is_timed(record) else None,
        timeline=record.timeline,
        freshness=_freshness_over_time(scenario, record.shards),
        outlook=outlook,
        errors=tuple(record.errors)
        + _never_fired(record)
        + (() if oracle is None else tuple(oracle.errors)),
        notes=(*record.notes, *_by_chance(record)),
        **judged(oracle),
    )


def decide(
    record: Record, outcomes: Sequence[thresholds.Outcome]
) -> tuple[Literal["pass", "fail", "unknown"], int]:
    """Return verdict and exit code."""
    if record.stopped_by is not None:
        return "unknown", record.stopped_by
    if record.verdict is None:
        return "unknown", UNKNOWN
    if record.verdict.status == "fail":
        return "fail", LAKE_WRONG
    if any(outcome.passed is False for outcome in outcomes):
        return "fail", THRESHOLD
    if (
        record.verdict.status != "pass"
        or _never_fired(record)
        or any(outcome.passed is None for outcome in outcomes)
    ):
        return "unknown", UNKNOWN
    return "pass", PASS


def _never_fired(record: Record) -> tuple[str, ...]:
    """Return a line for each fault that was certain to fire and did not."""
    return tuple(
        f"{kind} was planned and never fired" for kind, plan in _unfired(record) if plan.certain
    )


def _by_chance(record: Record) -> tuple[str, ...]:
    """Return a line, with the odds, for each fault that never fired by chance."""
    return tuple(
        f"{kind} never fired; {plan.risk}" for kind, plan in _unfired(record) if not plan.certain
    )


def _unfired(record: Record) -> list[tuple[str, PlannedFaults]]:
    """Return planned faults that never fired.

    None of a run that ended early, or of a part: another one may have drawn the fault.
    """
    if record.stopped_by is not None or record.part is not None:
        return []
    return [
        (kind, plan) for kind, plan in record.planned.items() if not record.injections.by_kind[kind]
    ]


def _outlook(scenario: Scenario, record: Record) -> lifecycle.Outlook | None:
    """Return the effect of the lifecycle policies on a day of these objects.

    None for a run that ended early.
    """
    if record.operations is None or record.stopped_by is not None:
        return None
    return lifecycle.outlook(
        lifecycle.uploaded(record.operations, scenario.clock.duration_s), LIFECYCLE
    )


def _figures(
    scenario: Scenario, record: Record, outlook: lifecycle.Outlook | None
) -> dict[str, float | None]:
    """Return name -> figure, for every figure of this run; None or absent: not determined."""
    shards = record.shards
    figures: dict[str, float | None] = {
        "store.put_ceiling_per_s": record.ceiling_per_s,
        "memory.peak": record.memory_peak_bytes,
        "cpu.busy": None if record.timeline is None else record.timeline.busy,
        "bytes.nodes": record.node_bytes,
        "time.verify": record.verify_s,
        "time.total": record.total_s,
    }
    if shards:
        simulate_s, pipeline_s = (
            sum(s.simulate_s for s in shards),
            sum(s.pipeline_s for s in shards),
        )
        delivered = sum(rows for s in shards for _, rows in s.commits)
        figures |= {
            "faults.injected": sum(s.faults for s in shards),
            "time.simulate": simulate_s,
            "time.pipeline": pipeline_s,
            "simulate.rows_per_s": sum(s.rows for s in shards) / simulate_s if simulate_s else None,
            "pipeline.rows_per_s": delivered / pipeline_s if pipeline_s else None,
            **_freshness(scenario, shards),
        }
    if record.operations is not None:
        figures |= _store_figures(record.operations, *_timed(record))
        if record.stopped_by is None:
            used = cost.usage(record.operations, scenario.clock.duration_s)
            figures["cost.per_day"] = cost.per_day(used).total
    if outlook is not None:
        figures["cost.kept_year"] = outlook.usd(lifecycle.YEAR_DAYS)
    if record.verdict is not None:
        figures |= record.verdict.figures
        generated = record.verdict.figures.get("rows.generated")
        if record.verify_s and generated:
            figures["verify.rows_per_s"] = generated / record.verify_s
    return {
        name: value for name, value in figures.items() if value is not None and math.isfinite(value)
    }


def _freshness(scenario: Scenario, shards: Sequence[ShardResult]) -> dict[str, float | None]:
    fresh = Histogram()
    line, by_farm = scenario.uplink, _by_farm(shards)
    for own in by_farm.values():
        sent = [batch for shard in own for batch in shard.sent]
        fresh.merge(
            uplink.freshness(
                sent, scenario.clock.start_us, line.bandwidth_bit_per_s, line.latency_s
            )
        )
    return {f"freshness.p{p}": fresh.quantile(p / 100) for p in (50, 95, 99)}


def _freshness_over_time(
    scenario: Scenario, shards: Sequence[ShardResult]
) -> freshness.Freshness | None:
    line, clock = scenario.uplink, scenario.clock
    arrivals = [
        arrival
        for own in _by_farm(shards).values()
        for arrival in uplink.arrivals(
            [batch for shard in own for batch in shard.sent],
            clock.start_us,
            line.bandwidth_bit_per_s,
            line.latency_s,
        )
    ]
    return freshness.series(arrivals, clock.duration_s)


def _timed(record: Record) -> tuple[pa.Table, pa.Table]:
    """Return the operations and commits that times and rates are made of."""
    commits = commits_table(record.shards) if record.commits is None else record.commits
    return operations.timed(record.operations), commits


def _is_timed(record: Record) -> bool:
    """Return True if objects were written at times that are known."""
    return record.operations is not None and _has_puts(operations.timed(record.operations))


def _has_puts(table: pa.Table) -> bool:
    return bool(pc.any(pc.equal(table["kind"], "put")).as_py())


def _store_figures(made: pa.Table, timed: pa.Table, commits: pa.Table) -> dict[str, float | None]:
    """Return figures of the raw operations. Latency counts from the intended start, in seconds.

    made: all operations. timed: those that times and rates are made of. commits: likewise.
    """
    written = made.filter(pc.and_(pc.equal(made["kind"], "put"), pc.equal(made["outcome"], "ok")))
    failed = pc.is_in(made["outcome"], value_set=pa.array(["unavailable", "refused"]))
    figures: dict[str, float | None] = {
        "objects.written": written.num_rows,
        "bytes.written": pc.sum(written["bytes"]).as_py() or 0,
        "store.requests": made.num_rows,
        "store.errors": pc.sum(failed).as_py() or 0,
    }
    rates = throughput.mean_rates(timed, commits)
    if rates is not None and _has_puts(timed):
        figures |= {
            "throughput.rows_per_s": rates.rows_per_s,
            "throughput.objects_per_s": rates.objects_per_s,
        }
    for kind in latency.by_kind(timed):
        if kind.kind == "put" and kind.response is not None:
            response = kind.response
            figures |= {
                f"latency.put.{p}": ms / 1000
                for p, ms in (("p50", response.p50), ("p95", response.p95), ("p99", response.p99))
            }
    return figures


def _by_farm(shards: Sequence[ShardResult]) -> dict[str, list[ShardResult]]:
    found: dict[str, list[ShardResult]] = {}
    for shard in shards:
        found.setdefault(shard.farm, []).append(shard)
    return found


def _farm(shards: Sequence[ShardResult]) -> Shard:
    """Return the shards of one farm as one entry of the result."""
    return Shard(
        shards[0].farm,
        sum(len(shard.turbine_ids) for shard in shards),
        sum(shard.rows for shard in shards),
        sum(shard.objects for shard in shards),
        round(sum(shard.wall_s for shard in shards), 3),
        shards[0].region,
        max(shard.memory_peak_bytes for shard in shards),
    )


def _environment(record: Record) -> dict[str, str]:
    return {
        "machine": machine(),
        **record.store,
        "workers": str(record.workers),
    }


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
