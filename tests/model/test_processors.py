"""The rows of one seed on other processors: numpy, OpenBLAS and glibc choose kernels by the CPU.

Their results differ in the last bit. A row's values are rounded far above it, so the rows are the
same. Not covered: AVX-512, which a machine must have; a value within a bit of a rounding step.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys

import numpy as np
import simpy

from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.scenario import load
from tests.support.paths import ROOT

OLDER = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Prescott",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable",
}
"""The choice of an x86-64 of 2008. Others have no such kernels, and nothing changes."""


def kernels() -> str:
    """Return a digest of raw results of the kernels that the model uses."""
    x = np.linspace(-30.0, 30.0, 4001) + 1e-3
    functions = (np.exp, np.sin, np.cos, np.tanh, np.arctan, np.cbrt)
    found = [function(x) for function in functions] + [x[:64] @ x[:3968].reshape(64, -1)]
    return hashlib.sha256(b"".join(each.tobytes() for each in found)).hexdigest()


def rows() -> str:
    """Return a digest of half an hour of 16 turbines with every kind of fault of `small.yaml`."""
    scenario = load(ROOT / "scenarios" / "small.yaml")
    clock = SimClock(scenario.clock.start_us, scenario.clock.sample_us, scenario.clock.samples)
    found = hashlib.sha256()
    for farm in scenario.fleet.farms:
        model = FarmModel(
            FarmPart.whole(farm), clock, scenario.seed, scenario.data_faults, scenario.events
        )
        env = simpy.Environment()
        model.start(env)
        env.run(until=clock.seconds(clock.samples - 1))
        for column in model.block(0, clock.samples).columns.values():
            plain = column.dtype != object
            found.update(column.tobytes() if plain else repr(column.tolist()).encode())
    return found.hexdigest()


def test_rows_are_the_same_where_kernels_are_not() -> None:
    answer = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | OLDER | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    other_kernels, other_rows = answer.stdout.split()
    if platform.machine() == "x86_64":
        assert other_kernels != kernels(), "the variables have no effect: the test shows nothing"
    assert other_rows == rows()


if __name__ == "__main__":
    print(kernels(), rows())
