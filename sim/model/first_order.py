"""First-order memory, vectorised over the columns: the one loop over time that the models share.

Each step is computed element by element, so the result does not depend on how a series is cut into
calls.
"""

from __future__ import annotations

import math

import numpy as np

from sim.arrays import Floats


def blend(step_s: float, memory_s: float) -> float:
    """Share of the distance to the target that a first-order lag covers in one step.

    `memory_s`: its time constant.
    """
    return -math.expm1(-step_s / memory_s)


def autoregress(white: Floats, state: Floats, keep: Floats) -> Floats:
    """Apply AR(1) in place: x[t] = keep * x[t-1] + white[t]. Returns the last x.

    `white` (steps, columns) becomes x. `keep` is (columns,), or (steps, columns) for a memory that
    changes.
    """
    carried = np.empty_like(state)
    for row, kept in zip(white, np.broadcast_to(keep, white.shape), strict=True):
        np.multiply(state, kept, out=carried)
        row += carried
        state = row
    return state.copy()


def lag(target: Floats, state: Floats, move: Floats) -> Floats:
    """Apply a first-order lag in place: x[t] = x[t-1] + move * (target[t] - x[t-1]).

    `target` becomes x. Returns the last x.
    """
    target *= move
    return autoregress(target, state, 1.0 - move)
