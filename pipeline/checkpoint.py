"""How far a node has come: one small JSON object per node, written by compare-and-set only.

`last_id` is the promise (every row up to it is durable and named by a manifest). The rest is what the next batch's
stages need of the past, so that a node that starts again computes the very bytes it would have computed: the running
series of each channel that can be stuck, the newest event time, and the partial sums of windows that are still open.
It holds nothing that varies between attempts: two writers of one batch write the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pipeline.records import SCHEMA_VERSION

Run = tuple[float, int, int]
"""A series of equal readings of one channel: the value, how many rows, the first row's timestamp in us."""


class CheckpointError(ValueError):
    """The object is not a checkpoint of this node and schema; the text says why."""


@dataclass(frozen=True)
class Checkpoint:
    """State after a batch; the default is that of a node that has delivered nothing.

    max_event_us: newest event time of any validated row. closed_until_us: every window that ends at or before it has
    been emitted. open_windows: window start in us -> the sums of `stages.aggregate` (see there). anchor_us: when row
    `last_id` was recorded, by which a file that was replaced unseen is told; None where the row does not say so in an
    integer, and in checkpoints older than this field. Then nothing is compared. It is no part of equality: what an
    older version of the pipeline wrote of the same batch is no conflict.
    """

    last_id: int = 0
    batches: int = 0
    max_event_us: int | None = None
    closed_until_us: int | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    open_windows: dict[int, tuple[float, ...]] = field(default_factory=dict)
    anchor_us: int | None = field(default=None, compare=False)

    def to_json(self, turbine_id: str, node_id: str) -> bytes:
        document = {
            "schema_version": SCHEMA_VERSION,
            "turbine_id": turbine_id,
            "node_id": node_id,
            "last_id": self.last_id,
            "anchor_us": self.anchor_us,
            "batches": self.batches,
            "max_event_us": self.max_event_us,
            "closed_until_us": self.closed_until_us,
            "runs": self.runs,
            "open_windows": {str(start): sums for start, sums in sorted(self.open_windows.items())},
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes, turbine_id: str) -> Checkpoint:
        """Raises CheckpointError when the object is something else, or another turbine's."""
        try:
            raw = json.loads(body)
            if raw["schema_version"] != SCHEMA_VERSION or raw["turbine_id"] != turbine_id:
                raise CheckpointError(f"it is of schema {raw['schema_version']} and turbine {raw['turbine_id']}")
            return cls(
                last_id=int(raw["last_id"]),
                batches=int(raw["batches"]),
                max_event_us=raw["max_event_us"],
                closed_until_us=raw["closed_until_us"],
                runs={name: (float(v), int(n), int(t)) for name, (v, n, t) in raw["runs"].items()},
                open_windows={int(start): tuple(sums) for start, sums in raw["open_windows"].items()},
                anchor_us=raw.get("anchor_us"),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"not a checkpoint: {error}") from error
