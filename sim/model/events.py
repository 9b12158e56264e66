"""Events that a scenario schedules: storm, icing, calm, failure, outage. Data, no behaviour.

A scenario's `events` add to the events that weather and chance bring. The weather reads `weather.*`
(`sim.model.wind.weather`), operations read the rest (`sim.model.maintenance.operations`). Each
event is a function of the scenario only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Kind:
    """One kind of event. `size`: (least, most, usual, unit) of its strength, None without one."""

    name: str
    size: tuple[float, float, float, str] | None
    text: str


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "weather.storm",
            (15.0, 50.0, 27.0, "m/s"),
            "wind rises to a peak of `size` at hub height, veering",
        ),
        Kind("weather.calm", (0.0, 10.0, 3.0, "m/s"), "high pressure: wind falls to about `size`"),
        Kind(
            "weather.icing",
            (-15.0, 0.0, -4.0, "degC"),
            "freezing fog: air at about `size`, saturated",
        ),
        Kind("machine.failure", None, "a component wears out and fails at the end of the event"),
        Kind("grid.outage", None, "the farm is off the grid"),
        Kind(
            "grid.curtailment",
            (0.0, 0.95, 0.4, "of rated"),
            "the operator limits the farm to `size`",
        ),
    )
}


@dataclass(frozen=True)
class Event:
    """One event, in seconds from the run's start.

    `farms`: empty for all. `turbines` and `component`: of machine.failure only. `size`: in the
    kind's unit.
    """

    kind: str
    from_s: float
    for_s: float
    farms: tuple[str, ...] = ()
    turbines: tuple[str, ...] = ()
    component: str | None = None
    size: float | None = None

    @property
    def strength(self) -> float:
        """`size`, or the kind's usual one."""
        usual = KINDS[self.kind].size
        if self.size is not None:
            return self.size
        return usual[2] if usual else 0.0
