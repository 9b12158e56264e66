"""Operations of a farm (SimPy): failures, resets, crews, service, grid outages, curtailment.

    operations = Operations(farm, clock, seed, events)
    operations.start(env)
    while ...: env.run(until=clock.seconds(last - 1)); down, limit = operations.states(first, last)

Failures are drawn in advance (`failures`). Each has a SimPy process only during its repair.

- A reset is remote and is repeated if it fails; after the last attempt a crew goes to the machine.
- A repair starts when parts are there, a crew is free and on duty, and the wind allows the task
  (`repairs`, `crews`). Replacements need a crane or vessel.
- Each machine has service once a year, in the season of little wind.
- A grid outage stops a whole farm, and the grid's operator can limit its power (`grid`).

Operations have their own environment, in seconds since 1970: a farm's year is the same, to the last
bit, for every run. They begin WARM_UP_MONTHS before the month of the run's start, so the first
sample already has machines that are down, parts on their way and visible wear. (Runs with different
starts can differ in orders that waited longer than that for a crew.) A process of the run's
environment keeps them ahead of it by a day, or a page of samples.

Numbers without a source are ours.

Not covered: stock of spare parts, crews shared between farms, waves, condition-based repair before
a failure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import simpy

from pipeline.records import STATES
from sim import seeds
from sim.arrays import Floats
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.events import Event
from sim.model.machine.components import (
    COMPONENT_NAMES,
    COMPONENTS,
    MAJOR,
    MINOR,
    REPLACEMENT,
    RESET,
    SEVERITIES,
)
from sim.model.machine.wear import Damages, Wear
from sim.model.maintenance import crews, failures, grid
from sim.model.maintenance.failures import lognormal, month_of, month_s
from sim.model.maintenance.orders import orders_table, wear_table
from sim.model.maintenance.repairs import FAULT, Repairs
from sim.model.maintenance.season import service_season
from sim.model.maintenance.site import LIFT, NACELLE, OUTSIDE, site_of
from sim.model.wind.weather import Weather
from sim.units import DAY_S, HOUR_S, HOUR_US

Process = Generator[simpy.Event, None, None]

STOPPED = STATES.index("stopped")
WARM_UP_MONTHS: Final = 3
BEYOND_S: Final = 14 * DAY_S  # length of the calendar after the run's end

# until a reset, automatic or remote: median, spread of the logarithm
RESET_S: Final = (480.0, 1.2)
RESET_WORKS: Final = 0.8  # share of the resets
TRIPS_AGAIN_S: Final = 600.0  # mean
RUNS_ON: Final = 0.5  # share of minor failures with which the machine runs until a crew comes
PARTS_AT_HAND: Final = (1.0, 0.75, 0.25, 0.0)  # share, by severity
# wait for other parts, by severity: median, spread of the logarithm
PARTS_S: Final = ((0.0, 0.0), (1.5 * DAY_S, 0.6), (4.0 * DAY_S, 0.8), (16.0 * DAY_S, 0.6))
PARTS_LONGEST_S: Final = 75 * DAY_S
REPAIR_SPREAD: Final = 0.5  # of the logarithm of repair hours
SERVICE_WAY: Final = 0.5  # distance to the turbine: 0 the nearest, 1 the farthest
SERVICE_SPREAD: Final = 0.25  # of the logarithm of a machine's effort
RESTART_S: Final = 360.0  # mean delay after the grid is back


class Operations:
    """The operations of one farm over one run, as a part of its turbines has them.

    Crews, cranes and the grid are shared, so the whole farm is simulated for any part.

    `wind(first, count)`: hourly wind at hub height (m/s), by the hour since 1970; the farm's
    weather when absent. `repairs`: work on the machines, from the warm-up on.
    """

    def __init__(
        self,
        part: FarmPart,
        clock: SimClock,
        seed: int,
        events: Sequence[Event] = (),
        wind: Callable[[int, int], Floats] | None = None,
    ) -> None:
        farm = part.farm
        self.farm, self._part, self.clock = farm, part, clock
        self._seed, self._site = seed, site_of(farm)
        self._events = [event for event in events if not event.farms or farm.farm_id in event.farms]
        self._start_s, self._end_s = clock.start_us / 1e6, clock.end_us / 1e6
        self._ahead_s = max(DAY_S, clock.page * clock.step_s)
        first = month_of(self._start_s) - WARM_UP_MONTHS
        self._months = range(first, month_of(self._end_s + failures.LONGEST_WARNING_S) + 1)
        planned = range(first, month_of(self._end_s + 2 * self._ahead_s + BEYOND_S) + 1)
        edges = [int(month_s(number) // HOUR_S) for number in (*planned, planned[-1] + 1)]
        wind = wind or Weather(farm, seed, events, clock.start_us).hourly
        self._wind = np.concatenate([wind(begin, end - begin) for begin, end in pairwise(edges)])
        self._calendar = crews.calendar(farm.time_zone, self._site, edges[0], self._wind)
        self._world = simpy.Environment(initial_time=month_s(first))
        self.repairs = Repairs(self._world, part, clock, self._calendar, self._site)
        self._timeline = self.repairs.timeline
        quiet, quiet_to = grid.quiet_turbines(farm, seed, self._site)
        own = (quiet >= part.first) & (quiet < part.last)
        self._quiet, self._quiet_to = quiet[own] - part.first, quiet_to[own]
        self._damages = Damages(farm.turbines)
        self._worn: tuple[int, Wear] | None = None

    def start(self, env: simpy.Environment) -> None:
        """Simulate up to the run's start, and stay ahead of `env` from then on.

        The time of `env` is seconds since the start.
        """
        weights = failures.frailty(self._seed, self.farm.farm_id, self.farm.turbines)
        args = self._seed, self.farm.farm_id, self._site, weights
        drawn = failures.joined([failures.month(*args, number) for number in self._months])
        for i in np.flatnonzero(drawn.warning_s).tolist():
            at = float(drawn.at_s[i])
            turbine, component = int(drawn.turbine[i]), int(drawn.component[i])
            self._damages.begin(turbine, component, at - float(drawn.warning_s[i]), at)
        self._world.process(self._failures(drawn))
        self._world.process(self._services())
        self._world.process(self._stops())
        self._world.process(self._outages())
        self._world.process(self._curtailments())
        for event in self._events:
            self._begin_event(event)
        self._world.run(until=self._start_s + self._ahead_s)
        env.process(self._keep_ahead(env))

    def states(self, first: int, last: int) -> tuple[npt.NDArray[np.int8], Floats]:
        """(down, limit) of the samples first..last-1, (inner steps, turbines) each.

        down: 0 or a state's index. limit: share of rated power. A change counts from the first
        inner step that ends after it. Samples must be requested once and in order.
        """
        down, farm_limit = self._timeline.read(first, last)
        limit = np.repeat(farm_limit[:, None], self._part.turbines, axis=1)
        if len(self._quiet):
            hour = self.clock.inner_times_us(first, last) // HOUR_US - self._calendar.first_hour
            night = np.flatnonzero(grid.at_night(self._calendar.hour_of_day[hour]))
            limited = np.ix_(night, self._quiet)
            limit[limited] = np.minimum(limit[limited], self._quiet_to)
        return down, limit

    def wear(self, first: int, last: int) -> Wear:
        """Wear of the samples first..last-1, which lie in one page: that of the page.

        Raises ValueError for samples of several pages.
        """
        page = self.clock.page
        start = first - first % page
        if not start <= first < last <= start + page:
            raise ValueError(f"samples {first} to {last - 1} do not lie in one page of {page}")
        if self._worn is None or self._worn[0] != start:
            begin, end = (self._start_s + at * self.clock.step_s for at in (start, start + page))
            self._worn = start, self._damages.at(begin, end, self._part.own)
        return self._worn[1]

    def log(self) -> pa.Table:
        """Work orders that were open in the run, schema `orders.ORDERS`."""
        return orders_table(self._part, self.repairs.orders, self._start_s, self._end_s)

    def wear_log(self) -> pa.Table:
        """Intervals of visible wear in the run, schema `orders.WEAR`."""
        return wear_table(self._part, self._damages.log, self.clock)

    # --- time -------------------------------------------------------------------------------------

    def _keep_ahead(self, env: simpy.Environment) -> Process:
        """Stay ahead of `env`, so that at each sample its whole page can be requested."""
        while env.now < self._end_s - self._start_s:
            yield env.timeout(self._ahead_s)
            self._world.run(until=self._start_s + env.now + self._ahead_s)

    def _until(self, seconds: float) -> simpy.Event:
        return self._world.timeout(max(0.0, seconds - self._world.now))

    # --- failures ---------------------------------------------------------------------------------

    def _failures(self, drawn: failures.Failures) -> Process:
        repairs = self.repairs
        failed = np.stack([drawn.turbine, drawn.component, drawn.severity], axis=1).tolist()
        chance = zip(
            drawn.warning_s.tolist(), drawn.normal.tolist(), drawn.uniform.tolist(), strict=True
        )
        for at, (turbine, component, severity), (warning, normal, uniform) in zip(
            drawn.at_s.tolist(), failed, chance, strict=True
        ):
            # a reset without a crew that ends before the run leaves no trace in it
            forgotten = at < self._start_s - DAY_S and min(uniform[1:]) < RESET_WORKS
            if severity == RESET and forgotten:
                continue
            yield self._until(at)
            occupied = repairs.occupied(turbine)
            if severity == RESET:
                if not occupied and not self._timeline.off_grid(turbine):
                    self._world.process(self._trip(turbine, component, normal, uniform))
            elif severity > MINOR or warning or not occupied:
                self._world.process(self._break(turbine, component, severity, normal, uniform))

    def _trip(
        self, turbine: int, component: int, normal: list[float], uniform: list[float]
    ) -> Process:
        """Stop a machine and reset it remotely.

        A crew goes to a machine that keeps tripping.
        """
        repairs = self.repairs
        order = repairs.order(turbine, COMPONENT_NAMES[component], SEVERITIES[RESET])
        repairs.occupy(turbine)
        for luck, length in zip(uniform[1:], normal[1:], strict=True):
            repairs.set(turbine, FAULT)
            yield self._world.timeout(lognormal(*RESET_S, length))
            repairs.set(turbine, 0)
            if luck < RESET_WORKS:
                break
            yield self._world.timeout(-TRIPS_AGAIN_S * math.log((1.0 - luck) / (1.0 - RESET_WORKS)))
        else:
            repairs.set(turbine, FAULT)
            hours = COMPONENTS[component].hours[RESET] * lognormal(1.0, REPAIR_SPREAD, normal[0])
            yield from repairs.work(order, _task(component, RESET), hours, uniform[0])
        repairs.close(order)
        repairs.release(turbine)

    def _break(
        self, turbine: int, component: int, severity: int, normal: list[float], uniform: list[float]
    ) -> Process:
        """Break a component that crews have to repair.

        A machine that is down already breaks once it is back.
        """
        repairs, at = self.repairs, self._world.now
        while repairs.occupied(turbine):
            yield repairs.freed(turbine)
            if self._damages.repaired_since(turbine, component, at):
                return
        order = repairs.order(turbine, COMPONENT_NAMES[component], SEVERITIES[severity])
        runs = severity == MINOR and uniform[3] < RUNS_ON
        if not runs:
            repairs.occupy(turbine)
            repairs.set(turbine, FAULT)
        if uniform[1] >= PARTS_AT_HAND[severity]:
            order.parts_s = min(lognormal(*PARTS_S[severity], normal[1]), PARTS_LONGEST_S)
            yield self._world.timeout(order.parts_s)
        hours = COMPONENTS[component].hours[severity] * lognormal(1.0, REPAIR_SPREAD, normal[2])
        if severity == REPLACEMENT:
            hours *= self._site.lift_hours
        yield from repairs.work(order, _task(component, severity), hours, uniform[2], runs)
        repairs.close(order)
        self._damages.repair(turbine, component, self._world.now)
        if not runs:
            repairs.release(turbine)

    # --- service ----------------------------------------------------------------------------------

    def _services(self) -> Process:
        """Send service to each machine once a year, in the season of little wind."""
        begin, length = service_season(self.farm)
        for year in range(self._months[0] // 12 - 1, self._months[-1] // 12 + 1):
            draw = seeds.rng(self._seed, "service", self.farm.farm_id, year)
            order = draw.permutation(self.farm.turbines).tolist()
            effort = np.exp(SERVICE_SPREAD * draw.standard_normal(self.farm.turbines)).tolist()
            start = month_s(12 * year) + begin
            for place, turbine in enumerate(order):
                due = start + (place + 0.5) / self.farm.turbines * length
                if due >= self._world.now:
                    yield self._until(due)
                    self._world.process(
                        self._serve(turbine, self._site.service_h * effort[turbine])
                    )

    def _serve(self, turbine: int, hours: float) -> Process:
        order = self.repairs.order(turbine, "service", "service")
        yield from self.repairs.work(order, NACELLE, hours, SERVICE_WAY, runs=True)
        self.repairs.close(order)

    # --- grid and visitors ------------------------------------------------------------------------

    def _stops(self) -> Process:
        for number in self._months:
            args = self._seed, self.farm.farm_id, self.farm.turbines, self._site, number
            for at, turbine, length in grid.stops(*args):
                yield self._until(at)
                if self._calendar.at_work(at) and not self.repairs.occupied(turbine):
                    self._world.process(self._stop(turbine, length))

    def _stop(self, turbine: int, length: float) -> Process:
        repairs = self.repairs
        order = repairs.order(turbine, "operator", "stop")
        repairs.occupy(turbine)
        repairs.set(turbine, STOPPED)
        yield self._world.timeout(length)
        repairs.close(order)
        repairs.release(turbine)

    def _outages(self) -> Process:
        for number in self._months:
            for place, (at, length) in enumerate(
                grid.outages(self._seed, self.farm.farm_id, number)
            ):
                yield self._until(at)
                self._world.process(self._outage(length, f"{number}-{place}"))

    def _outage(self, length: float, name: str) -> Process:
        """Take the whole farm off the grid; machines come back one by one."""
        if any(self._timeline.off_grid(turbine) for turbine in range(self.farm.turbines)):
            return
        order = self.repairs.order(None, "grid", "outage")
        for turbine in range(self.farm.turbines):
            self._timeline.set_grid(self._world.now, turbine, STOPPED)
        yield self._world.timeout(length)
        self.repairs.close(order)
        delays = seeds.rng(self._seed, "restart", self.farm.farm_id, name).exponential(
            RESTART_S, self.farm.turbines
        )
        back = self._world.now + delays
        for turbine in np.argsort(back).tolist():
            yield self._until(float(back[turbine]))
            self._timeline.set_grid(self._world.now, turbine, 0)

    def _curtailments(self) -> Process:
        for number in self._months:
            for request in grid.curtailments(self._seed, self.farm.farm_id, number):
                yield self._until(request.at_s)
                hour = int(request.at_s // HOUR_S) - self._calendar.first_hour
                if hour < len(self._wind) and request.rank < grid.curtailed(self._wind[hour]):
                    self._world.process(self._curtail(request.steps))

    def _curtail(self, steps: Sequence[tuple[float, float]]) -> Process:
        order = self.repairs.order(None, "grid", "curtailment")
        for length, share in steps:
            self._timeline.limit(self._world.now, share)
            yield self._world.timeout(length)
            self._timeline.end_limit(self._world.now, share)
        self.repairs.close(order)

    # --- events -----------------------------------------------------------------------------------

    def _begin_event(self, event: Event) -> None:
        at = self._start_s + event.from_s
        if event.kind == "machine.failure" and event.component is not None:
            component = COMPONENT_NAMES.index(event.component)
            ids = self.farm.turbine_ids
            for turbine in (ids.index(name) for name in event.turbines if name in ids):
                self._damages.begin(turbine, component, at, at + event.for_s)
                self._world.process(self._fail_on_purpose(turbine, component, at + event.for_s))
        elif event.kind == "grid.outage":
            self._world.process(self._later(at, self._outage(event.for_s, f"event-{event.from_s}")))
        elif event.kind == "grid.curtailment":
            self._world.process(self._later(at, self._curtail([(event.for_s, event.strength)])))

    def _fail_on_purpose(self, turbine: int, component: int, at: float) -> Process:
        yield self._until(at)
        draw = seeds.rng(self._seed, "failure on purpose", self.farm.farm_id, turbine, component)
        yield from self._break(
            turbine, component, MAJOR, draw.standard_normal(4).tolist(), draw.random(4).tolist()
        )

    def _later(self, at: float, process: Process) -> Process:
        yield self._until(at)
        yield from process


def _task(component: int, severity: int) -> str:
    if severity == REPLACEMENT:
        return LIFT
    return OUTSIDE if COMPONENTS[component].outside else NACELLE
