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


class Blocks:
    """The places of differences in blocks, for columns whose values are in the same parts."""

    def __init__(self, offsets: Ints) -> None:
        self.offsets, counts = offsets, np.diff(offsets)
        blocks = -(-np.maximum(counts - 1, 0) // _BLOCK)
        self.bounds = np.concatenate(([0], np.cumsum(blocks)))
        self.counts: list[int] = counts.tolist()
        self.inside = np.ones(offsets[-1] - 1, dtype=bool)  # not between two parts
        self.inside[offsets[1:-1][(offsets[1:-1] > 0) & (offsets[1:-1] < offsets[-1])] - 1] = False
        differences = np.maximum(counts - 1, 0)
        skipped = self.bounds[:-1] * _BLOCK - (np.cumsum(differences) - differences)
        self.place = np.arange(differences.sum()) + np.repeat(skipped, differences)
        empty = np.ones(self.bounds[-1] * _BLOCK, dtype=bool)
        empty[self.place] = False
        self.empty = np.flatnonzero(empty)


class Deltas:
    """Values in parts. Part i is values[offsets[i]:offsets[i+1]]; it may be empty."""

    def __init__(self, values: Ints, blocks: Blocks) -> None:
        self._of, starts = blocks, blocks.offsets[:-1]
        self._first: list[int] = values[np.minimum(starts, len(values) - 1)].tolist()
        # 64 bits: a difference that wraps is wrapped back by the reader
        difference = np.diff(values)[blocks.inside]
        padded = np.full((blocks.bounds[-1], _BLOCK), _MOST)
        padded.ravel()[blocks.place] = difference
        least = padded.min(axis=1, initial=_MOST)
        excess = padded - least[:, None]
        excess.ravel()[blocks.empty] = 0
        miniblocks = excess.view(np.uint64).reshape(-1, _MINIBLOCK)
        bits = np.searchsorted(_POWERS, miniblocks.max(axis=1, initial=0), side="right")
        widths, bodies = bits.astype(np.uint8).tobytes(), _bodies(miniblocks, bits)
        self._blocks = [
            b"".join((zigzag(low), widths[at : at + 4], *bodies[at : at + 4]))
            for at, low in zip(range(0, len(bits), 4), least.tolist(), strict=True)
        ]

    def part(self, part: int) -> bytes:
        """Return the data of a part that is not empty."""
        blocks = self._blocks[self._of.bounds[part] : self._of.bounds[part + 1]]
        head = (_HEADER, varint(self._of.counts[part]), zigzag(self._first[part]))
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
