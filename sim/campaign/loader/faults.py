"""Kinds of fault of a load, and the points that each can hit.

A point is a kind of call of the loader:

    list       a page of a listing                 create     before a Delta table is made
    get        an object                           log        before a batch goes into the log
    file       before any change of a file         commit     before a Delta transaction
               outside the Delta tables            committed  after a Delta transaction
    compact    before files are written together   remove     before old files are removed

Not covered: faults of the wire. At this interface a timeout, a reset and a 503 are one error
(`Unavailable`). `windfleet campaign` loads the lakes of its whole runs behind the fault proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LIST: Final = "list"
GET: Final = "get"
FILE: Final = "file"
STEPS: Final = ("create", "log", "commit", "committed", "compact", "remove")
"""Steps of `sim.query.loader` that are calls of their own. The others are calls of the store."""
POINTS: Final = (LIST, GET, FILE, *STEPS)

ERROR: Final = "store.error"
DENIED: Final = "store.denied"
MISSING: Final = "store.missing"
CUT: Final = "store.cut-body"
LATE: Final = "list.late"
STALE: Final = "list.stale"
KILL: Final = "loader.kill"
TORN: Final = "loader.torn"
SECOND: Final = "loader.second"
DISK_FULL: Final = "disk.full"


@dataclass(frozen=True)
class LoadFault:
    """One kind of fault. points: where it can be injected."""

    name: str
    points: tuple[str, ...]
    text: str


KINDS: Final = {
    kind.name: kind
    for kind in (
        LoadFault(ERROR, (LIST, GET), "no answer, or one that asks for a later attempt"),
        LoadFault(DENIED, (LIST, GET), "403: the store refuses for good"),
        LoadFault(MISSING, (LIST, GET), "404: the bucket or the listed object is not there"),
        LoadFault(CUT, (GET,), "half of the body"),
        LoadFault(LATE, (LIST,), "some new keys are missing from a page of the listing"),
        LoadFault(STALE, (LIST,), "new and known keys are missing from a page of the listing"),
        LoadFault(KILL, POINTS, "the process dies and changes no file any more"),
        LoadFault(TORN, ("create", "committed", "remove"), "it dies inside a Delta transaction"),
        LoadFault(SECOND, (LIST, FILE, *STEPS), "another loader starts, and waits or works"),
        LoadFault(DISK_FULL, (FILE, *STEPS), "no file grows until the load ends"),
    )
}


def possible(point: str) -> frozenset[str]:
    """Return the kinds that can hit a point."""
    return frozenset(name for name, kind in KINDS.items() if point in kind.points)
