"""A load test as planned: the `load` section of a scenario, typed and resolved. Immutable; seconds, bytes, 1/s.

An open schedule is a list of stretches. All but `fleet` and `herd` are a rate over time, given as straight lines
between (second, rate) points: `profile`. Their arrivals are where the area under it passes whole numbers (or a Poisson
process of that rate). `fleet` and `herd` come from the nodes' own flush phases instead.

Not covered: arrivals themselves (`sim.load`), the YAML (`load_document`), what makes a plan invalid (`load_rules`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.measure.thresholds import Expectation

Profile = tuple[tuple[float, float], ...]
"""(second, rate per second) points, seconds rising or equal (a jump); straight lines between them."""


@dataclass(frozen=True)
class Stretch:
    """One open phase. `kind`: constant, poisson, ramp, step, spike, soak, fleet or herd.

    `speed`: fleet seconds in a second (fleet, herd): nodes flush each `pipeline.flush_every` / speed.
    `jitter_s`: how much later than its own flush phase a node comes, at most, in seconds of the run (fleet, herd).
    `outage_s`: from the start of a herd nothing arrives; at its end every flush that fell due comes at once.
    """

    name: str
    kind: str
    duration_s: float
    profile: Profile = ()
    speed: float = 1.0
    jitter_s: float = 0.0
    outage_s: float = 0.0

    @property
    def random(self) -> bool:
        """Whether gaps between arrivals are exponential."""
        return self.kind == "poisson"


@dataclass(frozen=True)
class Sweep:
    """Closed levels: so many users, each with its next request as soon as the last one ended."""

    users: tuple[int, ...]
    duration_s: float


@dataclass(frozen=True)
class Search:
    """The largest rate from `low` to `high` that keeps every threshold, to within a share of itself, then held."""

    slo: tuple[Expectation, ...]
    low: float
    high: float
    within: float
    step_s: float
    hold_s: float


@dataclass(frozen=True)
class Limits:
    """What a load test may never exceed: requests a second, seconds of all phases together, bytes written."""

    rate: float
    time_s: float
    size_bytes: int


@dataclass(frozen=True)
class LoadPlan:
    """`mix`: a share per kind of request (`sim.measure.requests.KINDS`), adding up to 1. `batch_rows`: of a flush."""

    mix: dict[str, float]
    batch_rows: int
    encode_inside: bool
    users: int
    processes: int
    warm_up_s: float
    schedule: tuple[Stretch, ...]
    sweep: Sweep | None
    search: Search | None
    stop_when: tuple[Expectation, ...]
    limits: Limits


def arrivals(stretch: Stretch, nodes: int, flush_every_s: float) -> float:
    """How many requests a stretch asks for: exact within one for a rate, expected for poisson, fleet and herd."""
    if stretch.kind in ("fleet", "herd"):
        return nodes * stretch.duration_s * stretch.speed / flush_every_s
    return sum(
        (t1 - t0) * (r0 + r1) / 2 for (t0, r0), (t1, r1) in zip(stretch.profile, stretch.profile[1:], strict=False)
    )


def peak(stretch: Stretch, nodes: int, flush_every_s: float) -> float:
    """The highest rate of a stretch, the instant at the end of a herd's outage left out."""
    if stretch.kind in ("fleet", "herd"):
        return nodes * stretch.speed / flush_every_s
    return max(rate for _, rate in stretch.profile)
