"""Machines that are out of service, and the crews that bring them back: one work order after the other (SimPy).

A crew comes when somebody is on duty, the wind allows the task for some hours (`crews`), and it is free: repairs first,
the oldest first. It works until the window closes, and comes again. A machine that cannot run waits in `fault` between
visits; one that can (service, small repairs) runs, and is left alone while something else has stopped it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import simpy

from pipeline.records import STATES
from sim.fleet.farm import Farm
from sim.model.clock import SimClock
from sim.model.maintenance import crews
from sim.model.maintenance.crews import Calendar
from sim.model.maintenance.orders import Order
from sim.model.maintenance.timeline import Timeline
from sim.units import HOUR_S

Process = Generator[simpy.Event, None, None]
FAULT, MAINTENANCE = STATES.index("fault"), STATES.index("maintenance")
SERVICE_LAST: Final = 2**40


class Maintenance:
    """The maintenance of one farm; `world` counts in seconds since 1970."""

    def __init__(
        self,
        world: simpy.Environment,
        farm: Farm,
        clock: SimClock,
        calendar: Calendar,
        offshore: bool,
    ) -> None:
        self.timeline = Timeline(clock, farm.turbines)
        self.orders: list[Order] = []
        self._world, self._calendar = world, calendar
        self._travel_h = crews.TRAVEL_H[offshore]
        self._crews = simpy.PriorityResource(world, crews.crews(farm.turbines, offshore))
        self._cranes = simpy.PriorityResource(world, crews.cranes(farm.turbines, offshore))
        self._held: dict[
            int, simpy.Event
        ] = {}  # machines that are somebody's business: what tells the end of it

    def order(self, turbine: int | None, cause: str, work: str) -> Order:
        """Open a work order, now."""
        order = Order(turbine, cause, work, self._world.now)
        self.orders.append(order)
        return order

    def close(self, order: Order) -> None:
        """Note that the work is done, now."""
        order.returned_s = self._world.now

    def held(self, turbine: int) -> bool:
        """Whether the machine is somebody's business already."""
        return turbine in self._held

    def free(self, turbine: int) -> simpy.Event:
        """What tells that a held machine is free."""
        return self._held[turbine]

    def hold(self, turbine: int) -> None:
        """Keep others from the machine."""
        self._held[turbine] = self._world.event()

    def release(self, turbine: int) -> None:
        """The machine is ready to run, and free."""
        self.set(turbine, 0)
        self._held.pop(turbine).succeed()

    def set(self, turbine: int, state: int) -> None:
        """The machine's own state from now on."""
        self.timeline.set(self._world.now, turbine, state)

    def work(
        self, order: Order, task: str, hours: float, way: float, runs: bool = False
    ) -> Process:
        """Crews come until `hours` of work are done. `way`: 0..1, from the nearest to the farthest turbine; `runs`: the
        machine does between visits, and is held here; else the caller holds it."""
        turbine, left_s = order.turbine, hours * HOUR_S
        if turbine is None:
            raise ValueError(f"work order {order} names no turbine")
        pool = self._cranes if task == crews.LIFT else self._crews
        travel_s = (self._travel_h[0] + way * (self._travel_h[1] - self._travel_h[0])) * HOUR_S
        while left_s > 0:
            yield self._window(task)
            with pool.request(
                priority=SERVICE_LAST if order.work == "service" else int(order.failed_s)
            ) as crew:
                yield crew
                end = self._open_until(task)  # it may have taken too long until a crew was free
                if end is not None and not (runs and self.held(turbine)):
                    if runs:
                        self.hold(turbine)
                    yield self._world.timeout(travel_s)
                    spell_s = min(left_s, end - self._world.now)
                    order.visits.append((self._world.now, self._world.now + spell_s))
                    self.set(turbine, MAINTENANCE)
                    yield self._world.timeout(spell_s)
                    left_s -= spell_s
                    if runs:
                        self.release(turbine)
                    else:
                        self.set(turbine, FAULT)
            if runs and self.held(turbine):
                yield self.free(turbine)

    def _window(self, task: str) -> simpy.Event:
        """What happens when the task can be begun; never, behind the end of the calendar."""
        window = self._calendar.window(self._world.now, task)
        return (
            self._world.event()
            if window is None
            else self._world.timeout(window[0] - self._world.now)
        )

    def _open_until(self, task: str) -> float | None:
        """When the window that is open now closes; None when there is none."""
        window = self._calendar.window(self._world.now, task)
        return window[1] if window is not None and window[0] <= self._world.now else None
