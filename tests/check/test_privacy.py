"""Personal data of the asset register: found wherever it is planted, and no false leaks."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from pipeline.stages.enrich import pseudonym
from sim.check import Verdict
from sim.check.privacy.patterns import Finder, coded, spellings
from sim.fleet import load_fleet
from sim.fleet.nodes import node_configs
from tests.support import lakebuilder
from tests.support.judged_lake import JudgedLake
from tests.support.lakesurgery import (
    AGGREGATED,
    CHECKPOINT,
    ENRICHED,
    MANIFEST,
    QUARANTINED,
    VALIDATED,
    Objects,
    edit,
    fill,
    read,
    rejson,
    write,
)

OPERATOR = "Zoë O'Neill <zoe.o'neill@wind+power.example>, +1 (555) 010-7788"
TECHNICIAN = "Ingrid Sørensen <ingrid@crew.example>, 020 7946 0018"
LATITUDE, LONGITUDE = 41.123457, -75.987654
KEY = "8f1c0a5be9d27364a1b2c3d4e5f60718293a4b5c6d7e8f900f1e2d3c4b5a6978"
FOLLOW_UPS = {
    "altered",
    "object.schema",
    "object.foreign",
    "object.unreadable",
    "manifest.disagrees",
    "window.wrong",
}
FOLLOW_UPS |= {"checkpoint.unreadable", "checkpoint.disagrees", "manifest.unreadable"}


def personal(turbine: str) -> dict[str, Any]:
    """Return the builder's configuration: people in A-002's register, a position to 10 cm."""
    config = built(turbine)
    if turbine == "A-002":
        config["asset"] |= {"operator_contact": OPERATOR, "technician": TECHNICIAN}
        config["asset"] |= {"latitude": LATITUDE, "longitude": LONGITUDE}
        config["privacy_key"] = KEY
    return config


built = lakebuilder.node_config


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Node files. These tests use only the names that the enriched stage has for A-002."""
    folder = tmp_path_factory.mktemp("nodes")
    lakebuilder.write_nodes(folder)
    (folder / "A" / "A-002.json").write_text(json.dumps(personal("A-002")))
    return folder


@pytest.fixture(scope="module")
def lake() -> Objects:
    lake = lakebuilder.build()
    config = personal("A-002")
    for name in [n for n in lake if "-enriched/" in n and "A-002" in n]:
        for field in ("operator_contact", "technician"):
            value = pseudonym(config["asset"][field], config["privacy_key"])
            lake[name] = fill(lake[name], field.replace("_contact", "") + "_ref", value)
        lake[name] = fill(lake[name], "longitude_coarse", -76.0)
        lake[name] = fill(lake[name], "latitude_coarse", 41.1)
    return lake


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, nodes: Path, lake: Objects) -> JudgedLake:
    return JudgedLake(nodes, lakebuilder.Kept(tmp_path_factory.mktemp("lake"), lake))


def leaks(verdict: Verdict) -> list[tuple[str, str]]:
    """Return (object, field) of every leak; other findings must follow from the planted data."""
    found = [f for f in verdict.findings if f.kind == "privacy.leak"]
    assert verdict.figures["privacy.leaks"] == verdict.counts.get("privacy.leak", 0) == len(found)
    assert set(verdict.counts) - {"privacy.leak"} <= FOLLOW_UPS
    told = " ".join(f"{f.kind} {f.detail}" for f in verdict.findings if f.kind == "privacy.leak")
    assert not [secret for secret in ("Zoë", "neill", "Ingrid", "41.12", "75.98") if secret in told]
    return [(f.key, f.detail.split(" ", 1)[0]) for f in found]


def test_a_lake_of_pseudonyms_has_no_leaks(judged):
    assert leaks(judged({})) == []


TEXTS = {
    "whole": OPERATOR,
    "inside": f"contact: {OPERATOR};",
    "name": "Zoë O'Neill",
    "telephone": "+1 (555) 010-7788",
    "upper case": OPERATOR.upper(),
    "lower case": OPERATOR.lower(),
    "UTF-16": OPERATOR.replace("ë", "e").encode("utf-16-le").decode(),
    **{
        f"base64 at {n}": base64.b64encode(b"x" * n + OPERATOR.encode() + b"yz").decode()
        for n in range(3)
    },
    "base64, URL-safe": base64.urlsafe_b64encode(OPERATOR.encode()).decode(),
    "hexadecimal": OPERATOR.encode().hex(),
    "hexadecimal, upper case": OPERATOR.encode().hex().upper(),
    "percent-encoded": quote(OPERATOR),
    "percent-encoded, all": quote(OPERATOR, safe=""),
    "JSON": json.dumps({"contact": OPERATOR}),
    "digest without a key": "p-" + hashlib.sha256(OPERATOR.encode()).hexdigest()[:16],
}


@pytest.mark.parametrize("form", TEXTS)
def test_personal_text_in_every_bucket(judged, lake, form):
    text = TEXTS[form]
    verdict = judged(
        {
            ENRICHED: edit(lake[ENRICHED], "operator_ref", 3, text),
            AGGREGATED: edit(lake[AGGREGATED], "farm_id", 1, text),
            MANIFEST: rejson(lake[MANIFEST], note=text),
            CHECKPOINT: rejson(lake[CHECKPOINT], note=text),
        }
    )
    names = sorted([ENRICHED, AGGREGATED, MANIFEST, CHECKPOINT])
    assert leaks(verdict) == [(name, "operator_contact") for name in names]
    found = {f.stage: f for f in verdict.findings if f.kind == "privacy.leak"}
    assert {f.turbine for f in found.values()} == {"A-002"}
    assert (found["enriched"].rows, found["aggregated"].rows) == (1, 1)
    assert found["enriched"].detail.endswith("in column operator_ref")
    assert found["aggregated"].detail.endswith("in column farm_id")


def test_personal_text_as_a_key_of_json_and_in_raw_utf_16(judged, lake):
    assert leaks(judged({CHECKPOINT: rejson(lake[CHECKPOINT], **{TECHNICIAN: 1})})) == [
        (CHECKPOINT, "technician")
    ]
    body = json.dumps(json.loads(lake[CHECKPOINT]) | {"note": TECHNICIAN}, ensure_ascii=False)
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
        assert leaks(judged({CHECKPOINT: body.encode(encoding)})) == [(CHECKPOINT, "technician")]


def test_list_column_metadata_and_extra_columns(judged, lake):
    kinds = edit(lake[AGGREGATED], "anomaly_kinds", 2, ["vibration", TECHNICIAN])
    assert leaks(judged({AGGREGATED: kinds})) == [(AGGREGATED, "technician")]
    table = read(lake[ENRICHED])
    noted = write(table.replace_schema_metadata({"by": TECHNICIAN, "at": f"{LATITUDE}"}))
    assert leaks(judged({ENRICHED: noted})) == [(ENRICHED, "latitude"), (ENRICHED, "technician")]
    for more in (pa.array([LATITUDE] * len(table)), pa.array([f"lat {LATITUDE:.3f}"] * len(table))):
        assert leaks(judged({ENRICHED: write(table.append_column("where", more))})) == [
            (ENRICHED, "latitude")
        ]
    blob = pa.array([struct.pack(">d", LONGITUDE)] * len(table))
    assert leaks(judged({ENRICHED: write(table.append_column("where", blob))})) == [
        (ENRICHED, "longitude")
    ]


@pytest.mark.parametrize(
    "value", [LATITUDE, *(round(LATITUDE, d) for d in range(3, 6)), 41.12345, -LATITUDE]
)
def test_coordinate_in_a_cell(judged, lake, value):
    verdict = judged({ENRICHED: edit(lake[ENRICHED], "latitude_coarse", 0, value)})
    assert leaks(verdict) == [(ENRICHED, "latitude")]


def test_exact_coordinate_among_readings(judged, lake):
    assert leaks(judged({ENRICHED: edit(lake[ENRICHED], "temperature", 0, LATITUDE)})) == [
        (ENRICHED, "latitude")
    ]
    assert leaks(judged({AGGREGATED: edit(lake[AGGREGATED], "temperature", 0, LATITUDE)})) == [
        (AGGREGATED, "latitude")
    ]


@pytest.mark.parametrize(
    "text", ["41.123457", "41.12346", "41.1235", "41.123", "41.12345", "41.123457000"]
)
def test_coordinate_in_json(judged, lake, text):
    verdict = judged(
        {
            MANIFEST: rejson(lake[MANIFEST], note=f"N {text}"),
            CHECKPOINT: rejson(lake[CHECKPOINT], n=text),
        }
    )
    assert leaks(verdict) == [(CHECKPOINT, "latitude"), (MANIFEST, "latitude")]
    number = float(text)
    verdict = judged(
        {MANIFEST: rejson(lake[MANIFEST], n=number), CHECKPOINT: rejson(lake[CHECKPOINT], n=number)}
    )
    assert leaks(verdict) == [(CHECKPOINT, "latitude"), (MANIFEST, "latitude")]


def test_exact_coordinate_in_a_list_of_json(judged, lake):
    body = rejson(lake[CHECKPOINT], open_windows={"1": [1.0, LATITUDE, LONGITUDE]})
    assert leaks(judged({CHECKPOINT: body})) == [
        (CHECKPOINT, "latitude"),
        (CHECKPOINT, "longitude"),
    ]


def test_coarse_values_and_readings_are_no_leak(judged, lake):
    """Coarse values, sums near a coordinate, readings that equal a rounded coordinate."""
    sums = rejson(
        lake[CHECKPOINT],
        open_windows={"1": [41.1234571234, 141.123457, 41.1234, 41.123]},
        ratio=41.1,
    )
    assert leaks(judged({CHECKPOINT: sums})) == []
    assert leaks(judged({ENRICHED: edit(lake[ENRICHED], "temperature", 0, 41.123)})) == []
    assert leaks(judged({ENRICHED: edit(lake[ENRICHED], "latitude_coarse", 0, 41.1)})) == []


@pytest.fixture
def placed(nodes: Path) -> Iterator[Callable[[float, float], None]]:
    """Move A-002 to other coordinates, for one test."""
    path = nodes / "A" / "A-002.json"
    before = path.read_text()

    def place(latitude: float, longitude: float) -> None:
        config = personal("A-002")
        config["asset"] |= {"latitude": latitude, "longitude": longitude}
        path.write_text(json.dumps(config))

    yield place
    path.write_text(before)


def test_a_coordinate_as_coarse_as_the_published_one_is_no_secret(judged, lake, placed):
    placed(0.0, -76.0)
    verdict = judged(
        {
            n: fill(lake[n], "latitude_coarse", 0.0)
            for n in lake
            if "-enriched/" in n and "A-002" in n
        }
    )
    assert verdict.figures["privacy.leaks"] == 0


def test_a_coordinate_that_rounds_to_a_coarse_one_or_equals_a_reading(judged, lake, placed):
    placed(41.10004, 21.12345)
    assert leaks(judged({ENRICHED: edit(lake[ENRICHED], "temperature", 0, 21.12345)})) == []
    assert leaks(judged({ENRICHED: edit(lake[ENRICHED], "hub_height", 0, 21.12345)})) == [
        (ENRICHED, "longitude")
    ]
    assert leaks(judged({ENRICHED: edit(lake[ENRICHED], "hub_height", 0, 41.1)})) == []


def test_ingestion_is_not_searched(judged, lake):
    """Ingestion keeps rows as the node stored them."""
    name = ENRICHED.replace("enriched", "ingestion")
    assert leaks(judged({name: edit(lake[name], "status", 0, OPERATOR)})) == []


@pytest.mark.parametrize(
    "name",
    [
        "expanso-databricks-metadata/metadata/dump.json",
        "expanso-databricks-checkpoints/people.txt",
        "expanso-databricks-enriched/enriched/people.csv",
    ],
)
def test_an_object_of_no_known_form_is_searched_for_all_nodes(judged, name):
    assert leaks(judged({name: f"A-002;{TECHNICIAN};{LATITUDE}".encode()})) == [
        (name, "latitude"),
        (name, "technician"),
    ]


def test_a_broken_object_is_searched_as_bytes(judged, lake):
    content = lake[ENRICHED][:-100] + TECHNICIAN.encode()
    assert leaks(judged({ENRICHED: content})) == [(ENRICHED, "technician")]


def test_the_finder_finds_every_pattern_at_every_offset():
    needles = {form: how for how, form in (*spellings(OPERATOR), *coded(TECHNICIAN))}
    finder = Finder(needles)
    for needle, said in needles.items():
        for offset in range(9):
            content = b"." * offset + needle + b"." * (offset % 5)
            assert (offset, said) in finder.find(content)
    assert finder.find(b"") == finder.find(b"abc") == finder.find(bytes(range(256)) * 50) == []


def test_pseudonyms_are_keyed_and_stable_within_a_fleet():
    farms = load_fleet("full").farms
    one, two = ([c for farm in farms[:2] for c in node_configs(farm, seed)] for seed in (7, 8))
    assert len({c.privacy_key for c in one}) == 1
    assert one[0].privacy_key != two[0].privacy_key
    people = {c.asset.technician for c in one}
    of_one, of_two = ({pseudonym(p, nodes[0].privacy_key) for p in people} for nodes in (one, two))
    assert len(of_one) == len(of_two) == len(people)
    assert not of_one & of_two
    assert of_one == {pseudonym(c.asset.technician, c.privacy_key) for c in one}
    assert pseudonym(OPERATOR, "") is None


RAW = bytes.fromhex(KEY)
KEYS: dict[str, str | list[int]] = {
    "as configured": KEY,
    "upper case": KEY.upper(),
    "mixed case": KEY[:32].upper() + KEY[32:],
    "within a text": f"key={KEY};v=1",
    "with colons": RAW.hex(":"),
    "with spaces, upper case": RAW.hex(" ", 4).upper(),
    "base64 of the bytes": base64.b64encode(RAW).decode(),
    "base64 of more": base64.b64encode(b"k=" + RAW + b"!").decode(),
    "URL-safe base64": base64.urlsafe_b64encode(RAW).decode(),
    "base64 of the text": base64.b64encode(KEY.encode()).decode(),
    "base32 of the bytes": base64.b32encode(RAW).decode(),
    "hexadecimal of the text": KEY.encode().hex(),
    "compressed": base64.b64encode(zlib.compress(KEY.encode())).decode(),
    "number": str(int(KEY, 16)),
    "list of numbers": list(RAW),
    "list in a text": ", ".join(map(hex, RAW)),
}


@pytest.mark.parametrize("form", KEYS)
def test_a_node_key_in_a_manifest_and_a_checkpoint(judged, lake, form):
    verdict = judged({name: rejson(lake[name], note=KEYS[form]) for name in (MANIFEST, CHECKPOINT)})
    assert leaks(verdict) == [(CHECKPOINT, "privacy_key"), (MANIFEST, "privacy_key")]
    texts = " ".join(found.detail for found in verdict.findings).lower()
    assert KEY not in texts
    assert base64.b64encode(RAW).decode().lower() not in texts


def test_a_finding_does_not_show_a_key_in_place_of_an_identity(judged, lake):
    verdict = judged({MANIFEST: rejson(lake[MANIFEST], job_id=KEY)})
    assert leaks(verdict) == [(MANIFEST, "privacy_key")]
    withheld = [
        found.key
        for found in verdict.findings
        if found.detail == "withheld because it contains privacy_key"
    ]
    assert withheld == [MANIFEST]
    assert KEY not in "".join(found.detail for found in verdict.findings)


@pytest.mark.parametrize("name", [ENRICHED, AGGREGATED, VALIDATED])
def test_a_node_key_in_objects(judged, lake, name):
    table = read(lake[name])
    for more in (
        pa.array([KEY] * len(table)),
        pa.array([RAW] * len(table)),
        pa.array([[RAW]] * len(table)),
    ):
        assert leaks(judged({name: write(table.append_column("more", more))})) == [
            (name, "privacy_key")
        ]
    noted = write(table.replace_schema_metadata({"by": KEY}))
    assert leaks(judged({name: noted})) == [(name, "privacy_key")]
    assert leaks(judged({name: edit(lake[name], "turbine_id", 0, KEY.upper())})) == [
        (name, "privacy_key")
    ]


def test_rescued_data_is_searched_for_keys_and_not_for_people(judged, lake):
    for text, field in ((KEY, ["privacy_key"]), (TECHNICIAN, [])):
        verdict = judged(
            {QUARANTINED: edit(lake[QUARANTINED], "_rescued_data", 3, json.dumps({"note": text}))}
        )
        assert leaks(verdict) == [(QUARANTINED, name) for name in field]


def test_a_short_key_is_found_as_a_value_only(judged, lake):
    assert leaks(judged({MANIFEST: rejson(lake[MANIFEST], note="00ff10")})) == [
        (MANIFEST, "privacy_key")
    ]
    assert leaks(judged({MANIFEST: rejson(lake[MANIFEST], note="aa00ff10bb")})) == []
