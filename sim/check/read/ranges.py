"""Ranges of object names that belong to a part of a fleet, for a listing of its objects alone.

In the folder of an hour, and in a farm's folder of checkpoints, names begin with a turbine's. All
names up to the next turbine's belong to a turbine, also those of no known form. So each name there
belongs to one part of the fleet, and a part need not list what lies between its own ranges.

Keys in other places belong to no turbine. Every part lists them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import Final, Protocol

Listed = tuple[str, int, str]
"""Key, size and ETag of an object."""
_FOLDER: Final = re.compile(
    r"(?:_?[a-z]+/year=\d{4}/month=\d\d/day=\d\d/hour=\d\d|checkpoints/[^/]+)/", re.ASCII
)
_LAST: Final = "\U0010ffff"
_PAGE: Final = 1000
"""S3 lists no more at once."""
_PER_TURBINE: Final = 4
"""Objects of a turbine in a folder, for the size of a range's first page: an hour's batches."""

_STRAYS: Final = 32
"""The same for keys that belong to no turbine."""


class Pages(Protocol):
    """A function that lists one page of a bucket: objects behind a key, and if there are more."""

    def __call__(self, after: str, most: int) -> tuple[list[Listed], bool] | None: ...


class NameRanges:
    """The ranges of some turbines of a fleet."""

    def __init__(self, own: Collection[str], others: Collection[str]) -> None:
        """own: turbines of the part. others: all other turbines of the fleet."""
        self._names = sorted(f"{turbine}-" for turbine in {*own, *others})
        mine = {f"{turbine}-" for turbine in own}
        self._own = [name in mine for name in self._names]
        self._begins: list[str] = []
        self._ends: list[str] = []
        self._turbines: list[int] = []
        for i, name in enumerate(self._names):
            if self._own[i]:
                self._add("" if i == 0 else name, self._end(i))

    def _end(self, i: int) -> str:
        """Return the end of a turbine's range: the next turbine, behind all of its own names."""
        following = self._names[i + 1] if i + 1 < len(self._names) else _LAST
        return max(following, f"{self._names[i][:-1]}/")

    def _add(self, begin: str, end: str) -> None:
        if self._ends and begin <= self._ends[-1]:
            self._ends[-1] = max(self._ends[-1], end)
            self._turbines[-1] += 1
        else:
            self._begins.append(begin)
            self._ends.append(end)
            self._turbines.append(1)

    def has(self, key: str) -> bool | None:
        """Return True for a key that belongs to the part; None where keys belong to no turbine."""
        folder = _FOLDER.match(key)
        if folder is None:
            return None
        return self._own[max(0, bisect_right(self._names, key[folder.end() :]) - 1)]

    def objects(self, page: Pages) -> Iterator[Listed] | None:
        """Yield the objects of the ranges, and those elsewhere; None for a missing bucket."""
        first = page("", 1)
        return None if first is None else self._walk(first, page)

    def _walk(self, found: tuple[list[Listed], bool] | None, page: Pages) -> Iterator[Listed]:
        most, before = 1, None
        while found is not None:
            objects, more = found
            yield from objects
            if not more or not objects:
                return
            after, place, expected = self._next(objects[-1][0])
            if place is None:
                most = 1
            elif place != before:
                most = min(expected, _PAGE)
            else:
                # As many as expected are read: one more tells whether the range goes on.
                most = 1 if 1 < most < _PAGE else _PAGE
            before = place
            found = page(after, most)

    def _next(self, key: str) -> tuple[str, tuple[str, int] | None, int]:
        """Return where to go on behind a key, the range there, and the objects to expect in it.

        None for a place of which nothing is known.
        """
        folder = _FOLDER.match(key)
        if folder is None:
            return key, ("", 0), _STRAYS
        name = key[folder.end() :]
        i = bisect_right(self._begins, name) - 1
        after = key
        if i < 0 or name >= self._ends[i]:
            i += 1
            if i == len(self._begins):
                return max(key, folder[0] + _LAST), None, 1
            # A name like "A-003!" lies before "A-003-", and behind "A-003".
            after = max(key, folder[0] + self._begins[i][:-1])
        return after, (folder[0], i), self._turbines[i] * _PER_TURBINE
