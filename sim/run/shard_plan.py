"""Task of one shard: some turbines of a farm, with everything that its worker process needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.settings import Settings
from pipeline.store import TIMEOUT_S
from sim.chaos.faults import Fault
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.events import Event
from sim.model.faults.catalogue import DataFault
from sim.run.part import Part, in_shards
from sim.run.planned_faults import counted_in, kills
from sim.scenario import Scenario
from sim.scenario.scenario import PipelineSettings, Uplink
from sim.store.target import Target

if TYPE_CHECKING:
    from sim.chaos.proxy import FaultProxy


@dataclass(frozen=True)
class ShardPlan:
    """One shard's task. Picklable.

    store: settings of the S3 client; None where `lake_dir` is set.
    upstream: the same without a fault proxy.
    lake_dir: the lake as a folder of files.
    compact: one object per farm, stage and hour (`sim.run.compact`).
    early: the oracle judges the shard as soon as it is done.
    shared: the lake may hold rows of an earlier attempt at the shard.
    resumable: the shard's result is kept in the run directory, for another attempt at the run.
    resumed: the lake holds what earlier attempts at the run delivered.
    proxied: `store` is a fault proxy. It needs the virtual time at every flush.
    timeout_s: longest wait for an answer of the store.
    resume_rows: rows that a killed worker already made. Its successor makes them again and flushes
        from there on.
    kill_rows: numbers of rows made at which the worker is killed, in order.
    """

    part: FarmPart
    seed: int
    clock: SimClock
    pipeline: PipelineSettings
    uplink: Uplink
    data_faults: tuple[DataFault, ...]
    run_dir: Path
    store: Settings | None = None
    upstream: Settings | None = None
    lake_dir: Path | None = None
    compact: bool = False
    early: bool = False
    shared: bool = False
    resumable: bool = False
    resumed: bool = False
    faults: tuple[Fault, ...] = ()
    proxied: bool = False
    timeout_s: float = TIMEOUT_S
    events: tuple[Event, ...] = ()
    resume_rows: int = 0
    kill_rows: tuple[int, ...] = ()


def shard_plans(
    scenario: Scenario,
    part: Part,
    workers: int,
    store: Target,
    proxy: FaultProxy | None,
    run_dir: Path,
    compact: bool,
    early: bool = False,
    shared: bool = False,
    resumable: bool = False,
    resumed: bool = False,
) -> list[ShardPlan]:
    """Return the plans of a part's shards. proxy: stands in front of the store, if not None."""
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    pipeline = scenario.pipeline
    flush_rows = min(clock.samples, pipeline.flush_every_s * 1_000_000 // clock.sample_us)
    cut = in_shards(part, flush_rows, workers, whole_farms=compact or bool(scenario.faults))
    due = kills(scenario, cut)
    return [
        ShardPlan(
            part=shard,
            seed=scenario.seed,
            clock=clock,
            pipeline=pipeline,
            uplink=scenario.uplink,
            data_faults=scenario.data_faults,
            events=scenario.events,
            run_dir=run_dir,
            store=_client_settings(store, proxy),
            upstream=_client_settings(store, None),
            lake_dir=store.folder,
            compact=compact,
            early=early,
            shared=shared,
            resumable=resumable,
            resumed=resumed,
            faults=counted_in(scenario.faults, scenario.fleet, [shard]),
            proxied=proxy is not None,
            timeout_s=_timeout_s(proxy),
            kill_rows=tuple(due.get(shard.name, ())),
        )
        for shard in cut
    ]


def _timeout_s(proxy: FaultProxy | None) -> float:
    """Return the longest wait for an answer of the store, or of the proxy in front of it."""
    if proxy is None:
        return TIMEOUT_S
    from sim.chaos.proxy import CLIENT_TIMEOUT_S  # it serves HTTP

    return CLIENT_TIMEOUT_S


def _client_settings(store: Target, proxy: FaultProxy | None) -> Settings | None:
    """Return the settings that reach the store, or the proxy in front of it; None: a folder."""
    if store.folder is not None:
        return None
    return store.store if proxy is None else store.store.behind(proxy.endpoint_url)
