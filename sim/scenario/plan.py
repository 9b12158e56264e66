"""The size of a scenario before it runs: rows, bytes, objects, requests, store time, cost.

- Exact for a run without faults: rows, batches, objects and requests. They follow from the clock
  and the pipeline settings.
- Estimated: bytes, from measured sizes per object and row; store time, as requests over the rate of
  the embedded store.
- Cost per day: list prices for this load (`sim.measure.cost`).
- Lifecycle: the effect of the policies on a day's objects at these sizes (`sim.measure.lifecycle`).

Not covered: quarantine objects, revisions, retries, compute, and rows that data faults add or
remove (the plan gives only the expected number of faults).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.batch import MAX_BATCH_ROWS
from pipeline.buckets import LIFECYCLE
from pipeline.records import STAGES
from sim.chaos.faults import Fault
from sim.measure import cost, lifecycle
from sim.model.faults.expected import expected
from sim.scenario.scenario import Clock, PipelineSettings, Scenario
from sim.scenario.sizes import (
    CHECKPOINT_BYTES,
    MANIFEST_BYTES,
    NODE_BYTES,
    NODE_ROW_BYTES,
    OBJECT_BYTES,
    ROW_BYTES,
)
from sim.units import DAY_S, HOUR_US, SECOND_US

LIST_PAGE: Final = 1_000
"""Keys in one page of an S3 listing."""
REQUESTS_PER_S: Final = 1500.0
"""Rate of one store: the short gateway takes 1,000 to 2,500 requests/s, stock 350 to 430."""


NOT_COUNTED: Final = (
    "not counted: rows that faults add or remove, objects of late and faulty rows (quarantine, "
    "late hours, revised windows), repeated requests"
)
"""Objects and requests that a run with faults has besides those of its plan."""


@dataclass(frozen=True)
class Plan:
    """Totals over all turbines.

    The mappings go by stage, and include `metadata` and `checkpoints`.
    """

    turbines: int
    farms: int
    rows: int  # in the node databases
    windows: int
    batches: int
    objects: dict[str, int]  # in the lake at the end
    lake_bytes: dict[str, int]  # estimate
    node_bytes: int  # estimate
    writes: dict[str, int]  # PUT requests of the pipeline
    reads: int  # GET requests of the pipeline: one per node, for its checkpoint
    verify_requests: int  # requests of the verdict: GET of every object, LIST of every bucket
    store_s: float  # all requests, at REQUESTS_PER_S
    faults: dict[str, float]  # expected number of data faults by kind
    delivery: tuple[Fault, ...]  # the scenario's faults of delivery
    cost_per_day: float  # USD, the pipeline's requests and storage
    outlook: lifecycle.Outlook  # effect of the lifecycle policies on a day's objects


def plan(scenario: Scenario, turbines: int | None = None) -> Plan:
    """Return the plan of a scenario. turbines: of a part of the fleet; None: all."""
    turbines = scenario.fleet.turbines if turbines is None else turbines
    share, clock = turbines / scenario.fleet.turbines, scenario.clock
    first, last, rows = batches(clock, scenario.pipeline)
    pairs = int(np.minimum(last // HOUR_US - first // HOUR_US + 1, rows).sum())
    windows, aggregated = _aggregated(first, last, scenario.pipeline)
    per_node = {"ingestion": pairs, "validated": pairs, "enriched": pairs, "aggregated": aggregated}
    rows_per_node = {
        "ingestion": clock.samples,
        "validated": clock.samples,
        "enriched": clock.samples,
        "aggregated": windows,
    }
    objects = {stage: turbines * per_node[stage] for stage in STAGES}
    size = {
        s: round(turbines * (per_node[s] * OBJECT_BYTES[s] + rows_per_node[s] * ROW_BYTES[s]))
        for s in STAGES
    }
    manifests = turbines * len(rows)
    objects |= {"metadata": manifests, "checkpoints": turbines}
    size |= {"metadata": manifests * MANIFEST_BYTES, "checkpoints": turbines * CHECKPOINT_BYTES}
    writes = objects | {"checkpoints": manifests}
    verify = sum(objects.values()) + sum(-(-count // LIST_PAGE) for count in objects.values())
    used = cost.StoreUsage(
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
        node_bytes=round(turbines * (NODE_BYTES + clock.samples * NODE_ROW_BYTES)),
        writes=writes,
        reads=used.reads,
        verify_requests=verify,
        store_s=(used.writes + used.reads + verify) / REQUESTS_PER_S,
        faults={kind: share * n for kind, n in _expected_faults(scenario).items()},
        delivery=scenario.faults,
        cost_per_day=cost.per_day(used).total,
        outlook=lifecycle.outlook(_a_day(scenario, turbines, first, objects, size), LIFECYCLE),
    )


def batches(clock: Clock, settings: PipelineSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the batches of one node, in order.

    Three arrays (batches,): time of the first row, time of the last row (us since 1970), number of
    rows.
    """
    flush_us = settings.flush_every_s * SECOND_US
    # flush times strictly inside the run
    cuts = np.arange(clock.start_us // flush_us + 1, -(-clock.end_us // flush_us)) * flush_us
    edges = np.concatenate(([0], -(-(cuts - clock.start_us) // clock.sample_us), [clock.samples]))
    edges = np.unique(edges)  # flushes more frequent than samples: some have no rows
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
    scenario: Scenario,
    turbines: int,
    first: np.ndarray,
    objects: dict[str, int],
    size: dict[str, int],
) -> dict[str, lifecycle.Objects]:
    """Return the objects of a day of this load.

    Row stages: the objects of each batch and hour. Other stages: objects of the mean size.
    """
    clock, share = scenario.clock, DAY_S / scenario.clock.duration_s
    hours = np.arange(clock.start_us // HOUR_US + 1, -(-clock.end_us // HOUR_US)) * HOUR_US
    begins = np.union1d(
        first, hours
    )  # an object begins with its batch, and with every hour in the batch
    samples = -(-(np.append(begins, clock.end_us) - clock.start_us) // clock.sample_us)
    rows, often = np.unique(np.diff(np.unique(samples)), return_counts=True)
    found = {}
    for stage in (*STAGES, "metadata"):
        sizes, per_day = (
            np.array([size[stage] // max(objects[stage], 1)]),
            np.array([objects[stage] * share]),
        )
        if stage != "aggregated" and stage in STAGES:
            sizes = (OBJECT_BYTES[stage] + rows * ROW_BYTES[stage]).astype(np.int64)
            per_day = often * turbines * share
        found[stage] = lifecycle.Objects(pa.array([f"{stage}/year="] * len(sizes)), sizes, per_day)
    return found


def _aggregated(first: np.ndarray, last: np.ndarray, settings: PipelineSettings) -> tuple[int, int]:
    """Return the windows and the aggregated objects of one node.

    A batch emits the windows that its watermark closes; the last batch emits all that are left.
    """
    window_us = settings.window_s * SECOND_US
    opening, ending = int(first[0] // window_us), int(last[-1] // window_us) + 1
    closed = np.clip((last - settings.allowed_lateness_s * SECOND_US) // window_us, opening, ending)
    closed[-1] = ending
    since = np.concatenate(([opening], closed[:-1]))
    hours = (closed - 1) * window_us // HOUR_US - since * window_us // HOUR_US + 1
    return ending - opening, int(np.minimum(hours, closed - since)[closed > since].sum())


def _expected_faults(scenario: Scenario) -> dict[str, float]:
    start_us, end_us = scenario.clock.start_us, scenario.clock.end_us
    found: dict[str, float] = {}
    for fault in scenario.data_faults:
        often = sum(expected(farm, start_us, end_us, fault) for farm in scenario.fleet.farms)
        found[fault.kind] = found.get(fault.kind, 0.0) + often
    return found
