"""Privacy findings in detail: reports of leaks, secrets of an asset, numbers near a position."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sim.check.findings import Finding, Findings
from sim.check.privacy.cells import fitting
from sim.check.privacy.scan import Privacy
from sim.check.read import watched
from sim.check.read.keys import ALL_STAGES, BatchKey, bucket_of
from sim.check.read.lake import ObjectRef
from tests.support.lakesurgery import write
from tests.support.oracle_world import HOUR_0, Kept, Row, node, stage_rows

NAME = "Ingrid Berg"
LATITUDE, LONGITUDE = 41.123457, -75.987654
AT = "2024-01-15T00:00:00Z"


def of(**asset: Any) -> Privacy:
    return Privacy([node("B-1"), node("A-1", asset={"power_curve": []} | asset)])


def ref(stage: str, key: str) -> ObjectRef:
    return ObjectRef(bucket_of(stage), key, 1)


def reported(privacy: Privacy) -> list[Finding]:
    findings = Findings()
    assert privacy.report("A", findings) == len(findings.kept)
    return findings.kept


def details(privacy: Privacy, *texts: str) -> list[str]:
    """Details of the findings in objects of JSON, each with one text."""
    for i, text in enumerate(texts):
        body = json.dumps({"note": text}, ensure_ascii=False).encode()
        privacy.search_bytes([ref("metadata", f"metadata/{i}")], [body])
    return [found.detail for found in reported(privacy)]


def enriched(*objects: list[Row]) -> Any:
    return stage_rows(
        "enriched", {f"enriched/{HOUR_0}/A-1-{i}-9.parquet": rows for i, rows in enumerate(objects)}
    )


def test_a_leak_is_reported_by_object_and_field() -> None:
    privacy = of(technician=NAME, latitude=LATITUDE)
    data, checkpoint = (
        ref("metadata", f"metadata/{HOUR_0}/A-1-1-2.json"),
        ref("checkpoints", "checkpoints/A/A-1.json"),
    )
    odd = ref("aggregated", "odd")
    for each in (odd, data, checkpoint):
        privacy.search_bytes([each], [json.dumps({"who": NAME, "at": LATITUDE}).encode()])
    where = [
        *(
            ("aggregated", "", "", odd),
            ("checkpoints", "A-1", "", checkpoint),
            ("metadata", "A-1", AT, data),
        ),
    ]
    assert reported(privacy) == [
        Finding(
            "privacy.leak",
            stage=stage,
            farm="A",
            turbine=turbine,
            hour=hour,
            key=each.name,
            detail=detail,
        )
        for stage, turbine, hour, each in where
        for detail in ("latitude as a number in its text", "technician in the clear in its bytes")
    ]


def test_rows_are_counted_object_by_object() -> None:
    privacy = of(technician=NAME)
    clean: Row = {"operator_ref": "p-1", "turbine_id": None}
    privacy.search_rows(
        "enriched",
        enriched(
            [clean, clean | {"operator_ref": NAME}, clean | {"operator_ref": NAME}], [], [clean]
        ),
    )
    privacy.search_rows("enriched", enriched([], [clean | {"status": NAME}, clean]))
    (first, second) = reported(privacy)
    assert (first.key, first.rows) == (
        f"{bucket_of('enriched')}/enriched/{HOUR_0}/A-1-0-9.parquet",
        2,
    )
    assert first.detail == "technician in the clear in column operator_ref"
    assert (second.key, second.rows) == (
        f"{bucket_of('enriched')}/enriched/{HOUR_0}/A-1-1-9.parquet",
        1,
    )
    assert second.detail == "technician in the clear in column status"


def test_only_stages_after_ingestion_are_searched() -> None:
    privacy = of(technician=NAME)
    for stage in ("ingestion", "validated", "quarantine"):
        key = f"{stage}/{HOUR_0}/A-1-1-9.parquet".replace("quarantine", "_quarantine")
        privacy.search_rows(stage, stage_rows(stage, {key: [{"status": NAME}]}))
        reader = Kept({})
        assert (privacy.watch(reader, stage) is reader) == (stage == "ingestion")
    assert reported(privacy) == []


def test_keys_are_searched_in_all_stages_after_ingestion() -> None:
    key = "00c1d2e3f4a5968778695a4b3c2d1e0f"
    for stage in (*ALL_STAGES, "metadata", "checkpoints"):
        privacy = Privacy([node("A-1", privacy_key=key)])
        name = (
            "checkpoints/A/A-1.json"
            if stage == "checkpoints"
            else BatchKey(stage, 473_688, "A-1", 1, 9).text()
        )
        of_stage = ref(stage, name)
        list(
            privacy.watch(Kept({name: b'{"a":"' + key.upper().encode() + b'"}'}), stage).read(
                [of_stage]
            )
        )
        found = reported(privacy)
        assert [each.key for each in found] == ([] if stage == "ingestion" else [of_stage.name])
        assert all(
            each.detail.startswith("privacy_key ") and key not in each.detail.lower()
            for each in found
        )


def test_a_report_shows_no_secret_that_another_finding_quotes() -> None:
    key = "00c1d2e3f4a5968778695a4b3c2d1e0f"
    privacy = Privacy([node("A-1", privacy_key=key, asset={"technician": NAME})])
    findings = Findings()
    for detail in (f'job_id is "{key}"', f"operator_ref is {NAME.upper()}", "job_id is fine"):
        findings.add(Finding("manifest.disagrees", detail=detail))
    privacy.report("A", findings)
    assert [each.detail for each in findings.kept] == [
        "withheld because it contains privacy_key",
        "withheld because it contains technician",
        "job_id is fine",
    ]
    assert findings.counts == {"manifest.disagrees": 3}


@pytest.mark.parametrize("order", [1, -1])
def test_the_match_with_most_rows_is_reported(order: int) -> None:
    privacy = of(technician=NAME)
    columns = [("a", [NAME, None, None]), ("b", [NAME, NAME, "x"]), ("c", [NAME, NAME, None])][
        ::order
    ]
    for name, values in columns:
        privacy.cells.search(
            name, pa.array(values), [ref("enriched", "k")], np.zeros(3, dtype=np.int64)
        )
    (found,) = reported(privacy)
    assert (found.rows, found.detail) == (
        2,
        f"technician in the clear in column {'b' if order == 1 else 'c'}",
    )


@pytest.mark.parametrize(
    ("size", "batches"),
    [
        (0, ["0", "1", "2", "4", "5"]),
        (18, ["01", "24", "5"]),
        (38, ["012", "45"]),
        (1 << 20, ["01245"]),
    ],
)
def test_objects_read_through_a_watched_reader_are_searched_once(
    monkeypatch: pytest.MonkeyPatch, size: int, batches: list[str]
) -> None:
    """Objects are searched in batches above a number of bytes: memory stays bounded."""
    monkeypatch.setattr(watched, "_BATCH_BYTES", size)
    privacy = of(technician=NAME)
    bodies = {
        f"{i}": json.dumps({"n": NAME if i in (1, 4) else "x" * 9}).encode() for i in range(6)
    }
    assert {len(body) for body in bodies.values()} == {18, 20}
    contents: dict[str, bytes | None] = {**bodies, "3": None}
    seen: list[str] = []
    stored = Privacy.search_bytes

    def noted(self: Privacy, refs: list[ObjectRef], found: list[bytes]) -> None:
        seen.append("".join(each.key for each in refs))
        stored(self, refs, found)

    monkeypatch.setattr(Privacy, "search_bytes", noted)
    refs = [ref("metadata", key) for key in contents]
    assert list(privacy.watch(Kept(contents), "metadata").read(iter(refs))) == list(
        contents.values()
    )
    assert [keys for keys in seen if keys] == batches
    assert [found.key.rpartition("/")[2] for found in reported(privacy)] == ["1", "4"]


def test_parts_of_a_personal_value() -> None:
    contact = "Ingrid Berg <ib@crew.example>, 020 7946 0018; Bo, Ulla"
    assert details(
        of(technician=contact), "ingrid berg", "IB@CREW.EXAMPLE", "020 7946 0018", "Bo", "Ulla"
    ) == [*["technician in the clear in its bytes"] * 3]
    assert details(of(technician=contact), contact) == ["technician in the clear in its bytes"]
    assert details(of(technician=None, operator_contact=""), "None", "") == []
    assert details(of(operator_contact="sixsix, fives"), "a sixsix.", "a fives.") == [
        "operator_contact in the clear in its bytes"
    ]


def test_a_part_of_five_letters_is_not_searched() -> None:
    assert details(of(operator_contact="sixsix, fives"), b"fives".hex()) == []
    assert details(of(operator_contact="sixsix, fives"), b"sixsix".hex()) == [
        "operator_contact in hexadecimal in its bytes"
    ]


def test_a_name_of_eight_letters_is_found_without_its_spaces() -> None:
    assert details(of(technician="Al Berger"), "alberger") == [
        "technician with other case, accents or spaces in its text"
    ]
    assert details(of(technician="Al Berge"), "alberge") == []


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("+44 20 7946 0018x77", "442079460018"),
        ("+44 20 7946 0018", "2079460018"),
        ("0044 20 7946 0018", "442079460018"),
        ("1 234 567 8901", "2345678901"),
        ("123 456 789", "123456789"),
        ("123 456 789", "(123) 456/789"),
        ("123 456 789", "call 123-456-789."),
        ("123 456 789", "123456789x42"),
        ("1234567890 12345", "123456789012345"),
    ],
)
def test_a_telephone_number_is_found(number: str, text: str) -> None:
    assert details(of(technician=number), text) == ["technician as digits in its text"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("12345678", "1234-5678"),
        ("00 1234 5678", "12345678"),
        ("1234567890 123456", "1234567890-123456"),
        ("a123 456 789", "123-456-789"),
        ("1234567890", "234567890"),
        ("123 456 789", "0.123456789"),
        ("123 456 789", "123456789a"),
        ("123 456 789", "1234567890"),
    ],
)
def test_other_digits_are_no_telephone_number(number: str, text: str) -> None:
    assert details(of(technician=number), text) == []


def test_separated_words_of_a_name_are_found() -> None:
    def found(name: str, *cells: list[str]) -> list[str]:
        privacy = of(technician=name)
        for i, texts in enumerate(cells):
            privacy.search_bytes(
                [ref("metadata", f"{i}")],
                [json.dumps({str(n): t for n, t in enumerate(texts)}).encode()],
            )
        return [each.detail for each in reported(privacy)]

    apart = ["technician as separate words in different values"]
    assert found(NAME, ["Ingrid", "x", "BERG"]) == apart
    assert found("Bo Berg", ["berg", "Bo"]) == apart
    assert found("Åsa Öst", ["asa", "ÖST"]) == []  # no word of four letters
    assert found("Åsa Öberg", ["Åsa", "oberg"]) == apart
    assert (
        found(NAME, ["Ingrid"], ["Berg"])
        == found(NAME, ["Ingrid", "an Berg"])
        == found(NAME, ["Ingrid"])
        == []
    )
    assert (
        found("Anna Ingrid Berg", ["Anna", "Ingrid", "Berg"]) == found("Berg Berg", ["Berg"]) == []
    )
    assert found("a@crew berg@x", ["acrew", "bergx"]) == []
    assert found(f"{NAME}, Ingrid Holm", ["Ingrid", "Holm"]) == apart


def test_words_of_a_name_in_two_columns_are_found() -> None:
    privacy = of(technician=NAME)
    rows: list[Row] = [{"status": "ingrid"}, {"region": "Berg", "status": "x"}]
    privacy.search_rows("enriched", enriched(rows, rows[:1], rows[1:]))
    (found,) = reported(privacy)
    assert (found.key.endswith("A-1-0-9.parquet"), found.rows) == (True, 0)
    assert found.detail == "technician as separate words in different values"
    alone = of(technician=NAME)
    alone.search_rows("enriched", enriched([{"status": "ingrid", "region": "Berg"}]))
    assert [found.detail for found in reported(alone)] == [
        "technician as separate words in different values"
    ]


PLACED = {"latitude": LATITUDE, "longitude": LONGITUDE}


def numbers(values: pa.Array, name: str = "n") -> list[tuple[str, int]]:
    """Return (field, rows) of the findings in a column of an object."""
    privacy = of(**PLACED)
    privacy.cells.search(
        name, values, [ref("enriched", "k")], np.zeros(len(values), dtype=np.int64)
    )
    return [(found.detail.split(" ", 1)[0], found.rows) for found in reported(privacy)]


@pytest.mark.parametrize(
    ("name", "values", "fields"),
    [
        ("n", [1.5, 41.12, None, 75.98], ["latitude", "longitude"]),
        ("n", [41.1], []),
        ("hub_height", [41.12], []),
        ("rated_power", [41.123], ["latitude"]),
        ("latitude_coarse", [41.12], ["latitude"]),
        ("temperature", [41.1235], []),
        ("temperature", [LATITUDE], ["latitude"]),
        ("wind_speed_max", [-LONGITUDE], []),
        ("wind_speed_max", [LONGITUDE], ["longitude"]),
    ],
)
def test_floats_near_a_position_are_found(
    name: str, values: list[float], fields: list[str]
) -> None:
    assert [field for field, _ in numbers(pa.array(values, pa.float64()), name)] == fields


@pytest.mark.parametrize(
    ("kind", "values", "fields"),
    [
        (pa.int64(), [41123457, 7], ["latitude"]),
        (pa.int64(), [-41123457], ["latitude"]),
        (pa.uint64(), [759876540], ["longitude"]),
        (pa.int32(), [-75987654], ["longitude"]),
        (pa.uint32(), [411234570], ["latitude"]),
        *((kind, [100], []) for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16())),
    ],
)
def test_integers_near_a_position_are_found(
    kind: pa.DataType, values: list[int], fields: list[str]
) -> None:
    assert [field for field, _ in numbers(pa.array(values, kind))] == fields
    for name in ("id", "rows", "anomaly_count", "revision"):
        assert numbers(pa.array(values, kind), name) == []


def test_the_extreme_numbers_of_a_type_are_searched_too() -> None:
    for kind, edge in (
        (pa.int32(), 2147483647),
        (pa.int32(), -2147483648),
        (pa.uint32(), 4294967295),
        (pa.uint8(), 0),
    ):
        assert fitting({edge: "x"}, kind) == [edge]
        for beyond in (edge - 1, edge + 1):
            fits = fitting({beyond: "x"}, kind)
            assert fits == (
                [beyond] if 0 < abs(beyond) < abs(edge) or (edge == 0 and beyond == 1) else []
            )


NESTED = [
    pa.array([[LATITUDE, 1.0], None, [], [LATITUDE]]),
    pa.array([[LATITUDE], [1.0], [LATITUDE]], pa.large_list(pa.float64())),
    pa.array([[1.0, 2.0], [LATITUDE, LATITUDE]], pa.list_(pa.float64(), 2)),
    pa.array([{"a": LATITUDE, "b": 1.0}, {"a": LATITUDE, "b": 1.0}]),
    pa.array([[("a", LATITUDE)], [("b", LATITUDE)]], pa.map_(pa.string(), pa.float64())),
    pa.array([Decimal("41.12"), Decimal("41.1234570")], pa.decimal128(12, 7)),
    pa.array([LATITUDE, 1.0, LATITUDE], pa.float32()),
    pa.array(["41.1235", None, "x", "41.1235"]).dictionary_encode(),
]
"""Columns with the latitude in two rows."""


@pytest.mark.parametrize("column", NESTED, ids=lambda column: str(column.type))
def test_nested_columns_and_slices_of_them_are_searched(column: pa.Array) -> None:
    assert numbers(column) == [("latitude", 2)]
    twice = pa.concat_arrays([column, column])
    for begin in range(len(column) + 1):
        part = twice[begin : begin + len(column)]
        assert by_row(part) == by_row(pa.array(part.to_pylist(), part.type))


def by_row(column: pa.Array) -> list[tuple[str, str]]:
    """Return (key, detail) of the findings in a column, each row of which is an object's."""
    privacy, rows = of(**PLACED), len(column)
    refs = [ref("enriched", "abcd"[i]) for i in range(rows)]
    privacy.cells.search("n", column, refs, np.arange(rows))
    return [(found.key, found.detail) for found in reported(privacy)]


def test_odd_columns_are_searched() -> None:
    assert numbers(pa.array([True, None])) == numbers(pa.nulls(3)) == []
    privacy = of(**PLACED)
    refs = [ref("enriched", key) for key in "abc"]
    nested = pa.array([[1.0, LATITUDE], [2.0, 3.0], [LONGITUDE, 1.0]])
    privacy.cells.search("n", nested, refs, np.array([0, 1, 2]))
    privacy.cells.search("n", nested.cast(pa.list_(pa.float64(), 2)), refs, np.array([1, 2, 1]))
    assert [(found.key[-1], found.detail.split(" ", 1)[0]) for found in reported(privacy)] == [
        *(("a", "latitude"), ("b", "latitude"), ("b", "longitude"), ("c", "longitude"))
    ]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary(len(NAME)),
    ],
)
def test_every_text_type_is_searched(kind: pa.DataType) -> None:
    privacy = of(technician=NAME)
    text = NAME.encode() if "binary" in str(kind) else NAME
    privacy.cells.search(
        "n", pa.array([None, text], kind), [ref("enriched", "k")], np.zeros(2, dtype=np.int64)
    )
    assert [found.rows for found in reported(privacy)] == [1]


def test_a_coarse_or_unknown_position_is_no_secret() -> None:
    privacy = of(latitude=41.1, longitude=None)
    privacy.search_bytes([ref("metadata", "m")], [b'{"a": 41.1, "b": 41.123}'])
    assert reported(privacy) == []
    assert details(of(latitude=41.12), "41.120") == ["latitude as a number in its text"]
    assert details(of(latitude="41.1235", longitude=5), "41.1235", "5.000") == [
        "latitude as a number in its text"
    ]


def test_a_coordinate_that_readings_may_equal_is_not_searched_in_bytes() -> None:
    """Coordinates of five decimals or less match numbers, not raw bytes."""
    privacy = of(latitude=41.12345)
    privacy.search_bytes([ref("metadata", "m")], [b'{"a": [41.12345]}'])
    assert reported(privacy) == []
    assert details(of(latitude=41.12345), "41.12345") == ["latitude as a number in its text"]


def test_brackets_form_a_list_in_json_only() -> None:
    """In a JSON list a number may be a sum of readings; in a cell, key or metadata it matches."""
    text = "at [41.1235]"
    assert numbers(pa.array([text, "x"])) == [("latitude", 1)]
    privacy = of(**PLACED)
    privacy.search_object(ref("metadata", f"metadata/{text}"), None)
    privacy.search_bytes(
        [ref("enriched", "k")], [write(pa.table({"a": [1]}).replace_schema_metadata({"by": text}))]
    )
    privacy.search_bytes([ref("metadata", "m")], [json.dumps({"sums": [1.5, 41.1235]}).encode()])
    assert [found.detail for found in reported(privacy)] == [
        *("latitude as a number in its metadata", "latitude as a number in its key")
    ]


def test_compressed_text_is_reported_for_its_object() -> None:
    privacy = of(technician=NAME)
    packed = [base64.b64encode(gzip.compress(text.encode())).decode() for text in ("x", NAME)]
    bodies = [
        json.dumps({"note": text}).encode()
        for text in (packed[0], packed[0], packed[1], "x", packed[0])
    ]
    privacy.search_bytes([ref("metadata", f"{i}") for i in range(5)], bodies)
    assert [(found.key[-1], found.detail) for found in reported(privacy)] == [
        ("2", "technician in the clear in its text")
    ]


def test_a_position_in_raw_bytes_is_found() -> None:
    spelled = {
        b"PAR1 at 41.123457 torn": "in the clear",
        b"PAR1" + struct.pack("<d", LATITUDE): "as a float",
        b"PAR1." + struct.pack(">d", LATITUDE): "as a float",
        f"at {LATITUDE}".encode("utf-16-le"): "in UTF-16",
        f"at {LATITUDE}".encode("utf-16-be"): "in UTF-16",
    }
    for content, how in spelled.items():
        privacy = of(**PLACED)
        privacy.search_bytes([ref("enriched", "k")], [content])
        assert [found.detail for found in reported(privacy)] == [f"latitude {how} in its bytes"], (
            how
        )


def test_the_metadata_of_a_parquet_file_is_searched() -> None:
    privacy = of(technician=NAME, **PLACED)
    noted = [
        write(pa.table({"a": [1]}).replace_schema_metadata({"by": text}))
        for text in (NAME.upper(), "x", "at 41.1235")
    ]
    refs = [ref("enriched", f"{i}") for i in range(5)]
    privacy.search_bytes(refs, [*noted, noted[0], b"PAR1 torn"])
    assert [(found.key[-1], found.detail) for found in reported(privacy)] == [
        ("0", "technician in the clear in its bytes"),
        ("2", "latitude as a number in its metadata"),
        ("3", "technician in the clear in its bytes"),
    ]
    same = of(technician=NAME)
    twice = write(pa.table({"a": [1]}).replace_schema_metadata({"by": "berg, ingrid"}))
    same.search_bytes(refs[:2], [twice, twice])
    assert [found.detail for found in reported(same)] == [
        "technician with other case, accents or spaces in its metadata"
    ] * 2


def test_objects_of_no_known_form_are_searched() -> None:
    privacy = of(technician=NAME, **PLACED)
    for key in (f"metadata/{NAME}.json", "metadata/lat=41.1235", "metadata/x"):
        privacy.search_object(ref("metadata", key), None)
    table = pa.table({"a": [1, 2, 3], "b": [NAME, "x", NAME], "c": [LATITUDE, 0.0, 0.0]})
    privacy.search_object(
        ref("metadata", "t"), write(table, compression="zstd", write_statistics=False)
    )
    assert [
        (found.key.partition("/")[2], found.rows, found.detail) for found in reported(privacy)
    ] == [
        (f"metadata/{NAME}.json", 0, "technician with other case, accents or spaces in its key"),
        ("metadata/lat=41.1235", 0, "latitude as a number in its key"),
        *(
            ("t", 1, "latitude as a number in column c"),
            ("t", 2, "technician in the clear in column b"),
        ),
    ]
