"""Foreign bytes under a node's key (`store.foreign-object`), and the invariants that follow.

Another writer stores the bytes just before a node creates the object or advances its checkpoint.
There are three sorts: a text; the node's own bytes with the middle changed, so that length,
beginning and end agree; the first half of the node's own bytes.

The node must stop there and report the key, and no writer may overwrite the foreign bytes. Such a
lake cannot have the digest of the run without faults, so `broken_invariants` checks these instead:

    foreign.overwritten   the foreign bytes are gone
    foreign.beyond        the node went on: an object, manifest or checkpoint from that batch on
    lake.missing lake.altered lake.debris manifest.differs checkpoint.differs
                          in the node's earlier batches

Not covered: a valid checkpoint of the same node that is further on. Another writer of the node may
have advanced it, and then it is right (`pipeline.commit`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline import manifest
from sim.chaos.call import CHECKPOINTS, DATA, METADATA, Place, node_of

TEXT: Final = b"These bytes are somebody else's.\n"
_IDS = re.compile(r"-(\d+)-(\d+)\.\w+$")


@dataclass(frozen=True)
class ForeignObject:
    """Foreign bytes under a node's key.

    The node's batches from id `first_id` on can never be durable. begun: the lake may hold data
    objects of the batch that begins there.
    """

    turbine: str
    body: bytes
    first_id: int
    begun: bool


def foreign_object(place: Place, ours: bytes, draw: float) -> ForeignObject:
    """Return the foreign bytes for a place where a node is about to write `ours`.

    draw: 0..1, decides the sort.
    """
    turbine, ids = node_of(place), _ids(place)
    begun = place[0] != CHECKPOINTS
    first_id = ids[0] if begun else json.loads(ours)["last_id"] + 1
    sorts = (TEXT, ours[: len(ours) // 2], _with_changed_middle(ours))
    # of a checkpoint only two sorts: with a digit changed it could be a valid one that is ahead
    body = sorts[int(draw * (3 if begun else 2))]
    return ForeignObject(turbine, body, first_id, begun)


def _with_changed_middle(body: bytes) -> bytes:
    """Return a body with its middle third changed. Comparing only both ends would not show that."""
    low, high = len(body) // 3, 2 * len(body) // 3
    return body[:low] + bytes(byte ^ 1 for byte in body[low:high]) + body[high:]


def broken_invariants(
    objects: Mapping[Place, bytes],
    clean: Mapping[Place, bytes],
    planted: Mapping[Place, ForeignObject],
) -> Iterator[tuple[str, str]]:
    """Yield (invariant, place) for each invariant broken by a node that met foreign bytes.

    clean: the lake of the run without faults.
    """
    stops: dict[str, ForeignObject] = {}
    for found in planted.values():
        if found.turbine not in stops or found.first_id < stops[found.turbine].first_id:
            stops[found.turbine] = found
    for place in sorted({*objects, *clean, *planted}):
        stop, name = stops.get(node_of(place)), "/".join(place)
        if stop is None:
            continue
        if place in planted:
            if objects.get(place) != planted[place].body:
                yield "foreign.overwritten", name
        elif place[0] == CHECKPOINTS:
            reached = _last_id(objects.get(place))
            if reached != (due := _due(clean, stop)):
                yield (
                    "foreign.beyond" if reached > due else "checkpoint.differs",
                    f"{name} has last_id {reached}, expected {due}",
                )
        else:
            invariant = _broken_invariant(place, objects.get(place), clean.get(place), stop)
            if invariant is not None:
                yield invariant, name


def _broken_invariant(
    place: Place, found: bytes | None, want: bytes | None, stop: ForeignObject
) -> str | None:
    """Return the invariant that one data object or manifest breaks, None if it breaks none."""
    is_data = place[0] in DATA
    if want is None:
        return "lake.debris" if is_data else "debris"
    first_id = _ids(place)[0]
    if found is None:
        return (
            ("lake.missing" if is_data else "manifest.differs")
            if first_id < stop.first_id
            else None
        )
    if found != want and (is_data or not manifest.equal(found, want)):
        return "lake.altered" if is_data else "manifest.differs"
    allowed = first_id < stop.first_id or (first_id == stop.first_id and is_data and stop.begun)
    return None if allowed else "foreign.beyond"


def _due(clean: Mapping[Place, bytes], stop: ForeignObject) -> int:
    """Return the last id of the batch before the foreign bytes, 0 if they met the first batch."""
    batches = (
        _ids(place) for place in clean if place[0] == METADATA and node_of(place) == stop.turbine
    )
    return max((last_id for _, last_id in batches if last_id < stop.first_id), default=0)


def _last_id(checkpoint: bytes | None) -> int:
    return 0 if checkpoint is None else int(json.loads(checkpoint)["last_id"])


def _ids(place: Place) -> tuple[int, int]:
    found = _IDS.search(place[1])
    return (int(found[1]), int(found[2])) if found else (0, 0)
