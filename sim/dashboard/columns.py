"""Arrays as small integers, and all contents of the page as one compressed block.

A column of numbers is rounded to a step (`scale`), kept in the smallest integer type that holds it,
and written as differences along its last axis, low bytes before high bytes. Neighbours in time are
alike, so that such a column deflates to about a byte per value. The smallest value of the type
means "no value".

The block: length of the directory (4 bytes, little-endian), the directory (JSON: name -> type,
shape, scale, place of the bytes; and the facts), then the bytes of the columns. All of it is
deflated. `static/block.js` reads it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

LEVEL: Final = 9
TYPES: Final = (np.int8, np.int16, np.int32)


@dataclass(frozen=True)
class Column:
    """Integers of one column. `scale`: the value of 1; `shape`: the last axis is time."""

    values: npt.NDArray[np.signedinteger[Any]]
    scale: float

    @property
    def missing(self) -> int:
        return int(np.iinfo(self.values.dtype).min)

    def floats(self) -> npt.NDArray[np.float64]:
        """Return the values as the page reads them."""
        numbers = self.values.astype(np.float64) * self.scale
        return np.where(self.values == self.missing, np.nan, numbers)

    def stored(self) -> bytes:
        """Return differences along the last axis, in planes of bytes."""
        flat = np.atleast_2d(self.values)
        steps = flat.copy()
        with np.errstate(over="ignore"):  # differences wrap around, and so do their sums
            steps[:, 1:] = flat[:, 1:] - flat[:, :-1]
        little = steps.astype(self.values.dtype.newbyteorder("<"))
        planes = little.reshape(-1).view(np.uint8).reshape(-1, self.values.dtype.itemsize)
        return np.ascontiguousarray(planes.T).tobytes()


def column(numbers: npt.ArrayLike, scale: float = 1.0) -> Column:
    """Return numbers rounded to multiples of `scale`; NaN means no value.

    Raises OverflowError for a number that four bytes cannot hold.
    """
    whole = np.round(np.asarray(numbers, dtype=np.float64) / scale)
    known = whole[np.isfinite(whole)]
    most = np.max(np.abs(known), initial=0.0)
    for kind in TYPES:
        if most <= np.iinfo(kind).max:
            made = np.full(whole.shape, np.iinfo(kind).min, dtype=kind)
            made[np.isfinite(whole)] = known.astype(kind)
            return Column(made, scale)
    raise OverflowError(f"{most} is too large for a column of the page")


def block(columns: Mapping[str, Column], facts: Mapping[str, Any]) -> str:
    """Return columns and facts as one compressed block, in base64."""
    directory: dict[str, Any] = {}
    bodies = []
    place = 0
    for name, each in columns.items():
        body = each.stored()
        directory[name] = {
            "bytes": each.values.dtype.itemsize,
            "shape": list(np.atleast_2d(each.values).shape),
            "scale": each.scale,
            "at": place,
        }
        bodies.append(body)
        place += len(body)
    head = json.dumps(
        {"columns": directory, "facts": facts}, allow_nan=False, separators=(",", ":")
    ).encode()
    squeezer = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
    whole = b"".join([len(head).to_bytes(4, "little"), head, *bodies])
    return base64.b64encode(squeezer.compress(whole) + squeezer.flush()).decode("ascii")
