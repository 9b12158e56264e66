"""Forms of secret texts and coordinates, one by one, and the multi-pattern finder."""

from __future__ import annotations

import base64
import hashlib
import itertools

import numpy as np
import pytest

from sim.check.privacy.coordinates import Coordinates, geohash, has_many_decimals
from sim.check.privacy.patterns import Finder, bare, coded, spellings, squeezed

LATITUDE, LONGITUDE = 41.123457, -75.987654


def test_the_forms_of_a_text() -> None:
    text = "Bø Uhr"
    raw = text.encode()
    found = [(how, form) for how, form in coded(text) if how != "in base64"]
    assert found == [
        ("in UTF-16", b"B\0\xf8\0 \0U\0h\0r"),
        ("in UTF-16", b"B\0\xf8\0 \0U\0h\0r"),
        ("in Latin-1", b"B\xf8 Uhr"),
        ("in UTF-16", rb"B\u0000\u00f8\u0000 \u0000U\u0000h\u0000r"),
        ("in hexadecimal", b"42c3b820556872"),
        ("in hexadecimal", b"42C3B820556872"),
        ("percent-encoded", b"B%C3%B8%20Uhr"),
        ("percent-encoded", b"b%c3%b8%20uhr"),
        ("percent-encoded", b"B%C3%B8+Uhr"),
        ("JSON-escaped", rb"B\u00f8 Uhr"),
    ]
    assert spellings(text) == (
        ("in the clear", raw),
        ("in the clear", "bø uhr".encode()),
        ("in the clear", "BØ UHR".encode()),
        *coded(text),
        *(
            ("as an unkeyed digest", digest(raw).hexdigest()[:16].encode())
            for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256)
        ),
    )


def test_a_form_equal_to_the_text_or_too_short_is_left_out() -> None:
    assert [
        form
        for how, form in coded("Ab1234")
        if how in ("percent-encoded", "JSON-escaped", "in Latin-1")
    ] == [b"ab1234"]
    assert [form for how, form in spellings("Ab1234") if how == "in the clear"] == [
        b"Ab1234",
        b"ab1234",
        b"AB1234",
    ]
    assert [form for how, form in spellings("Ab123") if how == "in the clear"] == []
    assert b"4162313233" in {form for _, form in spellings("Ab123")}


@pytest.mark.parametrize("text", ["Sørensen", "ingrid@x", "+44 20 7946", "\xff\xfe\xfd>>>???"])
def test_base64_at_any_offset_is_found_by_the_letters_it_determines(text: str) -> None:
    raw = text.encode()
    forms = [form for how, form in coded(text) if how == "in base64"]
    for before, after in itertools.product(range(5), range(4)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\xfb" * before + raw + b"\xfb" * after)
            longest = max((form for form in forms if form in whole), key=len)
            first = -(-8 * before // 6)
            assert len(longest) == 8 * (before + len(raw)) // 6 - first, (before, after)


def test_squeezed_text_keeps_letters_and_digits() -> None:
    assert squeezed(b"In-Grid_S. 42\0x") == b"ingrids42x"
    assert squeezed("Ingrid SØRENSEN, Åsa".encode()) == b"ingridsorensenasa"
    # not UTF-8: read with errors ignored, and as Latin-1
    assert squeezed(b"S\0\xf8\0-E") == b"se\0soe"
    assert squeezed(b"S\0\xc3\0\xb8\0r\0") == b"sor"  # each byte of UTF-8 became two
    assert squeezed(b"") == b""


def test_a_name_is_found_with_accents_in_any_form() -> None:
    assert bare("Ingrid Sørensen") == {
        *(b"ingridsorensen", b"sorenseningrid", b"ingridsoerensen", b"soerenseningrid"),
        *(b"ingridsrensen", b"srenseningrid"),
    }
    assert bare("Anna Maria Lee") == {b"annamarialee", b"leeannamaria"}
    assert bare("øłđðþıœæß") == {b"olddthioeaess", b"oelddthioeaess", b""}
    assert bare("äöüåé") == {b"aouae", b"aeoeueaae"}


NEEDLES = {
    b"needle": "one",
    b"need": "two",
    b"edle": "three",
    b"\xff\xfe\xfd\xfc": "four",
    b"zzzzz": "five",
}


def test_every_pattern_is_found_at_every_offset() -> None:
    finder = Finder(NEEDLES)
    for before, after in itertools.product(range(9), range(5)):
        found = finder.find(b"." * before + b"needle" + b"." * after)
        assert sorted(found) == sorted([(before, "one"), (before, "two"), (before + 2, "three")])
        assert finder.find(b"." * before + b"\xff\xfe\xfd\xfc" + b"." * after) == [(before, "four")]
        assert finder.find(b"." * before + b"nee" + b"dle"[: after // 2] + b"....zzzz") == (
            [(before, "two")] if after > 1 else []
        )
    assert finder.find(b"needneed") == [(0, "two"), (4, "two")]
    for short in (b"", b"n", b"nee", b"zzzz"):
        assert finder.find(short) == []
    assert Finder({}).find(b"needle" * 9) == []


def test_a_hash_collision_is_no_match() -> None:
    content = np.random.default_rng(1).integers(0, 2**32, 1 << 18, dtype=np.uint32).tobytes()
    for needle in (b"\x01\0\0\0.", b"\xff\xff\xff\xff.", b"need"):
        assert Finder({needle: "it"}).find(content) == []


def around(*numbers: float) -> set[float]:
    return {sign * number for number in numbers for sign in (1, -1)}


def test_a_coordinate_as_numbers() -> None:
    places = Coordinates([(LATITUDE, None), (None, LONGITUDE), (None, None)])
    assert places.fields == {LATITUDE: "latitude", LONGITUDE: "longitude"}
    assert places.exact == places.fields
    latitude = around(LATITUDE, 41.12345886230469, 41.123, 41.1235, 41.12346, 41.1234, 41.12345)
    longitude = around(LONGITUDE, 75.98765563964844, 75.988, 75.9877, 75.98765, 75.987, 75.9876)
    assert places.near == dict.fromkeys(latitude, "latitude") | dict.fromkeys(
        longitude, "longitude"
    )
    loose = dict.fromkeys(around(41.12), "latitude") | dict.fromkeys(
        around(75.99, 75.98), "longitude"
    )
    assert places.loose == {**places.near, **loose}
    assert places.integers == {
        **dict.fromkeys(around(4112346, 4112345, 41123457, 411234570), "latitude"),
        **dict.fromkeys(around(7598765, 75987654, 759876540), "longitude"),
    }


def test_every_form_of_a_coordinate_is_suspected_and_other_numbers_are_not() -> None:
    """Of four bands, with forms below the lowest and above the highest coordinate."""
    places = Coordinates([(41.129, -75.987654), (-41.5, 5.1), (42.126, -151.2361)])
    forms = np.array([*{**places.loose, **places.near, **places.exact}])
    assert {41.12, -42.13, 75.98, -151.24} <= set(forms)
    assert places.suspects(forms).tolist() == [*range(len(forms))]
    others = np.array([0.0, 40.9, -40.9, 42.3, 60.0, 75.9, -76.1, 151.0, 152.0, np.nan, np.inf])
    assert places.suspects(others).tolist() == []
    mixed = np.concatenate([others, forms, others])
    assert (places.suspects(mixed) - len(others)).tolist() == [*range(len(forms))]
    assert Coordinates([(None, None)]).suspects(forms).tolist() == []


def test_a_coordinate_as_coarse_as_the_published_one_is_no_secret() -> None:
    places = Coordinates([(41.10004, 5.25)])
    assert {near for near in map(abs, places.near) if round(near, 4) == 41.1} == {
        41.10004,
        float(np.float32(41.10004)),
    }
    assert {near for near in map(abs, places.near) if near < 41} == {5.25}
    assert places.exact == {}
    assert [has_many_decimals(value) for value in (41.12345, 41.123457, -75.98765, -75.987654)] == [
        False,
        True,
        False,
        True,
    ]


def spelled(text: str, lists: bool = False, places: Coordinates | None = None) -> list[str]:
    return list(
        (places or Coordinates([(LATITUDE, LONGITUDE), (10.5123, -10.0)])).spelled_in(
            text.encode(), lists
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        *(
            "41.123",
            "41.124",
            "41.1234",
            "41.1235",
            "41.12345",
            "41.12346",
            "41.123457",
            "41.1234561",
            "41.1234579",
        ),
        *(
            "x41.123",
            ":41.123",
            "-41.123N",
            "1 41.1235",
            "[ 41.123",
            "41.123." + "x",
            "1.0 41.123",
            "41." + "12345700000000000",
        ),
        *(
            "41°07'24\"",
            "41 ° 07 ' 25",
            "41d07m24.4s",
            "41deg 7m24",
            "41\xb007′24".replace("′", "′"),
            "41D7M24",
        ),
    ],
)
def test_texts_that_contain_a_latitude(text: str) -> None:
    assert spelled(text) == ["latitude"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "41.12",
            "41.122",
            "41.125",
            "41.1233",
            "41.1236",
            "41.12344",
            "41.12347",
            "41.1234581",
            "41.1234559",
        ),
        *(
            "141.123",
            "4141.123",
            ".41.123",
            "1.41.123",
            "41.123.4",
            "9:41.123",
            "41.123457000000000000",
        ),
        *(
            "41",
            "",
            "41°07'26\"",
            "41°07'23\"",
            "40d07m24",
            "41d08m24",
            "141d07m24",
            "4d17m24",
            "x.123",
            "541.123",
        ),
    ],
)
def test_texts_that_do_not_contain_a_latitude(text: str) -> None:
    assert spelled(text) == []


def test_minutes_are_read_to_the_minute_and_their_fractions_to_the_second() -> None:
    assert [spelled(f"41°{minutes}'N") for minutes in ("06", "07", "08", "09")] == [
        [],
        ["latitude"],
        ["latitude"],
        [],
    ]
    assert [spelled(f"41°{minutes}'N") for minutes in ("7.39", "7.4", "7.42", "7.43")] == [
        [],
        *[["latitude"]] * 2,
        [],
    ]


def test_degrees_minutes_and_seconds_to_the_second() -> None:
    assert spelled("41d07m25.4451") == ["latitude"]
    assert spelled("41d07m25.4453") == []


def test_a_coordinate_with_excessive_decimals() -> None:
    near = {number for number in Coordinates([(41.12345678, None)]).near if number > 0}
    assert {41.123457, 41.123456, 41.12345678} <= near
    assert 41.1234568 not in near


def test_every_coordinate_is_reported_by_its_own_field() -> None:
    for value in ("41.123", "41.124", "75.987", "75.988"):
        assert len(spelled(value, places=Coordinates([(LATITUDE, LONGITUDE)]))) == 1
    assert spelled("75.988 41.123") == ["longitude", "latitude"]
    assert spelled("10.5123") == ["latitude"]
    assert spelled("41.123", places=Coordinates([])) == []
    assert spelled("41.123", places=Coordinates([(50.5, None)])) == []
    for value in ("41.122", "41.124"):
        assert spelled(value, places=Coordinates([(41.123, None)])) == []


def test_a_number_in_a_list_must_match_the_whole_coordinate() -> None:
    for text in ("[41.123]", "[1, 41.1235]", "[-41.12346", "[1.5,    -41.123", "[10.5123]"):
        assert spelled(text, lists=True) == [], text
        assert spelled(text) == ["latitude"]
    for text in (
        "[41.123457]",
        "[1.0, 41.123457]",
        "[1.0,\n-41.123457]",
        "41.123",
        '{"a": 41.123}',
        "[1,     41.123",
    ):
        assert spelled(text, lists=True) == ["latitude"], text


def test_a_coordinate_is_found_by_its_geohash() -> None:
    assert geohash(57.64911, 10.40744, 11) == b"u4pruydqqvj"  # the example of its inventor
    assert geohash(-0.0, 0.0, 1) == b"s"
    code = geohash(LATITUDE, LONGITUDE, 12).decode()
    places = Coordinates([(LATITUDE, LONGITUDE)])
    assert code[:6].encode() in places.hints()
    for text in (code, code[:6], f"at {code[:7]}.", f'"{code[:6]}"'):
        assert list(places.hinted_in(text.encode(), False)) == ["latitude"], text
    for text in (
        code[:5],
        f"x{code}",
        f"{code[:6]}-1",
        f"1-{code[:6]}",
        code[:6].upper(),
        f"{code}x",
    ):
        assert list(places.hinted_in(text.encode(), False)) == [], text


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        ("41.12", "75.99"),
        ("41.12", "-75.98"),
        ("4112346", "7598765"),
        ("41123457", "75987654"),
        ("411234570", "759876540"),
    ],
)
def test_a_latitude_with_its_longitude(latitude: str, longitude: str) -> None:
    places = Coordinates([(LATITUDE, LONGITUDE), (10.25, 20.25)])
    assert {latitude.encode(), longitude.removeprefix("-").encode()} & places.hints() == {
        latitude.encode()
    }

    def hinted(text: str, lists: bool) -> bool:
        return list(places.hinted_in(text.encode(), lists)) == ["latitude"]

    for text in (f"{latitude},{longitude}", f'{{"a": {longitude}, "b": {latitude}}}'):
        assert hinted(text, False)
        assert hinted(text, True)
    in_string = f'{{"a": ["{latitude} {longitude}"]}}'
    assert hinted(in_string, True)
    for lonely in (
        latitude,
        longitude,
        f"{latitude} 20.25",
        f"10.25 {longitude}",
        f"{latitude}9 {longitude}",
    ):
        assert not hinted(lonely, False), lonely
    assert hinted(f"[{latitude}, {longitude}]", False)
    assert not hinted(f"[{latitude}, {longitude}]", True)  # two sums of readings
    assert not hinted(f'{{"a": {latitude}, "b": [{longitude}]}}', True)


def test_two_decimals_ending_in_zero_are_no_loose_match() -> None:
    assert Coordinates([(41.1004, 20.25)]).hints() == {
        *(b"4110040", b"41100400", b"411004000", geohash(41.1004, 20.25, 6)),
    }
