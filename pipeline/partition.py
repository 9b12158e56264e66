"""Hours and keys of the lake. No other module of the pipeline builds a key.

    <stage>/year=YYYY/month=MM/day=DD/hour=HH/<turbine_id>-<first_id>-<last_id>.parquet

Stages of `records.DERIVED` are in the enriched bucket, beside `enriched/`.

Rejected rows are the stage `quarantine`. They are in the validated bucket under `_quarantine/`,
beside `validated/` and not inside it: a reader of all of `validated/` must get valid rows only.

The hour is the event's, in UTC. The id range is the batch's. A row whose timestamp is null or has
no four-digit year is placed by its `recorded_at`, and if that is no better, at hour 1970-01-01T00.
Such a row must not be lost, and it must be possible to find it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from pipeline.records import BUCKET_PREFIX, DERIVED, QUARANTINE

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HOUR_US = 3_600_000_000
_LODGERS = {"quarantine": "validated", **dict.fromkeys(DERIVED, "enriched")}
"""Stages without a bucket of their own, each with the stage whose bucket it is in."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = int((datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000
_PAST_US = int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds() + 86_400) * 1_000_000


def hours(timestamp: Ints, timestamp_null: Bools, recorded_at: Ints, recorded_null: Bools) -> Ints:
    """Return the hour since 1970 under which each row is kept.

    All arrays have shape (rows,); times are in microseconds.
    """
    placed = np.where(_usable(recorded_at, recorded_null), recorded_at, 0)
    placed = np.where(_usable(timestamp, timestamp_null), timestamp, placed)
    return placed // HOUR_US


def _usable(time_us: Ints, null: Bools) -> Bools:
    return ~null & (time_us >= _FIRST_US) & (time_us < _PAST_US)


def bucket(stage: str) -> str:
    """Return the bucket of a stage, or of `checkpoints` or `metadata`."""
    return BUCKET_PREFIX + _LODGERS.get(stage, stage)


def hour_folder(stage: str, hour: int) -> str:
    """Return a stage's folder, down to hour=HH/, of an hour counted from 1970."""
    top = QUARANTINE if stage == "quarantine" else stage
    t = _EPOCH + timedelta(hours=hour)
    return f"{top}/year={t.year:04d}/month={t.month:02d}/day={t.day:02d}/hour={t.hour:02d}/"


def data_key(stage: str, hour: int, turbine_id: str, first_id: int, last_id: int) -> str:
    return f"{hour_folder(stage, hour)}{turbine_id}-{first_id}-{last_id}.parquet"


def id_range(key: str, turbine_id: str) -> tuple[int, int] | None:
    """Return first and last id of a data key's batch, None for another turbine's key.

    Names may overlap: keys of turbine `A-1-2` begin like those of `A-1`.
    """
    name = re.fullmatch(r"(.*)-(\d+)-(\d+)\.parquet", key.rpartition("/")[2])
    return (int(name[2]), int(name[3])) if name and name[1] == turbine_id else None


def manifest_key(hour: int, turbine_id: str, first_id: int, last_id: int) -> str:
    return f"{hour_folder('metadata', hour)}{turbine_id}-{first_id}-{last_id}.json"


def checkpoint_key(farm_id: str, turbine_id: str) -> str:
    return f"checkpoints/{farm_id}/{turbine_id}.json"
