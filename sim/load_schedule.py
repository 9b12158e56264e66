"""The `load` section of a scenario, resolved: requests, rates and limits of a load test. Data only.

The catalogue KINDS lists the settings of each kind of schedule entry. The scenario's rules read it,
and `sim.load.arrivals` turns entries into arrivals. All lengths are in seconds, all rates per
second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.measure.request_kinds import KINDS as REQUEST_KINDS
from sim.measure.request_kinds import RequestKind
from sim.measure.thresholds import Expectation

__all__ = [
    "FILES_PER_USER",
    "FILES_SPARE",
    "KINDS",
    "REQUEST_KINDS",
    "Entry",
    "Limits",
    "Load",
    "RequestKind",
    "ScheduleKind",
    "Search",
    "Sweep",
]

FILES_PER_USER: Final = 6
"""Open files that a client process may need per user: one connection to the store, and a margin."""
FILES_SPARE: Final = 256
"""Open files of a client process for everything else."""


@dataclass(frozen=True)
class ScheduleKind:
    """One kind of schedule entry, with its required (`needs`) and optional (`may`) settings."""

    name: str
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


KINDS: Final = {
    kind.name: kind
    for kind in (
        # Equal intervals between requests.
        ScheduleKind("constant", ("rate", "for")),
        # Independent arrivals, so exponential intervals.
        ScheduleKind("poisson", ("rate", "for")),
        # A rate that rises or falls linearly.
        ScheduleKind("ramp", ("from", "to", "for")),
        # One constant rate after the other.
        ScheduleKind("step", ("rates", "each")),
        # A constant rate, with a peak for some time.
        ScheduleKind("spike", ("rate", "peak", "at", "lasts", "for")),
        # A constant rate for a long time, to show growth and leaks.
        ScheduleKind("soak", ("rate", "for")),
        # Every node at its own flush phase, with jitter, once per flush_every.
        ScheduleKind("fleet", ("for",), ("speed",)),
        # After an outage all nodes come at once, with their backlog.
        ScheduleKind("herd", ("outage", "for"), ("speed",)),
    )
}


@dataclass(frozen=True)
class Entry:
    """One period of an open schedule. Settings that its kind does not have stay at their defaults.

    for_s: length; for a step, of all steps together.
    speed: for fleet and herd, seconds of the fleet's time that pass in one second.
    outage_s: in the fleet's time. A node's backlog is one batch per flush_every of it.
    """

    kind: str
    for_s: float
    rate_per_s: float = 0.0
    from_per_s: float = 0.0
    to_per_s: float = 0.0
    rates_per_s: tuple[float, ...] = ()
    peak_per_s: float = 0.0
    at_s: float = 0.0
    lasts_s: float = 0.0
    speed: float = 1.0
    outage_s: float = 0.0


@dataclass(frozen=True)
class Sweep:
    """A closed loop with each number of users in turn.

    for_s: length of each level. The first `Load.warm_up_s` of it are excluded.
    """

    users: tuple[int, ...]
    for_s: float


@dataclass(frozen=True)
class Search:
    """A bisection for the highest constant rate that meets every SLO.

    within: the search stops when lowest failed and highest passed rate differ by this share.
    each_s: shortest try of one rate. The first `Load.warm_up_s` of it are excluded. A high
    percentile needs a longer try.
    hold_s: length of the hold that confirms the rate.
    """

    slo: tuple[Expectation, ...]
    from_per_s: float
    to_per_s: float
    within: float
    each_s: float
    hold_s: float


@dataclass(frozen=True)
class Limits:
    """Caps. A plan beyond one is refused, and a run that reaches one is stopped.

    bytes: of prepared batches, and of requests.
    """

    rate_per_s: float
    time_s: float
    bytes: float


@dataclass(frozen=True)
class Load:
    """The section.

    mix: (kind, weight), weights above 0. batch_rows: None for the rows of pipeline.flush_every.
    """

    mix: tuple[tuple[RequestKind, float], ...]
    batch_rows: int | None
    encode_inside: bool
    users: int
    processes: int
    warm_up_s: float
    schedule: tuple[Entry, ...]
    sweep: Sweep | None
    search: Search | None
    stop_when: tuple[Expectation, ...]
    limits: Limits
