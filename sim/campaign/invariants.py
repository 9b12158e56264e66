"""Invariants of a campaign's runs, each with a name, checked at every write and after every run.

At the moment of each write (`WatchedStore`):
    data.overwritten      a data object or a manifest was overwritten
    manifest.ahead        a manifest names an object that is missing or has other bytes or SHA-256
    manifest.shared       two manifests name the same object
    checkpoint.ahead      a checkpoint covers rows of a batch without a manifest
    checkpoint.regressed  a checkpoint went back

After the run (`broken_invariants`), against the run of the same nodes without faults:
    lake.missing lake.debris lake.altered   a data object is missing, surplus or altered. Any of
                                            them changes the digest
    manifest.differs checkpoint.differs     other contents, apart from the time of upload
    debris                                  a surplus manifest or checkpoint
    data.unnamed                            a data object that no manifest names
    writes.unbounded                        more puts of one object than its commits allow

After the run (`sim.campaign.in_process_run`):
    late               rows in a killed writer's WAL came later than without the fault
    stuck              the nodes did not drain after all faults had ended
    stopped            a node stopped for good
    raised             the pipeline raised an unexpected exception
    foreign.unnoticed  a node met foreign bytes, and did not stop and report the key

A node that met foreign bytes has its own invariants (`sim.chaos.foreign`) instead of equality.

Not covered: errors in the run without faults. `sim.check` judges that run, once per scenario.
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
from sim.chaos.foreign import ForeignObject


class BrokenInvariant(NamedTuple):
    """One invariant that did not hold: its name, and the place."""

    invariant: str
    detail: str


class WrongRows(NamedTuple):
    """Numbers of wrong rows in the ingestion stage, against the run without faults."""

    lost: int = 0
    duplicated: int = 0
    misplaced: int = 0


class WatchedStore(MemoryStore):
    """A MemoryStore that checks every write as it takes effect.

    puts: attempts to write each object, failed ones included. reached: last id of each turbine's
    checkpoint. named: data object -> key of the manifest that names it. planted: foreign bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.broken: list[BrokenInvariant] = []
        self.puts: Counter[Place] = Counter()
        self.reached: dict[str, int] = {}
        self.hashes: dict[Place, str] = {}
        self.named: dict[Place, str] = {}
        self.planted: dict[Place, ForeignObject] = {}
        # turbine -> first id -> last id
        self._batches: dict[str, dict[int, int]] = defaultdict(dict)
        self._durable: Counter[str] = Counter()
        self._states: dict[str, tuple[int, int]] = {}

    def copy(self) -> WatchedStore:
        """Return an independent store with the same state."""
        other = WatchedStore()
        other.objects = dict(self.objects)
        other.calls = list(self.calls)
        other.broken = list(self.broken)
        other.puts = self.puts.copy()
        other.reached = dict(self.reached)
        other.hashes = dict(self.hashes)
        other.named = dict(self.named)
        other.planted = dict(self.planted)
        other._durable = self._durable.copy()
        other._states = dict(self._states)
        for turbine, batches in self._batches.items():
            other._batches[turbine] = dict(batches)
        return other

    def create(self, bucket: str, key: str, body: bytes) -> str:
        self.puts[bucket, key] += 1
        return super().create(bucket, key, body)

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        self.puts[bucket, key] += 1
        return super().replace(bucket, key, body, etag)

    def plant(self, bucket: str, key: str, ours: bytes, etag: str | None, draw: float) -> bool:
        """Store foreign bytes at a key before `ours` is written there.

        Return False, and store nothing, if the node's own write would fail now.
        """
        there = self.objects.get((bucket, key))
        if (None if there is None else etag_of(there)) != etag:
            return False
        found = foreign.foreign_object((bucket, key), ours, draw)
        self.objects[bucket, key], self.planted[bucket, key] = found.body, found
        if (bucket, key) not in self.hashes and bucket in DATA:
            self.hashes[bucket, key] = hashlib.sha256(found.body).hexdigest()
        return True

    def _keep(self, bucket: str, key: str, body: bytes) -> str:
        if bucket == CHECKPOINTS:
            self._checkpoint(key, body)
        else:
            if (bucket, key) in self.objects:
                self._report("data.overwritten", f"{bucket}/{key}")
            if bucket == METADATA:
                self._manifest(key, body)
            else:
                self.hashes[bucket, key] = hashlib.sha256(body).hexdigest()
        return super()._keep(bucket, key, body)

    def _report(self, invariant: str, detail: str) -> None:
        self.broken.append(BrokenInvariant(invariant, detail))

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
                self._report(
                    "manifest.ahead",
                    f"{key} names {place[1]}, which {'has other bytes' if found else 'is missing'}",
                )
            if self.named.setdefault(place, key) != key:
                self._report(
                    "manifest.shared", f"{place[1]} is named by {key} and by {self.named[place]}"
                )
        turbine, source = document["turbine_id"], document["source"]
        self._batches[turbine][source["first_id"]] = source["last_id"]
        while (last := self._batches[turbine].get(self._following(turbine))) is not None:
            self._durable[turbine] = last

    def _following(self, turbine: str) -> int:
        """Return the first id of the batch that follows the durable ones, -1 if there is none.

        It is the next id, or the first id of a later node file. Only the comparison with the run
        without faults shows if rows of the earlier file are missing.
        """
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
            self._report("checkpoint.regressed", f"{key} from (id, batches) {before} to {state}")
        if state[0] > self._durable[turbine]:
            self._report(
                "checkpoint.ahead",
                f"{key} has last_id {state[0]}, durable is {self._durable[turbine]}",
            )
        self._states[turbine] = state
        self.reached[turbine] = state[0]

    def lake_digest(self) -> str:
        """Return the lake's digest, from the hashes taken at each write."""
        lines = sorted(f"{bucket}/{key} {value}\n" for (bucket, key), value in self.hashes.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def broken_invariants(
    store: WatchedStore, clean: MemoryStore, commits: Counter[str], attempts: int
) -> list[BrokenInvariant]:
    """Return every invariant that the finished run broke, those seen at a write first.

    commits: manifest's key -> number of commits of the batch. attempts: tries per request.
    """
    broken = list(store.broken)
    broken += [
        BrokenInvariant(*found)
        for found in foreign.broken_invariants(store.objects, clean.objects, store.planted)
    ]
    met_foreign = {found.turbine for found in store.planted.values()}
    broken += [
        BrokenInvariant(_debris(place), f"{place[0]}/{place[1]}")
        for place in store.objects.keys() - clean.objects.keys()
        if node_of(place) not in met_foreign
    ]
    for place, body in clean.objects.items():
        if node_of(place) in met_foreign:
            continue
        found, name = store.objects.get(place), f"{place[0]}/{place[1]}"
        if found == body:
            continue
        if place[0] == METADATA and found is not None and manifest.equal(found, body):
            continue
        kind = {METADATA: "manifest.differs", CHECKPOINTS: "checkpoint.differs"}.get(
            place[0], "lake.altered"
        )
        broken.append(
            BrokenInvariant("lake.missing" if found is None and place[0] in DATA else kind, name)
        )
    unnamed = [
        place
        for place in store.hashes
        if place not in store.named and node_of(place) not in met_foreign
    ]
    broken += [BrokenInvariant("data.unnamed", key) for _, key in unnamed]
    for place, count in store.puts.items():
        most = attempts * CONFIRMATIONS * commits[store.named.get(place, place[1])]
        if (place in store.named or place[0] == METADATA) and count > most:
            broken.append(
                BrokenInvariant("writes.unbounded", f"{place[1]}: {count} puts, {most} at most")
            )
    return sorted(set(broken), key=lambda b: broken.index(b))


def _debris(place: Place) -> str:
    return "lake.debris" if place[0] in DATA else "debris"


def wrong_rows(store: MemoryStore, clean: MemoryStore) -> WrongRows:
    """Count rows of the ingestion stage that are lost, duplicated or under a wrong hour."""
    want, have = _rows(clean), _rows(store)
    lost = len(want.keys() - have.keys())
    duplicated = sum(len(folders) - 1 for folders in have.values())
    misplaced = sum(
        1 for row, folders in have.items() for f in set(folders) if f not in want.get(row, folders)
    )
    return WrongRows(lost, duplicated, misplaced)


def _rows(store: MemoryStore) -> dict[tuple[str, int], list[str]]:
    """Return, by (turbine, id), the hour folders that hold the row, one entry per copy."""
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
