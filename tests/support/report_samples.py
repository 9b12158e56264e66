"""Three results to report: a small run that passes, a fleet-day with defects, an unknown one."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from sim.measure.freshness import Freshness
from sim.measure.lifecycle import Bill, Kept, Moved, Outlook, Removed, Stored
from sim.measure.thresholds import Outcome
from sim.measure.throughput import Series
from sim.measure.timeline import Phase, Timeline
from sim.report.result import (
    FaultWindow,
    Figure,
    Finding,
    HourCompleteness,
    Injected,
    Lake,
    Result,
    Run,
    Shard,
)

FARMS = {"A": 158, "B": 184, "C": 211, "D": 132, "E": 237, "F": 316, "G": 105, "H": 157}
REGIONS = dict(zip(FARMS, ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1"), strict=False))
STAGES = ("ingestion", "quarantine", "validated", "enriched", "aggregated")
START = datetime(2024, 1, 15, tzinfo=UTC)
VERSIONS = {"windfleet": "0.1.0", "python": "3.11.7", "pyarrow": "26.0.1", "localstack": "4.13.1"}
MACHINE = {
    "processor": "AMD EPYC, 2 cores",
    "memory": "24 GiB",
    "store": "embedded LocalStack on loopback",
}


def operations(count: int = 3000) -> pa.Table:
    """A store that takes 2 to 200 ms, one attempt in a hundred unanswered."""
    random = np.random.default_rng(5)
    intended = np.int64(START.timestamp() * 1e9) + np.sort(
        random.integers(0, 60_000_000_000, count)
    )
    start = intended + random.integers(0, 2_000_000, count)
    end = start + (random.lognormal(1.6, 0.6, count) * 1e6).astype(np.int64)
    kind = random.choice(["put", "get", "list", "head"], count, p=[0.88, 0.09, 0.01, 0.02])
    outcome = np.where(random.random(count) < 0.01, "unavailable", "ok")
    moment = pa.timestamp("ns", tz="UTC")
    return pa.table(
        {
            "intended_start": pa.array(intended).cast(moment),
            "start": pa.array(start).cast(moment),
            "end": pa.array(end).cast(moment),
            "kind": kind.tolist(),
            "bucket": random.choice(
                ["expanso-databricks-ingestion", "expanso-databricks-checkpoints"], count
            ).tolist(),
            "key": [f"k/{i}" for i in range(count)],
            "bytes": pa.array(np.full(count, 8192)),
            "outcome": outcome.tolist(),
            "attempt": pa.array(np.ones(count), type=pa.int32()),
            "worker": random.choice(list(FARMS), count).tolist(),
        }
    )


def cell(farm: str, hour: datetime, stage: str, rows: int, **wrong: int) -> HourCompleteness:
    kinds = dict.fromkeys(("lost", "duplicated", "misplaced", "altered", "unexpected"), 0) | wrong
    actual = rows - kinds["lost"] + kinds["duplicated"] + kinds["unexpected"]
    return HourCompleteness(farm, hour.isoformat(), stage, rows, actual, **kinds)


def cells(
    hours: int, rows_per_turbine: int, defects: dict[tuple[str, int, str], dict[str, int]]
) -> tuple[HourCompleteness, ...]:
    made = []
    for farm, turbines in FARMS.items():
        for hour in range(hours):
            for stage in STAGES:
                total = turbines * rows_per_turbine
                rows = {"quarantine": total // 1000, "aggregated": turbines * 6}.get(
                    stage, total - total // 1000
                )
                rows = total if stage == "ingestion" else rows
                wrong = defects.get((farm, hour, stage), {})
                made.append(cell(farm, START + timedelta(hours=hour), stage, rows, **wrong))
    return tuple(made)


def figures(rows: int, **changed: float) -> dict[str, Figure]:
    counted = {
        "rows.generated": rows,
        "rows.ingested": rows,
        "rows.quarantined": rows // 1000,
        "manifest.mismatches": 0,
    }
    counted |= {
        f"rows.{k}": 0 for k in ("lost", "duplicated", "misplaced", "altered", "unexpected")
    }
    made = {name: Figure(value, "rows", "counted") for name, value in counted.items()}
    made |= {
        "throughput.rows_per_s": Figure(14873.2, "rows/s", "measured"),
        "throughput.objects_per_s": Figure(148.6, "objects/s", "measured"),
        "store.put_ceiling_per_s": Figure(412.4, "requests/s", "measured"),
        "latency.put.p50": Figure(0.00512, "s", "measured"),
        "latency.put.p95": Figure(0.0131, "s", "measured"),
        "latency.put.p99": Figure(0.0214, "s", "measured"),
        "freshness.p50": Figure(462.0, "s", "modelled"),
        "freshness.p95": Figure(871.0, "s", "modelled"),
        "freshness.p99": Figure(903.4, "s", "modelled"),
        "memory.peak": Figure(1_254_000_000, "bytes", "measured"),
        "cost.per_day": Figure(6.4312, "USD", "modelled"),
    }
    return made | {k: Figure(v, made[k].unit, made[k].kind) for k, v in changed.items()}


def shards(rows_per_turbine: int) -> tuple[Shard, ...]:
    return tuple(
        Shard(
            farm,
            n,
            n * rows_per_turbine,
            n * 6,
            0.09 * n,
            REGIONS.get(farm, "ap-southeast-1"),
            310_000_000 + n,
        )
        for farm, n in FARMS.items()
    )


def wave(count: int, mean: float) -> tuple[float, ...]:
    return tuple(round(float(v), 3) for v in mean * (1 + 0.35 * np.sin(np.arange(count) / 3.1)))


def timeline() -> Timeline:
    workers, rest = (wave(61, mean) for mean in (1.2, 0.3))
    phases = (
        Phase("start the store", 0.0, 4.0, 0.9, 1.9, 0.4, 0.401),
        Phase("judge", 4.0, 61.0, 71.3, 18.2, 2.5, 0.934),
    )
    return Timeline(1.0, 2, 0.8912, workers, rest, rest, rest, workers, workers, rest, rest, phases)


OUTLOOK = Outlook(
    stored=(
        Stored("ingestion", 144_000.0, 144_000.0 * 46_600),
        Stored("enriched", 24.0, 24.0 * 2**21),
        Stored("metadata", 24.0, 24.0 * 2**11),
    ),
    moved=(
        Moved(
            "ingestion",
            "small",
            365,
            "GLACIER",
            1 << 17,
            None,
            True,
            144_000.0,
            144_000.0 * 46_600,
            0.0,
            0.0,
        ),
        Moved(
            "enriched",
            "large",
            90,
            "STANDARD_IA",
            1 << 20,
            (1 << 30) - 1,
            False,
            24.0,
            24.0 * 2**21,
            24.0,
            24 * 2**21,
        ),
    ),
    removed=(Removed("old versions", 7, ("checkpoints",)),),
    kept=(Kept(365, Bill(4.5, 1.5), Bill(9.0)), Kept(1825, Bill(7.0), Bill(9.0))),
)


def passed() -> Result:
    """The quickstart: ten minutes, one hour column."""
    made = cells(1, 600, {})
    return Result(
        scenario="quickstart",
        seed=7,
        verdict="pass",
        exit_code=0,
        run=_run(
            "windfleet run scenarios/quickstart.yaml --set seed=7", 71.3, timedelta(minutes=10)
        ),
        versions=VERSIONS,
        environment=MACHINE,
        figures=figures(900_000),
        lake=_lake(made, {"null": 511, "stuck": 389}),
        expectations=(
            Outcome("rows.lost == 0", True, 0),
            Outcome("rows.duplicated == 0", True, 0),
            Outcome("freshness.p99 <= 20m", True, 903.4),
        ),
        shards=shards(600),
        completeness=made,
        outlook=OUTLOOK,
        throughput=Series(1.0, wave(61, 14873.2), wave(61, 148.6)),
        timeline=timeline(),
        truth=(
            Injected("sensor.stuck", 31, 1240, {"stuck": 389}),
            Injected("sensor.dropout", 22, 511, {"null": 511}),
            Injected("row.late", 40, 40, {}),
        ),
    )


def failed(hours: int = 24) -> Result:
    """A fleet-day with defects.

    The lake lost an object and has another twice. Two farms have misplaced and altered rows.
    """
    made = cells(
        hours,
        3600,
        {
            ("A", 3, "ingestion"): {"lost": 3600},
            ("A", 3, "enriched"): {"lost": 900},
            ("C", 5, "ingestion"): {"duplicated": 900},
            ("F", 11, "validated"): {"misplaced": 900},
            ("H", 0, "enriched"): {"altered": 1},
            ("D", 7, "aggregated"): {"lost": 792},
        },
    )
    day = "expanso-databricks-ingestion/ingestion/year=2024/month=01/day=15"
    key = day + "/hour={}/{}-10801-11700.parquet"
    hour = (START + timedelta(hours=3)).isoformat()
    rows = 1500 * 3600 * hours
    return Result(
        scenario="fleet-day",
        seed=20240115,
        verdict="fail",
        exit_code=5,
        run=_run(
            "windfleet run scenarios/fleet-day.yaml --set seed=20240115",
            8412.0,
            timedelta(hours=hours),
        ),
        versions=VERSIONS,
        environment=MACHINE,
        figures=figures(
            rows,
            **{"rows.lost": 4500, "rows.duplicated": 900, "rows.misplaced": 900, "rows.altered": 1},
        ),
        lake=_lake(made, {"null": 51_101, "stuck": 60_233, "range": 18_266}),
        expectations=(
            Outcome("rows.lost == 0", False, 4500),
            Outcome("rows.duplicated == 0", False, 900),
            Outcome("rows.unexpected == 0", True, 0),
            Outcome("freshness.p99 <= 20m", True, 903.4),
            Outcome("verify.rows_per_s >= 100000", None, None),
        ),
        shards=shards(3600 * hours),
        completeness=made,
        findings=(
            Finding(
                "lost",
                "ingestion",
                "A",
                "A-017",
                hour,
                key.format("03", "A-017"),
                3600,
                "object is missing",
            ),
            Finding(
                "duplicated",
                "ingestion",
                "C",
                "C-002",
                hour,
                key.format("05", "C-002-copy"),
                900,
                "rows twice",
            ),
            Finding(
                "altered",
                "enriched",
                "H",
                "H-101",
                None,
                key.format("00", "H-101"),
                1,
                "power_output 1.21, not 1.2",
            ),
            *(
                Finding(
                    "manifest", None, "F", f"F-{i:03d}", None, None, None, f"<b>no</b> manifest {i}"
                )
                for i in range(9)
            ),
        ),
        throughput=Series(72.0, wave(117, 14873.2), wave(117, 148.6)),
        timeline=timeline(),
        truth=(
            Injected("sensor.stuck", 4, 129_600, {"stuck": 60_233, "null": 2}),
            Injected("row.late", 902, 902, {}),
        ),
    )


def unknown() -> Result:
    """The store died before anything was judged."""
    return Result(
        scenario="quickstart",
        seed=7,
        verdict="unknown",
        exit_code=6,
        run=Run("windfleet run scenarios/quickstart.yaml --set seed=7"),
        versions=VERSIONS,
        figures={"rows.generated": Figure(None, "rows", "counted")},
        lake=None,
        expectations=(Outcome("rows.lost == 0", None, None),),
        errors=(
            (
                "The store at 127.0.0.1:4566 stopped answering after 12 s;"
                " see store.log in the run's directory."
            ),
        ),
    )


def _run(replay: str, wall_s: float, span: timedelta) -> Run:
    started = "2026-11-23T15:42:29+00:00"
    return Run(
        replay,
        started,
        wall_s,
        START.isoformat(),
        (START + span).isoformat(),
        8,
        sum(FARMS.values()),
    )


def _lake(made: tuple[HourCompleteness, ...], by_rule: dict[str, int]) -> Lake:
    rows = {stage: sum(c.actual for c in made if c.stage == stage) for stage in STAGES}
    return Lake("9f2c" * 16, 18_412, rows, by_rule)


def with_faults() -> Result:
    """The run that passes, with an outage in the middle of its fleet time."""
    return dataclasses.replace(
        passed(),
        fault_windows=(FaultWindow("store.outage", 120.0, 300.0, ("A", "B")),),
        freshness=Freshness(60.0, (310.0, None, 480.0), (600.0, None, 780.0)),
    )
