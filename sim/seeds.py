"""Random numbers as a function of (seed, path) only. Every generator of windfleet comes from here.

The reason: a new channel, farm or worker must not change any other number, and it must be possible
to recompute any shard by itself. So there is no global generator, and none is passed around. A
caller names the purpose of its numbers:

    rng(seed, "farm", "A", "wind", page).standard_normal(600)

The path is hashed (blake2b) into the key of a counter-based generator (Philox), so two different
paths never share a stream. Parts of a path keep their type: 1 and "1" are different paths.

Not covered: stability over numpy versions. Numpy keeps streams stable per version; the lock pins
one.
"""

from __future__ import annotations

import hashlib
import uuid as _uuid

import numpy as np


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
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(seed, path), "big")))


def number(seed: int, *path: str | int) -> int:
    """Return a 64-bit number of (seed, path), a seed for other libraries' generators (Faker)."""
    return int.from_bytes(_digest(seed, (*path, "number"))[:8], "big")


def uuid(seed: int, *path: str | int) -> _uuid.UUID:
    """Return a UUID of (seed, path), in the form of version 4."""
    return _uuid.UUID(bytes=_digest(seed, (*path, "uuid")), version=4)


def hexkey(seed: int, *path: str | int) -> str:
    """Return a 128-bit key of (seed, path) as 32 hex digits."""
    return _digest(seed, (*path, "key")).hex()
