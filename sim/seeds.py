"""Random numbers as a function of (seed, path) only. Every generator of windfleet comes from here.

The reason: a new channel, farm or worker must not change any other number, and it must be possible
to recompute any shard by itself. So there is no global generator, and none is passed around. A
caller names the purpose of its numbers:

    rng(seed, "farm", "A", "wind", page).standard_normal(600)

The path is hashed (blake2b) into the key of a counter-based generator (Philox), so two different
paths never share a stream. Parts of a path keep their type: 1 and "1" are different paths.

Numbers of many turbines under one path (`normals`, `raws`) come in groups of GROUP turbines. Each
group begins at its own place of the generator's counter. A part of a farm thus gets the numbers
that the whole farm has, at the cost of its own turbines.

Not covered: stability over numpy versions. Numpy keeps streams stable per version; the lock pins
one.
"""

from __future__ import annotations

import hashlib
import uuid as _uuid
from typing import Any, Final

import numpy as np
import numpy.typing as npt

GROUP: Final = 16
"""Consecutive turbines whose numbers are drawn together; another value gives other data."""
_OUTPUTS: Final = 4  # 64-bit numbers per step of Philox's counter


def _digest(seed: int, path: tuple[str | int, ...]) -> bytes:
    """Return 128 bits of (seed, path).

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    parts = [f"{'i' if isinstance(part, int) else 's'}{part}".encode() for part in (seed, *path)]
    return hashlib.blake2b(
        b"".join(len(p).to_bytes(4, "big") + p for p in parts), digest_size=16
    ).digest()


def rng(seed: int, *path: str | int) -> np.random.Generator:
    """Return the generator of (seed, path): the same stream at any time and in any process."""
    return np.random.Generator(_bits(seed, path))


def _bits(seed: int, path: tuple[str | int, ...]) -> np.random.Philox:
    return np.random.Philox(key=int.from_bytes(_digest(seed, path), "big"))


def normals(turbines: range, rows: int, seed: int, *path: str | int) -> npt.NDArray[np.float64]:
    """Return standard normal numbers, (rows, turbines).

    A turbine's numbers are a function of (seed, path, rows) and its index.
    """
    bits = _bits(seed, path)
    draw, state = np.random.Generator(bits), bits.state
    out = np.empty((rows, len(turbines)))
    drawn = np.empty((1, rows, GROUP))
    for group in _groups(turbines):
        # Normal numbers take a varying number of outputs, so groups are 2^192 steps apart.
        state["state"]["counter"][3] = group + 1
        bits.state = state
        draw.standard_normal(out=drawn)
        _place(drawn, group, turbines.start, out)
    return out


def raws(turbines: range, rows: int, seed: int, *path: str | int) -> npt.NDArray[np.uint64]:
    """Return 64-bit numbers of the groups that have these turbines, (groups, rows * GROUP).

    In each group, rows follow one another with a number per turbine.
    """
    bits, groups = _bits(seed, path), _groups(turbines)
    bits.advance(groups.start * rows * GROUP // _OUTPUTS)
    return bits.random_raw(len(groups) * rows * GROUP).reshape(len(groups), rows * GROUP)


def place(drawn: npt.NDArray[Any], turbines: range, out: npt.NDArray[Any]) -> None:
    """Fill `out` (rows, turbines) from numbers in the order of `raws`."""
    _place(drawn.reshape(-1, len(out), GROUP), turbines.start // GROUP, turbines.start, out)


def _place(drawn: npt.NDArray[Any], group: int, first: int, out: npt.NDArray[Any]) -> None:
    """Fill the columns of `out`, which begin with turbine `first`, from groups (rows, GROUP)."""
    turbines = out.shape[1]
    for low, numbers in enumerate(drawn, start=group):
        at = low * GROUP - first
        out[:, max(at, 0) : at + GROUP] = numbers[:, max(-at, 0) : turbines - at]


def _groups(turbines: range) -> range:
    return range(turbines.start // GROUP, -(-turbines.stop // GROUP))


def number(seed: int, *path: str | int) -> int:
    """Return a 64-bit number of (seed, path), a seed for other libraries' generators (Faker)."""
    return int.from_bytes(_digest(seed, (*path, "number"))[:8], "big")


def uuid(seed: int, *path: str | int) -> _uuid.UUID:
    """Return a UUID of (seed, path), in the form of version 4."""
    return _uuid.UUID(bytes=_digest(seed, (*path, "uuid")), version=4)


def hexkey(seed: int, *path: str | int) -> str:
    """Return a 128-bit key of (seed, path) as 32 hex digits."""
    return _digest(seed, (*path, "key")).hex()
