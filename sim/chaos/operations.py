"""S3's operations: which one an HTTP request is, and the names by which a fault may call for requests.

A path-style URL names bucket and key; the method, a word of the query (`?uploads`) or the header of a copy tell the
rest. A request that is none of these (`?acl`, `?lifecycle` ...) has a method and no operation.

Not covered: a bucket in the host name (virtual-hosted style): its requests pass, and seem to be of other buckets.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote

from pipeline.records import BUCKET_PREFIX
from sim.chaos.call import METHODS, Call, point_of, turbine_of
from sim.chaos.faults import OTHER
from sim.chaos.wire import Message

_COPY: Final = b"x-amz-copy-source"


class _Shape(NamedTuple):
    """The requests of one operation. `of`: a key, a bucket or the service; `word`: the subresource in the query."""

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
        *("accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering"),
        *("inventory", "legal-hold", "lifecycle", "list-type", "location", "logging", "metrics", "notification"),
        *("object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject"),
        *("replication", "requestPayment", "restore", "retention", "select", "session", "tagging", "torrent"),
        *("uploadId", "uploads", "versioning", "versions", "website"),
    }
)
"""Words of a query that make another operation of a request; all others only narrow it."""
_OF_A_NODE: Final = {"PutObject": "put", "GetObject": "get", "ListObjectsV2": "list"}
"""What a node asks, and the verb of its call."""

OPERATIONS: Final = tuple(_SHAPES)
CALL_NAMES: Final = (*METHODS, *OPERATIONS)


def method_of(name: str) -> str:
    """The HTTP method of a call by its name: an operation's, or itself."""
    return _SHAPES[name].method if name in _SHAPES else name


def call_of(request: Message) -> Call:
    """A request as faults see it: a node's if its bucket and operation are, else any client's."""
    path, _, words = request.target.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    query = parse_qs(words, keep_blank_values=True) if words else {}
    operation = _operation(request, bucket, key, query)
    name = bucket.removeprefix(BUCKET_PREFIX)
    if operation == "ListObjectsV2":
        key = query.get("start-after", query.get("prefix", [""]))[0]
    verb = _OF_A_NODE.get(operation)
    point = point_of(verb, name) if verb and name != bucket else None
    if point is None or verb is None:
        verb = " ".join([operation or request.method, *query.get("partNumber", [])])
        return Call(OTHER, verb, name, key, "", "", request.method, operation)
    turbine = turbine_of(name, key)
    return Call(point, verb, name, key, turbine, turbine.rpartition("-")[0], request.method, operation)


def _operation(request: Message, bucket: str, key: str, query: dict[str, list[str]]) -> str:
    """The operation's name, "" for none of ours."""
    of = "key" if key else "bucket" if bucket else "service"
    word = ",".join(_SUBRESOURCES.intersection(query))
    copies = request.method == "PUT" and bool(key) and _COPY in request.headers
    return _NAMES.get(_Shape(of, request.method, word, copies), "")
