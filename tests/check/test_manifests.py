"""Findings on manifests, with their exact details, for three batches of two nodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.records import PIPELINE_VERSION, TABLE
from sim.check.compare.manifests import check_manifests
from sim.check.expected.rows import Expectation, expect
from sim.check.findings import Finding, Findings
from sim.check.read.json_document import parse
from sim.check.read.keys import bucket_of, read_batch_key
from sim.check.read.lake import ObjectRef
from sim.check.read.objects import DataObject
from tests.support.oracle_world import HOUR_0, HOUR_US, START_US, Kept, node, row, stored

HOUR_1 = HOUR_0.replace("hour=00", "hour=01")
KEYS = (
    f"metadata/{HOUR_0}/A-001-1-3.json",
    f"metadata/{HOUR_1}/A-001-4-5.json",
    f"metadata/{HOUR_0}/A-002-1-2.json",
)
FACTS = (("A-001", 1, 3, 3), ("A-001", 4, 5, 2), ("A-002", 1, 2, 2))
"""Turbine, first and last id, rows of each batch."""
AT = ("2024-01-15T00:00:00Z", "2024-01-15T01:00:00Z", "2024-01-15T00:00:00Z")
METADATA = "expanso-databricks-metadata/"
Documents = dict[str, Any]
Objects = dict[str, DataObject]
Change = Callable[[Documents, Objects], object]


def expected() -> Expectation:
    """A-001: row 2 breaks `state`. A-002: row 1 breaks `type`, row 2 `null`; neither has a time."""
    first = [row(i, "A-001", START_US + i) for i in (1, 2, 3)] + [
        row(i, "A-001", START_US + HOUR_US + i) for i in (4, 5)
    ]
    first[1]["status"] = "dancing"
    second = [row(i, "A-002", START_US + i, timestamp=None, misfit=i == 1) for i in (1, 2)]
    return expect([node("A-001"), node("A-002")], [stored(first), stored(second)])


def named(batch: int, stage: str = "ingestion") -> str:
    return f"{bucket_of(stage)}/{KEYS[batch].replace('metadata', stage).replace('json', 'parquet')}"


def made() -> tuple[Documents, Objects]:
    """Return a valid manifest for each batch, by key, and the objects they name, two a batch."""
    documents: Documents = {}
    objects: Objects = {}
    for batch, (turbine, first, last, rows) in enumerate(FACTS):
        entries = []
        for stage in ("ingestion", "enriched"):
            name = named(batch, stage)
            bucket, key = name.split("/", 1)
            item = DataObject(
                ObjectRef(bucket, key, 9),
                read_batch_key(bucket, key),
                False,
                f"sha-{name}",
                9,
                rows,
            )
            item.first_id, item.last_id = first, last
            item.min_event_us, item.max_event_us = (100 + batch, 200 + batch)
            objects[name] = item
            entry = {
                "bucket": bucket,
                "key": key,
                "stage": stage,
                "sha256": f"sha-{name}",
                "bytes": 9,
                "rows": rows,
            }
            entry |= {
                "first_id": first,
                "last_id": last,
                "min_event_us": 100 + batch,
                "max_event_us": 200 + batch,
            }
            entries.append(entry)
        begin = START_US + HOUR_US * (batch == 1)
        times = (
            {"min": begin + first, "max": begin + last}
            if turbine == "A-001"
            else {"min": None, "max": None}
        )
        documents[KEYS[batch]] = {
            "schema_version": 1,
            "pipeline_version": PIPELINE_VERSION,
            "job_id": "j-1",
            "execution_id": f"e-{turbine}",
            "node_id": f"n-{turbine}",
            "turbine_id": turbine,
            "farm_id": "A",
            "pipeline_stage": "batch",
            "upload_timestamp": "2024-01-15T01:00:00.250+00:00",
            "rejected": ({"state": 1}, {}, {"type": 1, "null": 1})[batch],
            "source": {
                "database": f"{turbine}.db",
                "table": TABLE,
                "record_count": rows,
                "first_id": first,
                "last_id": last,
                "time_range": times,
            },
            "destination": {"data_path": [entry["key"] for entry in entries]},
            "objects": entries,
        }
    return documents, objects


def findings_after(change: Change, blamed: set[str] | None = None) -> list[Finding]:
    """Return the findings in order; their number must equal the number of mismatches."""
    documents, objects = made()
    change(documents, objects)
    findings = Findings()
    findings.add(Finding("another"))
    contents = {
        k: d if isinstance(d, bytes | None) else json.dumps(d).encode()
        for k, d in documents.items()
    }
    refs = [ObjectRef(bucket_of("metadata"), key, 1) for key in documents]
    count = check_manifests(Kept(contents), refs, expected(), objects, blamed or set(), findings)
    assert count == len(findings.kept) - 1
    return findings.kept[1:]


def finding(kind: str, batch: int | None, key: str, detail: str, bucket: str = METADATA) -> Finding:
    if batch is None:
        return Finding(f"manifest.{kind}", stage="metadata", key=bucket + key, detail=detail)
    turbine, _, _, rows = FACTS[batch]
    return Finding(
        f"manifest.{kind}",
        stage="metadata",
        farm="A",
        turbine=turbine,
        hour=AT[batch],
        key=bucket + key,
        rows=rows,
        detail=detail,
    )


def edited(batch: int, **changes: Any) -> Change:
    return lambda documents, _: documents[KEYS[batch]].update(changes)


def of_entries(batch: int, edit: Callable[[list[dict[str, Any]]], object]) -> Change:
    """Edit the entries of a manifest, and its `data_path` with them."""

    def change(documents: Documents, _: Objects) -> None:
        document = documents[KEYS[batch]]
        edit(document["objects"])
        document["destination"] = {"data_path": [entry.get("key") for entry in document["objects"]]}

    return change


def placed(key: str, to: str) -> Change:
    """Store the manifest under another key too."""
    return lambda documents, _: documents.update({to: documents[key]})


def test_sound_manifests_are_confirmed() -> None:
    assert findings_after(lambda *_: None) == []


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_a_batch_without_a_manifest(batch: int) -> None:
    first, last = FACTS[batch][1:3]
    told = finding(
        "missing", batch, KEYS[batch], f"no manifest for the batch of ids {first}-{last}"
    )
    assert findings_after(lambda documents, _: documents.pop(KEYS[batch])) == [told]


def test_all_manifests_missing() -> None:
    assert [
        found.key.rpartition("-metadata/")[2]
        for found in findings_after(lambda documents, _: documents.clear())
    ] == [*KEYS]


def test_a_manifest_of_no_batch() -> None:
    strange = KEYS[1].replace("4-5", "4-6")
    assert findings_after(placed(KEYS[1], strange)) == [
        finding("unexpected", None, strange, "no such batch in the node files: A-001")
    ]
    odd = "metadata/odd.json"
    assert findings_after(placed(KEYS[1], odd)) == [
        finding("unexpected", None, odd, f"no such batch in the node files: {odd}")
    ]


def test_a_manifest_under_another_hour() -> None:
    moved = KEYS[1].replace("hour=01", "hour=02")
    copy = finding("unexpected", 1, moved, f"belongs at {KEYS[1]}")
    assert findings_after(placed(KEYS[1], moved)) == [copy]
    assert findings_after(
        lambda documents, _: documents.update({moved: documents.pop(KEYS[1])})
    ) == [finding("misplaced", 1, moved, f"belongs at {KEYS[1]}")]


def test_objects_of_a_misplaced_copy_are_not_checked() -> None:
    def change(documents: Documents, _: Objects) -> None:
        copied = KEYS[1].replace("hour=01", "hour=02")
        documents[copied] = documents[KEYS[1]]
        documents[KEYS[1]] = documents[KEYS[1]] | {"objects": [], "destination": {"data_path": []}}

    assert [found.kind for found in findings_after(change)] == [
        "manifest.unexpected",
        *["manifest.missing"] * 2,
    ]


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"{}", b'{"objects": 7}', b'{"objects": [{}, 1]}', b"1", b'"objects"']
)
def test_a_manifest_that_is_another_document(body: bytes) -> None:
    told = finding("unreadable", 0, KEYS[0], "not a JSON object with a list of objects")
    assert findings_after(lambda documents, _: documents.update({KEYS[0]: body})) == [told]


@pytest.mark.parametrize(
    "body",
    [None, b"", b"{", b"\xff", b'{"a":' * 9_999, b'{"objects":[],"objects":[]}', b"9" * 9_999],
)
def test_a_manifest_that_cannot_be_read(body: bytes | None) -> None:
    told = finding("unreadable", 0, KEYS[0], parse(body)[1])
    assert findings_after(lambda documents, _: documents.update({KEYS[0]: body})) == [told]


def test_a_byte_order_mark_is_a_mismatch() -> None:
    def marked(documents: Documents, _: Objects) -> None:
        documents[KEYS[0]] = b"\xef\xbb\xbf" + json.dumps(documents[KEYS[0]]).encode()

    assert findings_after(marked) == [
        finding("unreadable", 0, KEYS[0], "begins with a byte order mark")
    ]


@pytest.mark.parametrize("time", ["2030-12-31T23:59:59.999+00:00", "1999-01-01T00:00:00.000Z"])
def test_any_upload_time_in_utc_is_accepted(time: str) -> None:
    assert findings_after(edited(0, upload_timestamp=time)) == []


@pytest.mark.parametrize(
    "time",
    [
        *(
            None,
            7,
            "",
            "x",
            "2024-01-15T00:00:00Z",
            "2024-01-15T00:00:00.000",
            "2024-01-15 00:00:00.000Z",
        ),
        *(
            "2024-01-15T00:00:00.000+01:00",
            "2024-02-30T00:00:00.000Z",
            "2024-01-15T00:00:00.000000Z",
        ),
        *(
            "2024-01-15T00:00:00.000Z\n",
            "\uff12024-01-15T00:00:00.000Z",
            "2024-01-15T25:00:00.000Z",
        ),
    ],
)
def test_an_upload_time_that_is_not_a_utc_time_is_reported(time: object) -> None:
    wanted = "must be a UTC time like 2024-01-15T00:00:00.000+00:00"
    told = finding("disagrees", 0, KEYS[0], f"upload_timestamp is {json.dumps(time)}, {wanted}")
    assert findings_after(edited(0, upload_timestamp=time)) == [told]
    gone = finding("disagrees", 0, KEYS[0], f"upload_timestamp is null, {wanted}")
    assert findings_after(lambda documents, _: documents[KEYS[0]].pop("upload_timestamp")) == [gone]


def test_unknown_names_are_reported() -> None:
    def change(documents: Documents, _: Objects) -> None:
        documents[KEYS[0]]["note"] = None
        documents[KEYS[1]]["source"]["note"] = 1
        documents[KEYS[1]]["source"]["time_range"]["note"] = 1
        documents[KEYS[2]]["objects"][1]["note"] = "x"

    told = findings_after(change)
    assert [(each.kind, each.turbine) for each in told] == [
        ("manifest.disagrees", turbine) for turbine in ("A-001", "A-001", "A-002")
    ]
    assert told[0].detail == '"note" must not be present'
    assert told[1].detail.startswith("source is {")
    assert told[2].detail == f'{named(2, "enriched")}: "note" must not be present'
    extra = findings_after(edited(0, destination=made()[0][KEYS[0]]["destination"] | {"note": 1}))
    assert [each.detail for each in extra] == [
        "destination must have only data_path, the keys of the objects in order"
    ]
    rule = findings_after(edited(0, rejected={"state": 1, "null": 0}))
    assert [each.detail for each in rule] == [
        'rejected is {"state": 1, "null": 0}, must be {"state": 1}'
    ]


@pytest.mark.parametrize("value", [True, 1.0, "1"])
def test_a_value_of_another_type_is_another_value(value: object) -> None:
    wanted = f"is {json.dumps(value)}, must be 1"
    assert [each.detail for each in findings_after(edited(0, schema_version=value))] == [
        f"schema_version {wanted}"
    ]
    assert [each.kind for each in findings_after(edited(0, rejected={"state": value}))] == [
        "manifest.disagrees"
    ]
    source = made()[0][KEYS[0]]["source"]
    assert [
        each.kind for each in findings_after(edited(0, source=source | {"first_id": value}))
    ] == ["manifest.disagrees"]
    told = findings_after(of_entries(0, lambda entries: entries[0].update(first_id=value)))
    assert [each.detail for each in told] == [f"{named(0)}: first_id {wanted}"]


def test_the_manifest_of_another_batch_has_one_finding() -> None:
    for of, name in ((2, "A-002, ids 1-2"), (1, "A-001, ids 4-5")):
        told = finding("disagrees", 0, KEYS[0], f"manifest of another batch: {name}")
        assert findings_after(
            lambda documents, _, of=of: documents.update({KEYS[0]: documents[KEYS[of]]})
        ) == [told]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema_version", 2),
        ("pipeline_version", "9"),
        ("pipeline_version", ""),
        ("job_id", None),
        ("execution_id", "e"),
        ("node_id", "n"),
        ("turbine_id", None),
        ("farm_id", "B"),
        ("pipeline_stage", "x"),
        ("rejected", {}),
        ("rejected", None),
        ("source", None),
        ("source", {}),
    ],
)
def test_a_differing_value_is_reported(name: str, value: object) -> None:
    right = made()[0][KEYS[0]][name]
    told = finding(
        "disagrees", 0, KEYS[0], f"{name} is {json.dumps(value)}, must be {json.dumps(right)}"
    )
    assert findings_after(edited(0, **{name: value})) == [told]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database", "x.db"),
        ("table", "t"),
        ("record_count", 4),
        ("first_id", 2),
        ("last_id", 4),
        ("last_id", None),
    ],
)
def test_a_differing_value_of_the_source_is_reported(name: str, value: object) -> None:
    source = made()[0][KEYS[0]]["source"]
    (told,) = findings_after(edited(0, source=source | {name: value}))
    shown = json.dumps(source | {name: value})
    assert told == finding(
        "disagrees", 0, KEYS[0], f"source is {shown}, must be {json.dumps(source)}"
    )


def test_a_long_value_is_truncated() -> None:
    (told,) = findings_after(edited(0, job_id="x" * 1_000))
    assert told.detail == f'job_id is "{"x" * 299} ..., must be "j-1"'


def test_times_of_a_source() -> None:
    for batch, right in (
        (0, {"min": START_US + 1, "max": START_US + 3}),
        (2, {"min": None, "max": None}),
    ):
        source = made()[0][KEYS[batch]]["source"]
        assert source["time_range"] == right
        for name in right:
            (told,) = findings_after(
                edited(batch, source=source | {"time_range": right | {name: START_US + 2}})
            )
            assert told.kind == "manifest.disagrees"


@pytest.mark.parametrize("destination", [None, [], {}, {"data_path": []}])
def test_unknown_keys_of_the_destination_are_reported(destination: object) -> None:
    told = finding(
        "disagrees",
        0,
        KEYS[0],
        "destination must have only data_path, the keys of the objects in order",
    )
    assert findings_after(edited(0, destination=destination)) == [told]
    both = edited(0, destination=destination, farm_id="B")
    assert findings_after(both) == [
        finding("disagrees", 0, KEYS[0], f'farm_id is "B", must be "A"; {told.detail}')
    ]


def test_an_object_named_twice_is_judged_once() -> None:
    def again(entries: list[dict[str, Any]]) -> None:
        entries.insert(1, entries[0] | {"rows": 7})
        entries[2]["rows"] = 8

    told = findings_after(of_entries(0, again))
    assert told == [
        finding("disagrees", 0, KEYS[0], f"lists {named(0)} twice"),
        finding("disagrees", 0, KEYS[0], f"{named(0, 'enriched')}: rows is 8, must be 3"),
    ]


@pytest.mark.parametrize("other", [1, 2])
def test_an_object_of_another_batch(other: int) -> None:
    entry = made()[0][KEYS[other]]["objects"][0]
    told = finding("disagrees", 0, KEYS[0], f"lists {named(other)}, an object of another batch")
    assert findings_after(of_entries(0, lambda entries: entries.append(entry))) == [told]


def test_an_object_of_another_batch_that_does_not_exist() -> None:
    name = named(0).replace("1-3", "7-9")
    entry = made()[0][KEYS[0]]["objects"][0] | {"key": name.partition("/")[2]}
    told = finding("disagrees", 0, KEYS[0], f"lists {name}, an object of another batch")
    assert findings_after(of_entries(0, lambda entries: entries.append(entry))) == [told]


@pytest.mark.parametrize(
    "name",
    ["rows", "bytes", "sha256", "min_event_us", "max_event_us", "first_id", "last_id", "stage"],
)
def test_a_differing_value_of_an_object_is_reported(name: str) -> None:
    right = made()[0][KEYS[1]]["objects"][0][name]
    told = finding("disagrees", 1, KEYS[1], f"{named(1)}: {name} is 1, must be {json.dumps(right)}")
    assert findings_after(of_entries(1, lambda entries: entries[0].update({name: 1}))) == [told]


def test_only_the_bytes_of_an_unreadable_object_are_compared() -> None:
    def change(documents: Documents, objects: Objects) -> None:
        objects[named(0)].problem = "torn"
        documents[KEYS[0]]["objects"][0].update(
            rows=1, first_id=7, min_event_us=None, bytes=8, stage="s"
        )

    told = f'{named(0)}: bytes is 8, must be 9; stage is "s", must be "ingestion"'
    assert findings_after(change) == [finding("disagrees", 0, KEYS[0], told)]


def test_an_object_of_no_known_form_has_no_stage() -> None:
    def change(documents: Documents, objects: Objects) -> None:
        odd = objects[f"{bucket_of('ingestion')}/odd"] = DataObject(
            ObjectRef(bucket_of("ingestion"), "odd", 9), None, False
        )
        entry = {"bucket": odd.ref.bucket, "key": "odd", "sha256": "", "bytes": 0, "rows": 0}
        entry |= dict.fromkeys(("first_id", "last_id", "min_event_us", "max_event_us"))
        of_entries(0, lambda entries: entries.append(entry))(documents, objects)

    assert findings_after(change) == []


def test_a_missing_object_is_reported() -> None:
    gone = finding("dangling", 0, KEYS[0], f"lists {named(0)}, which does not exist")
    assert findings_after(lambda _, objects: objects.pop(named(0))) == [gone]
    elsewhere = named(0).replace("hour=00", "hour=07")
    told = [finding("dangling", 0, KEYS[0], f"{gone.detail}; the same bytes are at {elsewhere}")]

    def moved(_: Documents, objects: Objects) -> None:
        item = objects.pop(named(0))
        item.place = read_batch_key(*elsewhere.split("/", 1))
        objects[elsewhere] = item

    assert findings_after(moved, {elsewhere}) == told
    left = "not listed in its batch's manifest; rows: 3"
    assert findings_after(moved) == [*told, finding("missing", 0, elsewhere, left, "")]


def test_bytes_that_another_manifest_names_are_not_misplaced() -> None:
    def change(documents: Documents, objects: Objects) -> None:
        item = objects.pop(named(0))
        twin = objects[named(1)]
        twin.sha256 = documents[KEYS[1]]["objects"][0]["sha256"] = item.sha256

    assert [found.detail for found in findings_after(change)] == [
        f"lists {named(0)}, which does not exist"
    ]


def test_objects_missing_from_their_manifest_are_reported() -> None:
    none = of_entries(2, lambda entries: entries.clear())
    detail = "not listed in its batch's manifest; rows: 2"
    both = [
        finding("missing", 2, named(2, stage), detail, "") for stage in ("enriched", "ingestion")
    ]
    assert findings_after(none) == both
    assert findings_after(none, {named(2)}) == both[:1]  # the finding on its missing manifest


def test_an_entry_without_an_object_is_dangling() -> None:
    (told,) = findings_after(of_entries(0, lambda entries: entries.append({})))
    assert told == finding("dangling", 0, KEYS[0], "lists None/None, which does not exist")
