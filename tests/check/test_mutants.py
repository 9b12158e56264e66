"""Mutation tests of the oracle: a good lake, a catalogue of defects, and their diagnoses.

A mutant is killed when the oracle reports its right name and count, and nothing else. A neutral
change (other bytes, same content) must pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sim.check import Verdict
from tests.support import lakebuilder
from tests.support.judged_lake import JudgedLake
from tests.support.lakesurgery import (
    AGGREGATED,
    CHECKPOINT,
    EARLIER,
    ENRICHED,
    FARM_B,
    INGESTED,
    LATER,
    MANIFEST,
    NEXT,
    OTHERS,
    QUARANTINED,
    SPLIT,
    VALIDATED,
    ZEROS,
    Changes,
    Objects,
    bad_row_let_through,
    column,
    copied,
    drop_row,
    entry_edit,
    entry_of,
    first_revision_knows_all,
    latest_revision_2,
    moved,
    one_cell,
    one_hour_on,
    read,
    rejson,
    row_copied,
    row_to,
    row_twice,
    schema,
    sealed,
    strangers,
    swapped,
    valid_row_in_quarantine,
    window_moved,
    window_of_no_rows,
    window_to,
    windows_kept,
    without,
    write,
)

AT_1 = "2024-01-15T01:00:00Z"
LOST, DUPLICATED, MISPLACED = "rows.lost", "rows.duplicated", "rows.misplaced"
OTHER_FARM = AGGREGATED.replace("A-002-448-537", "B-001-358-800")
ALTERED, UNEXPECTED, WINDOWS = "rows.altered", "rows.unexpected", "windows.wrong"
MANIFESTS, CHECKPOINTS = "manifest.mismatches", "checkpoint.mismatches"
ZERO = (LOST, DUPLICATED, MISPLACED, ALTERED, UNEXPECTED, WINDOWS, MANIFESTS, CHECKPOINTS)


@dataclass(frozen=True)
class Mutant:
    """A defect and its diagnosis.

    - `change` makes it.
    - `counts`: findings by kind.
    - `figures`: figures that are not 0.
    - `names`: parts of the findings' texts.
    - `place`: (kind, stage, turbine, hour, object, rows) of the only finding of that kind.
    """

    name: str
    change: Callable[[Objects], Changes]
    counts: dict[str, int]
    figures: dict[str, int]
    names: tuple[str, ...] = ()
    place: tuple[str, str, str, str, str, int] | None = None
    options: dict[str, int] = field(default_factory=dict)


def altered(name: str, column: str, row: int, value: object, label: str = "") -> Mutant:
    return Mutant(
        label or f"{name.split('/')[1]}: {column} = {value}",
        one_cell(name, column, row, value),
        {"altered": 1},
        {ALTERED: 1},
        (column,),
    )


def wrong_window(column: str, value: object) -> Mutant:
    change = one_cell(AGGREGATED, column, 1, value)
    return Mutant(
        f"window: {column} = {value}" if not callable(value) else f"window: {column} off by one",
        change,
        {"window.wrong": 1},
        {WINDOWS: 1},
        (column,),
    )


def manifest(label: str, kind: str, **changes: object) -> Mutant:
    return Mutant(
        f"manifest: {label}",
        lambda lake: {MANIFEST: rejson(lake[MANIFEST], **changes)},
        {f"manifest.{kind}": 1},
        {MANIFESTS: 1},
        place=(f"manifest.{kind}", "metadata", "A-002", AT_1, MANIFEST, 90),
    )


def entry(
    label: str, change: Callable[[list[dict]], object], kind: str, names: tuple[str, ...] = ()
) -> Mutant:
    return Mutant(
        f"manifest: {label}",
        lambda lake: {MANIFEST: entry_edit(lake[MANIFEST], change)},
        {f"manifest.{kind}": 1},
        {MANIFESTS: 1},
        names,
    )


def checkpoint(kind: str, **changes: object) -> Mutant:
    return Mutant(
        f"checkpoint: {changes}",
        lambda lake: {CHECKPOINT: rejson(lake[CHECKPOINT], **changes)},
        {f"checkpoint.{kind}": 1},
        {CHECKPOINTS: 1},
    )


WINDOW_COUNT = 3
COPIES = (
    ENRICHED.replace("A-002-268-357", "A-002-268-358"),
    ENRICHED.replace("A-002-268-357", "A-001-1-2"),
    ENRICHED.replace("A-002-268-357", "B-001-1-2"),
    ENRICHED.replace("A-002", "Z-999"),
    ENRICHED.replace(".parquet", "-copy.parquet"),
    ENRICHED.replace("hour=01", "hour=02"),
)

MUTANTS = [
    # rows
    Mutant("row dropped", drop_row(INGESTED, 5), {"lost": 1}, {LOST: 1}, ("id 273",)),
    Mutant("row twice in its object", row_twice, {"duplicated": 1}, {DUPLICATED: 1}, ("id 273",)),
    Mutant(
        "row moved an hour",
        row_to(SPLIT.replace("hour=01", "hour=00"), SPLIT),
        {"misplaced": 1},
        {MISPLACED: 1},
        ("id 181",),
    ),
    Mutant(
        "row moved to another batch", row_to(NEXT), {"misplaced": 1}, {MISPLACED: 1}, ("id 268",)
    ),
    Mutant(
        "row moved to another node", row_to(OTHERS), {"misplaced": 1}, {MISPLACED: 1}, ("id 268",)
    ),
    Mutant(
        "row moved to another node of another share",
        row_to(OTHERS),
        {"misplaced": 1},
        {MISPLACED: 1},
        ("id 268",),
        options={"SHARE_TURBINES": 1},
    ),
    Mutant(
        "row moved to another farm",
        row_to(FARM_B),
        {"misplaced": 1},
        {MISPLACED: 1},
        ("id 268",),
        ("misplaced", "ingestion", "A-002", AT_1, FARM_B, 1),
    ),
    Mutant(
        "row copied to another farm",
        row_copied(FARM_B),
        {"duplicated": 1},
        {DUPLICATED: 1},
        ("id 268",),
    ),
    Mutant("row dropped from quarantine", drop_row(QUARANTINED, 3), {"lost": 1}, {LOST: 1}),
    Mutant(
        "wrong rule in quarantine",
        one_cell(QUARANTINED, "rule", 3, "range"),
        {"quarantine.wrong-rule": 1},
        {ALTERED: 1},
    ),
    Mutant(
        "valid row in quarantine",
        valid_row_in_quarantine,
        {"lost": 2, "unexpected": 1, "manifest.disagrees": 1},
        {LOST: 2, UNEXPECTED: 1, MANIFESTS: 1},
        ("does not belong in quarantine: id 3", "rejected is"),
    ),
    Mutant(
        "bad row in a later stage",
        bad_row_let_through,
        {"lost": 1, "unexpected": 1},
        {LOST: 1, UNEXPECTED: 1},
    ),
    Mutant("rows of an unknown turbine", strangers, {"object.foreign": 1}, {UNEXPECTED: 90}),
    # cells
    altered(
        VALIDATED, "wind_speed", 5, lambda value: math.nextafter(value, 99), "last bit of a float"
    ),
    altered(INGESTED, "wind_speed", 0, 7.25),
    altered(INGESTED, "power_output", 0, None, "number gone"),
    altered(INGESTED, "blade_pitch", 0, math.nan, "NaN for a number"),
    altered(INGESTED, "status", 0, "stopped"),
    altered(INGESTED, "recorded_at", 0, lakebuilder.START_US),
    altered(VALIDATED, "timestamp", 0, lakebuilder.START_US),
    altered(VALIDATED, "turbine_id", 0, "A-001"),
    altered(VALIDATED, "turbine_id", 0, "B-001"),
    altered(ENRICHED, "farm_id", 0, "B"),
    altered(ENRICHED, "node_id", 0, "n-2", "node_id of another node"),
    altered(ENRICHED, "rated_power", 0, 3000.0),
    altered(
        QUARANTINED, "_rescued_data", 0, '{"wind_speed": "n/b", "status": "00FF"}', "rescued cell"
    ),
    Mutant(
        "sign of a zero",
        column(
            ZEROS,
            "temperature",
            lambda t: pc.if_else(pc.equal(t["temperature"], 0.0), -0.0, t["temperature"]),
        ),
        {"altered": 1},
        {ALTERED: 20},
        ("temperature",),
    ),
    Mutant(
        "kW for MW in one object",
        column(
            VALIDATED,
            "power_output",
            lambda table: pc.multiply(table.column("power_output"), 1000.0),
        ),
        {"altered": 1},
        {ALTERED: 90},
        ("power_output",),
        ("altered", "validated", "A-002", AT_1, VALIDATED, 90),
    ),
    Mutant("time zone: an hour on", one_hour_on, {"altered": 1}, {ALTERED: 90}, ("timestamp",)),
    Mutant(
        "pseudonyms of another key",
        column(ENRICHED, "operator_ref", lambda _: "p-0123456789abcdef"),
        {"altered": 1},
        {ALTERED: 90},
        ("operator_ref",),
    ),
    Mutant(
        "one cell, manifest as it was",
        one_cell(INGESTED, "wind_speed", 0, 7.25, seal=False),
        {"altered": 1, "manifest.disagrees": 1},
        {ALTERED: 1, MANIFESTS: 1},
    ),
    # objects
    Mutant(
        "object deleted",
        lambda lake: {VALIDATED: None},
        {"lost": 1, "manifest.dangling": 1},
        {LOST: 90, MANIFESTS: 1},
        place=("lost", "validated", "A-002", AT_1, VALIDATED, 90),
    ),
    Mutant(
        "object never made", lambda lake: sealed(lake, {VALIDATED: None}), {"lost": 1}, {LOST: 90}
    ),
    Mutant(
        "object moved an hour",
        moved(INGESTED, INGESTED.replace("hour=01", "hour=02")),
        {"misplaced": 1, "manifest.dangling": 1},
        {MISPLACED: 90, MANIFESTS: 1},
        ("the same bytes are at",),
        ("misplaced", "ingestion", "A-002", AT_1, INGESTED.replace("hour=01", "hour=02"), 90),
    ),
    Mutant(
        "object moved to another node",
        moved(VALIDATED, VALIDATED.replace("A-002-268-357", "B-001-1-2")),
        {"misplaced": 1, "manifest.dangling": 1},
        {MISPLACED: 90, MANIFESTS: 1},
    ),
    *(
        Mutant(
            f"copy under {name.rsplit('/', 2)[-1]}",
            copied(ENRICHED, name),
            {"duplicated": 1},
            {DUPLICATED: 90},
            place=("duplicated", "enriched", "A-002", AT_1, name, 90),
            options={"SHARE_TURBINES": 1},  # so that the copy lies in another share
        )
        for name in COPIES
    ),
    Mutant(
        "two objects swapped",
        swapped(INGESTED, NEXT, seal=False),
        {"misplaced": 2, "manifest.disagrees": 2},
        {MISPLACED: 180, MANIFESTS: 2},
    ),
    Mutant(
        "two objects swapped, manifests too",
        swapped(INGESTED, NEXT, seal=True),
        {"misplaced": 2},
        {MISPLACED: 180},
    ),
    Mutant(
        "two objects of two nodes swapped",
        swapped(INGESTED, OTHERS, seal=True),
        {"misplaced": 2},
        {MISPLACED: 90 + 360},
    ),
    Mutant(
        "object truncated",
        lambda lake: {INGESTED: lake[INGESTED][:-100]},
        {"object.unreadable": 1, "manifest.disagrees": 1},
        {LOST: 90, MANIFESTS: 1},
        place=("object.unreadable", "ingestion", "A-002", AT_1, INGESTED, 90),
    ),
    Mutant(
        "object with a column more",
        schema(lambda table: table.append_column("note", pa.array(["x"] * len(table)))),
        {"object.schema": 1},
        {},
    ),
    Mutant(
        "object with a column less",
        schema(lambda table: table.drop_columns(["region"])),
        {"object.schema": 1},
        {ALTERED: 90},
    ),
    Mutant(
        "object with a type changed",
        schema(
            lambda t: t.set_column(0, pa.field("id", pa.int32()), t.column("id").cast(pa.int32()))
        ),
        {"object.schema": 1},
        {},
    ),
    Mutant(
        "object without rows, of no batch",
        lambda lake: {
            INGESTED.replace("268-357", "268-356"): write(read(lake[INGESTED]).slice(0, 0))
        },
        {"object.unexpected": 1},
        {},
    ),
    *(
        Mutant(
            f"object of no known form: {name}",
            lambda lake, name=name: {name: b"hello"},
            {"object.foreign": 1},
            {},
            (name,),
        )
        for name in (
            "expanso-databricks-ingestion/ingestion/readme.txt",
            "expanso-databricks-metadata/metadata/year=2024/A-001.json",
            "expanso-databricks-checkpoints/A-001.json",
            "expanso-databricks-ingestion"
            + ENRICHED.removeprefix("expanso-databricks-enriched")
            + "x",
        )
    ),
    *(
        Mutant(
            f"{name.split('/')[1]}: rows in another order",
            lambda lake, name=name: sealed(lake, {name: write(read(lake[name])[::-1])}),
            {"object.order": 1},
            {},
            ("follows",),
            ("object.order", name.split("/")[1], name.rsplit("/", 1)[1][:5], hour, name, rows),
        )
        for name, hour, rows in (
            (INGESTED, AT_1, 90),
            (VALIDATED, AT_1, 90),
            (ENRICHED, AT_1, 90),
            (AGGREGATED, AT_1, WINDOW_COUNT),
        )
    ),
    Mutant(
        "two rows changed places",
        lambda lake: sealed(
            lake, {INGESTED: write(read(lake[INGESTED]).take([0, 2, 1, *range(3, 90)]))}
        ),
        {"object.order": 1},
        {},
        ("id 269 follows id 270",),
    ),
    # windows
    *(
        wrong_window(*case)
        for case in (
            ("power_output", 1.25),
            ("temperature_std", 0.125),
            ("wind_speed_max", 10.5),
            ("vibration_level_min", 1.5),
            ("efficiency", None),
            ("rows", lambda value: value + 1),
            ("anomaly_count", lambda value: value + 1),
            ("anomaly_kinds", ["vibration"]),
            ("anomaly_kinds", None),
            ("window_end", lakebuilder.START_US),
            ("date", lambda value: value.replace(day=16)),
            ("farm_id", "B"),
        )
    ),
    Mutant(
        "stale revision",
        windows_kept(lambda table: table.filter(pc.equal(table.column("revision"), 0))),
        {"window.stale-revision": 1},
        {WINDOWS: 1},
    ),
    Mutant("revision skipped", latest_revision_2, {"window.revision-gap": 1}, {WINDOWS: 1}),
    Mutant(
        "earlier revision gone",
        lambda lake: sealed(lake, {EARLIER: write(without(read(lake[EARLIER]), 1))}),
        {"window.revision-gap": 1},
        {WINDOWS: 1},
    ),
    Mutant(
        "window missing",
        windows_kept(lambda table: without(table, 1)),
        {"window.missing": 1},
        {WINDOWS: 1},
    ),
    Mutant(
        "window of the other farm missing",
        lambda lake: sealed(lake, {OTHER_FARM: write(without(read(lake[OTHER_FARM]), 0))}),
        {"window.missing": 1},
        {WINDOWS: 1},
    ),
    Mutant(
        "object of windows deleted",
        lambda lake: {AGGREGATED: None},
        {"window.missing": WINDOW_COUNT - 1, "window.stale-revision": 1, "manifest.dangling": 1},
        {WINDOWS: WINDOW_COUNT, MANIFESTS: 1},
    ),
    Mutant(
        "windows twice",
        copied(AGGREGATED, AGGREGATED.replace("448-537", "628-717")),
        {"window.duplicated": WINDOW_COUNT},
        {WINDOWS: WINDOW_COUNT},
    ),
    Mutant(
        "windows moved an hour",
        moved(AGGREGATED, AGGREGATED.replace("hour=01", "hour=03")),
        {"window.misplaced": WINDOW_COUNT, "manifest.dangling": 1},
        {WINDOWS: WINDOW_COUNT, MANIFESTS: 1},
    ),
    Mutant(
        "earlier revision of other rows",
        one_cell(EARLIER, "wind_speed", 1, 7.25),
        {"window.wrong": 1},
        {WINDOWS: 1},
        ("revision 0: wind_speed",),
    ),
    Mutant(
        "earlier revision with later rows",
        one_cell(EARLIER, "rows", 1, lambda value: value + 1),
        {"window.wrong": 1},
        {WINDOWS: 1},
        ("revision 0: rows",),
    ),
    Mutant(
        "window a batch too late",
        window_moved(AGGREGATED, 2, LATER),
        {"window.late": 1},
        {WINDOWS: 1},
    ),
    Mutant(
        "window a batch too early",
        window_moved(AGGREGATED, 1, AGGREGATED.replace("448-537", "358-447")),
        {"window.early": 1},
        {WINDOWS: 1},
        ("revision 0 was made by the batch of ids 358-447, must be by the batch of ids 448-537",),
    ),
    Mutant(
        "window made too early, and when it is due",
        window_to(LATER, 0, AGGREGATED),
        {"window.duplicated": 1},
        {WINDOWS: 1},
    ),
    Mutant(
        "needless revision",
        window_to(AGGREGATED, 2, LATER, revision=1),
        {"window.needless-revision": 1},
        {WINDOWS: 1},
    ),
    Mutant(
        "invented revision",
        window_to(AGGREGATED, 2, LATER, revision=1, rows=lambda value: value + 1),
        {"window.invented-revision": 1},
        {WINDOWS: 1},
    ),
    Mutant(
        "revision never made",
        first_revision_knows_all,
        {"window.missing-revision": 1},
        {WINDOWS: 1},
    ),
    Mutant("window without rows", window_of_no_rows, {"window.unexpected": 1}, {WINDOWS: 1}),
    # manifests
    Mutant(
        "manifest deleted",
        lambda lake: {MANIFEST: None},
        {"manifest.missing": 1},
        {MANIFESTS: 1},
        place=("manifest.missing", "metadata", "A-002", AT_1, MANIFEST, 90),
    ),
    Mutant(
        "manifest of another batch",
        lambda lake: {MANIFEST: lake[MANIFEST.replace("268-357", "358-447")]},
        {"manifest.disagrees": 1},
        {MANIFESTS: 1},
        ("manifest of another batch: A-002, ids 358-447",),
    ),
    Mutant(
        "manifest moved",
        moved(MANIFEST, MANIFEST.replace("=01/A", "=02/A")),
        {"manifest.misplaced": 1},
        {MANIFESTS: 1},
    ),
    Mutant(
        "manifest twice",
        copied(MANIFEST, MANIFEST.replace("=01/A", "=02/A")),
        {"manifest.unexpected": 1},
        {MANIFESTS: 1},
    ),
    Mutant(
        "manifest of no batch",
        copied(MANIFEST, MANIFEST.replace("268-357", "268-356")),
        {"manifest.unexpected": 1},
        {MANIFESTS: 1},
    ),
    manifest("schema version", "disagrees", schema_version=2),
    manifest("job", "disagrees", job_id="j-2"),
    manifest("rejected rows", "disagrees", rejected={"range": 3}),
    manifest("data_path", "disagrees", destination={"data_path": []}),
    manifest("source", "disagrees", source={}),
    manifest("no list of objects", "unreadable", objects=7),
    manifest("pipeline version", "disagrees", pipeline_version="1"),
    manifest("time of upload", "disagrees", upload_timestamp="2024-01-15T00:00:00"),
    manifest("an extra name", "disagrees", note=None),
    manifest("true for 1", "disagrees", schema_version=True),
    manifest("1.0 for 1", "disagrees", schema_version=1.0),
    *(
        Mutant(
            f"manifest: {label}",
            lambda lake, harm=harm: {MANIFEST: harm(lake[MANIFEST])},
            {"manifest.unreadable": 1},
            {MANIFESTS: 1},
            (names,),
        )
        for label, harm, names in (
            ("byte order mark", lambda content: b"\xef\xbb\xbf" + content, "byte order mark"),
            (
                "a name twice",
                lambda content: content.replace(b'"rows"', b'"rows": 90, "rows"', 1),
                "is twice",
            ),
            (
                "nested deeply",
                lambda content: content[:-1] + b', "x": ' + b"[" * 9_999,
                "nested deeper",
            ),
            ("NaN", lambda content: content[:-1] + b', "x": NaN}', "NaN"),
            (
                "an endless number",
                lambda content: content[:-1] + b', "x": ' + b"9" * 9_999 + b"}",
                "integer of 9999",
            ),
            (
                "half a surrogate pair",
                lambda content: content[:-1] + b', "x": "\\ud800"}',
                "surrogate",
            ),
            ("UTF-16", lambda content: content.decode().encode("utf-16-le"), "not JSON"),
        )
    ),
    Mutant(
        "manifest: row count off by one",
        lambda lake: {
            MANIFEST: lake[MANIFEST].replace(b'"record_count": 90', b'"record_count": 91')
        },
        {"manifest.disagrees": 1},
        {MANIFESTS: 1},
        ("record_count",),
    ),
    *(
        entry(
            f"{name} of an object",
            lambda entries, name=name: entries[0].update({name: 1}),
            "disagrees",
            (name,),
        )
        for name in (
            "rows",
            "bytes",
            "sha256",
            "min_event_us",
            "max_event_us",
            "first_id",
            "last_id",
            "stage",
        )
    ),
    Mutant(
        "manifest: leaves an object out",
        lambda lake: {MANIFEST: entry_edit(lake[MANIFEST], lambda entries: entries.pop(0))},
        {"manifest.missing": 1},
        {MANIFESTS: 1},
        place=("manifest.missing", "metadata", "A-002", AT_1, INGESTED, 90),
    ),
    entry("an object twice", lambda entries: entries.append(entries[0]), "disagrees", ("twice",)),
    Mutant(
        "manifest: names another batch's object too",
        lambda lake: {
            MANIFEST: entry_edit(
                lake[MANIFEST], lambda entries: entries.append(entry_of(lake, NEXT))
            )
        },
        {"manifest.disagrees": 1},
        {MANIFESTS: 1},
        ("another batch",),
    ),
    # checkpoints
    checkpoint("behind", last_id=799),
    checkpoint("ahead", last_id=801),
    checkpoint("disagrees", batches=1),
    checkpoint("disagrees", node_id="n-9"),
    checkpoint("disagrees", schema_version=2),
    checkpoint("disagrees", schema_version=True),
    checkpoint("disagrees", batches=9.0),
    checkpoint("disagrees", anchor_us=None),
    checkpoint("disagrees", anchor_us=lakebuilder.START_US),
    checkpoint("disagrees", max_event_us=lakebuilder.START_US),
    checkpoint("disagrees", max_event_us=None),
    checkpoint("disagrees", closed_until_us=lakebuilder.START_US),
    checkpoint("disagrees", runs={}),
    checkpoint("disagrees", runs={"humidity": [1.0, 1, lakebuilder.START_US]}),
    checkpoint("disagrees", open_windows={str(lakebuilder.START_US): [1.0] * 30}),
    checkpoint("disagrees", open_windows=[]),
    checkpoint("disagrees", more=1),
    checkpoint("unreadable", last_id=None),
    Mutant(
        "checkpoint deleted",
        lambda lake: {CHECKPOINT: None},
        {"checkpoint.missing": 1},
        {CHECKPOINTS: 1},
    ),
    Mutant(
        "checkpoint under another farm too",
        copied(CHECKPOINT, CHECKPOINT.replace("/A/", "/B/")),
        {"checkpoint.unexpected": 1},
        {CHECKPOINTS: 1},
        ("the farm is B, must be A",),
    ),
    Mutant(
        "checkpoint of an unknown turbine",
        copied(CHECKPOINT, CHECKPOINT.replace("A-002", "A-009")),
        {"object.foreign": 1},
        {},
    ),
    Mutant(
        "checkpoint with a byte order mark",
        lambda lake: {CHECKPOINT: b"\xef\xbb\xbf" + lake[CHECKPOINT]},
        {"checkpoint.unreadable": 1},
        {CHECKPOINTS: 1},
    ),
    Mutant(
        "checkpoint with a key twice",
        lambda lake: {CHECKPOINT: lake[CHECKPOINT][:-1] + b', "batches": 9}'},
        {"checkpoint.unreadable": 1},
        {CHECKPOINTS: 1},
    ),
    Mutant(
        "checkpoint of another node",
        lambda lake: {CHECKPOINT: lake[CHECKPOINT.replace("A-002", "A-001")]},
        {"checkpoint.disagrees": 1},
        {CHECKPOINTS: 1},
    ),
]

NEUTRAL: dict[str, Callable[[Objects], Changes]] = {
    "another compression": lambda lake: sealed(
        lake, {n: write(read(lake[n]), compression="zstd") for n in _parquet(lake)}
    ),
    "several row groups": lambda lake: sealed(
        lake, {n: write(read(lake[n]), row_group_size=7) for n in _parquet(lake)}
    ),
    "no dictionaries": lambda lake: sealed(
        lake, {n: write(read(lake[n]), use_dictionary=False) for n in _parquet(lake)}
    ),
    "metadata in the Parquet file": lambda lake: sealed(
        lake,
        {
            n: write(read(lake[n]).replace_schema_metadata({"made": "by hand"}))
            for n in _parquet(lake)
        },
    ),
    "keys of JSON in another order": lambda lake: {
        n: json.dumps(json.loads(lake[n]), sort_keys=True).encode()
        for n in lake
        if n.endswith(".json")
    },
    "white space in JSON": lambda lake: {
        n: json.dumps(json.loads(lake[n]), indent=3).encode() for n in lake if n.endswith(".json")
    },
    "objects of a manifest in another order": lambda lake: {
        n: entry_edit(lake[n], lambda entries: entries.reverse()) for n in lake if "-metadata/" in n
    },
    "another time of upload": lambda lake: {
        n: rejson(lake[n], upload_timestamp="2030-01-01T00:00:00.000Z")
        for n in lake
        if "-metadata/" in n
    },
}


def _parquet(lake: Objects) -> list[str]:
    return [name for name in lake if name.endswith(".parquet")]


@pytest.fixture(scope="module")
def lake() -> Objects:
    return lakebuilder.build()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodes")
    lakebuilder.write_nodes(folder)
    return folder


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, nodes: Path, lake: Objects) -> JudgedLake:
    return JudgedLake(nodes, lakebuilder.Kept(tmp_path_factory.mktemp("lake"), lake))


def wrong(verdict: Verdict) -> dict[str, float]:
    """Figures that must be 0 in an undamaged lake, and are not."""
    return {name: verdict.figures[name] for name in ZERO if verdict.figures[name]}


def test_an_undamaged_lake_passes_with_every_row_accounted_for(judged):
    verdict = judged({})
    assert (verdict.status, verdict.counts, verdict.errors, wrong(verdict)) == ("pass", {}, [], {})
    windows = verdict.figures["windows.expected"]
    assert verdict.rows_by_stage == lakebuilder.rows_by_stage(windows)
    assert verdict.figures["rows.late"] == 1
    assert verdict.figures["windows.revised"] == 1
    assert verdict.objects == sum(
        "metadata" not in n and "checkpoints" not in n for n in lakebuilder.build()
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed_with_the_right_diagnosis(judged, lake, mutant, monkeypatch):
    for name, value in mutant.options.items():
        monkeypatch.setattr(f"sim.check.shares.{name}", value)
    changes = mutant.change(lake)
    assert any(lake.get(name) != content for name, content in changes.items())
    verdict = judged(changes)
    assert (verdict.counts, wrong(verdict), verdict.status) == (
        mutant.counts,
        mutant.figures,
        "fail",
    )
    said = "\n".join(f"{found.key} {found.detail}" for found in verdict.findings)
    assert [part for part in mutant.names if part not in said] == []
    of_nodes = [found for found in verdict.findings if found.turbine in lakebuilder.TURBINES]
    assert all(found.farm == found.turbine.partition("-")[0] for found in of_nodes)
    if mutant.place:
        (found,) = [found for found in verdict.findings if found.kind == mutant.place[0]]
        assert (
            found.kind,
            found.stage,
            found.turbine,
            found.hour,
            found.key,
            found.rows,
        ) == mutant.place


def test_mutants_have_distinct_names():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_change_passes(judged, lake, name):
    changes = NEUTRAL[name](lake)
    assert any(lake[name] != content for name, content in changes.items())
    verdict = judged(changes)
    assert (verdict.status, verdict.counts, wrong(verdict)) == ("pass", {}, {})


def test_revised_windows_are_counted_by_their_latest_revision(judged, lake):
    first_only = windows_kept(lambda table: table.filter(pc.equal(table.column("revision"), 0)))
    assert judged(first_only(lake)).figures["windows.revised"] == 0


def test_lost_rows_are_lost_in_completeness_too(judged):
    verdict = judged({VALIDATED: None})
    assert verdict.figures["rows.unbalanced"] == 90
    (cell,) = [c for c in verdict.completeness if c["lost"]]
    assert (cell["farm"], cell["hour"], cell["stage"]) == ("A", AT_1, "validated")
    assert cell["actual"] == cell["expected"] - 90
