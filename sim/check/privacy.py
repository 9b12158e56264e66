"""Privacy: no personal value and no exact place of the asset register is anywhere in the lake behind ingestion.

Looked for, in enriched, aggregated, metadata and checkpoints: `operator_contact` and `technician` of every node of the
share, whole and in parts (name, mail address, telephone), and `latitude` and `longitude` where they say more than the
one decimal that may leave. Twice over:
  cells   every distinct text of every column, in all the forms of `needles`; numbers that are a coordinate, exact or
          rounded or cut to 3 to 6 decimals
  bytes   every object as it is stored (Parquet footers and statistics, names and values of JSON), in all forms, and
          coordinates as 8-byte floats of either order
`privacy.leak` names the object, the field and where it was found, never the value; one per object and field.

A reading may by chance equal a rounded coordinate, so measured columns, lists of numbers in JSON (the partial sums of a
checkpoint) and raw bytes are searched for exact coordinates of 6 decimals or more only. Another share's people are not
looked for in this one's objects; those of all are in objects of no known turbine.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.records import AGGREGATED, CHANNEL_NAMES, ENRICHMENT_NUMBERS
from sim.check.canon import Floats, Ints, one
from sim.check.findings import Finding, Findings, hour_text
from sim.check.keys import read_batch_key, read_checkpoint_key
from sim.check.lake import ObjectRef, Reads
from sim.check.needles import SHORTEST, Finder, coded, spellings
from sim.check.nodes import Node
from sim.check.objects import StageRows

PROTECTED: Final = ("enriched", "aggregated", "metadata", "checkpoints")
PERSONAL: Final = ("operator_contact", "technician")
EXACT: Final = ("latitude", "longitude")
ROUNDED: Final = (3, 4, 5, 6)
_MEASURED: Final = {*CHANNEL_NAMES, *AGGREGATED.names} - set(ENRICHMENT_NUMBERS)
_SINGLE: Final = 5  # decimals that a mean of quantised readings may have by chance
_PARTS: Final = re.compile(r"[<>,;]")
_DECIMALS: Final = re.compile(rb"\.(\d{3,17})(?![\d.])")
_WHOLE: Final = re.compile(rb"([\[,]\s{0,4}-?)?(?<![\d.])(\d{1,3})$")
_BATCH_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class _Leak:
    rows: int
    detail: str


class Privacy:
    """What must not leave these nodes, and where it was found. Feed it with `watch`, `rows` and `strange`."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        people: dict[bytes, str] = {}
        places: dict[bytes, str] = {}
        coordinates: dict[float, str] = {}
        for node in nodes:
            for field in PERSONAL:
                for text in _texts(node.asset.get(field)):
                    for how, form in spellings(text):
                        people.setdefault(form, f"{field} {how}")
            for field in EXACT:
                value = node.asset.get(field)
                if value is None or round(float(value), 1) == float(value):
                    continue  # as coarse as what may leave
                coordinates.setdefault(float(value), field)
        for value, field in coordinates.items():
            text = repr(abs(value))
            places.update((form, f"{field} {how}") for how, form in coded(text))
            if _singular(value):
                places[text.encode()] = f"{field} in the clear"
                places.update((struct.pack(f"{order}d", value), f"{field} as a float") for order in "<>")
        plain = {repr(abs(value)).encode() for value in coordinates}
        self._in_parquet = Finder(people | places)
        self._in_text = Finder(people | {form: said for form, said in places.items() if form not in plain})
        self._exact = {value: field for value, field in coordinates.items() if _singular(value)}
        self._near = {near: field for value, field in coordinates.items() for near in _neighbours(value)}
        order = sorted((abs(value), field) for value, field in coordinates.items())
        self._sizes = np.array([size for size, _ in order])
        self._fields = [field for _, field in order]
        self._leaks: dict[tuple[ObjectRef, str], _Leak] = {}

    def watch(self, reader: Reads, stage: str) -> Reads:
        """The reader, with every object that is read through it searched as bytes."""
        return _Watched(self, reader) if stage in PROTECTED else reader

    def report(self, farm: str, findings: Findings) -> int:
        """Adds a finding for every (object, field), and says how many."""
        for (ref, _), leak in sorted(self._leaks.items(), key=lambda item: (item[0][0].name, item[0][1])):
            place, node = read_batch_key(ref.bucket, ref.key), read_checkpoint_key(ref.key)
            stage = ref.bucket.rsplit("-", 1)[-1]
            turbine = place.turbine if place else node[1] if node else ""
            hour = hour_text(place.hour) if place else ""
            findings.add(Finding("privacy.leak", stage, farm, turbine, hour, ref.name, leak.rows, leak.detail))
        return len(self._leaks)

    def rows(self, stage: str, lake: StageRows) -> None:
        """Searches the cells of a stage's table."""
        if stage in PROTECTED:
            refs = [item.ref for item in lake.objects]
            for name in lake.table.column_names:
                self._column(name, one(lake.table.column(name)), refs, lake.object)

    def strange(self, ref: ObjectRef, content: bytes | None) -> None:
        """Searches an object whose columns are not its stage's, or that is of no stage, with all that it has."""
        if content is None:
            return
        self.stored([ref], [content])
        try:
            table = pq.read_table(pa.BufferReader(content), partitioning=None)
        except (pa.ArrowException, OSError, ValueError):
            return
        for name in table.column_names:
            self._column(name, one(table.column(name)), [ref], np.zeros(len(table), dtype=np.int64))

    def stored(self, refs: Sequence[ObjectRef], contents: Sequence[bytes]) -> None:
        """Searches objects as they are stored."""
        for binary in (True, False):
            batch = [i for i, content in enumerate(contents) if (content[:4] == b"PAR1") == binary]
            finder = self._in_parquet if binary else self._in_text
            ends = np.cumsum([len(contents[i]) + 1 for i in batch])
            for offset, said in finder.find(b"\0".join([contents[i] for i in batch])):
                self._leak(refs[batch[int(np.searchsorted(ends, offset, side="right"))]], said, "in its bytes")
            if not binary:
                for i in batch:
                    for field in self._numbers(contents[i], lists=True):
                        self._leak(refs[i], f"{field} as a number", "in its text")

    def _column(self, name: str, column: pa.Array, refs: Sequence[ObjectRef], of: Ints) -> None:
        if pa.types.is_floating(column.type):
            self._floats(name, column, refs, of)
            return
        if pa.types.is_list(column.type):
            of = of[np.asarray(pc.list_parent_indices(column), dtype=np.int64)]
            column = column.flatten()
        if pa.types.is_dictionary(column.type):
            texts, codes = column.dictionary, column.indices
        elif pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            encoded = column.dictionary_encode()
            texts, codes = encoded.dictionary, encoded.indices
        else:
            return
        values = [value.encode() if isinstance(value, str) else value or b"" for value in texts.to_pylist()]
        said = self._values(values)
        if said:
            held = np.asarray(codes.fill_null(-1), dtype=np.int64)
            for value, what in said:
                rows = np.flatnonzero(held == value)
                self._blame(refs, of[rows], what, f"in column {name}")

    def _values(self, values: list[bytes]) -> list[tuple[int, str]]:
        """(index of the value, what it holds)."""
        ends = np.cumsum([len(value) + 1 for value in values])
        found = [
            (int(np.searchsorted(ends, offset, side="right")), said)
            for offset, said in self._in_text.find(b"\0".join(values))
        ]
        found += [(i, f"{f} as a number") for i, v in enumerate(values) for f in self._numbers(v, lists=False)]
        return found

    def _floats(self, name: str, column: pa.Array, refs: Sequence[ObjectRef], of: Ints) -> None:
        secrets = self._exact if name in _MEASURED else self._near
        values = column.cast(pa.float64())
        hit = pc.is_in(values, value_set=pa.array(secrets, pa.float64())) if secrets else None
        if hit is not None and pc.any(hit).as_py():
            for row in np.flatnonzero(np.asarray(hit)):
                self._blame(
                    refs, of[row : row + 1], f"{secrets[values[int(row)].as_py()]} as a number", f"in column {name}"
                )

    def _numbers(self, text: bytes, lists: bool) -> Iterator[str]:
        """Fields whose coordinate a text spells out, to 3 decimals or more; in a list (if `lists`) only all of it."""
        if len(self._sizes) == 0:
            return
        for match in _DECIMALS.finditer(text):
            whole = _WHOLE.search(text[max(match.start() - 9, 0) : match.start()])
            if whole is None:
                continue
            value, decimals = float(whole[2] + match[0]), len(match[1])
            at = int(np.searchsorted(self._sizes, value))
            for i in range(max(at - 1, 0), min(at + 1, len(self._sizes))):
                apart = abs(float(self._sizes[i]) - value)
                if lists and whole[1]:
                    close = apart == 0 and _singular(value)
                else:
                    close = apart < 10.0 ** -min(decimals, ROUNDED[-1]) * (1 - 1e-6)
                if close:
                    yield self._fields[i]

    def _blame(self, refs: Sequence[ObjectRef], of: Ints, said: str, where: str) -> None:
        for item, rows in zip(*np.unique(of, return_counts=True), strict=True):
            self._leak(refs[int(item)], said, where, int(rows))

    def _leak(self, ref: ObjectRef, said: str, where: str, rows: int = 0) -> None:
        """Notes it; of several finds of a field in an object, the one with most rows is told."""
        field = said.split(" ", 1)[0]
        known = self._leaks.get((ref, field))
        if known is None or rows > known.rows:
            self._leaks[ref, field] = _Leak(rows, f"{said} {where}")


@dataclass(frozen=True)
class _Watched:
    """A reader that shows what it reads to a Privacy, some objects at a time."""

    privacy: Privacy
    reader: Reads

    def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
        refs = list(refs)
        seen: list[ObjectRef] = []
        contents: list[bytes] = []
        size = 0
        for ref, content in zip(refs, self.reader.read(refs), strict=True):
            if content is not None:
                seen.append(ref)
                contents.append(content)
                size += len(content)
            if size > _BATCH_BYTES:
                self.privacy.stored(seen, contents)
                seen, contents, size = [], [], 0
            yield content
        self.privacy.stored(seen, contents)


def _texts(value: Any) -> list[str]:
    """A personal value, and its parts that are long enough to mean somebody."""
    if not value:
        return []
    whole = str(value)
    parts = [part.strip() for part in _PARTS.split(whole)]
    return [whole, *(part for part in parts if len(part) >= SHORTEST and part != whole)]


def _singular(value: float) -> bool:
    """Whether a coordinate has more decimals than a mean of readings has by chance."""
    return round(value, _SINGLE) != value


def _neighbours(value: float) -> Iterator[float]:
    """The coordinate as a number in every exactness above what may leave, with either sign and in single precision."""
    scaled = [10.0**d for d in ROUNDED]
    cut: Floats = np.array([np.trunc(value * s) / s for s in scaled])
    for near in (value, float(np.float32(value)), *(round(value, d) for d in ROUNDED), *cut.tolist()):
        if round(near, 1) != near:
            yield near
            yield -near
