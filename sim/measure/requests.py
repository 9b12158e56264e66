"""The requests of a load test: the figures of a table of requests. Measured.

    latency = end - intended start        service = end - start        late = start - intended start

- Latency counts from the intended start, so that a stall counts in every request that it delays.
- A due request that has not ended when its phase gives up counts with its waiting time until then.
  That is less than its true latency, but much better than leaving the request out.
- Failed requests count like others. `errors.share` gives their share.
- The backlog at a moment is the number of due requests that have not started.
- Percentiles come from `Histogram`: three significant digits, and phases merge exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sim.arrays import Bools, Floats, Ints
from sim.measure.histogram import Histogram
from sim.measure.request_kinds import KINDS

RANKS: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}
OK: Final = "ok"


@dataclass(frozen=True)
class Requests:
    """Requests as arrays (m,), in order of intended start.

    Times are in seconds from the start of the phase; NaN: never. `given_up_s` is the end of
    observation: a request that was due by then and has not ended is `waiting`.
    """

    kind: npt.NDArray[np.str_]
    intended_s: Floats
    start_s: Floats
    end_s: Floats
    ok: Bools
    rows: Ints
    given_up_s: float

    @property
    def waiting(self) -> Bools:
        """Return the requests that were due and have not ended."""
        return np.isnan(self.end_s) & (self.intended_s < self.given_up_s)

    @property
    def due(self) -> Bools:
        """Return the requests that were due before the phase gave up."""
        return ~np.isnan(self.end_s) | self.waiting

    @property
    def latency_s(self) -> Floats:
        """Return latencies of due requests, up to their end or the end of observation; else NaN."""
        latency: Floats = np.where(self.waiting, self.given_up_s, self.end_s) - self.intended_s
        return latency

    @property
    def service_s(self) -> Floats:
        """Return service times; NaN for requests that have not started."""
        begun = self.waiting & ~np.isnan(self.start_s)
        service: Floats = np.where(begun, self.given_up_s, self.end_s) - self.start_s
        return service


@dataclass(frozen=True)
class Part:
    """The requests of one phase, and the span (s of the phase) that counts: without its warm-up."""

    requests: Requests
    from_s: float
    to_s: float

    @property
    def intended_inside(self) -> Bools:
        """Return the due requests whose intended start is inside the span."""
        at = self.requests.intended_s
        return self.requests.due & (at >= self.from_s) & (at < self.to_s)

    @property
    def ended_inside(self) -> Bools:
        """Return the successful requests that ended inside the span."""
        return (
            self.requests.ok
            & (self.requests.end_s >= self.from_s)
            & (self.requests.end_s < self.to_s)
        )

    @property
    def length_s(self) -> float:
        return max(self.to_s - self.from_s, 1e-9)


def read(table: pa.Table, started_ns: int, watched_s: float = 0.0) -> Requests:
    """Return the requests of one phase from a table with the columns of requests.parquet.

    started_ns: start of the phase, ns since 1970. watched_s: minimum end of observation. If the
    store stands still, the phase waits for a long time in which nothing is recorded.
    """
    intended, start, end = (
        _seconds(table[name], started_ns) for name in ("intended_start", "start", "end")
    )
    happened = np.concatenate((start, end))
    last = float(np.nanmax(happened)) if np.any(~np.isnan(happened)) else 0.0
    kind = np.asarray(table["kind"].to_pylist(), dtype=np.str_)
    ok = np.asarray(pc.equal(table["outcome"], OK).to_numpy(), dtype=np.bool_)
    rows = np.asarray(table["rows"].fill_null(0).to_numpy(), dtype=np.int64)
    return Requests(kind, intended, start, end, ok, rows, max(last, watched_s))


def _seconds(column: pa.ChunkedArray, started_ns: int) -> Floats:
    ns = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64())
    values: Floats = (
        pc.divide(pc.subtract(ns, started_ns).cast(pa.float64()), 1e9).fill_null(np.nan).to_numpy()
    )
    return values


def figures(parts: Sequence[Part]) -> dict[str, float]:
    """Return the figures of phases taken together, by the names of `sim.measure.figures`.

    Figures without a request are left out.
    """
    inside = [part.intended_inside for part in parts]
    length_s = sum(part.length_s for part in parts)
    ended = [part.ended_inside for part in parts]
    made = sum(
        int((i & ~np.isnan(part.requests.end_s)).sum())
        for part, i in zip(parts, inside, strict=True)
    )
    failed = sum(
        int((i & ~p.requests.ok & ~np.isnan(p.requests.start_s)).sum())
        for p, i in zip(parts, inside, strict=True)
    )
    begun = sum(
        int((i & ~np.isnan(p.requests.start_s)).sum()) for p, i in zip(parts, inside, strict=True)
    )
    found = {
        "load.requests": float(made),
        "load.errors": float(failed),
        "load.not_made": float(sum(int(i.sum()) for i in inside) - begun),
        "load.offered_per_s": sum(int(i.sum()) for i in inside) / length_s,
        "load.achieved_per_s": sum(int(e.sum()) for e in ended) / length_s,
        "load.rows_per_s": sum(_flushed(part, e) for part, e in zip(parts, ended, strict=True))
        / length_s,
        "load.backlog.max": max((_backlog_max(part) for part in parts), default=0.0),
        "load.standstill": max((standstill_s(part) for part in parts), default=0.0),
        "load.backlog.end": float(
            sum(backlog(p.requests, np.array([p.to_s]))[0] for p in parts[-1:])
        ),
    }
    if begun:
        found["errors.share"] = failed / begun
    pairs = list(zip(parts, inside, strict=True))
    late = _histogram(p.requests.start_s[i] - p.requests.intended_s[i] for p, i in pairs)
    found |= {
        f"load.late.{rank}": value for rank, value in _ranks(late).items() if rank in ("p50", "p99")
    }
    for kind in KINDS:
        of_kind = [(p.requests, i & (p.requests.kind == kind)) for p, i in pairs]
        for quantity in ("latency", "service"):
            ranks = _ranks(
                _histogram(getattr(requests, f"{quantity}_s")[i] for requests, i in of_kind)
            )
            found |= {f"{quantity}.{kind}.{rank}": value for rank, value in ranks.items()}
    return found


def samples(parts: Sequence[Part], kind: str | None = None) -> int:
    """Return the number of latencies behind the percentiles of a kind (None: of all kinds)."""
    return sum(
        int((p.intended_inside & ((kind is None) | (p.requests.kind == kind))).sum()) for p in parts
    )


def drift(part: Part) -> float | None:
    """Return the median latency in the last quarter of a phase over that in the first.

    None if one of the quarters has no request.
    """
    inside, at = part.intended_inside, part.requests.intended_s
    edges = part.from_s + (part.to_s - part.from_s) * np.array([0.25, 0.75])
    first, last = (
        part.requests.latency_s[inside & side] for side in (at < edges[0], at >= edges[1])
    )
    if not first.size or not last.size or np.median(first) <= 0:
        return None
    return float(np.median(last) / np.median(first))


def backlog(requests: Requests, at_s: Floats) -> Ints:
    """Return the number of due requests that have not started, at each of the moments (k,)."""
    due = np.sort(requests.intended_s[~np.isnan(requests.intended_s)])
    started = np.sort(requests.start_s[~np.isnan(requests.start_s)])
    return np.searchsorted(due, at_s, side="right") - np.searchsorted(started, at_s, side="right")


def backlog_max(requests: Requests, edges_s: Floats) -> Floats:
    """Return the largest backlog in each window between `edges_s` (k + 1,)."""
    due = requests.intended_s[requests.intended_s <= requests.given_up_s]
    at = np.concatenate([edges_s[:-1], due])  # between two of these it only falls
    window = np.searchsorted(edges_s, at, side="right") - 1
    inside = (window >= 0) & (window < len(edges_s) - 1)
    most: Floats = np.zeros(len(edges_s) - 1)
    np.maximum.at(most, window[inside], backlog(requests, at)[inside])
    return most


def standstill_s(part: Part) -> float:
    """Return the longest time in which requests were in progress and none ended."""
    made = part.requests
    start, end = (np.sort(times[~np.isnan(times)]) for times in (made.start_s, made.end_s))
    last = np.concatenate(([-np.inf], end))  # the k-th: k requests have ended
    in_progress = np.searchsorted(start, last, side="right") - np.arange(len(last))
    begin = np.where(
        in_progress > 0, last, np.append(start, np.full(len(last), np.inf))[: len(last)]
    )
    until = np.append(end, made.given_up_s)
    lasted = np.minimum(until, part.to_s) - np.maximum(begin, part.from_s)
    return float(max(lasted.max(initial=0.0), 0.0))


def ended_per_s(requests: Requests, edges_s: Floats, ok: bool = True) -> Floats:
    """Return successful (or failed) ends per second, in each window between `edges_s` (k + 1,)."""
    ends = requests.end_s[(requests.ok == ok) & ~np.isnan(requests.end_s)]
    return np.histogram(ends, edges_s)[0] / np.diff(edges_s)


def offered_per_s(requests: Requests, edges_s: Floats) -> Floats:
    """Return intended starts per second in each window, whether or not requests were made."""
    return np.histogram(requests.intended_s, edges_s)[0] / np.diff(edges_s)


def quantiles(latencies_s: Floats, ranks: Sequence[float]) -> list[float | None]:
    """Return the seconds at each rank, to three significant digits; None without latencies."""
    histogram = _histogram([latencies_s])
    return [None if (ms := histogram.quantile(rank)) is None else ms / 1e3 for rank in ranks]


def _backlog_max(part: Part) -> float:
    """Return the largest backlog. It can rise only when a request falls due."""
    due = part.requests.intended_s
    at = due[(due >= part.from_s) & (due < part.to_s) & (due <= part.requests.given_up_s)]
    return float(max(backlog(part.requests, at).max(initial=0), 0))


def _flushed(part: Part, ended: Bools) -> int:
    return int(part.requests.rows[ended & (part.requests.kind == "flush")].sum())


def _histogram(latencies_s: Iterable[Floats]) -> Histogram:
    """Return a histogram in milliseconds.

    A negative time, from a clock that was set back, counts as 0. NaN does not count.
    """
    whole = Histogram()
    for values in latencies_s:
        one = Histogram()
        one.record_many(np.maximum(values[~np.isnan(values)] * 1e3, 0.0))
        whole.merge(one)
    return whole


def _ranks(histogram: Histogram) -> dict[str, float]:
    """Return rank -> seconds; empty for an empty histogram."""
    found = {rank: histogram.quantile(q) for rank, q in RANKS.items()}
    return {rank: ms / 1e3 for rank, ms in found.items() if ms is not None}
