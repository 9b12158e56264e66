"""Figures by turbine and step: a grid of turbines x steps that fits the page.

A step is a window, or several where the windows would be more than the page may hold.

    rows, available     rows, and rows in an available state
    power, wind, vibration   means of the rows: MW, m/s, mm/s
    promised, unjudged  means over the rows, MW: promise of the power curve; power of the windows
                        without a promise. So efficiency is (power - unjudged) / promised
    state               last operating state, its place in STATES
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import STATES
from sim.arrays import Floats, Ints
from sim.dashboard.columns import Column, column
from sim.dashboard.views import Views

MOST_CELLS: Final = 450_000
"""Turbines x steps: about 4 MB of page at 6 bytes each, in base64."""
FACTORS: Final = (1, 2, 3, 6, 12, 18, 24, 36, 72, 144, 288, 432, 1008, 4032)
"""Windows per step: of ten minutes they make hours and days."""


@dataclass(frozen=True)
class Grid:
    """Steps of the page. Unit: microseconds; `step_us` is a multiple of the window."""

    origin_us: int
    step_us: int
    steps: int


def grid(extent: dict[str, int], most_cells: int = MOST_CELLS) -> Grid:
    """Return the finest steps of which the page can hold one per turbine."""
    window = extent["window_us"]
    for factor in FACTORS:
        step = window * factor
        origin = extent["first_us"] // step * step
        steps = (extent["last_us"] - origin) // step + 1
        if steps * extent["units"] <= most_cells:
            break
    return Grid(origin, step, steps)


def series(views: Views, shape: Grid, units: Sequence[tuple[str, str]]) -> dict[str, Column]:
    """Return the columns of the grid, shape (units, steps). `units`: (farm, turbine)."""
    numbers = {"origin_us": shape.origin_us, "step_us": shape.step_us}
    samples = views.rows("samples", numbers)
    at = _cells(samples, shape, units)
    filled = _Filled(len(units), shape.steps)
    rows = filled.of(at, samples, "row_count")
    power = filled.of(at, samples, "power")
    places = pc.index_in(samples.column("state"), pa.array(STATES))
    samples = samples.set_column(samples.column_names.index("state"), "state", places)
    promises = views.rows("promises", numbers)
    where = _cells(promises, shape, units)
    with np.errstate(invalid="ignore"):
        produced = filled.of(where, promises, "produced") / rows
        promised = filled.of(where, promises, "promised") / rows
    return {
        "rows": column(rows),
        "available": column(filled.of(at, samples, "available")),
        "power": column(power, 0.001),
        "wind": column(filled.of(at, samples, "wind"), 0.01),
        "vibration": column(filled.of(at, samples, "vibration"), 0.01),
        "promised": column(promised, 0.001),
        "unjudged": column(np.where(np.isnan(promised), np.nan, power - produced), 0.001),
        "state": column(filled.of(at, samples, "state")),
    }


@dataclass(frozen=True)
class _Filled:
    """Grids filled from rows."""

    units: int
    steps: int

    def of(self, at: Ints, table: pa.Table, name: str) -> Floats:
        """Return a column as a grid; NaN where there is no row. `at`: cells, -1 for none."""
        values: Floats = np.full(self.units * self.steps, np.nan)
        numbers = table.column(name).cast("float64").to_numpy(zero_copy_only=False)
        values[at[at >= 0]] = numbers[at >= 0]
        return values.reshape(self.units, self.steps)


def _cells(table: pa.Table, shape: Grid, units: Sequence[tuple[str, str]]) -> Ints:
    """Return the cell of each row: its unit's place and its step. -1: not a cell of the grid."""
    known = pa.array([_name(farm, turbine) for farm, turbine in units], pa.string())
    names: Any = pc.binary_join_element_wise(
        table.column("farm_id"), table.column("turbine_id"), "\0"
    )
    unit = pc.fill_null(pc.index_in(names, known), -1).to_numpy().astype(np.int64)
    step = table.column("step").cast("int64").to_numpy()
    inside = (unit >= 0) & (step >= 0) & (step < shape.steps)
    cells: Ints = np.where(inside, unit * shape.steps + step, -1)
    return cells


def _name(farm: str, turbine: str) -> str:
    return f"{farm}\0{turbine}"
