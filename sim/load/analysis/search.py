"""The search for the largest rate that a store sustains under an SLO.

Each try is an open phase of constant rate.

    bracket  from a guess (or the lowest rate), up by FACTOR to a failure or down to a pass
    bisect   at the geometric middle, until the bracket is within the wanted share
    hold     the best rate that passed, for longer; after a failure a step lower, up to HOLDS times

A rate passes when every SLO holds, the offered rate was achieved (`bottleneck.kept_up`), and the
backlog at the end is at most the number of users.

- A try close to a limit decides nothing. It is repeated, up to TRIES in all, and the majority
  counts.
- A try is unknown if it has too few requests for its percentile, a lost worker, or a failure while
  the generator itself was late. It has no vote and is repeated.
- A try lasts as long as its rarest percentile needs (SAMPLES requests beyond it), but at most
  STRETCH times the wanted length.

Just above a store's capacity the queue grows slowly, so a short try passes rates that are a few
percent too high. The hold decides. Other work on the machine moves the true rate from one hour to
the next, and no procedure can prevent that.
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
from sim.measure.request_kinds import KINDS
from sim.measure.thresholds import Expectation, evaluate

FACTOR: Final = 1.6
HOLDS: Final = 4
TRIES: Final = 3
STEPS_MAX: Final = 40
SAMPLES: Final = 5
STRETCH: Final = 6.0
NEAR: Final = 0.15
"""A figure this close to its SLO is close to the limit, as a share of the SLO.

So is an achieved share of the rate that is within NEAR / 10 of KEPT_UP.
"""


class OutOfTime(Exception):
    """The test has no time, or the search no steps, for another try."""


@dataclass
class Searcher:
    """One search.

    arrivals: called with (rate, seconds, name), makes a schedule.
    left_s: returns the time that the test has left, in seconds.
    own_late: returns a message if the generator itself was late in a phase, else None.
    keep: called with the record of each try, and True if it is a hold.
    hold_record: the record of the hold that passed.
    """

    engine: Engine
    search: Search
    warm_up_s: float
    users: int
    stop_when: tuple[Expectation, ...]
    arrivals: Callable[[float, float, str], Arrivals]
    left_s: Callable[[], float]
    own_late: Callable[[PhaseRecord], str | None]
    keep: Callable[[PhaseRecord, bool], None]
    steps: list[Step] = field(default_factory=list)
    hold_record: PhaseRecord | None = None

    def run(self, guess: float | None = None) -> SearchFound:
        """Search. guess: a first rate, for example from a sweep. Raises the engine's errors."""
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
            conclusion = self._conclusion(low, best)
        except OutOfTime:
            conclusion = (
                f"The search ran out of time (load.limits.time) after {len(self.steps)} tries; "
                "no rate was confirmed."
            )
        texts = tuple(slo.text for slo in self.search.slo)
        return SearchFound(texts, tuple(self.steps), best, self._failed_above(best), conclusion)

    def _bracket(self, guess: float | None) -> tuple[float | None, float | None]:
        """Return a rate that passes and one that does not. None if there is none in the range."""
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
        """Return the rate that passed a hold: the given one, or one a few steps below it."""
        for _ in range(HOLDS if rate is not None else 0):
            assert rate is not None
            step, record = self._try(rate, self.search.hold_s, hold=True)
            if step.verdict == "pass":
                self.hold_record = record
                return rate
            rate = max(rate * (1 - self.search.within), self.search.from_per_s)
        return None

    def _passes(self, rate: float) -> bool:
        """Return True if most of up to TRIES tries pass. A clear one decides at once."""
        votes = 0
        for tried in range(1, TRIES + 1):
            step, record = self._try(rate, self.search.each_s, hold=False)
            votes += {"pass": 1, "fail": -1, "unknown": 0}[step.verdict]
            clear = step.verdict != "unknown" and not self._close(record)
            if clear or abs(votes) > TRIES - tried:
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
        self.keep(record, hold)
        return step, record

    def _close(self, record: PhaseRecord) -> bool:
        """Return True if another try at this rate could easily have another result."""
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

    def _conclusion(self, low: float | None, best: float | None) -> str:
        hold_s = self.search.hold_s
        if low is None:
            return f"Not even {self.search.from_per_s:g} requests/s keep the SLO."
        if best is None:
            return f"{low:,.1f} requests/s passed a short try, but no rate held for {hold_s:g} s."
        text = f"{best:,.1f} requests/s keep the SLO, held for {hold_s:g} s."
        if (failed := self._failed_above(best)) is None:
            return f"{text} That is the highest rate of the search: the store may take more."
        return f"{text} {failed:,.1f} did not pass."


def judge(
    record: PhaseRecord, rate: float, slo: Sequence[Expectation], users: int, hold: bool = False
) -> Step:
    """Return one try with its verdict. A final backlog of more than `users` fails: it grows."""
    found = of([record])
    offered, achieved = found["load.offered_per_s"], found["load.achieved_per_s"]
    value = found.get(slo[0].figure) if slo else None

    def step(verdict: StepVerdict, reason: str) -> Step:
        return Step(record.phase.name, rate, verdict, reason, achieved, value, hold)

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
        count = requests.samples([part(record)], kind if kind in KINDS else None)
        if count < _needed(wanted):
            return step("unknown", f"{count} requests are too few for {wanted.figure}")
    return step("pass", "every SLO met, and the rate achieved")


def _needed(slo: Expectation) -> int:
    """Return the number of requests that puts SAMPLES beyond the percentile."""
    rank = requests.RANKS.get(slo.figure.rpartition(".")[2], 0.5)
    return math.ceil(SAMPLES / (1 - rank))
