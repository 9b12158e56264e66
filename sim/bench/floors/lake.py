"""The oracle's bound: read each object of the lake once, and compare it with the node files.

Done for every object: GET, sha256, decode. Row columns are compared bit for bit, in ingestion,
validated and enriched. Not done: windows recomputed, fields of manifests compared, privacy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import CHANNEL_NAMES
from sim.bench.floors import nodefiles, sockets
from sim.errors import LAKE_WRONG, BenchError

SOCKETS: Final = 8


def compare(paths: Sequence[Path], rows: int, port: int, names: Sequence[tuple[str, str]]) -> None:
    """Read the objects `names` (bucket, key) and compare. rows: more than any node file has.

    Raises BenchError for a difference, TargetError.
    """
    bodies = sockets.exchange(port, sockets.gets(port, names), SOCKETS)
    tables = nodefiles.read(paths, rows)
    nodes = {path.stem: table for path, table in zip(paths, tables, strict=True)}
    for (_, key), body in zip(names, bodies, strict=True):
        hashlib.sha256(body).digest()
        if not key.endswith(".parquet"):
            json.loads(body)
            continue
        table = pq.ParquetFile(pa.BufferReader(body)).read(use_threads=False)
        if "id" in table.column_names:
            node = nodes[key.rpartition("/")[2].rsplit("-", 2)[0]]
            for name in ("id", *CHANNEL_NAMES):
                stored, expected = np.asarray(table.column(name)), np.asarray(node.column(name))
                if not np.array_equal(stored.view(np.int64), expected.view(np.int64)):
                    raise BenchError(f"{key}: {name} differs from the node's file", LAKE_WRONG)
