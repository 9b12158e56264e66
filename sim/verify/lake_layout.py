"""The layout of a lake: an object per turbine, or compacted, an object per farm.

The run says it. Only a lake without a run is known by its keys: there most of them decide.
"""

from __future__ import annotations

from pathlib import Path

from sim import run_directory
from sim.check import LakeError, LakeReader
from sim.check.read.keys import bucket_of, read_batch_key, read_farm_key


def layout_of(run_dir: Path) -> bool | None:
    """Return True if the run made a compacted lake; None for a directory that no run made."""
    return run_directory.is_compacted(run_dir) if run_directory.is_run(run_dir) else None


def is_compacted(run_dir: Path, lake: LakeReader) -> bool:
    """Return True if the lake has objects of whole farms, which parts of a verdict must not cut.

    False for a lake that cannot be reached: its verdict says so.
    """
    if (known := layout_of(run_dir)) is not None:
        return known
    try:
        refs = lake.bucket(bucket_of("metadata")) or lake.bucket(bucket_of("ingestion")) or ()
    except LakeError:
        return False
    of_farms = sum(read_farm_key(ref.bucket, ref.key) is not None for ref in refs)
    return of_farms > sum(read_batch_key(ref.bucket, ref.key) is not None for ref in refs)
