"""Keys of the lake. The oracle writes and reads them with its own code.

Data        `<stage>/year=YYYY/month=MM/day=DD/hour=HH/<turbine>-<first>-<last>.parquet`
            `_quarantine/year=...` in the validated bucket, for rows that validation rejected
Manifest    `metadata/year=YYYY/month=MM/day=DD/hour=HH/<turbine>-<first>-<last>.json`
Checkpoint  `checkpoints/<farm>/<turbine>.json`

A key is valid only if its parts, written again, give the same key (no `hour=7`, no `-01-`). Hours
are whole hours since 1970, UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from pipeline.records import BUCKET_PREFIX, DERIVED, QUARANTINE

ROW_STAGES: Final = ("ingestion", "validated", "quarantine", "enriched", *DERIVED)
ALL_STAGES: Final = (*ROW_STAGES, "aggregated")

_BATCH = re.compile(
    r"(?P<top>_?[a-z]+)/year=(?P<year>\d{4})/month=(?P<month>\d\d)/day=(?P<day>\d\d)"
    r"/hour=(?P<hour>\d\d)"
    r"/(?P<turbine>[^/]+)-(?P<first>\d{1,18})-(?P<last>\d{1,18})\.(?P<kind>parquet|json)",
    re.ASCII,
)
_FORMER_QUARANTINE: Final = f"validated/{QUARANTINE}/"
_CHECKPOINT = re.compile(r"checkpoints/(?P<farm>[^/]+)/(?P<turbine>[^/]+)\.json")


@dataclass(frozen=True)
class BatchKey:
    """Parts of a data or manifest key: stage (or `metadata`), hour, turbine, first and last id."""

    stage: str
    hour: int
    turbine: str
    first: int
    last: int

    def text(self) -> str:
        """Return the key."""
        top = QUARANTINE if self.stage == "quarantine" else self.stage
        ending = "json" if self.stage == "metadata" else "parquet"
        name = f"{self.turbine}-{self.first}-{self.last}.{ending}"
        return f"{top}/{_folder(self.hour)}/{name}"


@lru_cache(maxsize=1024)
def _folder(hour: int) -> str:
    """Return the folder of an hour."""
    day, hour = divmod(hour, 24)
    year, month, day_of_month = str(np.datetime64(day, "D")).split("-")
    return f"year={year}/month={month}/day={day_of_month}/hour={hour:02d}"


@lru_cache(maxsize=1024)
def _hour(text: str) -> int | None:
    """Return the hour of a time like `2024-01-15T07`; None if there is no such hour."""
    try:
        return int(np.datetime64(text, "h").astype(np.int64))
    except ValueError:
        return None


def bucket_of(stage: str) -> str:
    """Bucket of a stage, of `checkpoints` or of `metadata`.

    `quarantine` shares validated's, derived stages share enriched's.
    """
    if stage in DERIVED:
        return BUCKET_PREFIX + "enriched"
    return BUCKET_PREFIX + ("validated" if stage == "quarantine" else stage)


def read_batch_key(bucket: str, key: str) -> BatchKey | None:
    """Parts of a data or manifest key; None if its form is unknown or its bucket is wrong."""
    match = _BATCH.fullmatch(key)
    if match is None:
        return None
    stage = "quarantine" if match["top"] == QUARANTINE else match["top"]
    if stage not in (*ALL_STAGES, "metadata") or bucket != bucket_of(stage):
        return None
    hour = _hour(f"{match['year']}-{match['month']}-{match['day']}T{match['hour']}")
    if hour is None:
        return None
    parsed = BatchKey(stage, hour, match["turbine"], int(match["first"]), int(match["last"]))
    return parsed if parsed.text() == key else None


def holds_rejected(bucket: str, key: str) -> bool:
    """Return True for a key in the folder of rejected rows, present or former.

    Pipeline versions 1 and 2 wrote them below `validated/`.
    """
    return bucket == bucket_of("quarantine") and key.startswith(
        (f"{QUARANTINE}/", _FORMER_QUARANTINE)
    )


def foreign_reason(bucket: str, key: str) -> str:
    """Reason for rejecting a key that belongs to no turbine."""
    if holds_rejected(bucket, key) and key.startswith(_FORMER_QUARANTINE):
        text = f"rejected rows belong in {QUARANTINE}/, not below validated/"
        return f"{text}: written by pipeline version 2 or earlier?"
    return "key of unknown form, or of a turbine that is not in the fleet"


def read_checkpoint_key(key: str) -> tuple[str, str] | None:
    """Return (farm, turbine) of a checkpoint's key, or None."""
    match = _CHECKPOINT.fullmatch(key)
    return (match["farm"], match["turbine"]) if match else None
