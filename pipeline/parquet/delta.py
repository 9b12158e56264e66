"""DELTA_BINARY_PACKED: 64-bit integers as packed differences, for all parts of a column at once."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from pipeline.parquet.chunk import varint, zigzag

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_BLOCK: Final = 128
"""Differences in a block, which has one lowest difference."""
_MINIBLOCK: Final = 32
"""Differences in a quarter of a block, which has one bit width."""
_HEADER: Final = varint(_BLOCK) + varint(_BLOCK // _MINIBLOCK)
_MOST: Final = np.iinfo(np.int64).max
_POWERS: Final = np.uint64(1) << np.arange(64, dtype=np.uint64)


class Deltas:
    """Values in parts. Part i is values[offsets[i]:offsets[i+1]]; it may be empty."""

    def __init__(self, values: Ints, offsets: Ints) -> None:
        counts = np.diff(offsets)
        blocks = -(-np.maximum(counts - 1, 0) // _BLOCK)
        first_block = np.concatenate(([0], np.cumsum(blocks)))
        self._counts, self._bounds = counts.tolist(), first_block.tolist()
        self._first: list[int] = values[np.minimum(offsets[:-1], len(values) - 1)].tolist()
        # 64 bits: a difference that wraps is wrapped back by the reader
        difference = np.diff(values)
        place = np.arange(len(values)) - np.repeat(offsets[:-1] + 1, counts)
        inside = place[1:] >= 0  # not the difference between two parts
        place = (place + np.repeat(first_block[:-1], counts) * _BLOCK)[1:][inside]
        difference = difference[inside]
        padded = np.full((first_block[-1], _BLOCK), _MOST)
        padded.ravel()[place] = difference
        least = padded.min(axis=1, initial=_MOST)
        excess = np.zeros(padded.shape, dtype=np.uint64)
        excess.ravel()[place] = (difference - least[place // _BLOCK]).view(np.uint64)
        miniblocks = excess.reshape(-1, _MINIBLOCK)
        bits = np.searchsorted(_POWERS, miniblocks.max(axis=1, initial=0), side="right")
        widths, bodies = bits.astype(np.uint8).tobytes(), _bodies(miniblocks, bits)
        self._blocks = [
            b"".join((zigzag(low), widths[at : at + 4], *bodies[at : at + 4]))
            for at, low in zip(range(0, len(bits), 4), least.tolist(), strict=True)
        ]

    def part(self, part: int) -> bytes:
        """Return the data of a part that is not empty."""
        blocks = self._blocks[self._bounds[part] : self._bounds[part + 1]]
        head = (_HEADER, varint(self._counts[part]), zigzag(self._first[part]))
        return b"".join((*head, *blocks))


def _bodies(miniblocks: Words, bits: Ints) -> list[bytes]:
    """Return each miniblock's values, packed to its number of bits, the lowest bit first."""
    bodies = [b""] * len(bits)
    for width in np.unique(bits[bits > 0]).tolist():
        at = np.flatnonzero(bits == width)
        cells = miniblocks[at].astype("<u8").view(np.uint8).reshape(-1, 8)
        each = np.unpackbits(cells, axis=1, bitorder="little")[:, :width]
        packed = np.packbits(each.reshape(len(at), -1), axis=1, bitorder="little").tobytes()
        size = width * _MINIBLOCK // 8
        for i, miniblock in enumerate(at.tolist()):
            bodies[miniblock] = packed[i * size : i * size + size]
    return bodies
