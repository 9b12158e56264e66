"""Bytes of node files and of objects in the lake, estimated from their rows."""

from __future__ import annotations

from typing import Final

OBJECT_BYTES: Final = {
    "ingestion": 3_250,
    "validated": 3_150,
    "enriched": 5_750,
    "aggregated": 3_480,
}
ROW_BYTES: Final = {"ingestion": 23.0, "validated": 23.0, "enriched": 23.0, "aggregated": 187.0}
MANIFEST_BYTES: Final = 2_150
CHECKPOINT_BYTES: Final = 600
NODE_BYTES, NODE_ROW_BYTES = 8_192, 132.5
"""Sizes measured on simulated turbines, in batches of 60 to 3,600 rows.

A test checks that they are within 15 % of the real pipeline.
"""


def batch_bytes(rows: int) -> float:
    """Estimate the bytes of one batch of `rows` rows, all in one hour.

    Counted are its objects, its manifest and its checkpoint.
    """
    objects = sum(
        OBJECT_BYTES[stage] + rows * ROW_BYTES[stage]
        for stage in ("ingestion", "validated", "enriched")
    )
    return objects + OBJECT_BYTES["aggregated"] + MANIFEST_BYTES + CHECKPOINT_BYTES
