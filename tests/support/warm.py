"""Weather and people of the tiny scenario, made at import: before processes are forked.

Each shard of a run asks for the hourly weather of five months, the weather of the day and Faker's
lists of names. All are functions of seed and place, and are remembered in a process (`weather`,
`assets`). They are a third of a tiny shard's CPU time.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path

import simpy

from sim.fleet.nodes import node_configs
from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.scenario import load
from tests.support import tiny_run

LATER = ("dateutil.relativedelta", "encodings.idna", "importlib.readers", "numpy.ma.extras")
"""Modules that a shard imports on its way."""


def _make() -> None:
    for name in LATER:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="wf-warm-") as folder:
        scenario = load(tiny_run.scenario(Path(folder)))
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    for farm in scenario.fleet.farms:
        node_configs(farm, scenario.seed)
        model = FarmModel(FarmPart.whole(farm), clock, scenario.seed)
        model.start(simpy.Environment())


_make()
