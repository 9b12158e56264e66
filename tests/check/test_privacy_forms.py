"""Attacks on privacy: each known form of a name, telephone number or position, per carrier.

Each form is planted in a JSON value, in a compressed text column and in a Parquet file's metadata.
Forms of numbers are planted in columns of their own. test_privacy.py shows plain forms through
`judge`.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import html
import json
import lzma
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from sim.check.findings import Findings
from sim.check.privacy.coordinates import geohash
from sim.check.privacy.scan import Privacy
from sim.check.privacy.secrets import Secrets
from sim.check.read.lake import ObjectRef
from sim.check.read.nodes import Node, discover, read_config
from tests.support import lakebuilder
from tests.support.lakesurgery import CHECKPOINT, ENRICHED, MANIFEST, read, rejson, write

NAME, MAIL, TELEPHONE = "Ingrid Sørensen", "ingrid@crew.example", "+44 20 7946 0018x77"
LATITUDE, LONGITUDE = 41.123457, -75.987654
REF = ObjectRef("expanso-databricks-metadata", "metadata/anything", 0)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    folder = tmp_path_factory.mktemp("nodes")
    lakebuilder.write_nodes(folder)
    path = folder / "A" / "A-002.json"
    config = json.loads(path.read_text())
    config["asset"] |= {"technician": f"{NAME} <{MAIL}>, {TELEPHONE}", "operator_contact": None}
    config["asset"] |= {"latitude": LATITUDE, "longitude": LONGITUDE}
    path.write_text(json.dumps(config))
    (file,) = [file for file in discover(folder) if file.turbine == "A-002"]
    return read_config(file)


def _among_clean_ones(secrets: Secrets, contents: Sequence[bytes]) -> None:
    """Assert that a search in many texts as one finds what a search in each of them finds."""
    for content in contents:
        texts = [b'{"job_id": "j-1"}', content, b'{"rows": 600, "share": 0.125}']
        for lists in (True, False):
            each = set(secrets._search_each(texts, lists))
            assert set(secrets.search(texts, lists)) == each
        assert not (each and secrets.is_clean(texts))


def test_clean_texts_are_not_searched_one_by_one(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Privacy([node]).secrets
    texts = [json.dumps({"job_id": f"j-{i}", "sha256": "5e" * 32}).encode() for i in range(9)]
    monkeypatch.setattr(secrets, "_search_each", None)
    assert list(secrets.search(texts, lists=True)) == []
    assert secrets.is_clean(texts)


def test_a_text_that_is_encoded_as_a_whole_is_found_among_others(node: Node) -> None:
    packed = gzip.compress(f"by {NAME}.".encode())
    content = "".join(f"%{byte:02x}" for byte in packed).encode()
    _among_clean_ones(Privacy([node]).secrets, [content])


def test_a_word_of_a_name_needs_a_closer_look(node: Node) -> None:
    cells = Privacy([node]).cells
    assert cells.are_clean([pa.array(["A-002", None]).dictionary_encode()])
    for word in NAME.split():
        assert not cells.are_clean([pa.array(["A-002", word]).dictionary_encode()])


def fields(node: Node, *contents: bytes, key: str = REF.key) -> set[str]:
    """Fields found in objects with these contents."""
    privacy, findings = Privacy([node]), Findings()
    for i, content in enumerate(contents):
        privacy.search_object(ObjectRef(REF.bucket, f"{key}{i or ''}", 0), content)
    privacy.report("A", findings)
    _among_clean_ones(privacy.secrets, [each for each in contents if each[:4] != b"PAR1"])
    told = findings.bounded()
    assert not [
        f.detail
        for f in told
        if any(part in f.detail for part in ("ngrid", "rensen", "7946", "41.1", "75.9"))
    ]
    return {found.detail.split(" ", 1)[0] for found in told}


def carriers(text: str) -> Iterator[tuple[str, bytes]]:
    yield "JSON", json.dumps({"schema_version": 1, "note": f"by {text}."}).encode()
    yield "JSON, as it is", json.dumps({"n": [1, {"note": text}]}, ensure_ascii=False).encode()
    yield "cell", column(pa.array(["x", text, None]))
    yield "large cell", column(pa.array(["x", text, None], pa.large_string()))
    yield "beside", write(pa.table({"a": [1]}).replace_schema_metadata({"note": text}))
    field = pa.field("a", pa.int64(), metadata={"note": text})
    yield "beside a column", write(pa.table([pa.array([1])], schema=pa.schema([field])))


def column(values: pa.Array) -> bytes:
    return write(pa.table({"n": values}), compression="zstd", write_statistics=False)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


RAW = NAME.encode()
NAMES = {
    "as it is": NAME,
    "mixed case": "iNGRID sØRENSEN",
    "title of the address": MAIL.title(),
    "without accents": "Ingrid Sorensen",
    "accents written out": "Ingrid Soerensen",
    "accents lost": "Ingrid S?rensen",
    "accents apart": unicodedata.normalize("NFD", NAME),
    "last name first": "Sørensen, Ingrid",
    "last name first, plain": "SORENSEN INGRID",
    "underscore": "ingrid_sorensen",
    "no space": "ingridsorensen",
    "spaced out": " ".join(NAME),
    "percent-encoded, small": quote(NAME.lower()),
    "percent-encoded twice": quote(quote(NAME)),
    "HTML": html.escape(NAME).replace("ø", "&oslash;"),
    "JSON in JSON": json.dumps(json.dumps({"who": NAME})),
    "gzip, base64": encoded(gzip.compress(RAW)),
    "zlib, base64": encoded(zlib.compress(RAW)),
    "bzip2, base64": encoded(bz2.compress(RAW)),
    "xz, base64": encoded(lzma.compress(RAW)),
    "zstandard, base64": encoded(pa.compress(RAW, "zstd", asbytes=True)),
    "gzip, hexadecimal": gzip.compress(RAW).hex(),
    "gzip, URL-safe base64": base64.urlsafe_b64encode(
        gzip.compress(json.dumps({"who": NAME}).encode())
    ).decode(),
    "base64 of small letters": encoded(NAME.lower().encode()),
    "base64 of base64": encoded(encoded(RAW).encode()),
    "base64 without its padding": encoded(b"x" + MAIL.encode()).rstrip("="),
    "base64 of UTF-16": encoded(NAME.encode("utf-16")),
    "base32": base64.b32encode(NAME.encode() + b" " * 5).decode(),
    "hexadecimal of capitals": NAME.upper().encode().hex(),
    "hexadecimal, 0x": "0x" + RAW.hex(),
}
TELEPHONES = {
    "digits": "442079460018",
    "other signs": "+44-20-7946-0018",
    "brackets": "(0044) 2079 460018".replace("(0044)", "(44)"),
    "dots": "44.20.7946.0018",
    "at home": "2079460018",
}
PLACES = {
    "three decimals": "41.123",
    "in a sentence": "at 41.1234N",
    "single precision": repr(struct.unpack("f", struct.pack("f", LATITUDE))[0]),
    "two decimals, both": "41.12, -75.99",
    "two decimals, longitude first": "-75.98 41.12",
    "WKT": f"POINT({LONGITUDE:.4f} {LATITUDE:.4f})",
    "millionths of degrees": "41123457 -75987654",
    "degrees, minutes, seconds": "41°07'24\"N",
    "degrees, minutes, seconds in letters": "41d07m24.4s",
    "degrees and minutes": "41°07'N",
    "degrees and decimal minutes": "41° 7.4074' N",
    "geohash": geohash(LATITUDE, LONGITUDE, 6).decode(),
    "long geohash": geohash(LATITUDE, LONGITUDE, 10).decode(),
    "WKB": (b"\x01\x01\x00\x00\x00" + struct.pack("<dd", LONGITUDE, LATITUDE)).hex(),
    "gzip, base64": encoded(gzip.compress(b"%f,%f" % (LATITUDE, LONGITUDE))),
}


@pytest.mark.parametrize("form", NAMES)
def test_a_name_is_found(node, form):
    for carrier, content in carriers(NAMES[form]):
        assert fields(node, content) == {"technician"}, carrier


@pytest.mark.parametrize("form", TELEPHONES)
def test_a_telephone_number_is_found(node, form):
    for carrier, content in carriers(TELEPHONES[form]):
        assert fields(node, content) == {"technician"}, carrier


@pytest.mark.parametrize("form", PLACES)
def test_a_position_is_found(node, form):
    for carrier, content in carriers(PLACES[form]):
        assert fields(node, content) & {"latitude", "longitude"}, carrier


def test_compressed_objects_are_searched(node):
    text = json.dumps({"who": NAME, "lat": LATITUDE}).encode()
    for pack in (gzip.compress, zlib.compress, bz2.compress, lzma.compress):
        assert fields(node, pack(text)) == {"technician", "latitude"}
        assert fields(node, column(pa.array([b"x", pack(text)]))) == {"technician", "latitude"}
    assert fields(node, gzip.compress(text)[:-9]) == set()  # truncated: nothing can be read


def test_a_name_in_two_parts_is_found(node):
    assert fields(node, json.dumps({"first": "Ingrid", "b": {"last": "Sørensen"}}).encode()) == {
        "technician"
    }
    table = pa.table({"a": ["x", "INGRID"], "b": ["Sorensen", None]})
    assert fields(node, write(table)) == {"technician"}
    halves = [json.dumps({"n": word}).encode() for word in NAME.split()]
    assert fields(node, *halves) == set()  # in two objects each half is ambiguous
    assert fields(node, json.dumps({"a": "Ingrid", "b": "an Ingrid Sø"}).encode()) == set()


NUMBERS = {
    "millionths": pa.array([0, 41123457]),
    "millionths, cut, 32 bits": pa.array([-75987654], pa.int32()),
    "hundred-thousandths": pa.array([4112346], pa.uint32()),
    "two decimals": pa.array([41.12]),
    "two decimals, cut": pa.array([-75.98]),
    "single precision": pa.array(np.float32([LATITUDE])),
    "decimal": pa.array([Decimal("41.123457")]),
    "list": pa.array([[1.0, LONGITUDE], None]),
    "large list": pa.array([[LONGITUDE]], pa.large_list(pa.float64())),
    "fixed list": pa.array([[LATITUDE, LONGITUDE]], pa.list_(pa.float64(), 2)),
    "structure": pa.array([{"at": {"lat": LATITUDE}}]),
    "map": pa.array([[("lat", LATITUDE)]], pa.map_(pa.string(), pa.float64())),
    "bytes": pa.array([struct.pack("<d", LATITUDE)], pa.binary(8)),
}


@pytest.mark.parametrize("form", NUMBERS)
def test_a_position_in_numbers_is_found(node, form):
    assert fields(node, column(NUMBERS[form])) & {"latitude", "longitude"}


def test_a_name_in_nested_columns_is_found(node):
    for values in (
        pa.array([{"who": [NAME]}]),
        pa.array([[("who", NAME)]], pa.map_(pa.string(), pa.string())),
        pa.array([[NAME]], pa.large_list(pa.large_string())),
        pa.array([RAW], pa.binary(len(RAW))),
    ):
        assert fields(node, column(values)) == {"technician"}
    assert fields(node, write(pa.table({NAME: [1]}))) == {"technician"}


def test_json_numbers_that_form_a_position_together(node):
    for latitude, longitude in ((41.12, -75.99), (41123457, -75987654)):
        assert fields(node, rejson(b"{}", a=latitude, b=longitude)) == {"latitude"}
        assert fields(node, rejson(b"{}", a=latitude)) == set()
        # two sums of readings
        assert fields(node, rejson(b"{}", sums=[latitude, longitude])) == set()


def test_the_key_of_an_object_is_searched(node):
    for key in (
        "metadata/Ingrid_Sorensen.json",
        f"metadata/{quote(NAME)}",
        f"metadata/lat=41.1235/{date.min}",
    ):
        assert len(fields(node, b"{}", key=key)) == 1


def test_a_good_lake_has_no_leaks(node):
    lake = lakebuilder.build()
    assert {MANIFEST, CHECKPOINT, ENRICHED} <= lake.keys()
    assert (
        fields(node, *(content for name, content in lake.items() if "-ingestion" not in name))
        == set()
    )
    assert fields(node, column(pa.array([4112300, 41123, 411234]))) == set()
    # a time's seconds
    assert fields(node, rejson(b"{}", uploaded="2024-01-15T00:00:41.123457+00:00")) == set()
    assert fields(node, b'{"at":41.123457}') == {"latitude"}
    word = geohash(LATITUDE, LONGITUDE, 8).decode()
    # a UUID may begin so
    assert fields(node, rejson(b"{}", node=f"n-{word}-2222-4222-8222-222222222222")) == set()
    assert fields(node, rejson(b"{}", near=word)) == {"latitude"}
    assert (
        fields(
            node, write(read(lake[ENRICHED]).append_column("about", pa.array(["41.1 -76.0"] * 90)))
        )
        == set()
    )
