"""The lake as a loader sees it: one state of its buckets, with faults of LIST and GET.

The calls pass through the loader's own client (`sim.store.s3_lake.S3Buckets`, with the pipeline's
retries). A loader only reads: any other verb is an error of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.ports import NoBucket, NotFound, Refused, Unavailable
from pipeline.records import BUCKET_NAMES, BUCKET_PREFIX
from pipeline.retry import Retrying
from sim.campaign.loader.faults import CUT, DENIED, ERROR, GET, LATE, LIST, MISSING, STALE, possible
from sim.chaos.call import Place
from sim.chaos.choice import chance
from sim.check.read.lake import LakeReader, ObjectRef
from sim.store.s3_lake import S3Buckets

PAGE_KEYS: Final = 4
LOCATION: Final = "a store in memory"
Objects = Mapping[Place, bytes]
Page = tuple[list[tuple[str, int, str]], bool]
CallStore = Callable[[str, str, frozenset[str]], str | None]
"""call(point, text, possible): records a call and returns the fault that hits it."""


class _ReadOnly:
    """The verbs of an object store that a loader never uses."""

    def create(self, bucket: str, key: str, body: bytes) -> str:
        raise AssertionError(f"a loader creates {bucket}/{key}")

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        raise AssertionError(f"a loader replaces {bucket}/{key}")

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        raise AssertionError(f"a loader lists {bucket}/{folder}{name_prefix} without sizes")

    def page(self, bucket: str, after: str, most: int) -> Page:
        raise AssertionError(f"a loader lists a part of {bucket}")


class ReadStore(_ReadOnly):
    """One state of a lake. `shown`: every object that a listing has shown.

    known: objects of the state before, the only ones that a loader can know.
    seed: of the choice of keys that a listing leaves out.
    """

    def __init__(self, objects: Objects, known: Objects, seed: int, call: CallStore) -> None:
        self.shown: set[Place] = set()
        self._objects, self._known, self._seed, self._call = objects, known, seed, call

    def pages(self, bucket: str) -> Iterator[list[tuple[str, int, str]]]:
        keys = sorted(key for name, key in self._objects if name == bucket)
        for number, first in enumerate(range(0, max(len(keys), 1), PAGE_KEYS), 1):
            yield self._page(bucket, number, keys[first : first + PAGE_KEYS])

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        place = f"get {bucket}/{key}"
        fault = self._call(GET, place, possible(GET))
        self._fail(fault, place)
        if fault == MISSING or (bucket, key) not in self._objects:
            raise NotFound(place)
        body = self._objects[bucket, key]
        return body[: len(body) // 2] if fault == CUT else body, ""

    def _page(self, bucket: str, number: int, keys: list[str]) -> list[tuple[str, int, str]]:
        new = [key for key in keys if (bucket, key) not in self._known]
        known = [key for key in keys if (bucket, key) in self._known]
        kinds = possible(LIST) - ({LATE} if not new else set()) - ({STALE} if not known else set())
        place = f"list {bucket} page {number}"
        fault = self._call(LIST, place, kinds)
        self._fail(fault, place)
        if fault == MISSING or bucket.removeprefix(BUCKET_PREFIX) not in BUCKET_NAMES:
            raise NoBucket(place)
        out = {*new, *self._some(known)} if fault == STALE else set()
        out |= self._some(new) if fault == LATE else set()
        shown = [key for key in keys if key not in out]
        self.shown |= {(bucket, key) for key in shown}
        return [(key, len(self._objects[bucket, key]), "") for key in shown]

    def _some(self, keys: list[str]) -> set[str]:
        """Return half of the keys or so, at least one."""
        some = {key for key in keys if chance(self._seed, "late", key) < 0.5}
        return some or set(keys[:1])

    def _fail(self, fault: str | None, place: str) -> None:
        if fault == ERROR:
            raise Unavailable(f"{place}: {fault} (injected)")
        if fault == DENIED:
            raise Refused(f"{place}: {fault} (injected)")


@dataclass(frozen=True, eq=False)
class _Opener:
    """Opener of a store in memory, see `sim.check.read.lake.Opener`."""

    store: ReadStore
    attempts: int

    def __call__(self) -> S3Buckets:
        tries = Retrying(self.store, attempts=self.attempts, sleep=lambda seconds: None)
        return S3Buckets(self.store, LOCATION, tries)


@dataclass(frozen=True)
class _OneByOne(LakeReader):
    """A reader without threads, so that a run is a function of its schedule."""

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        return map(self._fetch, refs)


def reader(store: ReadStore, attempts: int) -> LakeReader:
    """Return the reader of a store. attempts: tries per request."""
    return _OneByOne(LOCATION, _Opener(store, attempts))
