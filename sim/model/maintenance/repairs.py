"""Repairs: crews carry out work orders and bring machines back into service (SimPy).

A crew comes when it is on duty, the wind allows the task for some hours (`crews`), and it is free.
Repairs come before service, the oldest first. The crew works until its window closes, and comes
again in the next one. Between visits a machine that cannot run waits in `fault`. A machine that can
run (service, small repairs) runs between visits. A crew does not start on it while another process
has stopped it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import simpy

from pipeline.records import STATES
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.maintenance import crews
from sim.model.maintenance.crews import Calendar
from sim.model.maintenance.orders import Order
from sim.model.maintenance.site import LIFT, Site
from sim.model.maintenance.timeline import Timeline
from sim.units import HOUR_S

Process = Generator[simpy.Event, None, None]
FAULT, MAINTENANCE = STATES.index("fault"), STATES.index("maintenance")
SERVICE_LAST: Final = 2**40
"""Priority of service: later than any repair, whose priority is its time in seconds since 1970."""


class Repairs:
    """The work on one farm's machines; `world` counts in seconds since 1970.

    A process that stops a machine occupies it until it releases it. Others wait for that.
    """

    def __init__(
        self,
        world: simpy.Environment,
        part: FarmPart,
        clock: SimClock,
        calendar: Calendar,
        site: Site,
    ) -> None:
        farm = part.farm
        self.timeline = Timeline(clock, part)
        self.orders: list[Order] = []
        self._world, self._calendar = world, calendar
        self._travel_h = site.travel_h
        self._crews = simpy.PriorityResource(world, crews.crew_count(farm.turbines, site))
        self._cranes = simpy.PriorityResource(world, crews.crane_count(farm.turbines, site))
        self._occupied: dict[int, simpy.Event] = {}  # by turbine: succeeds at its release

    def order(self, turbine: int | None, cause: str, work: str) -> Order:
        """Open a work order, now."""
        order = Order(turbine, cause, work, self._world.now)
        self.orders.append(order)
        return order

    def close(self, order: Order) -> None:
        """Note that the work is done, now."""
        order.returned_s = self._world.now

    def occupied(self, turbine: int) -> bool:
        """Return True if a process occupies the machine."""
        return turbine in self._occupied

    def freed(self, turbine: int) -> simpy.Event:
        """The event that succeeds when an occupied machine is released."""
        return self._occupied[turbine]

    def occupy(self, turbine: int) -> None:
        """Keep other processes from the machine."""
        self._occupied[turbine] = self._world.event()

    def release(self, turbine: int) -> None:
        """Make the machine ready to run, and free for other processes."""
        self.set(turbine, 0)
        self._occupied.pop(turbine).succeed()

    def set(self, turbine: int, state: int) -> None:
        """Set the machine's own state from now on."""
        self.timeline.set(self._world.now, turbine, state)

    def work(
        self, order: Order, task: str, hours: float, way: float, runs: bool = False
    ) -> Process:
        """Send crews until `hours` of work are done.

        `way`: 0..1, from the nearest to the farthest turbine. `runs`: the machine runs between
        visits and is occupied here; otherwise the caller occupies it. Raises ValueError when the
        order names no turbine.
        """
        turbine, left_s = order.turbine, hours * HOUR_S
        if turbine is None:
            raise ValueError(f"work order {order} names no turbine")
        pool = self._cranes if task == LIFT else self._crews
        travel_s = (self._travel_h[0] + way * (self._travel_h[1] - self._travel_h[0])) * HOUR_S
        while left_s > 0:
            yield self._window(task)
            with pool.request(
                priority=SERVICE_LAST if order.work == "service" else int(order.failed_s)
            ) as crew:
                yield crew
                end = self._open_until(task)  # the window may have closed before a crew was free
                if end is not None and not (runs and self.occupied(turbine)):
                    if runs:
                        self.occupy(turbine)
                    yield self._world.timeout(travel_s)
                    visit_s = min(left_s, end - self._world.now)
                    order.visits.append((self._world.now, self._world.now + visit_s))
                    self.set(turbine, MAINTENANCE)
                    yield self._world.timeout(visit_s)
                    left_s -= visit_s
                    if runs:
                        self.release(turbine)
                    else:
                        self.set(turbine, FAULT)
            if runs and self.occupied(turbine):
                yield self.freed(turbine)

    def _window(self, task: str) -> simpy.Event:
        """The event of the next start of a window for the task; never after the calendar's end."""
        window = self._calendar.window(self._world.now, task)
        return (
            self._world.event()
            if window is None
            else self._world.timeout(window[0] - self._world.now)
        )

    def _open_until(self, task: str) -> float | None:
        """The end of the window that is open now, None when there is none."""
        window = self._calendar.window(self._world.now, task)
        return window[1] if window is not None and window[0] <= self._world.now else None
