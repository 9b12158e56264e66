"""The results of a load test, as plain data. They are its own part of result.json.

Derived only from the raw records. `sim.load` fills them in, `sim.report` shows them. Units:
seconds, requests per second.
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
    """One phase.

    kind: open (of the schedule), closed (a level of the sweep), step or hold (of the search).
    started_ns: start of the phase, ns since 1970. All times in seconds count from it.
    figures: over `warm_up_s` to `to_s`. `to_s` is `duration_s` unless the phase was stopped early.
    given_up_s: end of the wait for the last requests.
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

    error: standard error of the throughput. response_s: mean latency.
    littles_law_error: |X R - N| / N.
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
    """The result of a closed sweep.

    fit: None if there were too few levels. said: the result in sentences.
    """

    levels: tuple[Level, ...]
    saturation_users: float | None
    fit: Fit | None
    said: str


@dataclass(frozen=True)
class Step:
    """One rate tried by a search.

    why: the reason for the verdict. value: the value of the first SLO's figure, in its unit.
    """

    phase: str
    rate: float
    verdict: StepVerdict
    why: str
    achieved: float
    value: float | None
    hold: bool = False


@dataclass(frozen=True)
class SearchFound:
    """The result of a search.

    sustainable: the rate that held; None if none did. failed_at: the lowest failed rate above it.
    said: the result in sentences.
    """

    slo: tuple[str, ...]
    steps: tuple[Step, ...]
    sustainable: float | None
    failed_at: float | None
    said: str


@dataclass(frozen=True)
class LoadTest:
    """All results of a load test.

    plan: the planned phases, one line each. generator_per_s: the generator's rate with a null
    store.
    complete: every planned phase was run.
    """

    plan: tuple[str, ...]
    phases: tuple[PhaseSummary, ...] = ()
    sweep: SweepFound | None = None
    search: SearchFound | None = None
    limit: Limit | None = None
    generator_per_s: float | None = None
    notes: tuple[str, ...] = field(default=())
    complete: bool = True
