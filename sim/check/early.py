"""Verdicts on shares that are done, while others are still delivered.

An early verdict counts only if it found nothing at all, and if at the end the share is the same:

- the same node files, by size and time of change, and the same ground truth,
- the same objects in the final listing, each with the same size and ETag.

Any other share is judged again, with everything that is in the lake at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from sim.check.read.lake import ObjectRef
from sim.check.share import Share, ShareVerdict

Version = tuple[str, str, str, int, str]
Stamps = tuple[tuple[int, int] | None, ...]


class EarlyVerdicts:
    """Early verdicts that found nothing.

    `objects`: number of objects that they cover. `begins`: the first turbine of each share that was
    cut. The shares at the end are cut there, too.
    """

    def __init__(self) -> None:
        self.objects = 0
        self.begins: set[str] = set()
        self._stamps: dict[tuple[str, ...], Stamps] = {}
        self._found: dict[tuple[str, ...], tuple[Share, ShareVerdict]] = {}

    def cut(self, shares: Iterable[Share]) -> None:
        """Note shares, and their node files as they are, before they are judged."""
        for share in shares:
            self.begins.add(share.files[0].turbine)
            self._stamps[_turbines(share)] = _stamps(share)

    def add(self, share: Share, verdict: ShareVerdict) -> None:
        """Take a verdict, unless it found anything."""
        if not (verdict.findings.counts or verdict.errors or verdict.visitors):
            self._found[_turbines(share)] = share, verdict
            self.objects += len(_versions(share.objects))

    def verdict_on(self, share: Share) -> ShareVerdict | None:
        """Return the verdict on the share as it is at the end, None if it must be judged again."""
        found = self._found.get(_turbines(share))
        if found is None or not _is_same(found[0], share):
            return None
        if self._stamps.get(_turbines(share), _stamps(share)) != _stamps(share):
            return None
        return replace(found[1], number=share.number)


def _stamps(share: Share) -> Stamps:
    """Return size and time of change of every node file; None for one that is not there."""
    paths = [path for file in share.files for path in (file.database, file.config, *file.retired)]
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _turbines(share: Share) -> tuple[str, ...]:
    return share.farm, *(file.turbine for file in share.files)


def _is_same(early: Share, final: Share) -> bool:
    versions = _versions(final.objects)
    return (
        early.files == final.files
        and early.by_hand == final.by_hand
        and not final.guests
        and versions == _versions(early.objects)
        and all(etag for *_, etag in versions)
        and _is_same_table(early.truth, final.truth)
        and _is_same_table(early.events, final.events)
    )


def _versions(objects: dict[str, list[ObjectRef]]) -> set[Version]:
    return {
        (stage, ref.bucket, ref.key, ref.size, ref.etag)
        for stage, refs in objects.items()
        for ref in refs
    }


def _is_same_table(one: pa.Table | None, other: pa.Table | None) -> bool:
    if one is None or other is None:
        return one is other
    names: Iterable[str] = one.column_names
    return bool(one.num_rows == other.num_rows == 0 or one.equals(other.select(list(names))))
