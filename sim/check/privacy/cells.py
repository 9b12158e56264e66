"""The privacy search in the cells of a table: texts, numbers, and both within nested columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import CHANNEL_NAMES, DERIVED, ENRICHMENT_NUMBERS
from pipeline.records.schemas import AGGREGATED
from sim.check.privacy.leaks import Leaks
from sim.check.privacy.secrets import Secrets, find_in, single_word
from sim.check.read.columns import Ints
from sim.check.read.lake import ObjectRef

_COMPUTED: Final = {each.name for columns in DERIVED.values() for each in columns}
_MEASURED: Final = {*CHANNEL_NAMES, *AGGREGATED.names, *_COMPUTED} - set(ENRICHMENT_NUMBERS)
"""Columns with readings, which may equal a rounded coordinate by chance."""
_SIZES: Final = {"rated_power", "hub_height"}
"""Columns with numbers of two decimals, which may equal a coordinate rounded to two by chance."""
_COUNTS: Final = {"id", "rows", "anomaly_count", "revision"}
"""Columns of integers that are not searched."""


class CellSearch:
    """Search for secrets in columns. Hits go to `leaks`."""

    def __init__(self, secrets: Secrets, leaks: Leaks) -> None:
        self._secrets, self._leaks = secrets, leaks

    def are_clean(self, columns: Sequence[pa.DictionaryArray]) -> bool:
        """Return True if `search` finds nothing in columns of texts, which are searched as one."""
        texts = list({text for column in columns for text in _as_bytes(column.dictionary)})
        words = (self._secrets.is_word_of_name(single_word(text)) for text in texts)
        return not any(words) and self._secrets.is_clean(texts)

    def search(self, name: str, column: pa.Array, refs: Sequence[ObjectRef], of: Ints) -> None:
        """Search a column. `of`: index of each row's object in `refs`."""
        kind = column.type
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            self._floats(name, column, refs, of)
        elif pa.types.is_integer(kind) and name not in _COUNTS:
            self._numbers(name, column, self._secrets.coordinates.integers, refs, of)
        elif isinstance(kind, pa.BaseExtensionType):
            self.search(name, column.storage, refs, of)
        elif pa.types.is_map(kind):
            of, column = of[np.asarray(column.is_valid())], column.drop_null()
            bounds = np.asarray(column.offsets)
            of = np.repeat(of, np.diff(bounds))
            for part, inside in (("key", column.keys), ("value", column.items)):
                # Of a slice, too, they are those of the whole column.
                self.search(f"{name}.{part}", inside[bounds[0] : bounds[-1]], refs, of)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            parents = np.asarray(pc.list_parent_indices(column), dtype=np.int64)
            self.search(name, column.flatten(), refs, of[parents])
        elif pa.types.is_struct(kind):
            for field, inside in zip(kind, column.flatten(), strict=True):
                self.search(f"{name}.{field.name}", inside, refs, of)
        elif pa.types.is_dictionary(kind):
            self._texts(name, column.dictionary, column.indices, refs, of)
        elif pa.types.is_fixed_size_list(kind):
            of, column = of[np.asarray(column.is_valid())], column.drop_null()
            self.search(name, column.flatten(), refs, np.repeat(of, kind.list_size))
        elif _is_text(kind):
            encoded = column.dictionary_encode()
            self._texts(name, encoded.dictionary, encoded.indices, refs, of)

    def _texts(
        self, name: str, texts: pa.Array, codes: pa.Array, refs: Sequence[ObjectRef], of: Ints
    ) -> None:
        """Search the distinct texts of a column. `codes`: index of each row's text."""
        values = _as_bytes(texts)
        found = [
            *find_in(self._secrets.in_text, values),
            *self._secrets.search(values, lists=False),
        ]
        words = [
            (i, word)
            for i, value in enumerate(values)
            if self._secrets.is_word_of_name(word := single_word(value))
        ]
        if not found and not words:
            return
        code = np.asarray(codes.fill_null(-1), dtype=np.int64)
        for value, description in found:
            rows = np.flatnonzero(code == value)
            self._leaks.add_rows(refs, of[rows], description, f"in column {name}")
        for value, word in words:
            for item in np.unique(of[np.flatnonzero(code == value)]):
                self._leaks.add_words(refs[int(item)], {word})

    def _floats(self, name: str, column: pa.Array, refs: Sequence[ObjectRef], of: Ints) -> None:
        values = column.cast(pa.float64())
        if pa.types.is_decimal(column.type):
            values = pc.round(values, 7)
        coordinates = self._secrets.coordinates
        near = coordinates.near if name in _SIZES else coordinates.loose
        secrets = coordinates.exact if name in _MEASURED else near
        rows = coordinates.suspects(values.to_numpy(zero_copy_only=False))
        if len(rows):
            self._numbers(name, values.take(pa.array(rows)), secrets, refs, of[rows])

    def _numbers(
        self,
        name: str,
        values: pa.Array,
        secrets: Mapping[Any, str],
        refs: Sequence[ObjectRef],
        of: Ints,
    ) -> None:
        """Search a column for these numbers: number -> field."""
        if not secrets:
            return
        hit = pc.is_in(values, value_set=pa.array(fitting(secrets, values.type), values.type))
        if pc.any(hit).as_py():
            rows: dict[str, list[int]] = defaultdict(list)
            for row in np.flatnonzero(np.asarray(hit)).tolist():
                rows[secrets[values[row].as_py()]].append(row)
            for field, of_field in rows.items():
                self._leaks.add_rows(
                    refs, of[of_field], f"{field} as a number", f"in column {name}"
                )


def _as_bytes(texts: pa.Array) -> list[bytes]:
    """Return the texts of an array, empty ones for null."""
    return [
        value.encode() if isinstance(value, str) else value or b"" for value in texts.to_pylist()
    ]


def fitting(secrets: Mapping[Any, str], kind: pa.DataType) -> list[Any]:
    """Return the numbers that a numeric type can represent."""
    if not pa.types.is_integer(kind):
        return list(secrets)
    low, high = (
        (0, 2**kind.bit_width - 1)
        if pa.types.is_unsigned_integer(kind)
        else (-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
    )
    return [secret for secret in secrets if low <= secret <= high]


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
