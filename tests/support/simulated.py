"""Farms of the built-in fleet, simulated by themselves: no node files, no pipeline."""

from itertools import pairwise

import numpy as np
import simpy

from sim.fleet import Farm, load_fleet
from sim.fleet.part import FarmPart
from sim.model.farm import FarmModel

START_US = 1_705_276_800_000_000  # 2024-01-15T00:00:00Z
FLEET = {farm.farm_id: farm for farm in load_fleet().farms}


def small(farm_id: str, turbines: int) -> Farm:
    """Return the first turbines of a farm of the fleet."""
    farm = FLEET[farm_id]
    return farm.first(turbines)


def run(farm, clock, seed=7, faults=(), cuts=(), env=None):
    """Return (model, columns of the run sorted by (turbine, id)), made in blocks up to `cuts`."""
    env = env or simpy.Environment()
    model = FarmModel(FarmPart.whole(farm), clock, seed, faults)
    model.start(env)
    parts = []
    for first, last in pairwise((0, *cuts, clock.samples)):
        if (until := clock.seconds(last - 1)) > env.now:
            env.run(until=until)
        block = model.block(first, last)
        assert block.rows == len(block.columns["id"])
        for turbine in range(farm.turbines):
            assert (
                block.columns["turbine"][block.offsets[turbine] : block.offsets[turbine + 1]]
                == turbine
            ).all()
        parts.append(block.columns)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((columns["id"], columns["turbine"]))
    return model, {name: column[order] for name, column in columns.items()}
