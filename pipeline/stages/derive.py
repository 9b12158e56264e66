"""Stages of `records.DERIVED`: valid rows, each with columns computed from that row alone.

None comes with windfleet; `.docs/pages/extend.md` adds one. A function takes VALIDATED rows of many
nodes and returns each column of its stage as floats of shape (rows,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.records.schemas import SCHEMAS

Floats = npt.NDArray[np.float64]

FUNCTIONS: Final[dict[str, Callable[[pa.Table], Mapping[str, Floats]]]] = {}
"""The function of each stage."""


def derive(stage: str, valid: pa.Table) -> pa.Table:
    """Turn VALIDATED rows into those of a derived stage."""
    found = FUNCTIONS[stage](valid)
    columns = [
        valid.column(name) if name in valid.column_names else pa.array(found[name], pa.float64())
        for name in SCHEMAS[stage].names
    ]
    return pa.table(columns, schema=SCHEMAS[stage])
