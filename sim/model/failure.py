"""When machines stand still: failures, repairs by a few crews, servicing, stops; and grid curtailment (SimPy).

One process per farm and cause, not one per turbine: the causes of a farm's turbines compete, so the next failure of the
farm is one exponential draw, and which turbine and what broke are two more. Repairs are processes of their own only
while they last. 1,500 turbines need milliseconds to set up and about a second for a year.

Rates follow WOMBAT's onshore defaults (some 3.7 repairs a turbine-year, minor to major about 8:1) with the short remote
resets that operating archives show on top. A run starts in the stationary state: some machines are down already.

Does not cover: parts and logistics, weather windows for crews, damage visible before a failure.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simpy

from pipeline.records import STATES
from sim import seeds
from sim.fleet.farm import Farm
from sim.model.clock import SimClock

HOUR, YEAR = 3600.0, 365.25 * 86_400.0
STOPPED, FAULT, MAINTENANCE = (STATES.index(name) for name in ("stopped", "fault", "maintenance"))
TURBINES_PER_CREW = 60

CURTAILMENT_EVERY_S = 60 * HOUR  # per farm
CURTAILMENT_S = 0.75 * HOUR
CURTAILED_TO = (0.3, 0.8)  # of rated power


@dataclass(frozen=True)
class Cause:
    """Why a machine stands still: how often a turbine-year, in which state, for how long (mean, s), and how long a crew
    travels first (mean, s); no crew is needed when `travel_s` is None."""

    name: str
    per_year: float
    state: int
    down_s: float
    travel_s: float | None


CAUSES = (
    Cause("remote reset", 18.0, FAULT, 0.4 * HOUR, None),
    Cause("operator stop", 6.0, STOPPED, 1.0 * HOUR, None),
    Cause("service", 2.0, MAINTENANCE, 5.0 * HOUR, 0.0),
    Cause("minor repair", 3.3, FAULT, 6.0 * HOUR, 8.0 * HOUR),
    Cause("major repair", 0.4, FAULT, 36.0 * HOUR, 24.0 * HOUR),
)
PER_YEAR = np.array([cause.per_year for cause in CAUSES])


class Outages:
    """The outages of one farm. `down` and `limits` are the log that `states` reads: (seconds, what from then on)."""

    def __init__(self, farm: Farm, clock: SimClock, seed: int) -> None:
        self.farm, self.clock = farm, clock
        self._draw = seeds.rng(seed, "failure", farm.farm_id)
        self._grid = seeds.rng(seed, "curtailment", farm.farm_id)
        self._now = np.zeros(farm.turbines, dtype=np.int8)
        self._log: list[tuple[float, int, int]] = []  # seconds, turbine, state (0: available again)
        self._limits: list[tuple[float, float]] = []  # seconds, share of rated power
        self._sampled = np.zeros(farm.turbines, dtype=np.int8)
        self._limit = 1.0

    def start(self, env: simpy.Environment) -> None:
        """Register the processes; outages that began before the run are in force from the first sample."""
        self._env = env
        self._claims = 0  # outages that wait for a crew or have one
        self._crews = simpy.Resource(env, capacity=math.ceil(self.farm.turbines / TURBINES_PER_CREW))
        share = PER_YEAR * [cause.down_s + (cause.travel_s or 0.0) for cause in CAUSES] / YEAR
        already = np.flatnonzero(self._draw.random(self.farm.turbines) < share.sum())
        causes = self._draw.choice(len(CAUSES), len(already), p=share / share.sum())
        for turbine, cause in zip(already.tolist(), (CAUSES[index] for index in causes), strict=True):
            if self._may_begin(cause):
                self._sampled[turbine] = self._now[turbine] = cause.state
                env.process(self._outage(turbine, cause, here=True))
        env.process(self._failures())
        env.process(self._curtailments())

    def states(self, first: int, last: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
        """(down (samples, turbines): 0 or a state's index; limit (samples,)) of the samples first..last-1.

        A change counts from the first sample after its time. Samples must be asked for once and in order.
        """
        down = np.repeat(self._sampled[None, :], last - first, axis=0)
        limit = np.full(last - first, self._limit)
        self._log = [change for change in self._log if not self._apply(change, first, last, down)]
        self._limits = [change for change in self._limits if not self._restrict(change, first, last, limit)]
        self._sampled, self._limit = down[-1].copy(), float(limit[-1])
        return down, limit

    def _apply(self, change: tuple[float, int, int], first: int, last: int, down: npt.NDArray[np.int8]) -> bool:
        seconds, turbine, state = change
        sample = self._sample(seconds)
        if sample < last:
            down[sample - first :, turbine] = state
        return sample < last

    def _restrict(self, change: tuple[float, float], first: int, last: int, limit: npt.NDArray[np.float64]) -> bool:
        sample = self._sample(change[0])
        if sample < last:
            limit[sample - first :] = change[1]
        return sample < last

    def _sample(self, seconds: float) -> int:
        return math.floor(seconds / self.clock.step_s) + 1

    def _set(self, turbine: int, state: int) -> None:
        self._now[turbine] = state
        self._log.append((self._env.now, turbine, state))

    def _failures(self) -> Generator[simpy.Event, None, None]:
        mean = YEAR / (self.farm.turbines * float(PER_YEAR.sum()))
        while True:
            yield self._env.timeout(self._draw.exponential(mean))
            turbine = int(self._draw.integers(self.farm.turbines))
            cause = CAUSES[self._draw.choice(len(CAUSES), p=PER_YEAR / PER_YEAR.sum())]
            if not self._now[turbine] and self._may_begin(cause):  # a machine that is down already cannot fail
                self._set(turbine, cause.state)
                self._env.process(self._outage(turbine, cause, here=False))

    def _may_begin(self, cause: Cause) -> bool:
        """Service is called off when no crew is free; all else happens. Counts the claims on crews."""
        if cause.state == MAINTENANCE and self._claims >= self._crews.capacity:
            return False
        self._claims += cause.travel_s is not None
        return True

    def _outage(self, turbine: int, cause: Cause, here: bool) -> Generator[simpy.Event, None, None]:
        """One machine's way back; `here`: the outage began before the run, the crew has travelled already."""
        duration = self._draw.exponential(cause.down_s)
        if cause.travel_s is None:
            yield self._env.timeout(duration)
        else:
            travel = self._draw.exponential(cause.travel_s) if cause.travel_s and not here else 0.0
            with self._crews.request() as crew:
                yield crew
                yield self._env.timeout(travel)
                self._set(turbine, MAINTENANCE)
                yield self._env.timeout(duration)
            self._claims -= 1
        self._set(turbine, 0)

    def _curtailments(self) -> Generator[simpy.Event, None, None]:
        while True:
            yield self._env.timeout(self._grid.exponential(CURTAILMENT_EVERY_S))
            self._limits.append((self._env.now, float(self._grid.uniform(*CURTAILED_TO))))
            yield self._env.timeout(self._grid.exponential(CURTAILMENT_S))
            self._limits.append((self._env.now, 1.0))
