"""The kinds of requests of a load test. Light: every scenario is read with them.

flush            a node commits one prepared batch by the real protocol
list_hour        LIST of the keys of one hour of a row-level stage
get_manifest     GET of one manifest
scan_partition   that LIST, then a GET of some of its objects, decoded to rows
"""

from __future__ import annotations

from typing import Final, Literal

RequestKind = Literal["flush", "list_hour", "get_manifest", "scan_partition"]
KINDS: Final[tuple[RequestKind, ...]] = ("flush", "list_hour", "get_manifest", "scan_partition")
"""All kinds. The position of a kind is its number in arrays."""
