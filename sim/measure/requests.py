"""The requests of a load test by name: what a user of the lake does, each one or more operations of the store.

flush: one node commits one batch by the real protocol. list_hour: the keys of one hour of a stage. get_manifest: one
manifest, read. scan_partition: every object of one hour of a stage, read. Their order is the `kind` number of a record.
"""

from __future__ import annotations

from typing import Final

KINDS: Final = ("flush", "list_hour", "get_manifest", "scan_partition")
