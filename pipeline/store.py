"""S3 through obstore: the ObjectStore of every run against LocalStack or a real endpoint.

obstore and not boto3 on this path: it costs 0.2-0.45 CPU-ms a PUT instead of 1.5-2.4, and the client shares the cores
with the server under test. The SDK's own retries are off. Ours are bounded, and every attempt is recorded as one
`Operation`, so that a retry is visible in operations.parquet instead of hiding in a latency.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import obstore
from obstore import exceptions as oberr
from obstore.store import S3Store as Bucket

from pipeline.lake import REGION, is_loopback
from pipeline.ports import AlreadyExists, Conflict, NotFound, Refused, StoreError, Unavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig

T = TypeVar("T")

ATTEMPTS = 4
BACKOFF_S = 0.2  # doubles, with jitter: 0.2, 0.4, 0.8 s at most
TIMEOUT_S = 20
LIST_PAGE = 1000
REFUSALS = {"400", "401", "403", "404", "405", "411", "413"}  # a 400 may also be S3's RequestTimeout, which is none


class Operation(NamedTuple):
    """One attempt at one store operation. Times are wall time in ns since 1970."""

    intended_start: int
    start: int
    end: int
    kind: str  # put | get | list
    bucket: str
    key: str
    bytes: int
    outcome: str  # ok | exists | conflict | missing | unavailable | refused
    attempt: int


OUTCOMES: dict[type[StoreError], str] = {
    AlreadyExists: "exists",
    Conflict: "conflict",
    NotFound: "missing",
    Unavailable: "unavailable",
    Refused: "refused",
}


class S3ObjectStore:
    """See `pipeline.ports.ObjectStore`. Safe to share between threads.

    endpoint_url: None means AWS itself. Credentials come from the standard AWS variables; a loopback endpoint needs
    none. `record` is called with each Operation, from the thread that made it.
    """

    def __init__(
        self,
        endpoint_url: str | None,
        record: Callable[[Operation], None] | None = None,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._endpoint = endpoint_url
        self._record = record
        self._attempts = attempts
        self._sleep = sleep
        self._buckets: dict[str, Bucket] = {}

    def create(self, bucket: str, key: str, body: bytes) -> str:
        store = self._bucket(bucket)
        return self._run("put", bucket, key, len(body), lambda: _etag(_put(store, key, body, "create")))

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        store = self._bucket(bucket)
        return self._run("put", bucket, key, len(body), lambda: _etag(_put(store, key, body, {"e_tag": etag})))

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        store = self._bucket(bucket)

        def fetch() -> tuple[bytes, str]:
            answer = obstore.get(store, key)
            body = bytes(answer.bytes())
            if len(body) != answer.meta["size"]:
                raise Unavailable(f"get {bucket}/{key}: {len(body)} of {answer.meta['size']} bytes came")
            return body, _etag(answer.meta)

        return self._run("get", bucket, key, 0, fetch)

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        store = self._bucket(bucket)
        begin = folder + name_prefix

        def page_through() -> list[str]:
            # object_store lists whole folders; starting at the name and stopping just behind it makes that cheap
            found: list[str] = []
            for page in obstore.list(store, prefix=folder, offset=begin, chunk_size=LIST_PAGE):
                keys = sorted(str(meta["path"]) for meta in page)
                found += [key for key in keys if key.startswith(begin)]
                if keys and keys[-1] > begin and not keys[-1].startswith(begin):
                    break
            return found

        return self._run("list", bucket, begin, 0, page_through)

    def _bucket(self, name: str) -> Bucket:
        if name not in self._buckets:
            self._buckets[name] = open_bucket(name, self._endpoint)
        return self._buckets[name]

    def _run(self, kind: str, bucket: str, key: str, size: int, call: Callable[[], T]) -> T:
        intended = time.time_ns()
        for attempt in range(1, self._attempts + 1):
            start = time.time_ns()
            try:
                result = call()
            except (StoreError, oberr.BaseError, OSError) as raw:
                error = _translate(raw, f"{kind} {bucket}/{key}")
                self._note(intended, start, kind, bucket, key, size, OUTCOMES[type(error)], attempt)
                if not isinstance(error, Unavailable) or attempt == self._attempts:
                    raise error from raw
                self._sleep(BACKOFF_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
            else:
                got = size or (len(result[0]) if isinstance(result, tuple) else 0)
                self._note(intended, start, kind, bucket, key, got, "ok", attempt)
                return result
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _note(
        self, intended: int, start: int, kind: str, bucket: str, key: str, size: int, outcome: str, attempt: int
    ) -> None:
        if self._record is not None:
            self._record(Operation(intended, start, time.time_ns(), kind, bucket, key, size, outcome, attempt))


def open_bucket(name: str, endpoint_url: str | None) -> Bucket:
    """An obstore S3Store without retries of its own. Loopback endpoints work without credentials."""
    options: dict[str, Any] = {"region": os.environ.get("AWS_REGION", REGION), "virtual_hosted_style_request": False}
    client: ClientConfig = {"timeout": f"{TIMEOUT_S}s", "connect_timeout": "5s", "pool_max_idle_per_host": "64"}
    if endpoint_url is not None:
        options["endpoint"] = endpoint_url
        client["allow_http"] = endpoint_url.startswith("http://")
        if is_loopback(endpoint_url):
            options["access_key_id"] = os.environ.get("AWS_ACCESS_KEY_ID", "test")
            options["secret_access_key"] = os.environ.get("AWS_SECRET_ACCESS_KEY", "test")
    return Bucket(name, client_options=client, retry_config={"max_retries": 0}, **options)


def _put(store: Bucket, key: str, body: bytes, mode: Any) -> Any:
    return obstore.put(store, key, body, mode=mode, use_multipart=False)


def _etag(meta: Any) -> str:
    etag = meta["e_tag"]
    if not etag:
        raise Refused("the store gave no ETag; conditional writes need one")
    return str(etag)


def _translate(error: Exception, what: str) -> StoreError:
    """Any error of obstore or of the wire as one of ours."""
    if isinstance(error, StoreError):
        return error
    answer = " ".join(str(error).partition("Debug source")[0].split())
    text = f"{what}: {answer[:300]}"
    if "<Code>NoSuchBucket</Code>" in answer:  # whatever obstore makes of the 404: it depends on the verb
        return Refused(f"{what}: the bucket does not exist")
    if isinstance(error, oberr.AlreadyExistsError):
        return AlreadyExists(text)
    if isinstance(error, oberr.PreconditionError):
        return Conflict(text)
    if isinstance(error, oberr.NotFoundError | FileNotFoundError):
        return NotFound(text)
    said = re.search(r"status code: (\d{3})", answer)
    permanent = (
        oberr.PermissionDeniedError,
        oberr.UnauthenticatedError,
        oberr.InvalidPathError,
        oberr.NotSupportedError,
        oberr.UnknownConfigurationKeyError,
    )
    if isinstance(error, permanent) or (said and said[1] in REFUSALS and "<Code>RequestTimeout</Code>" not in answer):
        return Refused(text)
    return Unavailable(text)
