"""Hours and keys, to the microsecond at both ends of the range of a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline import partition

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_US = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
LAST_US = (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) - EPOCH) // timedelta(
    microseconds=1
)
SANE_US = 1_705_276_800_000_000


def hour_of(timestamp: int | None, recorded_at: int | None) -> int:
    values = [np.array([0 if time is None else time]) for time in (timestamp, recorded_at)]
    nulls = [np.array([time is None]) for time in (timestamp, recorded_at)]
    return int(partition.hours(values[0], nulls[0], values[1], nulls[1])[0])


@pytest.mark.parametrize(
    ("time_us", "folder"),
    [
        (FIRST_US, "s/year=0001/month=01/day=01/hour=00/"),
        (SANE_US - 1, "s/year=2024/month=01/day=14/hour=23/"),
        (SANE_US, "s/year=2024/month=01/day=15/hour=00/"),
        (-1, "s/year=1969/month=12/day=31/hour=23/"),
        (LAST_US, "s/year=9999/month=12/day=31/hour=23/"),
    ],
)
def test_a_row_is_under_the_hour_of_its_event(time_us: int, folder: str) -> None:
    assert partition.hour_folder("s", hour_of(time_us, None)) == folder
    assert partition.hour_folder("s", hour_of(None, time_us)) == folder
    assert partition.hour_folder("s", hour_of(time_us, SANE_US)) == folder


@pytest.mark.parametrize("nonsense", [None, FIRST_US - 1, LAST_US + 1])
def test_a_time_outside_four_digit_years_is_replaced(nonsense: int | None) -> None:
    assert hour_of(nonsense, SANE_US) == SANE_US // partition.HOUR_US
    assert hour_of(nonsense, nonsense) == 0


def test_keys_are_read_back_for_their_own_turbine_only() -> None:
    key = partition.data_key("ingestion", 473_688, "A-1", 12, 345)
    assert key == "ingestion/year=2024/month=01/day=15/hour=00/A-1-12-345.parquet"
    rejected = partition.data_key("quarantine", 473_688, "A-1", 12, 345)
    assert rejected == "_quarantine/year=2024/month=01/day=15/hour=00/A-1-12-345.parquet"
    assert (
        partition.bucket("quarantine")
        == partition.bucket("validated")
        == "expanso-databricks-validated"
    )
    assert partition.id_range(key, "A-1") == (12, 345)
    assert partition.id_range(key, "A") is None
    assert partition.id_range(key.replace(".parquet", ".json"), "A-1") is None


def test_keys_of_manifests_and_checkpoints() -> None:
    assert partition.bucket("metadata") == "expanso-databricks-metadata"
    key = "metadata/year=2024/month=01/day=15/hour=00/A-1-12-345.json"
    assert partition.manifest_key(SANE_US // partition.HOUR_US, "A-1", 12, 345) == key
    assert partition.checkpoint_key("A", "A-1") == "checkpoints/A/A-1.json"
