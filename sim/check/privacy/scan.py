"""Privacy: no personal value, no exact place and no key of a node is anywhere in the lake behind ingestion.

Looked for in all of it: `privacy_key`, by which pseudonyms can be undone.
Looked for in enriched, aggregated, metadata and checkpoints: `operator_contact` and `technician` of every node of the
share, whole and in parts (name, mail address, telephone), and `latitude` and `longitude` where they say more than the
one decimal that may leave. Twice over:
  cells   every distinct text of every column, nested ones too; numbers that are a coordinate (`places`)
  bytes   every object as it is stored (Parquet footers and statistics, names and values of JSON), and coordinates as
          8-byte floats of either order
Texts are searched in all the forms of `needles`; those of cells and of JSON, and what Parquet files carry beside their
columns, also with all that `layers` takes out of them, without regard to case, accents and what stands between letters,
and for names whose words were written apart (two cells, two values of JSON, of one object).
`privacy.leak` names the object, the field and where it was found, never the value; one per object and field.

A reading may by chance equal a rounded coordinate, so measured columns, lists of numbers in JSON (the partial sums of a
checkpoint) and raw bytes are searched for exact coordinates of 6 decimals or more only. Another share's people are not
looked for in this one's objects; those of all are in objects of no known turbine.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.records import AGGREGATED, CHANNEL_NAMES, ENRICHMENT_NUMBERS
from sim.check.findings import Finding, Findings, hour_text
from sim.check.privacy.coordinates import Places, singular
from sim.check.privacy.decoding import layers, unescaped
from sim.check.privacy.patterns import (
    SHORTEST,
    SHORTEST_NEEDLE,
    Finder,
    bare,
    coded,
    key_forms,
    key_letters,
    spellings,
    squeezed,
)
from sim.check.read import parquet
from sim.check.read.columns import Ints, one
from sim.check.read.keys import bucket_of, read_batch_key, read_checkpoint_key
from sim.check.read.lake import ObjectRef, Reads
from sim.check.read.nodes import Node
from sim.check.read.objects import StageRows
from sim.check.read.watched import Watched

PROTECTED: Final = ("enriched", "aggregated", "metadata", "checkpoints")
KEYLESS: Final = ("validated", "quarantine")
"""Behind ingestion, but as the node stored it: only keys are looked for."""
KEY: Final = "privacy_key"
PERSONAL: Final = ("operator_contact", "technician")
_MEASURED: Final = {*CHANNEL_NAMES, *AGGREGATED.names} - set(ENRICHMENT_NUMBERS)
_SIZES: Final = {"rated_power", "hub_height"}
_COUNTS: Final = {"id", "rows", "anomaly_count", "revision"}
_PARTS: Final = re.compile(r"[<>,;]")
_SHORTEST_BARE: Final = 8
_ONLY_SCHEMA: Final = (
    b"\x1c\x18\x0cARROW:schema"  # a list of one pair, in Thrift's compact protocol
)
_LOOK: Final = "look closer"
_TELEPHONE: Final = re.compile(rb"(?<![\w.])\+?\(?\d(?:[ ()./-]{0,3}\d){8,16}(?:x\d+)?(?![\w])")
_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)"')
_SHOWN: Final = 200


@dataclass(frozen=True)
class _Leak:
    rows: int
    detail: str


class Privacy:
    """What must not leave these nodes, and where it was found. Feed it with `watch`, `rows` and `strange`."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        people: dict[bytes, str] = {}
        names: dict[bytes, str] = {}
        self._telephones: dict[bytes, str] = {}
        self._words: dict[bytes, list[tuple[str, frozenset[bytes]]]] = defaultdict(list)
        keys: dict[bytes, str] = {}
        for key in sorted({node.privacy_key for node in nodes}):
            keys |= {form: f"{KEY} {how}" for form, how in key_forms(key).items()}
            names |= dict.fromkeys(key_letters(key), f"{KEY} in pieces")
        self._keys = list(keys)
        self._letters = sorted(
            {letters for node in nodes for letters in key_letters(node.privacy_key)}
        )
        people |= keys
        for node in nodes:
            for field in PERSONAL:
                for text in _texts(node.asset.get(field)):
                    for how, form in spellings(text):
                        people.setdefault(form, f"{field} {how}")
                    for form in bare(text) if any(map(str.isalpha, text)) else ():
                        if len(form) >= _SHORTEST_BARE:
                            names.setdefault(form, f"{field} without its case, accents or spaces")
                    for form in _telephone(text):
                        self._telephones.setdefault(form, f"{field} as digits")
                    if (
                        len(words := frozenset(squeezed(word.encode()) for word in text.split()))
                        == 2
                        and "@" not in text
                    ):
                        for word in words:
                            self._words[word].append((field, words))
        self._places = Places((_fine(node, "latitude"), _fine(node, "longitude")) for node in nodes)
        spelled: dict[bytes, str] = {}
        for value, field in self._places.fields.items():
            text = repr(abs(value))
            spelled.update((form, f"{field} {how}") for how, form in coded(text))
            if singular(value):
                spelled[text.encode()] = f"{field} in the clear"
                spelled.update(
                    (struct.pack(f"{order}d", value), f"{field} as a float") for order in "<>"
                )
        plain = {repr(abs(value)).encode() for value in self._places.fields}
        self._in_parquet = Finder(people | spelled)
        self._in_text = Finder(
            people | {form: said for form, said in spelled.items() if form not in plain}
        )
        self._bare = Finder(names | dict.fromkeys(self._telephones, _LOOK))
        self._hints = Finder(dict.fromkeys(self._places.hints(), _LOOK))
        longest = {max(words, key=len) for people in self._words.values() for _, words in people}
        self._long_words = Finder({word: _LOOK for word in longest if len(word) >= SHORTEST_NEEDLE})
        self._seen: dict[bytes, list[str]] = {}
        self._apart: dict[ObjectRef, set[bytes]] = defaultdict(set)
        self._leaks: dict[tuple[ObjectRef, str], _Leak] = {}
        self._unsearched: dict[ObjectRef, str] = {}

    def watch(self, reader: Reads, stage: str) -> Reads:
        """The reader, with every object that is read through it searched as bytes."""
        if stage in PROTECTED:
            return Watched(self.stored, reader)
        return Watched(self._stored_keys, reader) if stage in KEYLESS and self._keys else reader

    def report(self, farm: str, findings: Findings) -> int:
        """Adds a finding for every (object, field), and says how many."""
        for ref, words in self._apart.items():
            for field in {
                field for word in words for field, whole in self._words[word] if whole <= words
            }:
                self._leak(ref, f"{field} in words", "that stand apart")
        found = [
            ("privacy.leak", ref, leak)
            for (ref, _), leak in sorted(self._leaks.items(), key=_by_name)
        ]
        for kind, ref, leak in [
            *found,
            *(("object.unreadable", r, _Leak(0, t)) for r, t in self._unsearched.items()),
        ]:
            place, node = read_batch_key(ref.bucket, ref.key), read_checkpoint_key(ref.key)
            stage = place.stage if place else ref.bucket.rsplit("-", 1)[-1]
            turbine = place.turbine if place else node[1] if node else ""
            hour = hour_text(place.hour) if place else ""
            findings.add(
                Finding(kind, stage, farm, turbine, hour, ref.name, leak.rows, leak.detail)
            )
        findings.kept = [self._without_secrets(each) for each in findings.kept]
        return len(self._leaks)

    def _without_secrets(self, finding: Finding) -> Finding:
        """The finding as it may stand in a report, which is for more eyes than the lake is."""
        text = finding.detail.encode()
        found = [*_find(self._in_text, [text]), *_find(self._bare, [squeezed(text)])]
        field = next((said.partition(" ")[0] for _, said in found if said != _LOOK), "")
        return (
            replace(finding, detail=f"withheld, since it would show {field}") if field else finding
        )

    def rows(self, stage: str, lake: StageRows) -> None:
        """Searches the cells of a stage's table."""
        if stage in PROTECTED or stage in KEYLESS:
            refs = [item.ref for item in lake.objects]
            for field in lake.table.schema:
                column = one(lake.table.column(field.name))
                if stage in PROTECTED or (
                    not _is_number(field.type) and self._mentions_key(column)
                ):
                    self._column(field.name, column, refs, lake.object)

    def _mentions_key(self, column: pa.Array) -> bool:
        texts = (
            column.dictionary
            if pa.types.is_dictionary(column.type)
            else column.drop_null().unique()
        )
        whole = "\0".join(texts.to_pylist()).encode()
        letters = squeezed(whole)
        return any(key in whole for key in self._keys) or any(
            key in letters for key in self._letters
        )

    def strange(self, ref: ObjectRef, content: bytes | None) -> None:
        """Searches an object whose columns are not its stage's, or that is of no stage, with all that it has."""
        for _, said in self._told([ref.key.encode("utf-8", "surrogateescape")], lists=False):
            self._leak(ref, said, "in its key")
        if content is None:
            return
        self.stored([ref], [content])
        try:
            table, _ = parquet.odd(content)
        except parquet.Unreadable:
            return
        for name, column in zip(table.column_names, table.columns, strict=True):
            try:
                for chunk in column.chunks:
                    self._column(name, chunk, [ref], np.zeros(len(chunk), dtype=np.int64))
            except (
                Exception
            ) as error:  # a type that nothing here foresees must not pass for one without secrets
                why = f"{type(error).__name__}: {str(error)[:_SHOWN]}"
                self._unsearched[ref] = (
                    f"column {name[:_SHOWN]} cannot be searched for personal values: {why}"
                )

    def _stored_keys(self, refs: Sequence[ObjectRef], contents: Sequence[bytes]) -> None:
        """Searches objects as they are stored, for keys alone."""
        for ref, content in zip(refs, contents, strict=True):
            if any(key in content for key in self._keys):
                self._leak(ref, f"{KEY} in some form", "in its bytes")

    def stored(self, refs: Sequence[ObjectRef], contents: Sequence[bytes]) -> None:
        """Searches objects as they are stored."""
        for binary in (True, False):
            batch = [i for i, content in enumerate(contents) if (content[:4] == b"PAR1") == binary]
            bodies = [contents[i] for i in batch]
            for place, said in _find(self._in_parquet if binary else self._in_text, bodies):
                self._leak(refs[batch[place]], said, "in its bytes")
            for place, said in self._beside(bodies) if binary else self._told(bodies, lists=True):
                self._leak(refs[batch[place]], said, f"in its {'metadata' if binary else 'text'}")
            if not binary:
                self._in_pieces([refs[i] for i in batch], bodies)

    def _beside(self, contents: Sequence[bytes]) -> Iterator[tuple[int, str]]:
        """What Parquet files carry beside their columns: nearly always the same schema, so each is asked once."""
        for place, content in enumerate(contents):
            begin = content.rfind(_ONLY_SCHEMA)
            known = content[begin:-8] if begin >= 0 else b""
            if known not in self._seen:
                try:
                    metadata = pq.read_metadata(pa.BufferReader(content)).metadata or {}
                except (pa.ArrowException, OSError, ValueError, MemoryError):
                    continue
                texts = [b" ".join(item) for item in metadata.items()]
                self._seen[known] = [said for _, said in self._told(texts, lists=False)]
            yield from ((place, said) for said in self._seen[known])
            self._seen.pop(b"", None)

    def _told(self, texts: Sequence[bytes], lists: bool) -> Iterator[tuple[int, str]]:
        """(number of the text, what it tells), itself or in what can be taken out of it."""
        parts, of = list(texts), list(range(len(texts)))
        for place, text in enumerate(texts):
            inner = layers(text)
            parts += inner
            of += [place] * len(inner)
        taken = len(texts)
        yield from (
            (of[taken + place], said) for place, said in _find(self._in_parquet, parts[taken:])
        )
        for place, said in _find(self._bare, [squeezed(part) for part in parts]):
            if said != _LOOK:
                yield of[place], said
                continue
            for match in _TELEPHONE.finditer(parts[place]):
                digits = match[0].partition(b"x")[0].translate(None, b" ()+./-")
                if digits in self._telephones:
                    yield of[place], self._telephones[digits]
        for place, part in zip(of, parts, strict=True):
            yield from ((place, f"{field} as a number") for field in self._places.told(part, lists))
        for place in {place for place, _ in _find(self._hints, parts)}:
            yield from (
                (of[place], f"{field} as a number")
                for field in self._places.hinted(parts[place], lists)
            )

    def _in_pieces(self, refs: Sequence[ObjectRef], contents: Sequence[bytes]) -> None:
        """Notes which words of names are a value of JSON by themselves."""
        for place in {
            place
            for place, _ in _find(self._long_words, [squeezed(unescaped(c)) for c in contents])
        }:
            words = set(map(_word, _STRING.findall(unescaped(contents[place]))))
            self._apart[refs[place]] |= self._words.keys() & words

    def _column(self, name: str, column: pa.Array, refs: Sequence[ObjectRef], of: Ints) -> None:
        kind = column.type
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            near = self._places.near if name in _SIZES else self._places.loose
            values = (
                pc.round(column.cast(pa.float64()), 7)
                if pa.types.is_decimal(kind)
                else column.cast(pa.float64())
            )
            self._numbers(name, values, self._places.exact if name in _MEASURED else near, refs, of)
        elif pa.types.is_integer(kind) and name not in _COUNTS:
            self._numbers(name, column, self._places.integers, refs, of)
        elif isinstance(kind, pa.BaseExtensionType):
            self._column(name, column.storage, refs, of)
        elif pa.types.is_map(kind):
            of, column = of[np.asarray(column.is_valid())], column.drop_null()
            for part, inside in (("key", column.keys), ("value", column.items)):
                lengths = np.diff(np.asarray(column.offsets))
                self._column(f"{name}.{part}", inside, refs, np.repeat(of, lengths))
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            self._column(
                name,
                column.flatten(),
                refs,
                of[np.asarray(pc.list_parent_indices(column), dtype=np.int64)],
            )
        elif pa.types.is_struct(kind):
            for field, inside in zip(kind, column.flatten(), strict=True):
                self._column(f"{name}.{field.name}", inside, refs, of)
        elif pa.types.is_dictionary(kind):
            self._texts(name, column.dictionary, column.indices, refs, of)
        elif pa.types.is_fixed_size_list(kind):
            of, column = of[np.asarray(column.is_valid())], column.drop_null()
            self._column(name, column.flatten(), refs, np.repeat(of, kind.list_size))
        elif _is_text(kind):
            encoded = column.dictionary_encode()
            self._texts(name, encoded.dictionary, encoded.indices, refs, of)

    def _texts(
        self, name: str, texts: pa.Array, codes: pa.Array, refs: Sequence[ObjectRef], of: Ints
    ) -> None:
        """Searches the distinct texts of a column; `codes`: which of them each row has."""
        values = [
            value.encode() if isinstance(value, str) else value or b""
            for value in texts.to_pylist()
        ]
        said = [*_find(self._in_text, values), *self._told(values, lists=False)]
        words = [
            (i, word) for i, value in enumerate(values) if (word := _word(value)) in self._words
        ]
        if not said and not words:
            return
        held = np.asarray(codes.fill_null(-1), dtype=np.int64)
        for value, what in said:
            self._blame(refs, of[np.flatnonzero(held == value)], what, f"in column {name}")
        for value, word in words:
            for item in np.unique(of[np.flatnonzero(held == value)]):
                self._apart[refs[int(item)]].add(word)

    def _numbers(
        self,
        name: str,
        values: pa.Array,
        secrets: Mapping[Any, str],
        refs: Sequence[ObjectRef],
        of: Ints,
    ) -> None:
        hit = (
            pc.is_in(values, value_set=pa.array(_fitting(secrets, values.type), values.type))
            if secrets
            else None
        )
        if hit is not None and pc.any(hit).as_py():
            rows: dict[str, list[int]] = defaultdict(list)
            for row in np.flatnonzero(np.asarray(hit)).tolist():
                rows[secrets[values[row].as_py()]].append(row)
            for field, of_field in rows.items():
                self._blame(refs, of[of_field], f"{field} as a number", f"in column {name}")

    def _blame(self, refs: Sequence[ObjectRef], of: Ints, said: str, where: str) -> None:
        for item, rows in zip(*np.unique(of, return_counts=True), strict=True):
            self._leak(refs[int(item)], said, where, int(rows))

    def _leak(self, ref: ObjectRef, said: str, where: str, rows: int = 0) -> None:
        """Notes it; of several finds of a field in an object, the one with most rows is told."""
        field = said.split(" ", 1)[0]
        if field != KEY and ref.bucket in map(bucket_of, KEYLESS):
            return
        known = self._leaks.get((ref, field))
        if known is None or rows > known.rows:
            self._leaks[ref, field] = _Leak(rows, f"{said} {where}")


def _by_name(item: tuple[tuple[ObjectRef, str], _Leak]) -> tuple[str, str]:
    return item[0][0].name, item[0][1]


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_temporal(kind)
    )


def _texts(value: Any) -> list[str]:
    """A personal value, and its parts that are long enough to mean somebody."""
    if not value:
        return []
    whole = str(value)
    parts = [part.strip() for part in _PARTS.split(whole)]
    return [whole, *(part for part in parts if len(part) >= SHORTEST and part != whole)]


def _find(finder: Finder, texts: Sequence[bytes]) -> Iterator[tuple[int, str]]:
    """(number of the text, what was found in it)."""
    ends = np.cumsum([len(text) + 1 for text in texts])
    for offset, said in finder.find(b"\0".join(texts)):
        yield int(np.searchsorted(ends, offset, side="right")), said


def _word(text: bytes) -> bytes:
    return text.lower() if text.isalnum() else squeezed(text) if not text.isascii() else b""


def _telephone(text: str) -> Iterator[bytes]:
    """The digits of a telephone number, with what is before the number at home and without; none of another text."""
    number = text.partition("x")[0]
    digits = re.sub(r"\D", "", number)
    if 9 <= len(digits) <= 15 and not any(map(str.isalpha, number)):
        yield digits.encode()
        if len(digits) > 10:
            yield digits[-10:].encode()
            yield digits.removeprefix("00").encode()


def _fine(node: Node, field: str) -> float | None:
    """A coordinate of a node, unless it is as coarse as what may leave."""
    value = node.asset.get(field)
    return None if value is None or round(float(value), 1) == float(value) else float(value)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return any(
        like(kind)
        for like in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
            types.is_fixed_size_binary,
        )
    )


def _fitting(secrets: Mapping[Any, str], kind: pa.DataType) -> list[Any]:
    """The secrets that a type of numbers can hold."""
    if not pa.types.is_integer(kind):
        return list(secrets)
    low, high = (
        (0, 2**kind.bit_width - 1)
        if pa.types.is_unsigned_integer(kind)
        else (-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
    )
    return [secret for secret in secrets if low <= secret <= high]
