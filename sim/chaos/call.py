"""A store call as faults see it, at the store's interface or on the wire: purpose and node."""

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
    """One call to the store, by a node or by another client.

    Of a node: `verb` is put, get or list; `bucket` is a stage's name, `metadata` or `checkpoints`.
    Of another client: the point is OTHER, turbine and farm are empty, and `verb` is the operation,
    for a part of an upload with its number. `method` and `operation` come from the HTTP request; at
    the store's interface there is none, and both are "".
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
    """Return the point of a call, None for a call that no node makes.

    verb: get, list, or one that writes. bucket: its name without the common prefix. Reading back a
    data object that already existed counts as history, too.
    """
    if bucket == "checkpoints":
        return "recover" if verb in READS else "checkpoint"
    if bucket == "metadata":
        return "manifest"
    if bucket in STAGES:
        return "history" if verb in READS else "data"
    return None


def turbine_of(bucket: str, key: str) -> str:
    """Return the turbine that a key belongs to.

    Keys are `.../A-001-1-300.parquet`, `.../A-001-` (a listing) and `checkpoints/A/A-001.json`.
    """
    last = key.rpartition("/")[2]
    if bucket == "checkpoints":
        return last.removesuffix(".json")
    found = _NAME.fullmatch(last)
    return found[1] if found else last


def node_of(place: Place) -> str:
    """Return the turbine that an object belongs to."""
    return turbine_of(place[0].removeprefix(BUCKET_PREFIX), place[1])
