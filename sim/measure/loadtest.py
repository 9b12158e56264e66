"""What a load test found, as plain data: the part of result.json that is its own. Derived from the raw records alone.

Filled by `sim.load` (phases, sweep, search, limit), shown by `sim.report`. Seconds, requests per second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sim.measure.bottleneck import Limit
from sim.measure.usl import Fit

PhaseKind = Literal["open", "closed", "step", "hold"]
StepVerdict = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True)
class PhaseSummary:
    """One phase. `kind`: open (of the schedule), closed (a level of the sweep), step and hold (of the search).

    `started_ns`: of its second 0, since 1970. `figures`: over `warm_up_s` to `to_s`, which is `duration_s` unless it
    was stopped early. `given_up_s`: when nothing was awaited any more.
    """

    name: str
    kind: PhaseKind
    started_ns: int
    duration_s: float
    warm_up_s: float
    to_s: float
    given_up_s: float
    users: int | None
    figures: dict[str, float]
    stopped_early: str | None = None
    lost_workers: int = 0


@dataclass(frozen=True)
class Level:
    """One level of a closed sweep, over its steady part, which begins at `begin_s`.

    error: standard error of the throughput. response_s: mean latency. littles_law_error: |X R - N| / N.
    """

    users: int
    throughput: float
    error: float
    response_s: float
    p50_s: float
    p95_s: float
    littles_law_error: float
    steady: bool
    begin_s: float
    errors_share: float


@dataclass(frozen=True)
class SweepFound:
    """`fit` is None when there were too few levels. `said`: what it means, in sentences."""

    levels: tuple[Level, ...]
    saturation_users: float | None
    fit: Fit | None
    said: str


@dataclass(frozen=True)
class Step:
    """One rate tried by a search. `why`: what decided. `value`: of the first SLO's figure, in its unit."""

    phase: str
    rate: float
    verdict: StepVerdict
    why: str
    achieved: float
    value: float | None
    hold: bool = False


@dataclass(frozen=True)
class SearchFound:
    """`sustainable`: the rate that held, None when none did; `failed_at`: the lowest rate above it that did not."""

    slo: tuple[str, ...]
    steps: tuple[Step, ...]
    sustainable: float | None
    failed_at: float | None
    said: str


@dataclass(frozen=True)
class LoadTest:
    """All of it. `plan`: what was asked, in lines; `generator_per_s`: before a null store; `complete`: nothing of the
    plan was left out."""

    plan: tuple[str, ...]
    phases: tuple[PhaseSummary, ...] = ()
    sweep: SweepFound | None = None
    search: SearchFound | None = None
    limit: Limit | None = None
    generator_per_s: float | None = None
    notes: tuple[str, ...] = field(default=())
    complete: bool = True
