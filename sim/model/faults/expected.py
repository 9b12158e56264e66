"""The expected number of a data fault. Light, so that `windfleet check` can show it."""

from __future__ import annotations

from sim.fleet.farm import Farm
from sim.model.faults.catalogue import KINDS, DataFault
from sim.model.faults.clock_changes import clock_changes
from sim.units import DAY_US


def expected(farm: Farm, start_us: int, end_us: int, fault: DataFault) -> float:
    """Expected number of occurrences of a fault at one farm, one for each affected turbine."""
    if fault.farms and farm.farm_id not in fault.farms:
        return 0.0
    if KINDS[fault.kind].by_calendar:
        return len(clock_changes(farm.time_zone, start_us, end_us)) * fault.share * farm.turbines
    return fault.rate_per_day * (end_us - start_us) / DAY_US * farm.turbines
