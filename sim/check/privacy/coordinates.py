"""Exact coordinates of turbines, as numbers and as texts.

A coordinate may leave its node with one decimal. Detected, with either sign:

numbers   3 to 6 decimals, rounded or cut, and single precision; 2 decimals in columns without
          readings
integers  units of 1e-5, 1e-6 or 1e-7 degrees
texts     decimal fractions of 3 decimals or more, also of single precision; degrees and minutes,
          with or without seconds; geohashes of 6 letters or more
pairs     latitude and longitude in one text, both with 2 decimals or as integers; one without the
          other may be coincidence
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from sim.check.privacy.decoding import unescaped
from sim.check.read.columns import Floats, Ints

ROUNDED: Final = (3, 4, 5, 6)
_LOOSE: Final = 2
_FAR: Final = 2e-3
"""More than a coordinate differs from its forms of three decimals or of single precision."""
_FAR_IN_NUMBERS: Final = 2e-2
"""More than a coordinate differs from its forms of two decimals."""
_SCALES: Final = (5, 6, 7)
_MOST_OF_READINGS: Final = 5
"""Decimals that a mean of quantised readings may have by chance."""
_DECIMALS: Final = re.compile(rb"\.(\d{3,17})(?!\d|\.\d)")
_WHOLE: Final = re.compile(rb"([\[,]\s{0,4}-?)?(?<![\d.])(?<!\d:)(\d{1,3})$")
"""The part of a number before its point. Digits after a colon are the seconds of a time."""
_NUMBER: Final = re.compile(rb"(?<![\w.])-?(\d{1,3}\.\d\d|\d{4,10})(?!\w|\.\d)")
_LIST: Final = re.compile(rb"\[[^\[\]]*\]")
_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)"')
_DEGREES: Final = re.compile(
    rb"(\d{1,3})\s*(?:\xc2?\xb0|d|deg)\s*(\d{1,2}(?:\.\d+)?)\s*"
    rb"(?:'|\xe2\x80\xb2|m)\s*(\d{1,2}(?:\.\d+)?)?",
    re.IGNORECASE,
)
_MINUTES: Final = re.compile(rb"'|\xe2\x80\xb2|[mM]\d")
"""The part of `_DEGREES` that is rare in a text, for a quick test."""
_GEOHASH: Final = re.compile(rb"(?<![0-9a-z-])[0-9b-hjkmnp-z]{6,12}(?![0-9a-z-])")
"""Parts of a UUID, which has hyphens, do not match."""
_GEOHASH_LETTERS: Final = "0123456789bcdefghjkmnpqrstuvwxyz"


class Coordinates:
    """The coordinates of some nodes, prepared for searches.

    `fields`    coordinate -> `latitude` or `longitude`
    `exact`, `near`, `loose`, `integers`
                the same for the forms to search for in numeric columns
    """

    def __init__(self, at: Iterable[tuple[float | None, float | None]]) -> None:
        """Prepare the (latitude, longitude) of each node; None for one with a single decimal."""
        self.fields: dict[float, str] = {}
        self._geohashes: set[bytes] = set()
        self._partners: dict[bytes, set[bytes]] = {}
        for latitude, longitude in at:
            for field, value in (("latitude", latitude), ("longitude", longitude)):
                if value is not None:
                    self.fields.setdefault(value, field)
            if latitude is not None and longitude is not None:
                self._geohashes.add(geohash(latitude, longitude, 6))
                for ours, theirs in zip(_loosely(latitude), _loosely(longitude), strict=True):
                    for form in ours:
                        self._partners.setdefault(form, set()).update(theirs)
        self.exact = {
            value: field for value, field in self.fields.items() if has_many_decimals(value)
        }
        self.near = self._around(ROUNDED)
        self.loose = self._around((_LOOSE, *ROUNDED))
        self.integers = {
            sign * near: field
            for value, field in self.fields.items()
            for scale in _SCALES
            for near in (round(value * 10**scale), int(value * 10**scale))
            for sign in (1, -1)
        }
        order = sorted((abs(value), field) for value, field in self.fields.items())
        self._sizes = np.array([size for size, _ in order])
        apart = np.flatnonzero(np.diff(self._sizes) > 1) + 1
        bands = np.split(self._sizes, apart) if order else []
        self._bands = [(band[0] - _FAR_IN_NUMBERS, band[-1] + _FAR_IN_NUMBERS) for band in bands]
        self._named = [field for _, field in order]

    def spelled_in(self, text: bytes, lists: bool) -> Iterator[str]:
        """Yield the fields of coordinates that a text spells out.

        lists: the text is JSON, and only an exact coordinate counts within a list of numbers.
        """
        if self.fields:
            yield from self._decimals(text, lists)
            yield from self._sexagesimal(text)

    def suspects(self, values: Floats) -> Ints:
        """Return the indices of the values that may be in `exact`, `near` or `loose`."""
        size = np.abs(values)
        inside = np.zeros(len(size), dtype=bool)
        for low, high in self._bands:
            inside |= (size >= low) & (size <= high)
        return np.flatnonzero(inside)

    def hints(self) -> set[bytes]:
        """Byte strings of which a text must contain one for a hit of `hinted_in`, which is slow."""
        return self._geohashes | self._partners.keys()

    def hinted_in(self, text: bytes, lists: bool) -> Iterator[str]:
        """Yield `latitude` for a geohash of a node, or for a latitude and longitude as a pair."""
        if any(word[:6] in self._geohashes for word in _GEOHASH.findall(text)):
            yield "latitude"
        if any(
            map(
                self._paired,
                [_LIST.sub(b"", text), *_STRING.findall(unescaped(text))] if lists else [text],
            )
        ):
            yield "latitude"

    def _paired(self, text: bytes) -> bool:
        """Return True for a latitude with its longitude, both with 2 decimals or as integers."""
        numbers = set(_NUMBER.findall(text))
        return any(self._partners[first] & numbers for first in numbers & self._partners.keys())

    def _around(self, decimals: tuple[int, ...]) -> Mapping[float, str]:
        """Map every form of `_neighbours` to its field."""
        return {
            near: field
            for value, field in self.fields.items()
            for near in _neighbours(value, decimals)
        }

    def _decimals(self, text: bytes, lists: bool) -> Iterator[str]:
        """Yield the fields of coordinates that are decimal fractions in the text."""
        found = []
        for match in _DECIMALS.finditer(text) if b"." in text else ():
            whole = _WHOLE.search(text[max(match.start() - 9, 0) : match.start()])
            if whole is not None:
                exactly = bool(lists and whole[1])
                found.append((float(whole[2] + match[0]), len(match[1]), exactly))
        for i in self._close([value for value, *_ in found]):
            value, decimals, exactly = found[i]
            for apart, size, field in self._nearest(value):
                near = (
                    apart < 10.0 ** -min(decimals, 6) * (1 - 1e-6)
                    or abs(float(np.float32(size)) - value) < 1e-9
                )
                if (apart == 0 and has_many_decimals(size)) if exactly else near:
                    yield field

    def _close(self, values: Sequence[float]) -> list[int]:
        """Return the indices of the values with a coordinate closer than `_FAR`, unsigned."""
        number = np.array(values)
        after = np.minimum(np.searchsorted(self._sizes, number), len(self._sizes) - 1)
        gaps = [np.abs(self._sizes[at] - number) for at in (np.maximum(after - 1, 0), after)]
        return [int(i) for i in np.flatnonzero(np.minimum(*gaps) < _FAR)]

    def _sexagesimal(self, text: bytes) -> Iterator[str]:
        """Yield the fields of coordinates in degrees and minutes, with or without seconds."""
        for match in _DEGREES.finditer(text) if _MINUTES.search(text) else ():
            value = int(match[1]) + float(match[2]) / 60 + float(match[3] or 0) / 3600
            finest = 3600 if match[3] or b"." in match[2] else 60
            yield from (field for apart, _, field in self._nearest(value) if apart < 1 / finest)

    def _nearest(self, value: float) -> Iterator[tuple[float, float, str]]:
        """Yield (distance, coordinate, field) of the two nearest coordinates, unsigned."""
        at = int(np.searchsorted(self._sizes, value))
        for i in range(max(at - 1, 0), min(at + 1, len(self._sizes))):
            yield abs(float(self._sizes[i]) - value), float(self._sizes[i]), self._named[i]


def has_many_decimals(value: float) -> bool:
    """Return True for a coordinate with more decimals than a mean of readings has by chance."""
    return round(value, _MOST_OF_READINGS) != value


def geohash(latitude: float, longitude: float, letters: int) -> bytes:
    """Return the geohash of a place: bits of longitude and latitude in turn, five per letter."""
    spans = [[-180.0, 180.0], [-90.0, 90.0]]
    bits = 0
    for i in range(5 * letters):
        span, value = spans[i % 2], (longitude, latitude)[i % 2]
        middle = sum(span) / 2
        bits = bits * 2 + (value >= middle)
        span[value < middle] = middle
    return "".join(_GEOHASH_LETTERS[bits >> 5 * i & 31] for i in reversed(range(letters))).encode()


def _loosely(value: float) -> Iterator[set[bytes]]:
    """Yield the texts of a coordinate that need a partner: with 2 decimals, and as integers."""
    size = abs(value)
    yield {
        b"%.2f" % near
        for near in (round(size, _LOOSE), int(size * 100) / 100)
        if round(near, 1) != near
    }
    for scale in _SCALES:
        yield {b"%d" % near for near in (round(size * 10**scale), int(size * 10**scale))}


def _neighbours(value: float, decimals: tuple[int, ...]) -> Iterator[float]:
    """Yield a coordinate as a number: with these decimals, whole, in single precision; both signs.

    Numbers with the one decimal that may leave are omitted.
    """
    scaled = [10.0**d for d in decimals]
    cut: Floats = np.array([np.trunc(value * s) / s for s in scaled])
    for near in (
        value,
        float(np.float32(value)),
        *(round(value, d) for d in decimals),
        *cut.tolist(),
    ):
        if round(near, 1) != near:
            yield near
            yield -near
