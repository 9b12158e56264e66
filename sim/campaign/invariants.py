"""What must hold whatever happened, each with a name of its own; checked at every write, and after every run.

While it runs (`WatchedStore`, at the moment of each effect):
    data.overwritten     an object of data or a manifest was written over
    manifest.ahead       a manifest names an object that is not there, or is not as it says (bytes, sha256)
    manifest.shared      an object is named by two manifests
    checkpoint.ahead     a checkpoint promises rows that no manifest with all its objects holds
    checkpoint.regressed a checkpoint went back
Afterwards (`judge`), against the run of the same nodes without faults:
    lake.missing lake.debris lake.altered   keys and contents of data objects (so also the lake's digest)
    manifest.differs checkpoint.differs     what they say, but for the time of upload
    data.unnamed                            a data object that no manifest names
    writes.unbounded                        puts of one object beyond what its attempts explain
    late                                    rows that only a killed writer's log held came later than without that
    stuck stopped raised                    did not drain after healing; a node gave up for good; the pipeline broke
    foreign.unnoticed                       foreign bytes lay under a key, and the node did not stop and name it

A node that met foreign bytes has invariants of its own (`foreign`) in place of equality; all other nodes have these.

Not covered: whether the run without faults is right. `sim.check` says that, once per scenario.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter, defaultdict
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import manifest
from pipeline.commit import CONFIRMATIONS
from pipeline.records import BUCKET_PREFIX, GENERATION_IDS
from sim.campaign.memory_store import MemoryStore, etag_of
from sim.chaos import foreign
from sim.chaos.call import CHECKPOINTS, DATA, METADATA, Place, node_of
from sim.chaos.foreign import Foreign


class Broken(NamedTuple):
    """One invariant that did not hold: its name, and where."""

    invariant: str
    detail: str


class Fates(NamedTuple):
    """Rows of the ingestion stage against the run without faults."""

    lost: int = 0
    duplicated: int = 0
    misplaced: int = 0


class WatchedStore(MemoryStore):
    """A MemoryStore that judges every write as it takes effect. `broken` holds what it found, `puts` counts tries."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: list[Broken] = []
        self.puts: Counter[Place] = Counter()
        self.reached: dict[str, int] = {}  # turbine -> last id of its checkpoint
        self.hashes: dict[Place, str] = {}
        self.named: dict[Place, str] = {}  # data object -> key of the manifest that names it
        self.planted: dict[Place, Foreign] = {}
        self._batches: dict[str, dict[int, int]] = defaultdict(
            dict
        )  # turbine -> first id -> last id
        self._durable: Counter[str] = Counter()
        self._states: dict[str, tuple[int, int]] = {}

    def copy(self) -> WatchedStore:
        """A store that goes on from here by itself."""
        other = WatchedStore()
        other.objects, other.calls, other.broken = (
            dict(self.objects),
            list(self.calls),
            list(self.broken),
        )
        other.puts, other.reached, other.hashes = (
            self.puts.copy(),
            dict(self.reached),
            dict(self.hashes),
        )
        other.named, other._durable, other._states = (
            dict(self.named),
            self._durable.copy(),
            dict(self._states),
        )
        other.planted = dict(self.planted)
        for turbine, batches in self._batches.items():
            other._batches[turbine] = dict(batches)
        return other

    def create(self, bucket: str, key: str, body: bytes) -> str:
        self.puts[bucket, key] += 1
        return super().create(bucket, key, body)

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        self.puts[bucket, key] += 1
        return super().replace(bucket, key, body, etag)

    def plant(self, bucket: str, key: str, ours: bytes, etag: str | None, how: float) -> bool:
        """Put foreign bytes where `ours` is about to be written; False when the node would not write here any more."""
        there = self.objects.get((bucket, key))
        if (None if there is None else etag_of(there)) != etag:
            return False
        found = foreign.foreign((bucket, key), ours, how)
        self.objects[bucket, key], self.planted[bucket, key] = found.body, found
        if (bucket, key) not in self.hashes and bucket in DATA:
            self.hashes[bucket, key] = hashlib.sha256(found.body).hexdigest()
        return True

    def _keep(self, bucket: str, key: str, body: bytes) -> str:
        if bucket == CHECKPOINTS:
            self._checkpoint(key, body)
        else:
            if (bucket, key) in self.objects:
                self._say("data.overwritten", f"{bucket}/{key}")
            if bucket == METADATA:
                self._manifest(key, body)
            else:
                self.hashes[bucket, key] = hashlib.sha256(body).hexdigest()
        return super()._keep(bucket, key, body)

    def _say(self, invariant: str, detail: str) -> None:
        self.broken.append(Broken(invariant, detail))

    def _manifest(self, key: str, body: bytes) -> None:
        document = json.loads(body)
        for entry in document["objects"]:
            place = (entry["bucket"], entry["key"])
            found = self.objects.get(place)
            if (
                found is None
                or len(found) != entry["bytes"]
                or self.hashes[place] != entry["sha256"]
            ):
                self._say(
                    "manifest.ahead",
                    f"{key} names {place[1]}, which is {'not there' if not found else 'else'}",
                )
            if self.named.setdefault(place, key) != key:
                self._say(
                    "manifest.shared", f"{place[1]} is named by {key} and by {self.named[place]}"
                )
        turbine, source = document["turbine_id"], document["source"]
        self._batches[turbine][source["first_id"]] = source["last_id"]
        while (last := self._batches[turbine].get(self._following(turbine))) is not None:
            self._durable[turbine] = last

    def _following(self, turbine: str) -> int:
        """The first id of the batch behind those that are durable: the next id, or the first of a later file. (That the
        rows of the file before were all delivered then is for the comparison with the run without faults to say.)"""
        durable, batches = self._durable[turbine], self._batches[turbine]
        if durable + 1 in batches:
            return durable + 1
        return min(
            (first for first in batches if first > durable and first % GENERATION_IDS == 1),
            default=-1,
        )

    def _checkpoint(self, key: str, body: bytes) -> None:
        document = json.loads(body)
        turbine = document["turbine_id"]
        state = (document["last_id"], document["batches"])
        before = self._states.get(turbine, (0, 0))
        if state[0] < before[0] or state[1] < before[1]:
            self._say("checkpoint.regressed", f"{key} from (id, batches) {before} to {state}")
        if state[0] > self._durable[turbine]:
            self._say(
                "checkpoint.ahead", f"{key} says {state[0]}, durable is {self._durable[turbine]}"
            )
        self._states[turbine] = state
        self.reached[turbine] = state[0]

    def lake_digest(self) -> str:
        """The lake's digest, from the hashes taken at each write."""
        lines = sorted(f"{bucket}/{key} {value}\n" for (bucket, key), value in self.hashes.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def judge(
    store: WatchedStore, clean: MemoryStore, commits: Counter[str], attempts: int
) -> list[Broken]:
    """Every invariant that the finished run broke, those seen on the way first.

    commits: how often each batch (by its manifest's key) was handed to the store. attempts: tries per request.
    """
    broken = list(store.broken)
    broken += [
        Broken(*found) for found in foreign.judge(store.objects, clean.objects, store.planted)
    ]
    struck = {found.turbine for found in store.planted.values()}
    broken += [
        Broken(_debris(place), f"{place[0]}/{place[1]}")
        for place in store.objects.keys() - clean.objects.keys()
        if node_of(place) not in struck
    ]
    for place, body in clean.objects.items():
        if node_of(place) in struck:
            continue
        found, name = store.objects.get(place), f"{place[0]}/{place[1]}"
        if found == body:
            continue
        if place[0] == METADATA and found is not None and manifest.equal(found, body):
            continue
        kind = {METADATA: "manifest.differs", CHECKPOINTS: "checkpoint.differs"}.get(
            place[0], "lake.altered"
        )
        broken.append(Broken("lake.missing" if found is None and place[0] in DATA else kind, name))
    unnamed = [
        place for place in store.hashes if place not in store.named and node_of(place) not in struck
    ]
    broken += [Broken("data.unnamed", key) for _, key in unnamed]
    for place, count in store.puts.items():
        most = attempts * CONFIRMATIONS * commits[store.named.get(place, place[1])]
        if (place in store.named or place[0] == METADATA) and count > most:
            broken.append(Broken("writes.unbounded", f"{place[1]}: {count} puts, {most} at most"))
    return sorted(set(broken), key=lambda b: broken.index(b))


def _debris(place: Place) -> str:
    return "lake.debris" if place[0] in DATA else "debris"


def fates(store: MemoryStore, clean: MemoryStore) -> Fates:
    """Rows of the ingestion stage that are lost, there more than once, or under another hour than they belong to."""
    want, have = _rows(clean), _rows(store)
    lost = len(want.keys() - have.keys())
    duplicated = sum(len(folders) - 1 for folders in have.values())
    misplaced = sum(
        1 for row, folders in have.items() for f in set(folders) if f not in want.get(row, folders)
    )
    return Fates(lost, duplicated, misplaced)


def _rows(store: MemoryStore) -> dict[tuple[str, int], list[str]]:
    """(turbine, id) -> the hour folders that hold the row, one entry per copy."""
    rows: dict[tuple[str, int], list[str]] = defaultdict(list)
    for (bucket, key), body in store.objects.items():
        if bucket == BUCKET_PREFIX + "ingestion":
            try:
                table = pq.read_table(io.BytesIO(body), columns=["turbine_id", "id"])
            except (pa.ArrowException, OSError):
                continue
            turbines = pc.cast(table.column("turbine_id"), pa.string()).to_pylist()
            for row in zip(turbines, table.column("id").to_pylist(), strict=True):
                rows[row].append(key.rpartition("/")[0])
    return rows
