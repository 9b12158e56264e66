"""S3 operations as HTTP requests, and the names by which a fault may select them.

The method, a subresource in the query (`?uploads`) and the header `x-amz-copy-source` distinguish
them. Any other request (`?acl`, `?lifecycle` ...) has a method and no operation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from sim.chaos.faults import FOREIGN, WRITES, Kind

METHODS: Final = ("GET", "HEAD", "PUT", "POST", "DELETE")
_WRITE_METHODS: Final = ("PUT", "POST", "DELETE")
_WITH_BODY: Final = {
    "store.corrupted-put": ("PUT", "POST"),
    "store.truncated-get": ("GET",),
    FOREIGN: ("PUT",),
}
"""Methods of the kinds that need a body, of a request or of an answer."""


class _Shape(NamedTuple):
    """The HTTP shape of one operation.

    of: a key, a bucket or the service. word: the subresource in the query. copies: the request has
    the header `x-amz-copy-source`.
    """

    of: str
    method: str
    word: str = ""
    copies: bool = False


_SHAPES: Final = {
    "ListBuckets": _Shape("service", "GET"),
    "HeadBucket": _Shape("bucket", "HEAD"),
    "CreateBucket": _Shape("bucket", "PUT"),
    "DeleteBucket": _Shape("bucket", "DELETE"),
    "ListObjects": _Shape("bucket", "GET"),
    "ListObjectsV2": _Shape("bucket", "GET", "list-type"),
    "ListObjectVersions": _Shape("bucket", "GET", "versions"),
    "ListMultipartUploads": _Shape("bucket", "GET", "uploads"),
    "DeleteObjects": _Shape("bucket", "POST", "delete"),
    "HeadObject": _Shape("key", "HEAD"),
    "GetObject": _Shape("key", "GET"),
    "PutObject": _Shape("key", "PUT"),
    "CopyObject": _Shape("key", "PUT", copies=True),
    "DeleteObject": _Shape("key", "DELETE"),
    "CreateMultipartUpload": _Shape("key", "POST", "uploads"),
    "UploadPart": _Shape("key", "PUT", "uploadId"),
    "UploadPartCopy": _Shape("key", "PUT", "uploadId", copies=True),
    "CompleteMultipartUpload": _Shape("key", "POST", "uploadId"),
    "AbortMultipartUpload": _Shape("key", "DELETE", "uploadId"),
    "ListParts": _Shape("key", "GET", "uploadId"),
}
_NAMES: Final = {shape: name for name, shape in _SHAPES.items()}
_SUBRESOURCES: Final = frozenset(
    {
        *("accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption"),
        *("intelligent-tiering", "inventory", "legal-hold", "lifecycle", "list-type", "location"),
        *("logging", "metrics", "notification", "object-lock", "ownershipControls", "policy"),
        *("policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment"),
        *("restore", "retention", "select", "session", "tagging", "torrent", "uploadId", "uploads"),
        *("versioning", "versions", "website"),
    }
)
"""Query words that select another operation. All other words only narrow the request."""
OPERATIONS: Final = tuple(_SHAPES)
CALL_NAMES: Final = (*METHODS, *OPERATIONS)


def method_of(name: str) -> str:
    """Return the HTTP method of an operation; the name of a method is returned as it is."""
    return _SHAPES[name].method if name in _SHAPES else name


def methods(kind: Kind) -> tuple[str, ...]:
    """Return the HTTP methods that a wire fault can hit: writes, if all its points are writes."""
    return _WITH_BODY.get(kind.name) or (_WRITE_METHODS if {*kind.points} <= {*WRITES} else METHODS)


def operation_of(method: str, bucket: str, key: str, words: Iterable[str], copies: bool) -> str:
    """Return the operation of a request, "" if it is none of OPERATIONS.

    words: names in its query. copies: it has the header `x-amz-copy-source`.
    """
    of = "key" if key else "bucket" if bucket else "service"
    word = ",".join(_SUBRESOURCES.intersection(words))
    return _NAMES.get(_Shape(of, method, word, copies and of == "key" and method == "PUT"), "")
