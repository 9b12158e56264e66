"""One share judged: its counts, findings on objects, rows sent to other shares, and errors."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.records.schemas import INGESTION
from sim.check.detection.truth import EVENTS, NO_FAULTS
from sim.check.findings import Finding
from sim.check.read.keys import ROW_STAGES, holds_rejected, read_batch_key
from sim.check.read.lake import LakeError, ObjectRef
from sim.check.read.nodes import NodeFile, discover
from sim.check.share import Share, ShareVerdict, judge_share, search_foreign
from tests.support import lakebuilder
from tests.support.check_world import Memory, parquet
from tests.support.lakebuilder import SPOILED
from tests.support.lakesurgery import (
    AGGREGATED,
    ENRICHED,
    FARM_B,
    INGESTED,
    OTHERS,
    QUARANTINED,
    SPLIT,
    read,
    write,
)

SHARE_OF = {"A-001": 0, "A-002": 0, "B-001": 1}
AT_0, AT_1 = "2024-01-15T00:00:00Z", "2024-01-15T01:00:00Z"
HOUR_1 = 473_689
STRANGER = INGESTED.replace("A-002", "Z-999")

Lake = dict[str, bytes]


@pytest.fixture(scope="module")
def lake() -> Lake:
    return lakebuilder.build()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[NodeFile]:
    folder = tmp_path_factory.mktemp("nodes")
    lakebuilder.write_nodes(folder)
    return discover(folder)


@pytest.fixture
def torn(files: list[NodeFile], tmp_path: Path) -> list[NodeFile]:
    """Return a copy of the files, to be damaged."""
    shutil.copytree(files[0].config.parents[1], tmp_path, dirs_exist_ok=True)
    return discover(tmp_path)


def share(
    number: int,
    files: list[NodeFile],
    lake: Mapping[str, bytes | None],
    guests: Iterable[str] = (),
    **more: Any,
) -> Share:
    """Return the share's turbines and their objects; objects of no turbine go to share 0."""
    objects: dict[str, list[ObjectRef]] = {}
    visiting: dict[str, list[ObjectRef]] = {}
    for name in lake:
        ref = ObjectRef(*name.split("/", 1), 0)
        place = read_batch_key(ref.bucket, ref.key)
        rejected = holds_rejected(ref.bucket, ref.key)
        stage = (
            place.stage if place else "quarantine" if rejected else name.split("-")[2].split("/")[0]
        )
        turbine = name.rsplit("/", 1)[1][:5]
        if name in guests:
            visiting.setdefault(stage, []).append(ref)
        elif SHARE_OF.get(turbine, 0) == number:
            objects.setdefault(stage, []).append(ref)
    mine = [file for file in files if SHARE_OF[file.turbine] == number]
    return Share(number, "AB"[number], mine, objects, visiting, **{"truth": NO_FAULTS} | more)


def judged(
    number: int,
    files: list[NodeFile],
    lake: Mapping[str, bytes | None],
    guests: Iterable[str] = (),
    **more: Any,
) -> ShareVerdict:
    work = share(number, files, lake, guests, **more)
    return judge_share(Memory(lake), work, SHARE_OF)  # type: ignore[arg-type]


def of(lake: Lake, *turbines: str) -> list[str]:
    """Names of the data objects of some turbines."""
    return [n for n in lake if n.endswith(".parquet") and n.rsplit("/", 1)[1][:5] in turbines]


def found(verdict: ShareVerdict) -> list[Finding]:
    return verdict.findings.bounded()


@pytest.mark.parametrize(("number", "turbines"), [(0, ("A-001", "A-002")), (1, ("B-001",))])
def test_an_undamaged_share_passes(
    lake: Lake, files: list[NodeFile], number: int, turbines: tuple[str, ...]
) -> None:
    verdict = judged(number, files, lake)
    assert (verdict.number, verdict.farm, found(verdict), verdict.errors, verdict.visitors) == (
        number,
        "AB"[number],
        [],
        [],
        {},
    )
    assert verdict.hashes == {
        name: hashlib.sha256(lake[name]).hexdigest() for name in of(lake, *turbines)
    }
    rules = Counter(
        rule for (turbine, _), (rule, _) in SPOILED.items() if turbine in turbines and rule
    )
    rows, bad = lakebuilder.ROWS * len(turbines), rules.total()
    windows = verdict.windows
    assert verdict.by_rule == rules
    assert verdict.rows == {
        "ingestion": rows,
        "validated": rows - bad,
        "quarantine": bad,
        "enriched": rows - bad,
        "aggregated": windows + (number == 0),
    }
    assert windows == sum(
        len(read(lake[name])) for name in of(lake, *turbines) if "-aggregated/" in name
    ) - (number == 0)
    assert (verdict.generated, verdict.late, verdict.windows_revised) == (
        rows,
        1 - number,
        1 - number,
    )
    nothing = (
        verdict.unbalanced,
        verdict.windows_wrong,
        verdict.manifest_mismatches,
        verdict.checkpoint_mismatches,
    )
    assert (nothing, verdict.leaks, verdict.truth, verdict.detection) == ((0, 0, 0, 0), 0, {}, None)
    assert verdict.completeness.total("expected", ("ingestion",)) == rows


def test_defects_are_counted_by_kind(lake: Lake, files: list[NodeFile]) -> None:
    names = {
        kind: next(n for n in lake if f"-{kind}/" in n and "B-001" in n)
        for kind in ("checkpoints", "metadata")
    }
    row = next(n for n in lake if "validated/validated/year" in n and "B-001-358" in n)
    window = next(n for n in lake if "-aggregated/" in n and "B-001-358" in n)
    spoilt = (
        lake | dict.fromkeys(names.values(), b"{}") | {window: write(read(lake[window]).slice(1))}
    )
    spoilt[row] = write(read(lake[row]).slice(2))
    verdict = judged(1, files, spoilt)
    assert verdict.findings.counts == {
        "lost": 1,
        "window.missing": 1,
        "manifest.unreadable": 1,
        "manifest.disagrees": 2,
        "checkpoint.unreadable": 1,
    }
    assert (verdict.unbalanced, verdict.windows_wrong) == (2, 1)
    assert (verdict.manifest_mismatches, verdict.checkpoint_mismatches) == (3, 1)
    leaking = judged(
        1,
        files,
        lake
        | {
            names["checkpoints"]: lake[names["checkpoints"]][:-1]
            + b', "by": "person2@example.org"}'
        },
    )
    assert (leaking.leaks, [one.kind for one in found(leaking)]) == (
        1,
        ["checkpoint.disagrees", "privacy.leak"],
    )
    assert found(leaking)[1].farm == "B"


def test_detection_is_scored_with_ground_truth(lake: Lake, files: list[NodeFile]) -> None:
    fault = {
        "turbine_id": ["B-001"],
        "kind": ["odd"],
        "first_id": [309],
        "last_id": [310],
        "rows": [2],
    }
    schema = pa.schema(
        (n, pa.string() if n in ("turbine_id", "kind", "channel") else pa.int64()) for n in EVENTS
    )
    verdict = judged(1, files, lake, truth=pa.table(fault), events=schema.empty_table())
    assert verdict.truth == {"odd": {"injected": 1, "rows": 2, "stuck": 2}}
    assert verdict.detection is not None


def test_an_unreadable_node_has_one_error_only(lake: Lake, torn: list[NodeFile]) -> None:
    whole = judged(0, torn, lake)
    torn[0].database.write_bytes(b"hello" * 100)
    config = json.loads(torn[2].config.read_text())
    torn[2].config.write_text(json.dumps(config | {"turbine_id": "A-002"}))
    first, second = judged(0, torn, lake), judged(1, torn, lake)
    said = [
        Finding("node.unreadable", farm=name[0], turbine=name, detail=found(verdict)[0].detail)
        for name, verdict in (("A-001", first), ("B-001", second))
    ]
    assert found(first) + found(second) == said
    assert str(torn[0].database) in said[0].detail
    assert said[1].detail == f"{torn[2].config}: turbine_id is A-002, must be B-001"
    assert (first.generated, second.generated, second.windows, first.errors) == (
        lakebuilder.ROWS,
        0,
        0,
        [],
    )
    assert (first.rows, first.hashes, first.by_rule) == (whole.rows, whole.hashes, whole.by_rule)
    assert len(second.hashes) == len(of(lake, "B-001"))


def test_a_lake_that_cannot_be_reached_is_an_error(lake: Lake, files: list[NodeFile]) -> None:
    class Gone:
        def read(self, refs: Iterable[ObjectRef]) -> Iterator[bytes | None]:
            raise LakeError("gone")

    reader: Any = Gone()
    refs = [ObjectRef("expanso-databricks-metadata", "metadata/x", 0)]
    half, none = (
        judge_share(reader, share(1, files, lake), SHARE_OF),
        search_foreign(reader, 7, refs, files),
    )
    for verdict, counted in (
        (half, {"number": 1, "generated": lakebuilder.ROWS}),
        (none, {"number": 7}),
    ):
        assert (verdict.errors, found(verdict)) == (["gone"], [])
        counts = {name: value for name, value in vars(verdict).items() if isinstance(value, int)}
        assert counts == dict.fromkeys(counts, 0) | counted


def test_unknown_objects_are_searched_for_personal_values_of_all_nodes(
    lake: Lake, torn: list[NodeFile]
) -> None:
    torn[0].config.write_text("{")
    contents = [b'{"by": "person2@example.org"}', b'{"by": "nobody"}', None]
    refs = [ObjectRef("expanso-databricks-metadata", f"metadata/{i}", 0) for i in range(3)]
    memory: Any = Memory({ref.name: content for ref, content in zip(refs, contents, strict=True)})
    verdict = search_foreign(memory, 7, refs, torn)
    assert (verdict.number, verdict.farm, verdict.leaks, verdict.findings.counts) == (
        7,
        "",
        1,
        {"privacy.leak": 1},
    )
    assert (found(verdict)[0].key, found(verdict)[0].farm) == (refs[0].name, "")


def test_rows_under_another_shares_key_are_sent_there_and_judged_there(
    lake: Lake, files: list[NodeFile]
) -> None:
    right = judged(1, files, lake)
    theirs = next(n for n in lake if "_quarantine" in n and "B-001-358" in n)
    rows = write(read(lake[FARM_B]).slice(0, 90))
    lake = lake | {INGESTED: rows, QUARANTINED: lake[theirs]}
    first = judged(0, files, lake)
    place, rejected = (ObjectRef(*name.split("/", 1), 0) for name in (INGESTED, QUARANTINED))
    assert first.visitors == {1: [("ingestion", place), ("quarantine", rejected)]}
    assert first.rows["ingestion"] == 2 * lakebuilder.ROWS
    assert "object.foreign" not in first.findings.counts
    second = judged(1, files, lake, guests=(INGESTED, QUARANTINED))
    told = {(one.kind, one.key, one.rows) for one in found(second)}
    assert told == {
        ("duplicated", INGESTED, 90),
        ("duplicated", QUARANTINED, len(read(lake[theirs]))),
    }
    assert (second.rows, second.hashes, second.by_rule) == (right.rows, right.hashes, right.by_rule)


def test_a_guest_is_not_sent_on(lake: Lake, files: list[NodeFile]) -> None:
    name = INGESTED.replace("A-002-268-357", "A-001-1-2")
    parts = [
        read(lake[INGESTED]).slice(0, 10),
        read(lake[FARM_B]).slice(0, 20),
    ]
    lake = lake | {name: write(pa.concat_tables(parts))}
    assert judged(0, files, lake).visitors == {
        1: [("ingestion", ObjectRef(*name.split("/", 1), 0))]
    }
    verdict = judged(1, files, lake, guests=(name,))
    assert (verdict.visitors, [(one.kind, one.rows) for one in found(verdict)]) == (
        {},
        [("duplicated", 20)],
    )


def strangers(lake: Lake) -> bytes:
    table = read(lake[INGESTED])
    return write(table.set_column(3, "turbine_id", pa.array(["Z-999"] * len(table))))


UNKNOWN = "key of unknown form, or of a turbine that is not in the fleet"


@pytest.mark.parametrize(
    ("name", "content", "rows", "hour", "detail"),
    [
        (STRANGER, strangers, 90, HOUR_1, UNKNOWN),
        (STRANGER.replace(".parquet", "-x.parquet"), strangers, 90, 0, UNKNOWN),
        (STRANGER, lambda _: parquet([], INGESTION), 0, HOUR_1, UNKNOWN),
        (STRANGER, lambda _: b"hello", 0, HOUR_1, "not a readable Parquet file of 5 bytes"),
    ],
)
def test_objects_of_no_turbine_are_reported(
    lake: Lake,
    files: list[NodeFile],
    name: str,
    content: Callable[[Lake], bytes],
    rows: int,
    hour: int,
    detail: str,
) -> None:
    verdict = judged(0, files, lake | {name: content(lake)})
    (one,) = found(verdict)
    assert one == Finding(
        "object.foreign", stage="ingestion", key=name, rows=rows, detail=one.detail
    )
    assert one.detail.startswith(detail)
    counted = {
        at: cell["unexpected"]
        for (_, at), cell in verdict.completeness.rows.items()
        if cell["unexpected"]
    }
    assert counted == ({hour: rows} if rows else {})


def test_rejected_rows_at_their_earlier_location_are_reported_with_the_reason(
    lake: Lake, files: list[NodeFile]
) -> None:
    former = QUARANTINED.replace("/_quarantine/", "/validated/_quarantine/")
    assert former != QUARANTINED
    rows = read(lake[QUARANTINED]).num_rows
    moved = judged(
        0,
        files,
        {name: body for name, body in lake.items() if name != QUARANTINED}
        | {former: lake[QUARANTINED]},
    )
    why = (
        "rejected rows belong in _quarantine/, not below validated/: "
        "written by pipeline version 2 or earlier?"
    )
    foreign = [one for one in found(moved) if one.kind == "object.foreign"]
    assert foreign == [Finding("object.foreign", stage="quarantine", key=former, detail=why)]
    assert moved.findings.counts["misplaced"] == 1
    # one row names another turbine
    assert moved.completeness.total("misplaced", ROW_STAGES) == rows - 1


def test_an_object_of_no_turbine_that_holds_a_turbines_rows_is_a_copy(
    lake: Lake, files: list[NodeFile]
) -> None:
    assert judged(0, files, lake | {STRANGER: lake[INGESTED]}).findings.counts == {"duplicated": 1}


def test_an_object_with_rows_of_another_share_is_sent_there(
    lake: Lake, files: list[NodeFile]
) -> None:
    verdict = judged(0, files, lake | {STRANGER: lake[FARM_B]})
    assert (found(verdict), list(verdict.visitors)) == ([], [1])


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (INGESTED, 90),
        (SPLIT, 87),
        (SPLIT.replace("hour=01", "hour=00"), 3),
        (QUARANTINED, 15),
        (QUARANTINED.replace("/_quarantine", "/validated"), 180 - 17),
        (AGGREGATED, 0),
        (INGESTED.replace("268-357", "268-356"), 0),
        (INGESTED.replace("268-357", "269-357"), 0),
        (OTHERS, 360),
    ],
)
def test_an_unreadable_object_is_reported_with_its_expected_rows(
    lake: Lake, files: list[NodeFile], name: str, rows: int
) -> None:
    place = read_batch_key(*name.split("/", 1))
    assert place is not None
    told = [
        one
        for one in found(judged(0, files, lake | {name: b"hello"}))
        if one.kind == "object.unreadable"
    ]
    at = AT_0 if "hour=00" in name else AT_1
    assert told == [
        Finding(
            "object.unreadable",
            stage=place.stage,
            farm="A",
            turbine=place.turbine,
            hour=at,
            key=name,
            rows=rows,
            detail=told[0].detail,
        )
    ]
    assert told[0].detail.startswith("not a readable Parquet file of 5 bytes")


def test_an_object_of_another_schema_is_reported_and_searched(
    lake: Lake, files: list[NodeFile]
) -> None:
    table = read(lake[ENRICHED])
    for name, note, leaks in (
        (ENRICHED, "person1@example.org", 1),
        (ENRICHED, "nobody", 0),
        (INGESTED, "person1@example.org", 0),  # the stage may hold it
    ):
        table = read(lake[name])
        content = write(table.append_column("note", pa.array([note] * len(table))))
        verdict = judged(0, files, lake | {name: content})
        told = next(one for one in found(verdict) if one.kind == "object.schema")
        stage = name.split("/")[1]
        assert told == Finding(
            "object.schema",
            stage=stage,
            farm="A",
            turbine="A-002",
            hour=AT_1,
            key=name,
            rows=90,
            detail="not in the schema: note",
        )
        assert verdict.leaks == leaks


def test_an_object_without_rows_is_unexpected(lake: Lake, files: list[NodeFile]) -> None:
    name = INGESTED.replace("268-357", "268-356")
    verdict = judged(0, files, lake | {name: parquet([], INGESTION)})
    assert found(verdict) == [
        Finding(
            "object.unexpected",
            stage="ingestion",
            farm="A",
            turbine="A-002",
            hour=AT_1,
            key=name,
            detail="has no rows; the pipeline never writes an empty object",
        )
    ]
