"""A lake made by hand, judged after each change of a few objects.

A share of which no object has changed is judged once: the next time its verdict is repeated. Node
files are read once. Parquet files are read once, too, known by all their bytes: of a share judged
again, the changed ones are read. A test may change a node's configuration, if it changes an object
of its share.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

from sim.check import LakeReader, Verdict, judge
from sim.check.read import parquet
from sim.check.read.nodes import Node, NodeFile
from sim.check.share import Share, ShareVerdict, _read, judge_share
from tests.support.lakebuilder import Kept

_open, _columns = parquet.open_exact_schema, parquet.read_columns


class _Files:
    """Parquet files that were opened and read before, in place of doing so again."""

    def __init__(self) -> None:
        self._opened: dict[tuple[object, ...], pq.ParquetFile | None] = {}
        self._tables: dict[tuple[pq.ParquetFile, pa.Schema, int], pa.Table] = {}

    def open(
        self, content: bytes, schema: pa.Schema, dictionaries: Sequence[str], **most: float
    ) -> pq.ParquetFile | None:
        known = content, schema, tuple(dictionaries), *most.values()
        if known not in self._opened:
            self._opened[known] = _open(content, schema, dictionaries, **most)
        return self._opened[known]

    def columns(self, file: pq.ParquetFile, schema: pa.Schema, first: int = 0) -> pa.Table:
        known = file, schema, first
        if known not in self._tables:
            self._tables[known] = _columns(file, schema, first)
        return self._tables[known]


class JudgedLake:
    """The judge of a kept lake and its node files."""

    def __init__(self, nodes: Path, kept: Kept) -> None:
        self._nodes, self._kept = nodes, kept
        self._known: dict[tuple[object, ...], bytes] = {}
        self._changed: frozenset[str] = frozenset()
        self._read: dict[tuple[Path, bytes], tuple[Node, pa.Table]] = {}
        self._files = _Files()

    def __call__(self, changes: Mapping[str, bytes | None]) -> Verdict:
        """Judge the lake with some objects changed (bytes) or removed (None)."""
        self._changed = frozenset(changes)
        with (
            self._kept.changed(changes) as folder,
            mock.patch("sim.check.shares.judge_share", self._judge_share),
            mock.patch("sim.check.share._read", self._read_once),
            mock.patch("sim.check.read.parquet.open_exact_schema", self._files.open),
            mock.patch("sim.check.read.parquet.read_columns", self._files.columns),
        ):
            return judge(self._nodes, LakeReader.folder(folder), None, 1)

    def _read_once(self, file: NodeFile) -> tuple[Node, pa.Table]:
        known = file.database, file.config.read_bytes()
        if known not in self._read:
            self._read[known] = _read(file)
        return self._read[known]

    def _judge_share(
        self, reader: LakeReader, share: Share, share_of: Mapping[str, int]
    ) -> ShareVerdict:
        names = {ref.name for refs in share.objects.values() for ref in refs}
        guests = {ref.name for refs in share.guests.values() for ref in refs}
        if self._changed & (names | guests):
            return judge_share(reader, share, share_of)
        turbines = tuple(file.turbine for file in share.files)
        known = (
            *(share.number, share.compacted, turbines, frozenset(names), frozenset(guests)),
            *share_of.items(),
        )
        if known not in self._known:
            self._known[known] = pickle.dumps(judge_share(reader, share, share_of))
        verdict: ShareVerdict = pickle.loads(self._known[known])
        return verdict
