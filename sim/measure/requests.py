"""The requests of a load test by name: what a user of the lake does, each one or more operations of the store.

flush: a node commits one prepared batch by the real protocol. list_hour: the keys of one hour of a row-level stage.
get_manifest: one manifest. scan_partition: that list, then a GET of objects of it, decoded to rows.
"""

from __future__ import annotations

from typing import Final, Literal

RequestKind = Literal["flush", "list_hour", "get_manifest", "scan_partition"]
KINDS: Final[tuple[RequestKind, ...]] = ("flush", "list_hour", "get_manifest", "scan_partition")
"""Their order is the number of a kind in arrays."""
