"""The floor against the product: the same tables, and manifests that name the same rows.

Exact, but for the floating-point columns of windows: their sums may be taken in another order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commit import Commit
from sim.bench.floors.objects import Batch
from sim.errors import LAKE_WRONG, BenchError

_CLOSE: Final = 1e-9
_OF_BYTES: Final = ("bytes", "sha256")
_OF_ATTEMPT: Final = "upload_timestamp"


def require_equal(commits: Sequence[Commit], batches: Sequence[Batch]) -> None:
    """Compare all objects and manifests of the batches. Raises BenchError for a difference."""
    for commit, batch in zip(commits, batches, strict=True):
        turbine = commit.config.turbine_id
        if sorted(item.stage for item in commit.objects) != sorted(batch.objects):
            raise _difference(turbine, "objects", [item.stage for item in commit.objects])
        for item in commit.objects:
            differing = differences(_read(item.body), _read(batch.objects[item.stage]))
            if differing:
                raise _difference(turbine, item.stage, differing)
        left, right = _comparable(commit.manifest), _comparable(batch.manifest)
        if left != right:
            fields = [name for name in left if left.get(name) != right.get(name)]
            raise _difference(turbine, "manifest", fields)


def differences(product: pa.Table, floor: pa.Table) -> list[str]:
    """List the columns of two tables that differ, or the columns that only one of them has."""
    if product.schema != floor.schema:
        return sorted(set(map(str, product.schema)) ^ set(map(str, floor.schema)))
    if product.num_rows != floor.num_rows:
        return [f"{product.num_rows} rows, {floor.num_rows} in the floor's"]
    windows = "id" not in product.column_names
    return [
        name
        for name in product.column_names
        if not (
            product.column(name).equals(floor.column(name))
            or (windows and _close(product.column(name), floor.column(name)))
        )
    ]


def _close(a: pa.ChunkedArray, b: pa.ChunkedArray) -> bool:
    return (
        pa.types.is_floating(a.type)
        and a.null_count == b.null_count == 0
        and np.allclose(a.to_numpy(), b.to_numpy(), rtol=_CLOSE, atol=0, equal_nan=True)
    )


def _read(body: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(body), partitioning=None)


def _comparable(manifest: bytes) -> Mapping[str, Any]:
    """Return a manifest without what depends on the bytes of the objects or on the attempt."""
    document: dict[str, Any] = json.loads(manifest)
    document[_OF_ATTEMPT] = None
    for entry in document["objects"]:
        for name in _OF_BYTES:
            entry[name] = None
    return document


def _difference(turbine: str, place: str, names: Sequence[str]) -> BenchError:
    return BenchError(
        f"{turbine}, {place}: the floor differs from the product in {', '.join(names)}; "
        "one of them is wrong, so nothing was measured",
        LAKE_WRONG,
    )
