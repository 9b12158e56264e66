"""The `load` section of a scenario, resolved: what is asked of the store, how fast, and how far it may go. Data only.

The catalogue KINDS says what each kind of schedule entry takes (as `sim.chaos.faults.KINDS` does for faults): the
scenario's rules read it, `sim.load.arrivals` turns entries into arrivals. All lengths in seconds, all rates per second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.measure.requests import KINDS as REQUEST_KINDS
from sim.measure.requests import RequestKind
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
"""Open files of a client process for each of its users: a connection to each bucket's client."""
FILES_SPARE: Final = 256
"""And for everything else."""


@dataclass(frozen=True)
class ScheduleKind:
    """`needs` and `may`: the settings of an entry of this kind, as spelled in the scenario."""

    name: str
    needs: tuple[str, ...]
    may: tuple[str, ...]
    text: str


KINDS: Final = {
    kind.name: kind
    for kind in (
        ScheduleKind("constant", ("rate", "for"), (), "equal distances"),
        ScheduleKind("poisson", ("rate", "for"), (), "independent arrivals: exponential distances"),
        ScheduleKind(
            "ramp",
            ("from", "to", "for"),
            (),
            "the rate goes from one value to another in a straight line",
        ),
        ScheduleKind("step", ("rates", "each"), (), "one constant rate after the other"),
        ScheduleKind(
            "spike",
            ("rate", "peak", "at", "lasts", "for"),
            (),
            "a constant rate, and for a while the peak",
        ),
        ScheduleKind(
            "soak", ("rate", "for"), (), "a constant rate for long: what grows or leaks shows"
        ),
        ScheduleKind(
            "fleet",
            ("for",),
            ("speed",),
            "every node at its own flush phase, with jitter, per flush_every",
        ),
        ScheduleKind(
            "herd",
            ("outage", "for"),
            ("speed",),
            "after an outage all nodes come at once, with backlog",
        ),
    )
}


@dataclass(frozen=True)
class Entry:
    """One stretch of an open schedule. What the kind does not take stays at its default.

    for_s: its length; of a step, all steps together. speed: of fleet and herd, how many seconds of the fleet's time
    pass in one second. outage_s: of the fleet's time; a node's backlog is one batch per flush_every of it.
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
    """Closed loop: each number of users in turn, `for_s` each, the first `Load.warm_up_s` of it excluded."""

    users: tuple[int, ...]
    for_s: float


@dataclass(frozen=True)
class Search:
    """Bisection for the highest constant rate that keeps every SLO; `within`: when to stop, as a share of the rate.

    each_s: how long one rate is tried at least, the first `Load.warm_up_s` of it excluded; a rare rank asks for more.
    """

    slo: tuple[Expectation, ...]
    from_per_s: float
    to_per_s: float
    within: float
    each_s: float
    hold_s: float


@dataclass(frozen=True)
class Limits:
    """Caps: a plan beyond one is refused, a run that gets there is stopped. `bytes`: prepared and sent."""

    rate_per_s: float
    time_s: float
    bytes: float


@dataclass(frozen=True)
class Load:
    """The section. `mix`: (kind, weight), weights above 0. `batch_rows`: None takes pipeline.flush_every as it is."""

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
