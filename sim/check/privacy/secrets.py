"""Secrets of some nodes: the values that must not leave them, prepared for a search in bytes.

`privacy_key`                     with it pseudonyms can be undone
`operator_contact`, `technician`  whole and in parts: name, mail address, telephone
`latitude`, `longitude`           if they are finer than the one decimal that may leave

`patterns` lists the spellings of a text, `coordinates` those of a coordinate. A description of a
hit starts with the name of the field, and never contains the value.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from sim.check.privacy.coordinates import Coordinates, has_many_decimals
from sim.check.privacy.decoding import decoded_texts, is_encoded_as_a_whole, unescaped
from sim.check.privacy.patterns import (
    SHORTEST,
    SHORTEST_PATTERN,
    Finder,
    bare,
    coded,
    key_forms,
    key_letters,
    spellings,
    squeezed,
)
from sim.check.read.nodes import Node

KEY: Final = "privacy_key"
PERSONAL: Final = ("operator_contact", "technician")
_PARTS: Final = re.compile(r"[<>,;]")
_SHORTEST_BARE: Final = 8
_LOOK: Final = "look closer"
"""Description of a hit that needs a second test."""
_TELEPHONE: Final = re.compile(rb"(?<![\w.])\+?\(?\d(?:[ ()./-]{0,3}\d){8,16}(?:x\d+)?(?![\w])")
_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)"')


class Secrets:
    """Secrets of some nodes.

    `in_parquet`, `in_text`  finders for the bytes of Parquet files and of JSON
    `coordinates`            for the search in numbers
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._names: dict[bytes, str] = {}
        self._telephones: dict[bytes, str] = {}
        self._words: dict[bytes, list[tuple[str, frozenset[bytes]]]] = defaultdict(list)
        people = self._add_keys(nodes)
        for node in nodes:
            for field in PERSONAL:
                for text in _texts(node.asset.get(field)):
                    for how, form in spellings(text):
                        people.setdefault(form, f"{field} {how}")
                    self._add_name(field, text)
        self.coordinates = Coordinates(
            (_fine(node, "latitude"), _fine(node, "longitude")) for node in nodes
        )
        spelled = self._spelled_coordinates()
        plain = {repr(abs(value)).encode() for value in self.coordinates.fields}
        self.in_parquet = Finder(people | spelled)
        self.in_text = Finder(
            people | {form: text for form, text in spelled.items() if form not in plain}
        )
        self._bare = Finder(self._names | dict.fromkeys(self._telephones, _LOOK))
        self._hints = Finder(dict.fromkeys(self.coordinates.hints(), _LOOK))
        longest = {max(words, key=len) for people in self._words.values() for _, words in people}
        self._long_words = Finder(
            {word: _LOOK for word in longest if len(word) >= SHORTEST_PATTERN}
        )

    def _add_keys(self, nodes: Sequence[Node]) -> dict[bytes, str]:
        """Return the spellings of all keys."""
        forms: dict[bytes, str] = {}
        letters: set[bytes] = set()
        for key in sorted({node.privacy_key for node in nodes}):
            forms |= {form: f"{KEY} {how}" for form, how in key_forms(key).items()}
            letters |= key_letters(key)
        self._names |= dict.fromkeys(sorted(letters), f"{KEY} in pieces")
        self._keys, self._key_letters = list(forms), sorted(letters)
        return forms

    def _add_name(self, field: str, text: str) -> None:
        """Prepare a personal text for searches that ignore case, accents and spaces."""
        for form in bare(text) if any(map(str.isalpha, text)) else ():
            if len(form) >= _SHORTEST_BARE:
                self._names.setdefault(form, f"{field} with other case, accents or spaces")
        for form in _telephone(text):
            self._telephones.setdefault(form, f"{field} as digits")
        words = frozenset(squeezed(word.encode()) for word in text.split())
        if len(words) == 2 and "@" not in text:
            for word in words:
                self._words[word].append((field, words))

    def _spelled_coordinates(self) -> dict[bytes, str]:
        spelled: dict[bytes, str] = {}
        for value, field in self.coordinates.fields.items():
            text = repr(abs(value))
            spelled.update((form, f"{field} {how}") for how, form in coded(text))
            if has_many_decimals(value):
                spelled[text.encode()] = f"{field} in the clear"
                spelled.update(
                    (struct.pack(f"{order}d", value), f"{field} as a float") for order in "<>"
                )
        return spelled

    @property
    def has_keys(self) -> bool:
        """True if there is a key to search for."""
        return bool(self._keys)

    def has_key(self, content: bytes) -> bool:
        """Return True if a key is in the bytes, in any spelling."""
        return any(key in content for key in self._keys)

    def mentions_key(self, texts: pa.Array) -> bool:
        """Return True if a key may be in a text, also with other characters between its own."""
        whole = "\0".join(texts.to_pylist()).encode()
        letters = squeezed(whole)
        return self.has_key(whole) or any(key in letters for key in self._key_letters)

    def quoted_field(self, text: str) -> str:
        """Return the name of a field with its value in the text, or an empty string."""
        content = text.encode()
        found = [*find_in(self.in_text, [content]), *find_in(self._bare, [squeezed(content)])]
        return next((field_of(hit) for _, hit in found if hit != _LOOK), "")

    def search(self, texts: Sequence[bytes], lists: bool) -> Iterator[tuple[int, str]]:
        """Yield (number of the text, description), for the texts and for texts decoded from them.

        lists: the texts are JSON, whose lists of numbers may equal a coordinate by chance.
        """
        if len(texts) > 1 and self._is_clean_but_for_hints(texts, lists):
            yield from self._hinted(texts, lists)
        else:
            yield from self._search_each(texts, lists)

    def is_clean(self, texts: Sequence[bytes]) -> bool:
        """Return True if `search` and `in_text` find nothing in texts that are no JSON."""
        return not (
            self.in_text.find(b"\0".join(texts))
            or any(True for _ in self._hinted(texts, lists=False))
            or not self._is_clean_but_for_hints(texts, lists=False)
        )

    def _is_clean_but_for_hints(self, texts: Sequence[bytes], lists: bool) -> bool:
        """Return True if nothing is found in all texts as one, but for hits of `_hinted`.

        Whatever is found in one text is found in the whole, too. Only the encoded words of the
        texts are decoded here, which a zero byte parts.
        """
        whole = b"\0".join(texts)
        if not whole.isascii() or is_encoded_as_a_whole(texts):
            return False
        decoded = set(decoded_texts(whole))
        inner = b"\0".join(decoded)
        letters = [squeezed(whole), squeezed(b" ".join(decoded))]
        return not (
            self.in_parquet.find(inner)
            or any(self._bare.find(text) for text in letters)
            or any(
                True for text in (whole, inner) for _ in self.coordinates.spelled_in(text, lists)
            )
            or self._hints.find(inner)
        )

    def _hinted(self, texts: Sequence[bytes], lists: bool) -> Iterator[tuple[int, str]]:
        for number in {number for number, _ in find_in(self._hints, texts)}:
            fields = self.coordinates.hinted_in(texts[number], lists)
            yield from ((number, f"{field} as a number") for field in fields)

    def _search_each(self, texts: Sequence[bytes], lists: bool) -> Iterator[tuple[int, str]]:
        decoded: dict[bytes, list[int]] = {}  # ids recur, so equal texts are searched once
        for number, text in enumerate(texts):
            for inner in dict.fromkeys(decoded_texts(text)):
                decoded.setdefault(inner, []).append(number)
        of = [*([number] for number in range(len(texts))), *decoded.values()]
        for part, hit in self._found([*texts, *decoded], len(texts), lists):
            yield from ((number, hit) for number in of[part])

    def _found(self, parts: Sequence[bytes], plain: int, lists: bool) -> Iterator[tuple[int, str]]:
        """Yield (number of the part, description). The first `plain` parts were not decoded."""
        for number, hit in find_in(self.in_parquet, parts[plain:]):
            yield plain + number, hit
        for number, hit in find_in(self._bare, [squeezed(part) for part in parts]):
            if hit != _LOOK:
                yield number, hit
            else:
                yield from ((number, each) for each in self._telephones_in(parts[number]))
        for number, part in enumerate(parts):
            fields = self.coordinates.spelled_in(part, lists)
            yield from ((number, f"{field} as a number") for field in fields)
        yield from self._hinted(parts, lists)

    def _telephones_in(self, text: bytes) -> Iterator[str]:
        for match in _TELEPHONE.finditer(text):
            digits = match[0].partition(b"x")[0].translate(None, b" ()+./-")
            if digits in self._telephones:
                yield self._telephones[digits]

    def is_word_of_name(self, word: bytes) -> bool:
        """Return True for one of the two words of a name, as `single_word` returns it."""
        return word in self._words

    def words_in_json(self, contents: Sequence[bytes]) -> Iterator[tuple[int, set[bytes]]]:
        """Yield (number of the text, words of names that are whole values in its JSON)."""
        letters = [squeezed(unescaped(content)) for content in contents]
        for number in {number for number, _ in find_in(self._long_words, letters)}:
            values = set(map(single_word, _STRING.findall(unescaped(contents[number]))))
            yield number, self._words.keys() & values

    def fields_of_words(self, words: set[bytes]) -> set[str]:
        """Return the fields with a name of which both words are given."""
        return {field for word in words for field, whole in self._words[word] if whole <= words}


def find_in(finder: Finder, texts: Sequence[bytes]) -> Iterator[tuple[int, str]]:
    """Yield (number of the text, description) for every hit."""
    ends = np.cumsum([len(text) + 1 for text in texts])
    for offset, description in finder.find(b"\0".join(texts)):
        yield int(np.searchsorted(ends, offset, side="right")), description


def field_of(description: str) -> str:
    """Return the name of the field that a description starts with."""
    return description.partition(" ")[0]


def single_word(text: bytes) -> bytes:
    """Return a text of one word in lower case, without accents; empty for other texts."""
    return text.lower() if text.isalnum() else squeezed(text) if not text.isascii() else b""


def _texts(value: Any) -> list[str]:
    """Return a personal value and those of its parts that are long enough to identify a person."""
    if not value:
        return []
    whole = str(value)
    parts = [part.strip() for part in _PARTS.split(whole)]
    return [whole, *(part for part in parts if len(part) >= SHORTEST and part != whole)]


def _telephone(text: str) -> Iterator[bytes]:
    """Yield the digits of a telephone number, with and without its country code.

    Yields nothing for other texts.
    """
    number = text.partition("x")[0]
    digits = re.sub(r"\D", "", number)
    if 9 <= len(digits) <= 15 and not any(map(str.isalpha, number)):
        yield digits.encode()
        if len(digits) > 10:
            yield digits[-10:].encode()
            yield digits.removeprefix("00").encode()


def _fine(node: Node, field: str) -> float | None:
    """Return a node's coordinate; None if it has only the one decimal that may leave."""
    value = node.asset.get(field)
    return None if value is None or round(float(value), 1) == float(value) else float(value)
