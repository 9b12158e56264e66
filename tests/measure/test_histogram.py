"""sim.measure: the histogram against numpy, and figures from the table of operations."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
import pytest

from sim.measure import ceiling, cost, latency, throughput
from sim.measure.histogram import HIGHEST, Histogram
from tests.support.report_samples import START, operations

QUANTILES = (0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0)


def recorded(values: np.ndarray) -> Histogram:
    histogram = Histogram()
    histogram.record_many(values)
    return histogram


@pytest.mark.parametrize("name", ["uniform", "lognormal", "two humps", "tiny", "huge"])
def test_quantiles_are_within_a_tenth_of_a_percent_of_numpy(name: str) -> None:
    random = np.random.default_rng(11)
    values = {
        "uniform": random.uniform(0.2, 3000, 200_000),
        "lognormal": random.lognormal(2, 1.5, 200_000),
        "two humps": np.concatenate(
            [random.normal(5, 0.1, 150_000), random.normal(2000, 10, 50_000)]
        ),
        "tiny": random.uniform(2e-6, 1e-5, 50_000),
        "huge": random.uniform(1e9, HIGHEST / 2, 50_000),
    }[name]
    histogram = recorded(values)
    assert histogram.count == values.size
    assert histogram.max == values.max()
    for q in QUANTILES:
        expected = np.quantile(values, q, method="inverted_cdf")
        assert histogram.quantile(q) == pytest.approx(expected, rel=1e-3), q


def test_edges_of_buckets_are_recorded_where_they_belong() -> None:
    powers = 2.0 ** np.arange(-18, 39)
    around = np.concatenate([powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf)])
    for value in around:
        assert recorded(np.array([value, value, value])).quantile(0.5) == pytest.approx(
            value, rel=1e-3
        )


def test_zero_counts_as_zero_and_an_empty_histogram_has_no_quantile() -> None:
    assert recorded(np.array([0.0, 0.0, 8.0])).quantile(0.5) == 0.0
    assert recorded(np.array([])).quantile(0.5) is None
    with pytest.raises(ValueError, match="between 0 and 1"):
        recorded(np.array([1.0])).quantile(99)


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, HIGHEST])
def test_impossible_values_are_refused_and_nothing_is_recorded(value: float) -> None:
    histogram = recorded(np.array([1.0]))
    with pytest.raises(ValueError, match="takes values from 0"):
        histogram.record_many(np.array([2.0, value]))
    assert histogram.count == 1


def test_merged_parts_equal_the_whole() -> None:
    values = np.random.default_rng(3).lognormal(1, 2, 10_000)
    whole, merged = recorded(values), Histogram()
    for part in np.array_split(values, 7):
        merged.merge(recorded(part))
    assert np.array_equal(merged._counts, whole._counts)
    assert (merged.count, merged.quantile(0.0), merged.max) == (10_000, values.min(), values.max())


def test_latency_is_charged_from_the_intended_start_and_unanswered_attempts_are_apart() -> None:
    table = _operations([0, 0, 0], [0, 90, 0], [10, 100, 700], ["ok", "exists", "unavailable"])
    (put,) = latency.by_kind(table)
    assert (put.answered, put.unanswered) == (2, 1)
    assert put.response is not None
    assert put.service is not None
    assert put.response.max == pytest.approx(100, rel=1e-9)
    assert put.service.max == pytest.approx(10, rel=1e-9)
    assert put.response.p50 == pytest.approx(10, rel=1e-3)


def test_throughput_counts_every_accepted_put_and_committed_row_once() -> None:
    table = operations(5000)
    commits = pa.table({"end": table["end"].slice(0, 100), "rows": pa.array([60] * 100)})
    series, rates = throughput.series(table, commits), throughput.mean_rates(table, commits)
    assert series is not None
    assert rates is not None
    accepted = sum(
        row["kind"] == "put" and row["outcome"] == "ok"
        for row in table.select(["kind", "outcome"]).to_pylist()
    )
    assert sum(series.objects_per_s) * series.bucket_s == pytest.approx(accepted, rel=1e-4)
    assert sum(series.rows_per_s) * series.bucket_s == pytest.approx(6000, rel=1e-4)
    assert rates.objects_per_s * rates.span_s == pytest.approx(accepted)
    assert rates.rows_per_s * rates.span_s == pytest.approx(6000)
    assert len(series.rows_per_s) <= 120
    assert throughput.series(table.slice(0, 0), commits) is None


def test_cost_bills_answered_requests_and_stored_objects() -> None:
    table = _operations([0] * 5, [0] * 5, [1] * 5, ["ok", "exists", "unavailable", "ok", "ok"])
    buckets = ["x", "x", "x", "x-checkpoints", "x-checkpoints"]
    table = table.set_column(table.schema.get_field_index("bucket"), "bucket", pa.array(buckets))
    used = cost.usage(table, span_s=3600)
    assert used == cost.StoreUsage(writes=4, reads=0, bytes_kept=100, span_s=3600)
    day = cost.per_day(
        cost.StoreUsage(writes=1000, reads=1000, bytes_kept=2**30, span_s=cost.DAY_S / 2)
    )
    assert day.requests == pytest.approx(2 * (0.005 + 0.0004))
    assert day.total == pytest.approx(day.requests + 2 * 0.023)
    with pytest.raises(ValueError, match="positive span"):
        cost.per_day(cost.StoreUsage(1, 1, 1, 0.0))


def test_ceiling_counts_unique_keys_after_the_warm_up() -> None:
    seen: list[tuple[str, int]] = []
    lock, pause = threading.Lock(), threading.Event()

    def put(key: str, body: bytes) -> None:
        pause.wait(0.01)
        with lock:
            seen.append((key, len(body)))

    puts_per_s = ceiling.measure(put, size_bytes=128, threads=3, seconds=0.4)
    assert len({key for key, _ in seen}) == len(seen)
    assert {size for _, size in seen} == {128}
    assert 90 < puts_per_s < 330  # with the warm-up, a third more


def test_ceiling_over_a_store_that_refuses_is_an_error() -> None:
    def put(key: str, body: bytes) -> None:
        raise OSError("503")

    with pytest.raises(OSError, match="503"):
        ceiling.measure(put, size_bytes=1, threads=2, seconds=30)


def _operations(
    intended_ms: list[int], start_ms: list[int], end_ms: list[int], outcome: list[str]
) -> pa.Table:
    """Return PUTs of 100 bytes into bucket x, at milliseconds after START."""
    base = int(START.timestamp() * 1000)
    moment = pa.timestamp("ns", tz="UTC")

    def times(offsets: list[int]) -> pa.Array:
        return pa.array([(base + ms) * 1_000_000 for ms in offsets]).cast(moment)

    count = len(outcome)
    return pa.table(
        {
            "intended_start": times(intended_ms),
            "start": times(start_ms),
            "end": times(end_ms),
            "kind": ["put"] * count,
            "bucket": ["x"] * count,
            "bytes": pa.array([100] * count),
            "outcome": outcome,
        }
    )
