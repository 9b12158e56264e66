"""Keys of the lake. The oracle writes and reads them with its own code.

Data        `<stage>/year=YYYY/month=MM/day=DD/hour=HH/<turbine>-<first>-<last>.parquet`
            `_quarantine/year=...` in the validated bucket, for rows that validation rejected
Manifest    `metadata/year=YYYY/month=MM/day=DD/hour=HH/<turbine>-<first>-<last>.json`
Checkpoint  `checkpoints/<farm>/<turbine>.json`

In the compacted layout an object has rows of all turbines of a farm. Its name, and that of its
manifest, is `<farm>-compact-<flush>-<turbine>-<first>`.

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

_FOLDER = (
    r"(?P<top>_?[a-z]+)/year=(?P<year>\d{4})/month=(?P<month>\d\d)/day=(?P<day>\d\d)"
    r"/hour=(?P<hour>\d\d)"
)
_BATCH = re.compile(
    _FOLDER + r"/(?P<turbine>[^/]+)-(?P<first>\d{1,18})-(?P<last>\d{1,18})\.(?P<kind>parquet|json)",
    re.ASCII,
)
_FARM = re.compile(
    _FOLDER + r"/(?P<farm>[^/-]+)-compact-(?P<flush>\d{6,18})-(?P<turbine>[^/]+)"
    r"-(?P<first>\d{1,18})\.(?P<kind>parquet|json)",
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

    @property
    def holder(self) -> str:
        """The turbine that all rows are of."""
        return self.turbine

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return f"{self.turbine}-{self.first}-{self.last}"

    def text(self) -> str:
        """Return the key."""
        return _text(self)


@dataclass(frozen=True)
class FarmKey:
    """Parts of a data or manifest key in the compacted layout.

    flush: the highest number of its batches, each counted in its node from 0. turbine: one of
    those that have a batch in it. first: the lowest id.
    """

    stage: str
    hour: int
    farm: str
    flush: int
    turbine: str
    first: int

    @property
    def holder(self) -> str:
        """The farm that all rows are of."""
        return self.farm

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return f"{self.farm}-compact-{self.flush:06d}-{self.turbine}-{self.first}"

    def text(self) -> str:
        """Return the key."""
        return _text(self)


Key = BatchKey | FarmKey


def _text(key: Key) -> str:
    top = QUARANTINE if key.stage == "quarantine" else key.stage
    ending = "json" if key.stage == "metadata" else "parquet"
    return f"{top}/{_folder(key.hour)}/{key.name}.{ending}"


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
    if match is None or (place := _stage_and_hour(bucket, match)) is None:
        return None
    parsed = BatchKey(*place, match["turbine"], int(match["first"]), int(match["last"]))
    return parsed if parsed.text() == key else None


def read_farm_key(bucket: str, key: str) -> FarmKey | None:
    """Parts of a key in the compacted layout; None for any other."""
    match = _FARM.fullmatch(key)
    if match is None or (place := _stage_and_hour(bucket, match)) is None:
        return None
    flush, first = int(match["flush"]), int(match["first"])
    parsed = FarmKey(*place, match["farm"], flush, match["turbine"], first)
    return parsed if parsed.text() == key else None


def _stage_and_hour(bucket: str, match: re.Match[str]) -> tuple[str, int] | None:
    """Return stage and hour of a key; None for a wrong bucket or hour."""
    stage = "quarantine" if match["top"] == QUARANTINE else match["top"]
    if stage not in (*ALL_STAGES, "metadata") or bucket != bucket_of(stage):
        return None
    hour = _hour(f"{match['year']}-{match['month']}-{match['day']}T{match['hour']}")
    return None if hour is None else (stage, hour)


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
    if read_farm_key(bucket, key) is not None:
        return "key of a whole farm, which is not in the fleet or has objects of single turbines"
    return "key of unknown form, or of a turbine that is not in the fleet"


def read_checkpoint_key(key: str) -> tuple[str, str] | None:
    """Return (farm, turbine) of a checkpoint's key, or None."""
    match = _CHECKPOINT.fullmatch(key)
    return (match["farm"], match["turbine"]) if match else None
