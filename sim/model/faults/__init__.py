"""Faults of the data, injected on purpose: broken sensors; lost, late, doubled and poisoned rows; wrong clocks.

They are part of the data: the lake must show them (in quarantine, or as revised windows), whatever happens to delivery.

    catalogue   every kind: what it strikes, how long by default, which settings it takes
    poison      what may stand in a cell in place of a reading
    schedule    when each turbine is struck: a function of (seed, fault's place in the scenario, turbine or farm)
    inject      sensor faults change values; `sim.model.recording.recorder` carries out those of rows and clocks
    truth       what was really altered, row by row, as a table

Does not cover faults of delivery (`sim.chaos`), which the lake must not show.
"""

from sim.model.faults.catalogue import KINDS, DataFault, Kind
from sim.model.faults.occurrence import Occurrence
from sim.model.faults.inject import inject
from sim.model.faults.schedule import clock_changes, expected, schedule
from sim.model.faults.truth import TRUTH, truth

__all__ = [
    "KINDS",
    "TRUTH",
    "DataFault",
    "Occurrence",
    "Kind",
    "clock_changes",
    "expected",
    "inject",
    "schedule",
    "truth",
]
