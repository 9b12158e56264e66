"""Object keys in the oracle: every written key is read back, and other forms are rejected."""

from __future__ import annotations

import pytest

from sim.check.read.keys import ALL_STAGES, BatchKey, bucket_of, read_batch_key, read_checkpoint_key

HOUR = 473_688  # 2024-01-15T00
FOLDER = "year=2024/month=01/day=15/hour=00"
TEXTS = {
    "ingestion": f"ingestion/{FOLDER}/A-001-1-20.parquet",
    "validated": f"validated/{FOLDER}/A-001-1-20.parquet",
    "quarantine": f"_quarantine/{FOLDER}/A-001-1-20.parquet",
    "enriched": f"enriched/{FOLDER}/A-001-1-20.parquet",
    "aggregated": f"aggregated/{FOLDER}/A-001-1-20.parquet",
    "metadata": f"metadata/{FOLDER}/A-001-1-20.json",
}
INGESTION = bucket_of("ingestion")


@pytest.mark.parametrize("stage", TEXTS)
def test_a_key_is_written_and_read_back(stage: str) -> None:
    key = BatchKey(stage, HOUR, "A-001", 1, 20)
    assert key.text() == TEXTS[stage]
    bucket = f"expanso-databricks-{'validated' if stage == 'quarantine' else stage}"
    assert bucket_of(stage) == bucket
    assert read_batch_key(bucket, TEXTS[stage]) == key
    assert read_batch_key(bucket + "x", TEXTS[stage]) is None
    assert stage in (*ALL_STAGES, "metadata")


@pytest.mark.parametrize(
    ("hour", "folder"),
    [
        (-1, "year=1969/month=12/day=31/hour=23"),
        (HOUR + 23, FOLDER[:-2] + "23"),
        (HOUR + 24, "year=2024/month=01/day=16/hour=00"),
    ],
)
def test_hours_count_from_1970(hour: int, folder: str) -> None:
    text = f"ingestion/{folder}/A-001-1-20.parquet"
    assert BatchKey("ingestion", hour, "A-001", 1, 20).text() == text
    assert read_batch_key(INGESTION, text) == BatchKey("ingestion", hour, "A-001", 1, 20)


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        (INGESTION, f"ingestion/{FOLDER}/A-001-01-20.parquet"),
        (INGESTION, f"ingestion/{FOLDER}/A-001-1-20.json"),
        (INGESTION, f"ingestion/{FOLDER}/A-001-1-20.parquet.tmp"),
        (INGESTION, f"ingestion/_quarantine/{FOLDER}/A-001-1-20.parquet"),
        (INGESTION, f"_quarantine/{FOLDER}/A-001-1-20.parquet"),
        (bucket_of("validated"), f"validated/_quarantine/{FOLDER}/A-001-1-20.parquet"),
        (bucket_of("validated"), f"quarantine/{FOLDER}/A-001-1-20.parquet"),
        (bucket_of("validated"), f"_validated/{FOLDER}/A-001-1-20.parquet"),
        (INGESTION, f"ingestion/{FOLDER.replace('hour=00', 'hour=0')}/A-001-1-20.parquet"),
        (INGESTION, f"ingestion/{FOLDER.replace('hour=00', 'hour=24')}/A-001-1-20.parquet"),
        (INGESTION, f"ingestion/{FOLDER.replace('day=15', 'day=32')}/A-001-1-20.parquet"),
        (bucket_of("metadata"), f"metadata/{FOLDER}/A-001-1-20.parquet"),
        (bucket_of("checkpoints"), f"checkpoints/{FOLDER}/A-001-1-20.parquet"),
        (bucket_of("other"), f"other/{FOLDER}/A-001-1-20.parquet"),
        (INGESTION, "ingestion/readme.txt"),
    ],
)
def test_another_form_is_rejected(bucket: str, key: str) -> None:
    assert read_batch_key(bucket, key) is None


def test_a_checkpoint_key_names_farm_and_turbine() -> None:
    assert read_checkpoint_key("checkpoints/A/A-001.json") == ("A", "A-001")
    for key in (
        "checkpoints/A-001.json",
        "checkpoints/A/A-001.json.bak",
        "checkpoints/A/B/A-001.json",
    ):
        assert read_checkpoint_key(key) is None
