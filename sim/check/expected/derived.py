"""The expected columns of the stages of `records.DERIVED`, written apart from the pipeline's.

None comes with windfleet; `.docs/pages/extend.md` adds one. A function takes the node's readings by
channel and returns each column of its stage; all are floats of shape (rows,). They are compared
with the lake to the bit, so a formula needs the same operations in the same order as the
pipeline's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sim.check.read.columns import Floats

FUNCTIONS: Final[dict[str, Callable[[Mapping[str, Floats]], Mapping[str, Floats]]]] = {}
"""The function of each stage."""
