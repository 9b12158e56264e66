"""Arrivals: the times at which requests are due. Pure functions over whole arrays.

    arrivals = of(entry, "1-ramp", load.mix, Nodes(1500, 900.0), seed)

- A deterministic rate lambda(t) puts arrival i where the integral of lambda reaches i + 1/2. A
  change of rate neither loses nor repeats an arrival.
- Poisson arrivals have exponentially distributed times between them.
- `fleet`: each node flushes at its own phase plus a jitter, once per flush_every.
- `herd`: the nodes kept their batches during an outage of the store. At 0 all of them come, each
  with its backlog in order. After that they flush at their own phase.
- `speed` makes the fleet's time pass faster.

Random numbers depend on the seed, the name of the phase and their purpose, and never on the number
of workers.

Not covered: days and seasons; nodes that react to each other (`windfleet run` has retry storms).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sim.arrays import Floats, Ints
from sim.load.phase import Arrivals
from sim.load_schedule import REQUEST_KINDS, Entry, RequestKind
from sim.seeds import rng

JITTER: Final = 0.02
"""Largest delay of a flush after its node's phase, as a share of the flush interval."""
Mix = Sequence[tuple[RequestKind, float]]


@dataclass(frozen=True)
class Nodes:
    """The nodes that take part. flush_every_s: in seconds of the fleet's own time."""

    count: int
    flush_every_s: float


def of(entry: Entry, name: str, mix: Mix, nodes: Nodes, seed: int) -> Arrivals:
    """Return the arrivals of one entry.

    Raises KeyError for an unknown kind, which the scenario's rules refuse earlier.
    """
    if entry.kind in ("fleet", "herd"):
        intended, node = _fleet(entry, name, nodes, seed)
    else:
        intended = _TIMES[entry.kind](entry, name, seed)
        node = np.arange(len(intended)) % nodes.count
    return Arrivals(intended, _kinds(len(intended), name, mix, seed), node.astype(np.int32))


def constant(
    rate_per_s: float, for_s: float, name: str, mix: Mix, nodes: Nodes, seed: int
) -> Arrivals:
    """Return arrivals at one constant rate, for a search."""
    return of(Entry("constant", for_s, rate_per_s=rate_per_s), name, mix, nodes, seed)


def joined(parts: Sequence[tuple[Arrivals, float]]) -> Arrivals:
    """Return all parts one after the other. Each part comes with its duration in seconds."""
    starts = np.concatenate(([0.0], np.cumsum([duration_s for _, duration_s in parts])))
    return Arrivals(
        np.concatenate(
            [part.intended_s + start for (part, _), start in zip(parts, starts, strict=False)]
        ),
        np.concatenate([part.kind for part, _ in parts]),
        np.concatenate([part.node for part, _ in parts]),
    )


def count(entry: Entry, nodes: Nodes) -> float:
    """Return the number of arrivals of an entry, without making them. For poisson, the mean."""
    if entry.kind in ("fleet", "herd"):
        period_s = nodes.flush_every_s / entry.speed
        return nodes.count * (entry.for_s / period_s + _backlog(entry, nodes))
    return float(sum((a + b) / 2 * length for a, b, length in _pieces(entry)))


def peak_per_s(entry: Entry, nodes: Nodes) -> float:
    """Return the highest rate of an entry. For a herd, the rate within its first second."""
    if entry.kind in ("fleet", "herd"):
        return nodes.count * (entry.speed / nodes.flush_every_s + _backlog(entry, nodes))
    return max(max(a, b) for a, b, _ in _pieces(entry))


def _backlog(entry: Entry, nodes: Nodes) -> int:
    """Return the batches that each node kept during a herd's outage: at least one."""
    return max(1, math.floor(entry.outage_s / nodes.flush_every_s)) if entry.kind == "herd" else 0


def _pieces(entry: Entry) -> list[tuple[float, float, float]]:
    """Return the rate as linear pieces: (rate at the start, rate at the end, seconds)."""
    if entry.kind == "ramp":
        return [(entry.from_per_s, entry.to_per_s, entry.for_s)]
    if entry.kind == "step":
        each_s = entry.for_s / len(entry.rates_per_s)
        return [(rate, rate, each_s) for rate in entry.rates_per_s]
    if entry.kind == "spike":
        base, peak = entry.rate_per_s, entry.peak_per_s
        after_s = entry.for_s - entry.at_s - entry.lasts_s
        return [(base, base, entry.at_s), (peak, peak, entry.lasts_s), (base, base, after_s)]
    return [(entry.rate_per_s, entry.rate_per_s, entry.for_s)]


def _even(entry: Entry, name: str, seed: int) -> Floats:
    """Return arrival times: arrival i where the integral of the rate is i + 1/2.

    Within a piece this is a quadratic equation, solved in a form without cancellation.
    """
    out: list[Floats] = []
    begun_s, reached = 0.0, 0.0
    for first, last, length_s in _pieces(entry):
        total = (first + last) / 2 * length_s
        index = np.arange(math.ceil(reached - 0.5), math.ceil(reached + total - 0.5))
        area = index + 0.5 - reached  # integral within this piece, up to each arrival
        slope = (last - first) / length_s if length_s else 0.0
        root = np.sqrt(np.maximum(first * first + 2 * slope * area, 0.0))
        out.append(begun_s + 2 * area / (first + root))
        begun_s, reached = begun_s + length_s, reached + total
    return np.concatenate(out)


def _poisson(entry: Entry, name: str, seed: int) -> Floats:
    expected = entry.rate_per_s * entry.for_s
    enough = math.ceil(expected + 10 * math.sqrt(expected) + 20)  # ten standard deviations
    times = np.cumsum(rng(seed, "load", name, "poisson").exponential(1 / entry.rate_per_s, enough))
    return times[times < entry.for_s]


_TIMES: Final = {
    "constant": _even,
    "soak": _even,
    "ramp": _even,
    "step": _even,
    "spike": _even,
    "poisson": _poisson,
}


def _fleet(entry: Entry, name: str, nodes: Nodes, seed: int) -> tuple[Floats, Ints]:
    """Return (times, nodes) in order of time. Simultaneous ones of a node stay in batch order."""
    period_s = nodes.flush_every_s / entry.speed
    # Each node's own phase is the same in every phase of the load test.
    phase = rng(seed, "load", "flush-phase").random(nodes.count) * period_s
    turns = math.ceil(entry.for_s / period_s)
    late = np.stack(
        [rng(seed, "load", name, "jitter", turn).random(nodes.count) for turn in range(turns)]
    )
    times = phase + np.arange(turns)[:, None] * period_s + late * JITTER * period_s
    backlog = _backlog(entry, nodes)
    times = np.concatenate((np.zeros((backlog, nodes.count)), times)).ravel()
    node = np.tile(np.arange(nodes.count), backlog + turns)
    inside = times < entry.for_s
    times, node = times[inside], node[inside]
    order = np.argsort(times, kind="stable")
    return times[order], node[order]


def _kinds(m: int, name: str, mix: Mix, seed: int) -> npt.NDArray[np.int8]:
    weights = np.array([weight for _, weight in mix])
    index = np.array([REQUEST_KINDS.index(kind) for kind, _ in mix], dtype=np.int8)
    if len(mix) == 1:
        return np.full(m, index[0], dtype=np.int8)
    edges = np.cumsum(weights / weights.sum())[:-1]
    return index[np.searchsorted(edges, rng(seed, "load", name, "mix").random(m), side="right")]
