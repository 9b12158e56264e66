"""Byte patterns of secret texts, and a finder for many patterns at once.

Forms of a text:
- UTF-8: as it is, in lower and in upper case
- UTF-16, base64 (also URL-safe, at any alignment), hexadecimal, percent-encoded, JSON-escaped
- the first digits of its unkeyed MD5, SHA-1 and SHA-256; an unkeyed digest of a name can be guessed
- of names and addresses also: other case, other accents, other characters between letters.
  `squeezed` removes these from the content, `bare` from the name

`sim.check.privacy.decoding` covers compressed and nested forms.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

import numpy as np
import numpy.typing as npt

from sim.check.read.columns import Ints

SHORTEST: Final = 6
"""Least bytes of a form. Shorter ones occur by chance."""
SHORTEST_PATTERN: Final = 4
"""Least bytes of a pattern of `Finder`."""
_SHORTEST_KEY: Final = 8
"""Least bytes of a key. A shorter one is searched for only in quotes."""
_DIGEST_HEX: Final = 16
"""Hexadecimal digits of a digest that are searched for."""
_TABLE_BITS: Final = 18
"""Logarithm of the size of the table of a `Finder`: large enough to have few heads by chance."""
_SPREAD: Final = np.uint32(0x9E3779B1)  # Knuth's multiplicative hash


@lru_cache(maxsize=4096)
def spellings(text: str) -> tuple[tuple[str, bytes], ...]:
    """Return (description, bytes) of every form of a text, plain ones first."""
    raw = text.encode()
    forms = [
        ("in the clear", raw),
        ("in the clear", text.lower().encode()),
        ("in the clear", text.upper().encode()),
        *coded(text),
        *(
            (
                "as an unkeyed digest",
                getattr(hashlib, name)(raw).hexdigest()[:_DIGEST_HEX].encode(),
            )
            for name in ("md5", "sha1", "sha256")
        ),
    ]
    return tuple((how, form) for how, form in forms if len(form) >= SHORTEST)


@lru_cache(maxsize=4096)
def coded(text: str) -> tuple[tuple[str, bytes], ...]:
    """Return (description, bytes) of the encoded forms of a text."""
    raw = text.encode()
    forms = [
        ("in UTF-16", text.encode("utf-16-le")[:-1]),
        ("in UTF-16", text.encode("utf-16-be")[1:]),
        ("in Latin-1", text.encode("latin-1", "ignore")),
        ("in UTF-16", json.dumps("\0".join(text))[1:-1].encode()),  # as a JSON string
        ("in hexadecimal", raw.hex().encode()),
        ("in hexadecimal", raw.hex().upper().encode()),
        ("percent-encoded", quote(text, safe="").encode()),
        ("percent-encoded", quote(text, safe="").lower().encode()),
        ("percent-encoded", quote_plus(text).encode()),
        ("JSON-escaped", json.dumps(text)[1:-1].encode()),
    ]
    forms += [("in base64", inner) for inner in _base64(raw)]
    return tuple((how, form) for how, form in forms if form != raw and len(form) >= SHORTEST)


def key_forms(key: str) -> dict[bytes, str]:
    """Return bytes -> description for the forms of a key, which is given in hexadecimal.

    A short key has only its quoted forms, since others occur by chance. Digests of a key are not
    searched for: unlike digests of a name, they cannot be guessed.
    """
    raw = _raw(key)
    if len(raw) < _SHORTEST_KEY:
        return {
            f'"{form}"'.encode(): "in the clear" for form in (key, key.lower(), key.upper()) if key
        }
    forms = {form.encode(): "in the clear" for form in (key, key.lower(), key.upper())}
    forms |= {form: how for text in (key.lower(), key.upper()) for how, form in coded(text)}
    forms |= dict.fromkeys(_base64(raw), "in base64")
    forms |= {str(int.from_bytes(raw)).encode(): "as a number"}
    if len(set(raw)) >= _SHORTEST_KEY // 2:
        forms[raw] = "as bytes"
    return forms


def key_letters(key: str) -> set[bytes]:
    """Return a key as `squeezed` leaves it: its hexadecimal digits, or its bytes as numbers."""
    raw = _raw(key)
    lists = (
        "".join(map(str, raw)),
        "".join(f"0x{byte:x}" for byte in raw),
        "".join(f"0x{byte:02x}" for byte in raw),
    )
    return {form.encode() for form in (key.lower(), *lists)} if len(raw) >= _SHORTEST_KEY else set()


def _raw(key: str) -> bytes:
    try:
        return bytes.fromhex(key)
    except ValueError:
        return b""


def _base64(raw: bytes) -> list[bytes]:
    """Return the base64 letters that depend on these bytes only, for each of three alignments."""
    inner = []
    for before in range(3):
        coded = base64.b64encode(bytes(before) + raw)
        inner.append(coded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6])
    return inner + [form.translate(bytes.maketrans(b"+/", b"-_")) for form in inner]


def squeezed(content: bytes) -> bytes:
    """Return only the letters and digits of a text, in lower case and without accents.

    Content that is not UTF-8 is read twice: as UTF-8 without the invalid bytes, and as Latin-1.
    """
    if content.isascii():
        return content.translate(_SMALL, _BETWEEN)
    content = content.replace(b"\0", b"")
    try:
        texts = [content.decode()]
        latin = ""
    except UnicodeDecodeError:
        texts = [content.decode("utf-8", "ignore")]
        latin = content.decode("latin-1").translate(_LATIN)
    plain = [
        text if text.isascii() else _plain(text, _LETTERS).encode("ascii", "ignore").decode()
        for text in texts
    ]
    forms = [text.encode().translate(_SMALL, _BETWEEN) for text in plain]
    return b"\0".join([*forms, latin.encode()] if latin else forms)


def bare(text: str) -> set[bytes]:
    """Return a name as `squeezed` leaves it: all spellings of accents, also last word first."""
    words = text.split()
    return {
        way.encode("ascii", "ignore").translate(_SMALL, _BETWEEN)
        for order in (words, [*words[-1:], *words[:-1]])
        for way in _ways(" ".join(order))
    }


def _ways(text: str) -> list[str]:
    """Return the spellings of a text's accents."""
    if text.isascii():
        return [text]
    return [_plain(text, letters) for letters in (_LETTERS, _DIGRAPHS, {})]


def _plain(text: str, letters: Mapping[int, str]) -> str:
    return unicodedata.normalize("NFKD", text.lower().translate(letters))


_LETTERS: Final = str.maketrans(
    dict(zip("øłđðþıœæß", ("o", "l", "d", "d", "th", "i", "oe", "ae", "ss"), strict=True))
)
_DIGRAPHS: Final = _LETTERS | str.maketrans({"ä": "ae", "ö": "oe", "ø": "oe", "ü": "ue", "å": "aa"})
_SMALL: Final = bytes(range(256)).lower()
_BETWEEN: Final = bytes(b for b in range(256) if not (b < 128 and chr(b).isalnum()))
_LATIN: Final = {
    code: _plain(chr(code), _LETTERS).encode("ascii", "ignore").translate(_SMALL, _BETWEEN).decode()
    for code in range(256)
}
"""The letters that `squeezed` keeps of each Latin-1 character, which do not affect each other."""


class Finder:
    """Search for many patterns in one pass. Its cost does not depend on their number.

    Patterns have at least `SHORTEST_PATTERN` bytes.
    """

    def __init__(self, patterns: Mapping[bytes, str]) -> None:
        """Prepare the search. `patterns`: bytes -> description of a hit."""
        self._descriptions = dict(patterns)
        # A head is the first four bytes of a pattern. The table has a bit for each head's hash.
        self._by_head: dict[int, list[bytes]] = defaultdict(list)
        for pattern in patterns:
            self._by_head[int.from_bytes(pattern[:4], "little")].append(pattern)
        heads = np.array(sorted(self._by_head), dtype=np.uint32)
        self._heads = heads
        self._table = np.zeros(1 << _TABLE_BITS, dtype=bool)
        self._table[_places(heads)] = True

    def find(self, content: bytes) -> list[tuple[int, str]]:
        """Return (offset, description) of all hits, in order of the offset modulo 4."""
        found = []
        for shift in range(min(4, len(content) - 3)):
            words = np.frombuffer(content, "<u4", count=(len(content) - shift) // 4, offset=shift)
            at = np.flatnonzero(self._table[_places(words)])
            place = np.minimum(np.searchsorted(self._heads, words[at]), len(self._heads) - 1)
            at = at[self._heads[place] == words[at]]
            for offset in _offsets(at, shift):
                head = int.from_bytes(content[offset : offset + 4], "little")
                found += [
                    (offset, self._descriptions[pattern])
                    for pattern in self._by_head[head]
                    if content.startswith(pattern, offset)
                ]
        return found


def _places(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return each word's place in the table of a `Finder`."""
    places: npt.NDArray[np.uint32] = (words * _SPREAD) >> np.uint32(32 - _TABLE_BITS)
    return places


def _offsets(at: Ints, shift: int) -> list[int]:
    return [int(offset) for offset in at * 4 + shift]
