"""Decoding of nested text: each form is decoded exactly, and other bytes are left alone."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import zlib

import pyarrow as pa
import pytest

from sim.check.privacy.decoding import decoded_texts, unescaped

TEXT = b"Ingrid Solberg, crew 7"
HEX = b"496e67726964"  # Ingrid


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(TEXT, mtime=0),
        *(zlib.compress(TEXT, level) for level in (0, 5, 6, 9)),
        bz2.compress(TEXT),
        lzma.compress(TEXT),
        pa.compress(TEXT, "zstd", asbytes=True),
    ],
)
def test_compressed_text_is_decoded(packed: bytes) -> None:
    assert decoded_texts(packed)[0] == TEXT
    assert TEXT not in decoded_texts(b"x" + packed)  # a compressed stream must be the whole object
    assert all(TEXT.startswith(inner) for inner in decoded_texts(packed[:9]))  # truncated


def test_decompression_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.check.privacy.decoding.MOST_BYTES", 1000)
    for pack in (gzip.compress, zlib.compress, bz2.compress, lzma.compress):
        assert decoded_texts(pack(b" " * 1001)) == [b" " * 1000]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"nothing of that kind: 100% & more", []),
        # hexadecimal
        (b"x: " + HEX + b".", [b"Ingrid"]),
        (HEX + b"7", [b"Ingrid"]),  # half a byte more
        (HEX[:-1], []),
        (HEX + b"78 and " + HEX, [b"Ingridx", b"Ingrid"]),
        # base64: groups of four letters, rests of two and three; a rest of one encodes nothing
        (base64.b64encode(b"Ingrid, Ann"[:9]), [b"Ingrid, A"]),
        (b"SW5ncmlkLCBB", [b"Ingrid, A"]),
        (b"SW5ncmlkLCBBb", [b"Ingrid, A"]),
        (b"SW5ncmlkLCBBbg", [b"Ingrid, An"]),
        (b"SW5ncmlkLCBBbm4", [b"Ingrid, Ann"]),
        (b"SW5ncmlkLCBBbm4=", [b"Ingrid, Ann"]),
        (b"SW5ncmlkLCBBbm4u", [b"Ingrid, Ann."]),
        (base64.b64encode(b"a>b?c>d?e>f?"), [b"a>b?c>d?e>f?"]),
        (base64.urlsafe_b64encode(b"a>b?c>d?e>f??"), [b"a>b?c>d?e>f??"]),
        (base64.b64encode(b"a>b?c>d?e>f??>"), [b"a>b?c>d?e>f??>"]),
        (b"lettersofonecase AND-CAPITALS-- 012345678901", [b"\x01#Eg\x89\x01"]),
        # base32
        (b"JFXGO4TJMQQFG33M", [b"Ingrid Sol"]),
        (b"JFXGO4TJMQQFG33MA", [b"Ingrid Sol"]),
        (b"JFXGO4TJMQQFG33MMJSXEZZM", [b"Ingrid Solberg,"]),
        # escapes
        (b"a%20b", [b"a b"]),
        (b"a %2z", []),
        (rb"S\u00f8ren", ["Søren".encode()]),
        (b"S&oslash;ren &#8211; &amp;", ["Søren – &".encode()]),
    ],
)
def test_each_form_is_decoded(content: bytes, found: list[bytes]) -> None:
    assert decoded_texts(content) == found


def test_nested_forms_are_decoded_to_the_given_depth() -> None:
    content = b"a%25252520b"
    inner = [b"a%252520b", b"a%2520b", b"a%20b", b"a b"]
    assert [decoded_texts(content, depth) for depth in range(5)] == [
        inner[:depth] for depth in range(5)
    ]


@pytest.mark.parametrize("size", [16, 20, 32, 64])
def test_the_bytes_of_a_digest_are_not_searched(size: int) -> None:
    digest = HEX.rjust(size, b"\xff")
    assert decoded_texts(digest.hex().encode()) == [digest]
    assert decoded_texts(b"\xff".hex().encode() + digest.hex().encode()) == [
        b"\xff" + digest,
        b"Ingrid",
    ]
    text = HEX.rjust(size)
    assert decoded_texts(text.hex().encode()) == [text, b"Ingrid"]


def test_json_escapes_are_decoded() -> None:
    assert unescaped(rb"\u0053\u00F8ren \ud83d\u12") == "Søren ".encode() + rb"\u12"
