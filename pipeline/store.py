"""S3 over HTTP: the ObjectStore of every run against LocalStack or a real endpoint.

One call is one attempt; retries are made above (`pipeline.retry`). Only S3's own answers are
accepted. A web page at the endpoint, a redirect, and a listing of another bucket raise Refused,
with the reason.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit
from xml.etree import ElementTree

from pipeline import listing
from pipeline.exchange import Answer
from pipeline.ports import (
    AlreadyExists,
    Conflict,
    NoBucket,
    NotFound,
    Refused,
    StoreError,
    Unavailable,
)
from pipeline.settings import Place, settings
from pipeline.wire import Dial, Wire

TIMEOUT_S = 20
REFUSALS = {400, 401, 403, 404, 405, 411, 413}
# codes of a 400 for errors in transmission: a retry may succeed
TRANSIENT = {"RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch"}
NOT_S3 = "answers, but not as S3 does"
MOST_PAGES = 100_000
"""Most pages of one listing: a hundred million keys. A server that promises more is no S3."""
_SHOWN = 300
Objects = list[tuple[str, int, str]]


class S3ObjectStore:
    """ObjectStore of an S3 server. Safe to share between threads.

    place: settings, or an endpoint URL (None: AWS itself) for which to read them. timeout_s: bound
    on one request. dial: see `Wire`. Each PUT carries its SHA-256.
    """

    def __init__(
        self, place: Place, timeout_s: float = TIMEOUT_S, dial: Dial = socket.create_connection
    ) -> None:
        """Read the settings of `place`. Raise SettingsError."""
        self.settings = settings(place)
        self._wire = Wire(self.settings, timeout_s, dial)

    def create(self, bucket: str, key: str, body: bytes) -> str:
        """See ObjectStore."""
        return self._put(bucket, key, body, {"if-none-match": "*"}, AlreadyExists)

    def replace(self, bucket: str, key: str, body: bytes, etag: str) -> str:
        """See ObjectStore."""
        try:
            return self._put(bucket, key, body, {"if-match": etag}, Conflict)
        except NotFound as error:
            raise Conflict(str(error)) from error

    def get(self, bucket: str, key: str) -> tuple[bytes, str]:
        """See ObjectStore."""
        operation = f"get {bucket}/{key}"
        answer = self._ask(operation, "GET", bucket, key)
        if _is_web_page(answer):
            raise self._not_s3(operation, "a web page")
        return answer.body, self._etag(operation, answer)

    def pages(self, bucket: str, prefix: str = "", most: int | None = None) -> Iterator[Objects]:
        """Yield key, size and ETag of every object, page by page. Raise StoreError.

        most: objects on a page, None for S3's default.
        """
        operation = f"list {bucket}/{prefix}"
        query = {"prefix": prefix} if prefix else {}
        query |= {"max-keys": str(most)} if most is not None else {}
        for page in self._walk(operation, bucket, query):
            yield page.objects

    def page(self, bucket: str, after: str, most: int) -> tuple[Objects, bool]:
        """Return objects behind the key `after`, `most` at most, and if there are more.

        Raises StoreError.
        """
        operation = f"list {bucket} after {after}"
        query = {"max-keys": str(most)} | ({"start-after": after} if after else {})
        # S3 may answer with less than was asked for, and with nothing.
        pages = self._walk(operation, bucket, query)
        page = next(page for page in pages if page.objects or page.token is None)
        if any(key <= after for key, _, _ in page.objects):
            raise self._not_s3(operation, "a listing that begins before its place")
        return page.objects, page.token is not None

    def has_uploads(self, bucket: str) -> bool:
        """Return True for a bucket with incomplete multipart uploads.

        Raises NoBucket, and StoreError.
        """
        operation = f"list uploads {bucket}"
        answer = self._ask(operation, "GET", bucket, query={"uploads": ""})
        try:
            return listing.has_uploads(answer.body)
        except ValueError as error:
            raise self._not_s3(operation, str(error)) from None

    def first(self, bucket: str) -> str | None:
        """Return any key of the bucket, None if it is empty.

        Raises NoBucket, and StoreError if the server is no S3.
        """
        objects = next(self.pages(bucket, most=1))
        return objects[0][0] if objects else None

    def list(self, bucket: str, folder: str, name_prefix: str) -> list[str]:
        """See ObjectStore."""
        begin = folder + name_prefix
        pages = self.pages(bucket, begin)
        return sorted(key for page in pages for key, _, _ in page if key.startswith(begin))

    def _walk(self, operation: str, bucket: str, query: dict[str, str]) -> Iterator[listing.Page]:
        """Yield the pages of ListObjectsV2, the last of them without a token."""
        seen: set[str] = set()
        for _ in range(MOST_PAGES):
            page = self._page(operation, bucket, query)
            yield page
            if page.token is None:
                return
            if page.token in seen:
                raise self._not_s3(operation, "a listing that goes in a circle")
            seen.add(page.token)
            query["continuation-token"] = page.token
        raise self._not_s3(operation, f"a listing of more than {MOST_PAGES:,} pages")

    def _page(self, operation: str, bucket: str, query: dict[str, str]) -> listing.Page:
        """Return one page of ListObjectsV2."""
        query = {"list-type": "2", "encoding-type": "url"} | query
        answer = self._ask(operation, "GET", bucket, query=query)
        try:
            return listing.page(answer.body, bucket)
        except ValueError as error:
            raise self._not_s3(operation, str(error)) from None

    def _put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        condition: dict[str, str],
        failed: type[StoreError],
    ) -> str:
        operation = f"put {bucket}/{key}"
        answer = self._ask(operation, "PUT", bucket, key, None, condition, body, failed)
        if answer.body:
            raise self._not_s3(operation, f"a PUT answered with {answer.body[:40]!r}")
        return self._etag(operation, answer)

    def _ask(
        self,
        operation: str,
        method: str,
        bucket: str,
        key: str = "",
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        failed: type[StoreError] = Conflict,
    ) -> Answer:
        """Return the answer to a request that succeeded.

        failed: the error to raise for a failed precondition.
        """
        try:
            answer = self._wire.ask(method, bucket, key, query, headers, body)
        except Unavailable as error:
            raise Unavailable(f"{operation}: {error}") from error
        if answer.status == 200:
            return answer
        raise self._error(operation, answer, failed)

    def _error(self, operation: str, answer: Answer, failed: type[StoreError]) -> StoreError:
        """Return the error of an answer that is no success.

        Status and S3's code come first in its text: the rest may be cut off.
        """
        status, (code, message) = answer.status, _code(answer.body)
        if 300 <= status < 400:
            there = _redirect_host(answer.headers.get("location"))
            return Refused(
                f"{operation}: HTTP {status} {code or 'redirect'}: {self.settings.place} redirects"
                f"{there}; windfleet follows no redirect: name the right endpoint, "
                "and the bucket's region with AWS_REGION"
            )
        text = f"{operation}: HTTP {status} {code or 'without an S3 code'}: {message}"[
            : len(operation) + _SHOWN
        ]
        if code == "NoSuchBucket":
            return NoBucket(f"{operation}: the bucket does not exist")
        if status == 412:
            return failed(text)
        if status == 409 and failed is AlreadyExists and code != "ConditionalRequestConflict":
            return AlreadyExists(text)
        if status == 404 and code is not None:
            return NotFound(text)
        if 200 < status < 300 or (status == 404 and code is None):
            return self._not_s3(operation, f"HTTP {status} without an S3 error")
        if status in (401, 403):
            denied = Refused(text)
            denied.denied = True
            return denied
        if status in REFUSALS and code not in TRANSIENT:
            return Refused(text)
        return Unavailable(text)

    def _etag(self, operation: str, answer: Answer) -> str:
        if etag := answer.headers.get("etag"):
            return etag
        raise self._not_s3(operation, "no ETag, which conditional writes need")

    def _not_s3(self, operation: str, found: str) -> Refused:
        return Refused(
            f"{operation}: {self.settings.place} {NOT_S3} ({found[:_SHOWN]}): "
            "is the endpoint right?"
        )


def _is_web_page(answer: Answer) -> bool:
    """Return True for a page of a proxy or login portal between client and S3.

    A page that is stored in S3 comes with S3's own headers.
    """
    is_page = answer.headers.get("content-type", "").startswith("text/html")
    return is_page and not any(name.startswith("x-amz-") for name in answer.headers)


def _code(body: bytes) -> tuple[str | None, str]:
    """Return S3's code (None if the body is no error of S3) and message."""
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, LookupError, ValueError):
        return None, _printable(body[:_SHOWN].decode(errors="replace"))
    if root.tag.rpartition("}")[2] != "Error":
        return None, f"<{root.tag.rpartition('}')[2]}>"
    found = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    return _printable(found.get("Code", ""))[:64] or None, _printable(found.get("Message", ""))


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))


def _redirect_host(location: str | None) -> str:
    """Return the host of a redirect, without anything that could be a secret."""
    try:
        parts = urlsplit(location or "")
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    return f" to {host}" + (f":{port}" if port else "") if host else ""
