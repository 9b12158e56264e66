"""Every random number of windfleet comes from here: a function of (seed, path) and of nothing else.

Why: adding a channel, a farm or a worker must shift nothing else, and any shard must be recomputable alone. So there is
no global generator and no generator that is passed around; who needs numbers names what they are for:

    rng(seed, "farm", "A", "wind", page).standard_normal(600)

The path is hashed (blake2b) into the key of a counter-based generator (Philox), so two different paths never share a
stream. Path parts keep their type: 1 and "1" are different paths.

Does not cover: stability over numpy versions (numpy keeps streams stable per version; the lock pins one).
"""

from __future__ import annotations

import hashlib
import uuid as _uuid

import numpy as np


def _digest(seed: int, path: tuple[str | int, ...]) -> bytes:
    """128 bits of (seed, path); parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ."""
    parts = [f"{'i' if isinstance(part, int) else 's'}{part}".encode() for part in (seed, *path)]
    return hashlib.blake2b(
        b"".join(len(p).to_bytes(4, "big") + p for p in parts), digest_size=16
    ).digest()


def rng(seed: int, *path: str | int) -> np.random.Generator:
    """A generator of its own for (seed, path): the same stream whenever and wherever it is asked for."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(seed, path), "big")))


def number(seed: int, *path: str | int) -> int:
    """A 64-bit number of (seed, path), to seed libraries that bring their own generator (Faker)."""
    return int.from_bytes(_digest(seed, (*path, "number"))[:8], "big")


def uuid(seed: int, *path: str | int) -> _uuid.UUID:
    """A UUID (in the form of version 4) of (seed, path)."""
    return _uuid.UUID(bytes=_digest(seed, (*path, "uuid")), version=4)


def hexkey(seed: int, *path: str | int) -> str:
    """A 128-bit key of (seed, path) as 32 hex digits."""
    return _digest(seed, (*path, "key")).hex()
