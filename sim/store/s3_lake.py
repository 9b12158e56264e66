"""The lake in an S3, opened for the oracle with the pipeline's client.

Reads are retried like the pipeline's. An endpoint that is no S3 is a LakeError, never an empty
lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, TypeVar

from pipeline.ports import NoBucket, NotFound, ObjectStore, StoreError
from pipeline.retry import Retrying
from pipeline.settings import Place, Settings, SettingsError, settings
from pipeline.store import S3ObjectStore
from sim.check import LakeError, LakeReader

TIMEOUT_S = 60
T = TypeVar("T")


@dataclass(frozen=True)
class S3Opener:
    """Opener of an S3, see `sim.check.read.lake.Opener`. Its repr shows no credentials."""

    settings: Settings

    def __call__(self) -> S3Buckets:
        """Raises LakeError."""
        try:
            store = S3ObjectStore(self.settings, TIMEOUT_S)
            return S3Buckets(store, self.settings.place, Retrying(store))
        except SettingsError as error:
            raise LakeError(str(error)) from error


def s3_lake(place: Place) -> LakeReader:
    """Return the lake in the S3 of a place. Raises LakeError."""
    try:
        found = settings(place)
    except SettingsError as error:
        raise LakeError(str(error)) from error
    return LakeReader.s3(found.place, S3Opener(found))


def settings_of(lake: LakeReader) -> Settings | None:
    """Return the S3 of a reader, None for a folder."""
    return lake.opener.settings if isinstance(lake.opener, S3Opener) else None


class Pages(ObjectStore, Protocol):
    """An object store that lists a bucket with sizes and ETags."""

    def pages(self, bucket: str) -> Iterator[list[tuple[str, int, str]]]:
        """Yield key, size and ETag of every object, page by page. Raises StoreError."""

    def page(self, bucket: str, after: str, most: int) -> tuple[list[tuple[str, int, str]], bool]:
        """Return objects behind a key, and if there are more. Raises StoreError."""


class S3Buckets:
    """Buckets of an S3, see `sim.check.read.lake.Buckets`."""

    def __init__(self, store: Pages, place: str, tries: Retrying) -> None:
        """place: names the store in messages. tries: retries the calls to it."""
        self._store, self._place, self._tries = store, place, tries

    def listing(self, bucket: str) -> list[tuple[str, int, str]] | None:
        return self._listed(bucket, lambda: list(chain.from_iterable(self._store.pages(bucket))))

    def page(
        self, bucket: str, after: str, most: int
    ) -> tuple[list[tuple[str, int, str]], bool] | None:
        return self._listed(bucket, lambda: self._store.page(bucket, after, most))

    def _listed(self, bucket: str, call: Callable[[], T]) -> T | None:
        try:
            return self._tries.run("list", bucket, "", 0, call)
        except NoBucket:
            return None
        except StoreError as error:
            raise LakeError(f"{self._place}: cannot list bucket {bucket}: {error}") from error

    def body(self, bucket: str, key: str) -> bytes | None:
        try:
            return self._tries.get(bucket, key)[0]
        except (NoBucket, NotFound):
            return None
        except StoreError as error:
            raise LakeError(f"{self._place}: cannot read {bucket}/{key}: {error}") from error
