"""What a load test wrote, key by key: all that its end may remove."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import partition
from pipeline.commit import Commit

Key = tuple[str, str]
"""(bucket, key)"""


def written(operations: pa.Table) -> set[Key]:
    """Every object that may have been made: an answer that was lost is no proof that nothing was."""
    puts = operations.filter(pc.equal(operations["kind"], "put"))
    return set(zip(puts["bucket"].to_pylist(), puts["key"].to_pylist(), strict=True))


def keys_of(work: Commit) -> set[Key]:
    """All that a commit writes."""
    config = work.config
    return {
        *((item.bucket, item.key) for item in work.objects),
        (partition.bucket("metadata"), work.manifest_key),
        (partition.bucket("checkpoints"), partition.checkpoint_key(config.farm_id, config.turbine_id)),
    }
