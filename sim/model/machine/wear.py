"""Visible wear: damage of each component of each turbine before it fails, 0 (sound) to 1.

Damage with symptoms begins a warning time before the failure. It grows with the square of the time
since then: slowly at first, like the P-F curve of condition monitoring (J. Moubray,
"Reliability-centred Maintenance", 2nd ed. 1997, ch. 7). At the failure it is 1, and stays there
until the repair. Its effects are in `vibration`, `thermal` and `turbine`.

Wear is constant over a page of samples, so it does not depend on how a run is cut into blocks. It
is the wear at the start of the page, or 0 if the component is repaired before the page ends.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sim.arrays import Floats
from sim.model.machine.components import COMPONENT_NAMES


@dataclass(frozen=True)
class Wear:
    """Wear of the components whose damage is visible, (turbines,) arrays, 0..1."""

    main_bearing: Floats
    gearbox: Floats
    generator: Floats
    pitch: Floats
    yaw: Floats
    rotor: Floats
    cooling: Floats
    converter: Floats
    transformer: Floats


WORN = tuple(COMPONENT_NAMES.index(field.name) for field in fields(Wear))


@dataclass
class Damage:
    """One component of one turbine on its way to a failure; seconds since 1970."""

    turbine: int
    component: int
    from_s: float
    fails_s: float
    repaired_s: float = np.inf


class Damages:
    """All visible damage of a farm, past and future."""

    def __init__(self, turbines: int) -> None:
        self._turbines = turbines
        self.log: list[Damage] = []
        self._of: dict[tuple[int, int], list[Damage]] = {}  # by turbine and component
        self._repaired: dict[tuple[int, int], float] = {}
        self._columns: tuple[Floats, ...] | None = None

    def begin(self, turbine: int, component: int, from_s: float, fails_s: float) -> None:
        """Note damage that leads to a failure."""
        damage = Damage(turbine, component, from_s, fails_s)
        self.log.append(damage)
        self._of.setdefault((turbine, component), []).append(damage)
        self._columns = None

    def repair(self, turbine: int, component: int, now_s: float) -> None:
        """Note that a component is new now. Damage that leads to a later failure begins again."""
        self._repaired[turbine, component] = now_s
        for damage in tuple(self._of.get((turbine, component), ())):
            if damage.from_s < now_s < damage.repaired_s:
                damage.repaired_s = now_s
                self._columns = None
                if damage.fails_s > now_s:
                    self.begin(turbine, component, now_s, damage.fails_s)

    def repaired_since(self, turbine: int, component: int, since_s: float) -> bool:
        """Return True if the component was repaired after a time."""
        return self._repaired.get((turbine, component), -np.inf) > since_s

    def at(self, start_s: float, end_s: float, own: slice) -> Wear:
        """Wear of a part's turbines (`own`) over a page from `start_s` to `end_s`."""
        out = np.zeros((len(COMPONENT_NAMES), self._turbines))
        if self.log:
            if self._columns is None:
                self._columns = tuple(
                    np.array([tuple(vars(damage).values()) for damage in self.log]).T
                )
            turbine, component, begin, fails, repaired = self._columns
            on = np.flatnonzero((begin < start_s) & (repaired >= end_s))
            gone = (
                np.minimum((start_s - begin[on]) / np.maximum(fails[on] - begin[on], 1.0), 1.0) ** 2
            )
            np.maximum.at(out, (component[on].astype(np.int64), turbine[on].astype(np.int64)), gone)
        return Wear(*out[list(WORN), own])
