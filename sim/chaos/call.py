"""A store call as faults see it, whether at the seam or on the wire: what it is for, and whose it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pipeline.records import BUCKET_PREFIX, STAGES
from sim.chaos.faults import Point

READS: Final = ("get", "list")
Place = tuple[str, str]
"""Bucket and key of an object."""
DATA: Final = frozenset(BUCKET_PREFIX + stage for stage in STAGES)
METADATA: Final = BUCKET_PREFIX + "metadata"
CHECKPOINTS: Final = BUCKET_PREFIX + "checkpoints"
_NAME = re.compile(r"(.+?)-(?:\d+-\d+\.\w+)?")


@dataclass(frozen=True)
class Call:
    """One call. Of a node: `verb` is put, get or list; `bucket` a stage's name, `metadata` or `checkpoints`.

    Any other has the point OTHER, no turbine and no farm; its `verb` is its operation, with the number of a part.
    `method` and `operation` are those of its HTTP request, "" at the seam, where there is none.
    """

    point: Point
    verb: str
    bucket: str
    key: str
    turbine: str
    farm: str
    method: str = ""
    operation: str = ""


def point_of(verb: str, bucket: str) -> Point | None:
    """verb: get, list, or one that writes; bucket: its name without the common beginning. None: no node asks that.

    Reading back a data object that was there already counts as history.
    """
    if bucket == "checkpoints":
        return "recover" if verb in READS else "checkpoint"
    if bucket == "metadata":
        return "manifest"
    if bucket in STAGES:
        return "history" if verb in READS else "data"
    return None


def turbine_of(bucket: str, key: str) -> str:
    """The node of a key: of `.../A-001-1-300.parquet`, `.../A-001-` (a listing), `checkpoints/A/A-001.json`."""
    last = key.rpartition("/")[2]
    if bucket == "checkpoints":
        return last.removesuffix(".json")
    found = _NAME.fullmatch(last)
    return found[1] if found else last


def node_of(place: Place) -> str:
    """The turbine whose object lies at a place."""
    return turbine_of(place[0].removeprefix(BUCKET_PREFIX), place[1])
