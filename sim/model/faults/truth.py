"""The injected faults as a table, which a run keeps in `truth/`: the labels of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from sim.model.clock import SimClock
from sim.model.faults.occurrence import Occurrence

_TIME: Final = pa.timestamp("us", tz="UTC")
TRUTH: Final = pa.schema(
    [
        pa.field("turbine_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("from", _TIME),
        pa.field("to", _TIME),
        pa.field("first_id", pa.int64()),
        pa.field("last_id", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("detail", pa.string()),
        pa.field("offset_us", pa.int64()),
    ]
)
"""One row per injected fault and turbine.

- `from`, `to`: true time, whatever the node's clock showed.
- `offset_us`: error of that clock; null for faults of other kinds.
- `channel`: for a poisoned cell outside the sensors, its column.
- `first_id`, `last_id` (inclusive): null when no row of the database carries the fault.
- `rows`: the number of those rows; for `row.missing`, of the samples that were not stored.
"""


def truth(events: Sequence[Occurrence], turbine_ids: Sequence[str], clock: SimClock) -> pa.Table:
    """The table of a run, schema TRUTH; final after the last block."""
    columns: dict[str, list[object]] = {
        "turbine_id": [turbine_ids[event.turbine] for event in events],
        "kind": [event.kind for event in events],
        "channel": [event.channel for event in events],
        "from": [clock.time_us(event.first) for event in events],
        "to": [clock.time_us(event.last) for event in events],
        "first_id": [event.first_id for event in events],
        "last_id": [event.last_id for event in events],
        "rows": [event.rows for event in events],
        "detail": [event.detail for event in events],
        "offset_us": [event.by_us if event.target == "clock" else None for event in events],
    }
    return pa.table(
        {name: pa.array(column, TRUTH.field(name).type) for name, column in columns.items()}, TRUTH
    )
