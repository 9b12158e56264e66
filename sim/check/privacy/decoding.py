"""Decoding of nested texts: compressed, encoded or escaped data, recursively.

Decoded:
- gzip, zlib, bzip2, xz and zstandard
- base64 (also URL-safe), base32 and hexadecimal, word by word
- percent-encoding, escapes of JSON and of HTML, over the whole text

Not covered:
- encryption
- archives of several files
- base64 with line breaks
- output beyond MOST_BYTES
"""

from __future__ import annotations

import base64
import html
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

import pyarrow as pa

DEPTH: Final = 3
MOST_BYTES: Final = 1 << 24
_DIGESTS: Final = (16, 20, 32, 64)
_PACKED: Final = {b"\x1f\x8b\x08": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_ZLIB: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_XZ: Final = b"\xfd7zXZ\x00"
_MAGIC: Final = (*_PACKED, *_ZLIB, _XZ)
_SHORTEST_WORD: Final = 12
_HEX: Final = re.compile(rb"[0-9a-fA-F]{12,}")
_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")
_PARTED: Final = bytes(letter if letter in _LETTERS else 0 for letter in range(256))
"""Table that replaces all but the letters of base64 by zero."""
_BASE32: Final = re.compile(rb"[A-Z2-7]{16,}")
_BASE32_ENDS: Final = (0, 0, 2, 2, 4, 5, 5, 7)
_ESCAPED: Final = re.compile(rb"\\u([0-9a-fA-F]{4})")
_PERCENT: Final = re.compile(rb"%[0-9a-fA-F]{2}")
_ENTITY: Final = re.compile(rb"&(?:#\w{1,8}|[a-zA-Z]{1,32});")
_WHOLE: Final = {b"%": _PERCENT, b"\\u": _ESCAPED, b"&": _ENTITY}
"""Forms of a text that is encoded as a whole, by a byte string that each contains."""


def decoded_texts(content: bytes, depth: int = DEPTH) -> list[bytes]:
    """Return every text that `content` contains in encoded form, at most `depth` levels deep.

    Usually these are only digests, which are hexadecimal words.
    """
    found = []
    for inner in _unpacked(content) if depth else ():
        found.append(inner)
        if _may_be_encoded(inner):
            found += decoded_texts(inner, depth - 1)
    return found


def is_encoded_as_a_whole(texts: Sequence[bytes]) -> bool:
    """Return True if one of the texts is decoded as a whole, and not word by word."""
    whole = b"\0".join(texts)
    return any(text.startswith(_MAGIC) for text in texts) or any(
        sign in whole and form.search(whole) for sign, form in _WHOLE.items()
    )


def _may_be_encoded(inner: bytes) -> bool:
    """Return True if bytes may contain encoded text, unlike short ones and those of a digest."""
    if len(inner) < _SHORTEST_WORD and not any(sign in inner for sign in b"%\\&"):
        return inner.startswith(_MAGIC)
    if len(inner) not in _DIGESTS:
        return True
    try:
        inner.decode()
    except UnicodeDecodeError:
        return False
    return True


def unescaped(content: bytes) -> bytes:
    """Return the bytes with JSON's \\u1234 replaced by their characters."""
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)).encode("utf-8", "ignore"), content)


def _unpacked(content: bytes) -> Iterator[bytes]:
    yield from _inflated(content)
    parted = content.translate(_PARTED).split(b"\0")
    # In order, each word once: the first of several is the one that a finding names.
    long = list(dict.fromkeys(word for word in parted if len(word) >= _SHORTEST_WORD))
    words = b"\0".join(long)  # hexadecimal and base32 words lie within words of base64
    for word in _HEX.findall(words):
        yield bytes.fromhex(word[: len(word) // 2 * 2].decode())
    for word in long:
        # The base64 form of a text has letters of both cases.
        if not (word.islower() or word.isupper() or word.isdigit()):
            yield base64.urlsafe_b64decode(
                word.translate(_TO_URL)[: len(word) // 4 * 4] + _tail(word)
            )
    for word in _BASE32.findall(words):
        yield base64.b32decode(word[: len(word) // 8 * 8] + _tail_of_base32(word))
    if b"%" in content and _PERCENT.search(content):
        yield unquote_to_bytes(content)
    if b"\\u" in content and _ESCAPED.search(content):
        yield unescaped(content)
    if b"&" in content and _ENTITY.search(content):
        yield html.unescape(content.decode("utf-8", "replace")).encode()


_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


def _tail(word: bytes) -> bytes:
    """Return the last letters of a base64 word with padding; nothing for a single letter.

    Surplus padding is harmless. A single letter is less than a byte.
    """
    rest = word.translate(_TO_URL)[len(word) // 4 * 4 :]
    return rest + b"==" if len(rest) > 1 else b""


def _tail_of_base32(word: bytes) -> bytes:
    """Return the last letters of a base32 word that form whole bytes, with padding."""
    rest = word[len(word) // 8 * 8 :]
    used = _BASE32_ENDS[len(rest)]
    return rest[:used] + b"=" * (8 - used) if used else b""


def _inflated(content: bytes) -> Iterator[bytes]:
    if not content.startswith(_MAGIC):
        return
    try:
        if content.startswith(_ZLIB):
            yield zlib.decompressobj().decompress(content, MOST_BYTES)
        elif content.startswith(_XZ):
            yield lzma.LZMADecompressor().decompress(content, MOST_BYTES)
        else:
            name = next(name for magic, name in _PACKED.items() if content.startswith(magic))
            yield pa.input_stream(pa.BufferReader(content), compression=name).read(MOST_BYTES)
    except (zlib.error, lzma.LZMAError, pa.ArrowException, OSError, EOFError):
        return
