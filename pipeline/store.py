"""S3 through obstore: the ObjectStore of every run against LocalStack or a real endpoint.

obstore and not boto3 on this path: it costs 0.2-0.45 CPU-ms a PUT instead of 1.5-2.4, and the client shares the cores
with the server under test. One call is one attempt: the SDK's own retries are off (see `pipeline.retry`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import obstore
from obstore import exceptions as oberr
from obstore.store import S3Store as Bucket

from pipeline.lake import REGION, is_loopback
from pipeline.ports import AlreadyExists, Conflict, NoBucket, NotFound, Refused, StoreError, Unavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig

TIMEOUT_S = 20
CONNECTIONS = 64
LIST_PAGE = 1000
REFUSALS = {"400", "401", "403", "404", "405", "411", "413"}
PASSING = {"RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch"}  # a 400, but of the way there: try again


class S3ObjectStore:
    """See `pipeline.ports.ObjectStore`. Safe to share between threads.

    endpoint_url: None means AWS itself. Credentials come from the standard AWS variables; a loopback endpoint needs
    none. timeout_s: how long one request may take. connections: kept open per bucket, for as many threads. Each PUT
    carries its SHA-256, so that S3 refuses a body that was changed on its way (it costs nothing to speak of: the
    signature needs the sum anyway).
    """

    def __init__(self, endpoint_url: str | None, timeout_s: float = TIMEOUT_S, connections: int = CONNECTIONS) -> None:
        self._endpoint = endpoint_url
        self._timeout_s = timeout_s
        self._connections = connections
        self._buckets: dict[str, Bucket] = {}

    def create(self, bucket: str, key: str, body: bytes) -> str:
        with _translated(f"put {bucket}/{key}"):
            return self._put(bucket, key, body, "create")

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        with _translated(f"put {bucket}/{key}"):
            return self._put(bucket, key, body, {"e_tag": etag})

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        with _translated(f"get {bucket}/{key}"):
            answer = obstore.get(self._bucket(bucket), key)
            body = bytes(answer.bytes())
            if len(body) != answer.meta["size"]:
                raise Unavailable(f"get {bucket}/{key}: {len(body)} of {answer.meta['size']} bytes came")
            return body, _etag(answer.meta)

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        begin = folder + name_prefix
        found: list[str] = []
        with _translated(f"list {bucket}/{begin}"):
            # object_store lists whole folders; starting at the name and stopping just behind it makes that cheap
            for page in obstore.list(self._bucket(bucket), prefix=folder, offset=begin, chunk_size=LIST_PAGE):
                keys = sorted(str(meta["path"]) for meta in page)
                found += [key for key in keys if key.startswith(begin)]
                if keys and keys[-1] > begin and not keys[-1].startswith(begin):
                    break
        return found

    def _put(self, bucket: str, key: str, body: bytes, mode: Any) -> str:
        return _etag(obstore.put(self._bucket(bucket), key, body, mode=mode, use_multipart=False))

    def _bucket(self, name: str) -> Bucket:
        if name not in self._buckets:
            self._buckets[name] = open_bucket(name, self._endpoint, self._timeout_s, self._connections)
        return self._buckets[name]


def open_bucket(name: str, endpoint_url: str | None, timeout_s: float, connections: int = CONNECTIONS) -> Bucket:
    """An obstore S3Store without retries of its own. Loopback endpoints work without credentials."""
    options: dict[str, Any] = {
        "region": REGION,
        "virtual_hosted_style_request": False,
        "checksum_algorithm": "SHA256",
    }
    client: ClientConfig = {
        "timeout": f"{round(timeout_s * 1000)}ms",
        "connect_timeout": "5s",
        "pool_max_idle_per_host": str(connections),
    }
    if endpoint_url is not None:
        options["endpoint"] = endpoint_url
        client["allow_http"] = endpoint_url.startswith("http://")
        if is_loopback(endpoint_url):
            options["access_key_id"] = os.environ.get("AWS_ACCESS_KEY_ID", "test")
            options["secret_access_key"] = os.environ.get("AWS_SECRET_ACCESS_KEY", "test")
    return Bucket(name, client_options=client, retry_config={"max_retries": 0}, **options)


def _etag(meta: Any) -> str:
    etag = meta["e_tag"]
    if not etag:
        raise Refused("the store gave no ETag; conditional writes need one")
    return str(etag)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (StoreError, oberr.BaseError, OSError) as error:
        raise _translate(error, what) from error


def _translate(error: Exception, what: str) -> StoreError:
    """Any error of obstore or of the wire as one of ours."""
    if isinstance(error, StoreError):
        return error
    answer = " ".join(str(error).partition("Debug source")[0].split())
    text = f"{what}: {answer[:300]}"
    if "<Code>NoSuchBucket</Code>" in answer:  # whatever obstore makes of the 404: it depends on the verb
        return NoBucket(f"{what}: the bucket does not exist")
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
    code = re.search(r"<Code>(\w+)</Code>", answer)
    if isinstance(error, permanent) or (said and said[1] in REFUSALS and not (code and code[1] in PASSING)):
        return Refused(text)
    return Unavailable(text)
