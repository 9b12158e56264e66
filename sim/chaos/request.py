"""HTTP requests as calls: the client (a node or any other), the bucket and the key.

Not covered: a bucket in the host name (virtual-hosted style). Such requests pass, and count as
calls of other buckets.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote

from pipeline.records import BUCKET_PREFIX
from sim.chaos.call import Call, point_of, turbine_of
from sim.chaos.faults import OTHER
from sim.chaos.operations import operation_of
from sim.chaos.wire import Message

_COPY: Final = b"x-amz-copy-source"
_OF_A_NODE: Final = {"PutObject": "put", "GetObject": "get", "ListObjectsV2": "list"}
"""Operations that nodes use, and the verb of their call."""


def call_of(request: Message) -> Call:
    """Return a request as a call: a node's if nodes use its bucket and operation."""
    path, _, words = request.target.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    query = parse_qs(words, keep_blank_values=True) if words else {}
    operation = operation_of(request.method, bucket, key, query, _COPY in request.headers)
    name = bucket.removeprefix(BUCKET_PREFIX)
    if operation == "ListObjectsV2":
        key = query.get("start-after", query.get("prefix", [""]))[0]
    verb = _OF_A_NODE.get(operation)
    point = point_of(verb, name) if verb and name != bucket else None
    if point is None or verb is None:
        verb = " ".join([operation or request.method, *query.get("partNumber", [])])
        return Call(OTHER, verb, name, key, "", "", request.method, operation)
    turbine = turbine_of(name, key)
    return Call(
        point, verb, name, key, turbine, turbine.rpartition("-")[0], request.method, operation
    )
