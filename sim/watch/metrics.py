"""The metrics of a run in Prometheus' text format, under a registry of their own.

Names end with their base unit. A counter starts again with another run in the same directory, and
once when an ended run's whole record takes the place of what was followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sim.watch.farms import Farm
from sim.watch.load_phases import LoadPhases
from sim.watch.state import STAGES, RunState
from sim.watch.store_totals import Distribution, StoreTotals

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def exposition(state: RunState) -> bytes:
    """Return all metrics of the state as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(state))
    return generate_latest(registry)


class _Metrics(Collector):
    def __init__(self, state: RunState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state, run = self._state, self._state.run
        yield _stage(state)
        if run is None:
            return
        yield _gauge(
            "windfleet_run_info",
            "Scenario and seed of the run; the value is always 1.",
            ("scenario", "seed", "command"),
            [((run.scenario.name, str(run.scenario.seed), _command(state)), 1)],
        )
        if state.ending is not None:
            yield _gauge(
                "windfleet_run_exit_code",
                "Exit code of the run that has ended: 0 pass, 4 a threshold failed, 5 wrong lake.",
                ("verdict",),
                [((state.ending.verdict,), state.ending.exit_code)],
            )
        yield from _of_store(run.store)
        if state.is_load:
            yield from _of_load(run.load)
        else:
            yield from _of_farms(run.farms.farms, state.now_s)
            yield _counter(
                "windfleet_fault_injections",
                "Faults of delivery that were injected, by kind.",
                ("kind",),
                [((kind,), count) for kind, count in sorted(run.faults.items())],
            )


def _command(state: RunState) -> str:
    return "load" if state.is_load else "run"


def _stage(state: RunState) -> Metric:
    return _gauge(
        "windfleet_run_stage",
        "Stage of the run: 1 for the present one, 0 for the others.",
        ("stage",),
        [((stage,), int(stage == state.stage)) for stage in STAGES],
    )


def _of_store(store: StoreTotals) -> Iterator[Metric]:
    yield _counter(
        "windfleet_store_operations",
        "Attempts at operations of the object store, by kind, bucket and outcome.",
        ("kind", "bucket", "outcome"),
        sorted(store.counts.items()),
    )
    yield _counter(
        "windfleet_store_retries",
        "Second and later attempts at operations of the object store.",
        ("kind",),
        [((kind,), count) for kind, count in sorted(store.retries.items())],
    )
    yield _counter(
        "windfleet_store_bytes",
        "Bytes of objects that were written (put) or read (get) with success.",
        ("kind", "bucket"),
        sorted(store.sizes.items()),
    )
    yield _histogram(
        "windfleet_store_operation_seconds",
        "Time of store operations with an answer, from the moment they were intended.",
        store.seconds,
    )


def _of_farms(farms: list[Farm], now_s: float) -> Iterator[Metric]:
    for name, text, field in (
        ("rows_planned", "Rows that the farm's turbines record, without faults.", "rows_planned"),
        ("batches_planned", "Batches that the farm's nodes deliver.", "batches_planned"),
        ("rows_under_way", "Rows of batches that have begun and are not durable.", "under_way"),
        (
            "fleet_lag_seconds",
            "Fleet time from the slowest turbine's last durable row to the newest row stored.",
            "lag_s",
        ),
    ):
        values = [((farm.name,), getattr(farm, field)) for farm in farms]
        yield _gauge(f"windfleet_{name}", text, ("farm",), values)
    yield _gauge(
        "windfleet_durable_until_timestamp_seconds",
        "Fleet time up to which all turbines of the farm are durable.",
        ("farm",),
        [((farm.name,), farm.until_us / 1e6) for farm in farms],
    )
    yield _gauge(
        "windfleet_last_batch_age_seconds",
        "Time since a batch of the farm became durable; absent before the first.",
        ("farm",),
        [((farm.name,), max(now_s - farm.last_s, 0)) for farm in farms if farm.last_s],
    )
    yield _counter(
        "windfleet_rows_durable",
        "Rows of batches whose manifest is in the lake.",
        ("farm",),
        [((farm.name,), farm.rows) for farm in farms],
    )
    yield _counter(
        "windfleet_batches_durable",
        "Batches whose manifest is in the lake.",
        ("farm",),
        [((farm.name,), farm.batches) for farm in farms],
    )


def _of_load(load: LoadPhases) -> Iterator[Metric]:
    yield _counter(
        "windfleet_requests",
        "Requests of the load test that have ended, by kind and outcome.",
        ("kind", "outcome"),
        sorted(load.counts.items()),
    )
    yield _histogram(
        "windfleet_request_seconds",
        "Latency of requests of the load test, from the intended start.",
        load.seconds,
    )
    now = load.phases[-1] if load.phases and load.phases[-1].running else None
    yield _gauge(
        "windfleet_requests_backlog",
        "Requests that are due and have not started.",
        (),
        [((), load.backlog)],
    )
    yield _gauge(
        "windfleet_requests_under_way",
        "Requests that have started and not ended.",
        (),
        [((), load.under_way)],
    )
    yield _gauge(
        "windfleet_phase_requests_planned",
        "Requests of the phase that runs; absent between phases and in a closed loop.",
        ("phase",),
        [((now.name,), now.planned)] if now is not None and now.planned is not None else [],
    )
    yield _gauge(
        "windfleet_phase_requests_done",
        "Requests of the phase that runs which have ended; absent between phases.",
        ("phase",),
        [((now.name,), now.done)] if now is not None else [],
    )


Values = Sequence[tuple[tuple[str, ...], float]]


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Values) -> Metric:
    made = GaugeMetricFamily(name, text, labels=labels)
    for of, value in values:
        made.add_metric(of, value)
    return made


def _counter(name: str, text: str, labels: tuple[str, ...], values: Values) -> Metric:
    made = CounterMetricFamily(name, text, labels=labels)
    for of, value in values:
        made.add_metric(of, value)
    return made


def _histogram(name: str, text: str, by_kind: dict[str, Distribution]) -> Metric:
    made = HistogramMetricFamily(name, text, labels=("kind",))
    for kind, distribution in sorted(by_kind.items()):
        made.add_metric((kind,), distribution.cumulative(), distribution.sum_s)
    return made
