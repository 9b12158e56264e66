"""The largest rate a store sustains under an SLO: bracketed, bisected, then held. On open phases of constant rate.

    bracket    from a guess (or the lowest rate) up by FACTOR until a rate fails, or down until one passes
    bisect     at the geometric middle, until the bracket is within the wanted share
    hold       the best rate that passed, for long; if that fails, a step down and again, HOLDS times at most

A rate passes when every SLO holds, what was offered was achieved (`bottleneck.kept_up`), and what waits at the end is
no more than the users can have under way. One try that is close to an edge decides nothing: it is repeated, TRIES in
all, and the majority counts. A try with too few requests for its percentile or with a lost worker, and one that failed
while the generator itself was late, is unknown: it has no vote, and is repeated. A rate is tried for as long as its
rarest percentile needs (SAMPLES behind it), within STRETCH times the wanted length.

A queue grows slowly just above what a store can do, so a short try passes a few percent too much; the hold is what
counts. What a machine does beside moves the answer itself from one hour to the next; no procedure can mend that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sim.load.analysis.figures import of, part
from sim.load.phase import Arrivals, Engine, Phase, PhaseRecord
from sim.load_schedule import Search
from sim.measure import bottleneck, requests
from sim.measure.bottleneck import KEPT_UP
from sim.measure.loadtest import SearchFound, Step, StepVerdict
from sim.measure.thresholds import Expectation, evaluate

FACTOR: Final = 1.6
HOLDS: Final = 4
TRIES: Final = 3
STEPS_MAX: Final = 40
SAMPLES: Final = 5
STRETCH: Final = 6.0
NEAR: Final = 0.15
"""An SLO's figure within this share of its limit, or a rate achieved within a tenth of it of KEPT_UP, is close."""


class OutOfTime(Exception):
    """The test's time does not allow another try."""


@dataclass
class Searcher:
    """One search. `arrivals(rate, seconds, name)` makes a schedule; `left_s`: time the test still has.

    `own_late`: why the generator was late by its own doing in a phase, None when it was not.
    """

    engine: Engine
    search: Search
    warm_up_s: float
    users: int
    stop_when: tuple[Expectation, ...]
    arrivals: Callable[[float, float, str], Arrivals]
    left_s: Callable[[], float]
    own_late: Callable[[PhaseRecord], str | None]
    tell: Callable[[PhaseRecord, bool], None]
    steps: list[Step] = field(default_factory=list)
    held: PhaseRecord | None = None

    def run(self, guess: float | None = None) -> SearchFound:
        """Search; `guess`: a rate to begin with, from a sweep say. Raises what the engine raises."""
        low = high = best = None
        try:
            low, high = self._bracket(guess)
            while low is not None and high is not None and high > low * (1 + self.search.within):
                middle = math.sqrt(low * high)
                if self._passes(middle):
                    low = middle
                else:
                    high = middle
            best = self._hold(low)
            said = self._said(low, best)
        except OutOfTime:
            said = f"The search ran out of time (load.limits.time) after {len(self.steps)} tries; nothing was confirmed."
        texts = tuple(slo.text for slo in self.search.slo)
        return SearchFound(texts, tuple(self.steps), best, self._failed_above(best), said)

    def _bracket(self, guess: float | None) -> tuple[float | None, float | None]:
        """(a rate that passes, one that does not); None for one that is not to be had between from and to."""
        rate = min(
            max(guess or self.search.from_per_s, self.search.from_per_s), self.search.to_per_s
        )
        up = self._passes(rate)
        while True:
            edge = self.search.to_per_s if up else self.search.from_per_s
            if rate == edge:
                return (rate, None) if up else (None, rate)
            tried = min(rate * FACTOR, edge) if up else max(rate / FACTOR, edge)
            if self._passes(tried) != up:
                return (rate, tried) if up else (tried, rate)
            rate = tried

    def _hold(self, rate: float | None) -> float | None:
        """The rate that held: the one given, or a few steps below it."""
        for _ in range(HOLDS if rate is not None else 0):
            assert rate is not None
            step, record = self._try(rate, self.search.hold_s, hold=True)
            if step.verdict == "pass":
                self.held = record
                return rate
            rate = max(rate * (1 - self.search.within), self.search.from_per_s)
        return None

    def _passes(self, rate: float) -> bool:
        """The majority of up to TRIES tries; one that is clear counts for all."""
        votes = 0
        for tried in range(1, TRIES + 1):
            step, record = self._try(rate, self.search.each_s, hold=False)
            votes += {"pass": 1, "fail": -1, "unknown": 0}[step.verdict]
            if abs(votes) > TRIES - tried or (
                step.verdict != "unknown" and not self._close(record)
            ):
                break
        return votes > 0

    def _try(self, rate: float, length_s: float, hold: bool) -> tuple[Step, PhaseRecord]:
        wanted_s = self.warm_up_s + max((_needed(slo) for slo in self.search.slo), default=0) / rate
        length_s = max(length_s, min(wanted_s, STRETCH * self.search.each_s))
        if len(self.steps) >= STEPS_MAX or self.left_s() < length_s:
            raise OutOfTime
        name = f"search-{len(self.steps) + 1}{'-hold' if hold else ''}"
        arrivals = self.arrivals(rate, length_s, name)
        phase = Phase(name, arrivals, None, length_s, self.warm_up_s, self.stop_when)
        record = self.engine.run(phase)
        step = judge(record, rate, self.search.slo, self.users, hold)
        if step.verdict == "fail" and (late := self.own_late(record)) is not None:
            step = replace(step, verdict="unknown", why=late)
        self.steps.append(step)
        self.tell(record, hold)
        return step, record

    def _close(self, record: PhaseRecord) -> bool:
        """Whether another try at this rate might well come out otherwise."""
        found = of([record])
        kept = found["load.achieved_per_s"] / max(found["load.offered_per_s"], 1e-9)
        ratios = [
            found[slo.figure] / slo.value
            for slo in self.search.slo
            if slo.figure in found and slo.value
        ]
        return abs(kept - KEPT_UP) < NEAR / 10 or any(abs(ratio - 1) < NEAR for ratio in ratios)

    def _failed_above(self, rate: float | None) -> float | None:
        rates = (
            step.rate for step in self.steps if step.verdict != "pass" and step.rate > (rate or 0.0)
        )
        return min(rates, default=None)

    def _said(self, low: float | None, best: float | None) -> str:
        if low is None:
            return f"Not even {self.search.from_per_s:g} requests/s keep the SLO."
        if best is None:
            return f"{low:,.1f} requests/s passed a short try, but no rate held for {self.search.hold_s:g} s."
        said = f"{best:,.1f} requests/s keep the SLO, held for {self.search.hold_s:g} s."
        if (failed := self._failed_above(best)) is None:
            return f"{said} That is the highest rate that was to be tried: the store may take more."
        return f"{said} {failed:,.1f} did not pass."


def judge(
    record: PhaseRecord, rate: float, slo: Sequence[Expectation], users: int, hold: bool = False
) -> Step:
    """One try. More waiting at its end than `users` can have under way means that the queue grows."""
    found = of([record])
    offered, achieved = found["load.offered_per_s"], found["load.achieved_per_s"]
    value = found.get(slo[0].figure) if slo else None

    def step(verdict: StepVerdict, why: str) -> Step:
        return Step(record.phase.name, rate, verdict, why, achieved, value, hold)

    if record.lost_workers:
        return step("unknown", f"{record.lost_workers} of the generator's processes died")
    if record.stopped_early:
        return step("fail", f"stopped early: {record.stopped_early}")
    for outcome in evaluate(slo, found):
        if outcome.passed is False:
            return step("fail", f"not met: {outcome.text}")
    if not bottleneck.kept_up(found, part(record).length_s):
        return step("fail", f"achieved {achieved:,.1f} of {offered:,.1f} requests/s")
    if (waiting := found["load.backlog.end"]) > users:
        return step("fail", f"{waiting:,.0f} requests waited at the end")
    if found["load.not_made"]:
        return step("fail", f"{found['load.not_made']:,.0f} requests were never made")
    for wanted in slo:
        kind = wanted.figure.split(".")[1]
        if (
            count := requests.samples([part(record)], kind if kind in requests.KINDS else None)
        ) < _needed(wanted):
            return step("unknown", f"{count} requests are too few for {wanted.figure}")
    return step("pass", "every SLO met, and the rate achieved")


def _needed(slo: Expectation) -> int:
    """Requests that leave SAMPLES behind the percentile."""
    rank = requests.RANKS.get(slo.figure.rpartition(".")[2], 0.5)
    return math.ceil(SAMPLES / (1 - rank))
