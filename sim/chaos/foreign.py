"""Somebody else's bytes under a key of ours (`store.foreign-object`), and what must follow in the lake.

The bytes are there just before a node creates the object (or advances its checkpoint). Three sorts take turns: a text;
the node's own bytes with the middle changed, so that length, begin and end agree; the first half of the node's own
bytes. The node must stop there and say so, and nobody may write over them. Equal digests cannot be asked of such a
lake, so these invariants stand in their place (`judge`):

    foreign.overwritten   the foreign bytes are not there any more
    foreign.beyond        the node went on: an object, a manifest or a checkpoint from that batch on
    lake.missing lake.altered lake.debris manifest.differs checkpoint.differs    of the node's batches before it

Not covered: a checkpoint of the node itself that is further on. That is another writer's, and right (`commit`).
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
class Foreign:
    """Foreign bytes in a node's way. The node's batches from id `first_id` on can never be durable; `begun`: data
    objects of the batch that begins there may lie in the lake."""

    turbine: str
    body: bytes
    first_id: int
    begun: bool


def foreign(place: Place, ours: bytes, how: float) -> Foreign:
    """What somebody else puts under `place`, where a node is about to write `ours`. how: 0..1, which sort."""
    turbine, ids = node_of(place), _ids(place)
    begun = place[0] != CHECKPOINTS
    first_id = ids[0] if begun else json.loads(ours)["last_id"] + 1
    sorts = (TEXT, ours[: len(ours) // 2], _changed(ours))
    body = sorts[
        int(how * (3 if begun else 2))
    ]  # a checkpoint with a figure changed could be one that is ahead
    return Foreign(turbine, body, first_id, begun)


def _changed(body: bytes) -> bytes:
    """The same length, begin and end. A whole third, since a reader may not look at a byte here and there."""
    low, high = len(body) // 3, 2 * len(body) // 3
    return body[:low] + bytes(byte ^ 1 for byte in body[low:high]) + body[high:]


def judge(
    objects: Mapping[Place, bytes], clean: Mapping[Place, bytes], planted: Mapping[Place, Foreign]
) -> Iterator[tuple[str, str]]:
    """Each invariant that the lake of the struck nodes breaks, and where. `clean`: what the run without faults left."""
    stops: dict[str, Foreign] = {}
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
                    f"{name} says {reached}",
                )
        else:
            kind = _wrong(place, objects.get(place), clean.get(place), stop)
            if kind is not None:
                yield kind, name


def _wrong(place: Place, found: bytes | None, want: bytes | None, stop: Foreign) -> str | None:
    """The invariant that a data object or a manifest of a struck node breaks."""
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


def _due(clean: Mapping[Place, bytes], stop: Foreign) -> int:
    """The last id that the node's checkpoint must hold: of the batch in front of the foreign bytes, 0 if none is."""
    batches = (
        _ids(place) for place in clean if place[0] == METADATA and node_of(place) == stop.turbine
    )
    return max((last_id for _, last_id in batches if last_id < stop.first_id), default=0)


def _last_id(checkpoint: bytes | None) -> int:
    return 0 if checkpoint is None else int(json.loads(checkpoint)["last_id"])


def _ids(place: Place) -> tuple[int, int]:
    found = _IDS.search(place[1])
    return (int(found[1]), int(found[2])) if found else (0, 0)
