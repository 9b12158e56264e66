"""The layout of a lake: an object per turbine, or compacted, an object per farm."""

from __future__ import annotations

from sim.check import LakeError, LakeReader
from sim.check.read.keys import bucket_of, read_farm_key


def is_compacted(lake: LakeReader) -> bool:
    """Return True if a lake has objects of whole farms, which parts of a verdict must not cut.

    False for a lake that cannot be reached: its verdict says so.
    """
    try:
        refs = lake.bucket(bucket_of("metadata")) or lake.bucket(bucket_of("ingestion")) or ()
    except LakeError:
        return False
    return any(read_farm_key(ref.bucket, ref.key) is not None for ref in refs)
