"""Tables of operations for `truth/`: work orders, and the intervals of visible wear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from sim.fleet.part import FarmPart
from sim.model.clock import SimClock
from sim.model.machine.components import COMPONENT_NAMES
from sim.model.machine.wear import Damage

_TIME = pa.timestamp("us", tz="UTC")
ORDERS = pa.schema(
    [
        pa.field("farm_id", pa.string()),
        pa.field("turbine_id", pa.string()),
        pa.field("cause", pa.string()),
        pa.field("work", pa.string()),
        pa.field("failed_at", _TIME),
        pa.field("parts_s", pa.float64()),
        pa.field("crew_at", _TIME),
        pa.field("visits", pa.int64()),
        pa.field("crew_s", pa.float64()),
        pa.field("returned_at", _TIME),
    ]
)
"""One row per work order.

- `turbine_id`: null when the order concerns the whole farm.
- `cause`: a component, service, operator or grid.
- `work`: reset, minor, major, replacement, service, stop, outage or curtailment.
- `parts_s`: wait for parts.
- `crew_at`, `crew_s`: first start of a crew's work, and its total length.
- `returned_at`: the machine's return.

Times after the run's end are null.
"""
WEAR = pa.schema(
    [
        pa.field("turbine_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("from", _TIME),
        pa.field("to", _TIME),
        pa.field("rows", pa.int64()),
        pa.field("fails_at", _TIME),
    ]
)
"""One row per component that wears out (`kind`: machine.<component>).

From its first damage to its repair, or to the end of the run. `rows`: samples of the run in that
time. `fails_at` may come after the end. `channel` is null.
"""


@dataclass
class Order:
    """One work order; seconds since 1970. `visits`: (start, end) of each visit of a crew."""

    turbine: int | None
    cause: str
    work: str
    failed_s: float
    parts_s: float = 0.0
    visits: list[tuple[float, float]] = field(default_factory=list)
    returned_s: float | None = None


def orders_table(part: FarmPart, orders: Sequence[Order], start_s: float, end_s: float) -> pa.Table:
    """The orders of a part that were open between two times, in order of time.

    Orders of the whole farm belong to the part that has its first turbine.
    """
    farm, ids = part.farm, part.farm.turbine_ids
    rows = []
    for order in orders:
        if (order.turbine or 0) not in part.indices:
            continue
        if order.failed_s >= end_s or (
            order.returned_s is not None and order.returned_s <= start_s
        ):
            continue
        visits = [(begin, min(end, end_s)) for begin, end in order.visits if begin < end_s]
        back = order.returned_s
        rows.append(
            {
                "farm_id": farm.farm_id,
                "turbine_id": None if order.turbine is None else ids[order.turbine],
                "cause": order.cause,
                "work": order.work,
                "failed_at": _us(order.failed_s),
                "parts_s": order.parts_s,
                "crew_at": _us(visits[0][0]) if visits else None,
                "visits": len(visits),
                "crew_s": sum(end - begin for begin, end in visits),
                "returned_at": _us(back) if back is not None and back < end_s else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=ORDERS)


def wear_table(part: FarmPart, damages: Sequence[Damage], clock: SimClock) -> pa.Table:
    """The visible damage of a part in a run, by turbine and time."""
    ids = part.farm.turbine_ids
    rows = []
    own = [damage for damage in damages if damage.turbine in part.indices]
    for damage in sorted(own, key=lambda d: (d.turbine, d.from_s, d.component)):
        begin, end = (
            _us(damage.from_s),
            min(_us(min(damage.repaired_s, clock.end_us / 1e6)), clock.end_us),
        )
        first, last = (
            -(-(max(time, clock.start_us) - clock.start_us) // clock.sample_us)
            for time in (begin, end)
        )
        if begin < clock.end_us and last > first:
            rows.append(
                {
                    "turbine_id": ids[damage.turbine],
                    "kind": f"machine.{COMPONENT_NAMES[damage.component]}",
                    "channel": None,
                    "from": begin,
                    "to": end,
                    "rows": last - first,
                    "fails_at": _us(damage.fails_s),
                }
            )
    return pa.Table.from_pylist(rows, schema=WEAR)


def _us(seconds: float) -> int:
    return int(np.rint(seconds * 1e6))
