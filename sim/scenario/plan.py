"""What a scenario will amount to before anything runs: rows, bytes, objects, requests, store time, S3 cost per day.

Rows, batches, objects and requests of a fault-free run are exact: they follow from the clock and the pipeline settings.
Bytes are estimates from measured sizes per object and row. Store time is requests over the rate of
the embedded store. Cost is the list price of a day of this load, see `sim.measure.cost`. What the lifecycle policies
make of such a day's objects is `sim.measure.lifecycle`, at the sizes that this scenario gives them.

Not covered: quarantine objects, revisions and rows that data faults add or take away (only the expected number of
faults is given), retries, compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.batch import MAX_BATCH_ROWS
from pipeline.lake import LIFECYCLE
from pipeline.records import STAGES
from sim.chaos.faults import Fault
from sim.measure import cost, lifecycle
from sim.model.faults import expected
from sim.scenario.scenario import Clock, PipelineSettings, Scenario
from sim.units import DAY_S, HOUR_US, SECOND_US

LIST_PAGE: Final = 1_000  # keys an S3 listing returns at once
REQUESTS_PER_S: Final = 350.0  # of one store: the embedded LocalStack takes 350 to 430 PUT/s

_OBJECT_BYTES: Final = {
    "ingestion": 4_300,
    "validated": 4_300,
    "enriched": 8_000,
    "aggregated": 5_850,
}
_ROW_BYTES: Final = {"ingestion": 47.0, "validated": 47.0, "enriched": 47.0, "aggregated": 180.0}
_MANIFEST_BYTES: Final = 2_150
_CHECKPOINT_BYTES: Final = 600
_NODE_BYTES, _NODE_ROW_BYTES = 8_192, 132.5
"""Measured on simulated turbines, batches of 60 to 3,600 rows; a test holds them within 15 % of the real pipeline."""


@dataclass(frozen=True)
class Plan:
    """Totals over all turbines. The mappings go by stage, `metadata` and `checkpoints` included."""

    turbines: int
    farms: int
    rows: int  # in the node databases
    windows: int
    batches: int
    objects: dict[str, int]  # in the lake at the end
    lake_bytes: dict[str, int]  # estimate
    node_bytes: int  # estimate
    writes: dict[str, int]  # PUT requests of the pipeline
    reads: int  # GET requests of the pipeline: each node reads its checkpoint once
    verify_requests: int  # GET of every object and LIST of every bucket by the verdict
    store_s: float  # all requests, at REQUESTS_PER_S
    faults: dict[str, float]  # expected number of data faults by kind
    delivery: tuple[Fault, ...]  # faults of delivery, as the scenario has them
    cost_per_day: float  # USD, the pipeline's requests and storage
    outlook: lifecycle.Outlook  # what the lifecycle policies make of a day's objects


def plan(scenario: Scenario) -> Plan:
    """Work out a scenario."""
    turbines, clock = scenario.fleet.turbines, scenario.clock
    first, last, rows = batches(clock, scenario.pipeline)
    pairs = int(np.minimum(last // HOUR_US - first // HOUR_US + 1, rows).sum())
    windows, aggregated = _aggregated(first, last, scenario.pipeline)
    per_node = {"ingestion": pairs, "validated": pairs, "enriched": pairs, "aggregated": aggregated}
    held = {
        "ingestion": clock.samples,
        "validated": clock.samples,
        "enriched": clock.samples,
        "aggregated": windows,
    }
    objects = {stage: turbines * per_node[stage] for stage in STAGES}
    size = {
        s: round(turbines * (per_node[s] * _OBJECT_BYTES[s] + held[s] * _ROW_BYTES[s]))
        for s in STAGES
    }
    manifests = turbines * len(rows)
    objects |= {"metadata": manifests, "checkpoints": turbines}
    size |= {"metadata": manifests * _MANIFEST_BYTES, "checkpoints": turbines * _CHECKPOINT_BYTES}
    writes = objects | {"checkpoints": manifests}
    verify = sum(objects.values()) + sum(-(-count // LIST_PAGE) for count in objects.values())
    used = cost.Usage(
        writes=sum(writes.values()),
        reads=turbines,
        bytes_kept=sum(size.values()) - size["checkpoints"],
        span_s=clock.duration_s,
    )
    return Plan(
        turbines=turbines,
        farms=len(scenario.fleet.farms),
        rows=turbines * clock.samples,
        windows=turbines * windows,
        batches=manifests,
        objects=objects,
        lake_bytes=size,
        node_bytes=round(turbines * (_NODE_BYTES + clock.samples * _NODE_ROW_BYTES)),
        writes=writes,
        reads=used.reads,
        verify_requests=verify,
        store_s=(used.writes + used.reads + verify) / REQUESTS_PER_S,
        faults=_expected_faults(scenario),
        delivery=scenario.faults,
        cost_per_day=cost.per_day(used).total,
        outlook=lifecycle.outlook(_a_day(scenario, first, objects, size), LIFECYCLE),
    )


def batches(clock: Clock, settings: PipelineSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One node's batches in order: time of the first row, of the last row (us since 1970), and number of rows."""
    flush_us = settings.flush_every_s * SECOND_US
    cuts = (
        np.arange(clock.start_us // flush_us + 1, -(-clock.end_us // flush_us)) * flush_us
    )  # strictly inside
    edges = np.concatenate(([0], -(-(cuts - clock.start_us) // clock.sample_us), [clock.samples]))
    edges = np.unique(edges)  # a flush shorter than a sample leaves some without rows
    parts = -(-np.diff(edges) // MAX_BATCH_ROWS)
    part = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    begin = np.repeat(edges[:-1], parts) + part * MAX_BATCH_ROWS
    end = np.minimum(begin + MAX_BATCH_ROWS, np.repeat(edges[1:], parts))
    return (
        clock.start_us + begin * clock.sample_us,
        clock.start_us + (end - 1) * clock.sample_us,
        end - begin,
    )


def _a_day(
    scenario: Scenario, first: np.ndarray, objects: dict[str, int], size: dict[str, int]
) -> dict[str, lifecycle.Objects]:
    """The objects of a day of this load: of the row stages each batch's and hour's, of others the mean one."""
    clock, share = scenario.clock, DAY_S / scenario.clock.duration_s
    hours = np.arange(clock.start_us // HOUR_US + 1, -(-clock.end_us // HOUR_US)) * HOUR_US
    begins = np.union1d(first, hours)  # an object begins with its batch, and with every hour in it
    samples = -(-(np.append(begins, clock.end_us) - clock.start_us) // clock.sample_us)
    rows, often = np.unique(np.diff(np.unique(samples)), return_counts=True)
    found = {}
    for stage in (*STAGES, "metadata"):
        sizes, per_day = (
            np.array([size[stage] // max(objects[stage], 1)]),
            np.array([objects[stage] * share]),
        )
        if stage != "aggregated" and stage in STAGES:
            sizes = (_OBJECT_BYTES[stage] + rows * _ROW_BYTES[stage]).astype(np.int64)
            per_day = often * scenario.fleet.turbines * share
        found[stage] = lifecycle.Objects(pa.array([f"{stage}/year="] * len(sizes)), sizes, per_day)
    return found


def batch_bytes(rows: int) -> float:
    """What one batch of so many rows writes, about: its objects, manifest and checkpoint, within one hour."""
    objects = sum(
        _OBJECT_BYTES[stage] + rows * _ROW_BYTES[stage]
        for stage in ("ingestion", "validated", "enriched")
    )
    return objects + _OBJECT_BYTES["aggregated"] + _MANIFEST_BYTES + _CHECKPOINT_BYTES


def _aggregated(first: np.ndarray, last: np.ndarray, settings: PipelineSettings) -> tuple[int, int]:
    """One node's windows and aggregated objects: a batch emits the windows its watermark closes, the last one all."""
    window_us = settings.window_s * SECOND_US
    opening, behind = int(first[0] // window_us), int(last[-1] // window_us) + 1
    closed = np.clip((last - settings.allowed_lateness_s * SECOND_US) // window_us, opening, behind)
    closed[-1] = behind
    since = np.concatenate(([opening], closed[:-1]))
    hours = (closed - 1) * window_us // HOUR_US - since * window_us // HOUR_US + 1
    return behind - opening, int(np.minimum(hours, closed - since)[closed > since].sum())


def _expected_faults(scenario: Scenario) -> dict[str, float]:
    start_us, end_us = scenario.clock.start_us, scenario.clock.end_us
    found: dict[str, float] = {}
    for fault in scenario.data_faults:
        often = sum(expected(farm, start_us, end_us, fault) for farm in scenario.fleet.farms)
        found[fault.kind] = found.get(fault.kind, 0.0) + often
    return found
