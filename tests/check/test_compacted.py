"""The oracle on a lake in the compacted layout: a good one, and each kind of defect by its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sim.check import LakeReader, Verdict, judge
from sim.run_directory import made
from sim.verify.lake_layout import is_compacted, layout_of
from tests.support import compacted_lake, lakebuilder
from tests.support.compacted_lake import Change, document_of, rows_of, sealed
from tests.support.judged_lake import JudgedLake
from tests.support.lakesurgery import Changes, Objects, edit, read, without, write

FLUSH = "A-compact-000000-A-001-1"
NEXT = "A-compact-000001-A-002-88"
AT_0, AT_1 = (f"year=2024/month=01/day=15/hour=0{hour}" for hour in (0, 1))
INGESTED = f"expanso-databricks-ingestion/ingestion/{AT_0}/{FLUSH}.parquet"
"""Rows of both turbines of farm A."""
ELSEWHERE = INGESTED.replace(AT_0, AT_1)
FARM_B = INGESTED.replace(FLUSH, "B-compact-000000-B-001-1")
VALIDATED, ENRICHED, AGGREGATED = (
    INGESTED.replace("ingestion", stage) for stage in ("validated", "enriched", "aggregated")
)
REJECTED = VALIDATED.replace("/validated/", "/_quarantine/")
MANIFEST = f"expanso-databricks-metadata/metadata/{AT_0.replace('hour=00', 'hour=04')}/{FLUSH}.json"
CHECKPOINT = "expanso-databricks-checkpoints/checkpoints/A/A-002.json"
FIGURES = (
    *(f"rows.{fate}" for fate in ("lost", "duplicated", "misplaced", "altered", "unexpected")),
    *("windows.wrong", "manifest.mismatches", "checkpoint.mismatches", "privacy.leaks"),
)


@dataclass(frozen=True)
class Defect:
    """A change of the lake, with the counts of findings and figures, and words of a finding."""

    change: Change
    counts: dict[str, int]
    figures: dict[str, int]
    words: tuple[str, ...] = ()
    status: str = field(default="fail")


def at(lake: Objects, name: str, turbine: str, number: int = 1) -> int:
    """Return the place of a turbine's row in an object. Row 0 may be named so by another node."""
    turbines = read(lake[name]).column("turbine_id").to_pylist()
    return [i for i, each in enumerate(turbines) if each == turbine][number]


def one_row(name: str, to: str, keep: bool = False, turbine: str = "A-002") -> Change:
    """Return a change that moves a row of the turbine to another object, or copies it."""

    def change(lake: Objects) -> Changes:
        row, here = at(lake, name, turbine), read(lake[name])
        there = pa.concat_tables([read(lake[to]), here.slice(row, 1)])
        return {to: write(there)} | ({} if keep else {name: write(without(here, row))})

    return change


def cell(name: str, column: str, value: Any, turbine: str = "A-002") -> Change:
    def change(lake: Objects) -> Changes:
        row = at(lake, name, turbine)
        old = read(lake[name]).column(column)[row].as_py()
        new = value(old) if callable(value) else value
        return {name: edit(lake[name], column, row, new)}

    return change


def moved(name: str, to: str) -> Change:
    return lambda lake: {name: None, to: lake[name]}


def stranger(table: pa.Table) -> pa.Table:
    last = table.slice(len(table) - 1)
    return pa.concat_tables([table, read(edit(write(last), "id", 0, 9_999))])


def of_nobody(table: pa.Table) -> pa.Table:
    last = read(edit(write(table.slice(len(table) - 1)), "id", 0, 9_999))
    return pa.concat_tables([table, read(edit(write(last), "turbine_id", 0, "Z-9"))])


def turned(table: pa.Table) -> pa.Table:
    return table.take(pa.array([1, 0, *range(2, len(table))]))


def parted(table: pa.Table) -> pa.Table:
    """The first row of the first turbine, after the rows of the second one."""
    return pa.concat_tables([table.slice(1), table.slice(0, 1)])


def leaking(lake: Objects) -> Changes:
    contact = lakebuilder.node_config("A-002")["asset"]["operator_contact"]
    return cell(ENRICHED, "serial_number", contact)(lake)


def nodes(change: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["nodes"].update(change)


LOST, TWICE, AWAY, ALTERED, MORE = FIGURES[:5]
WINDOWS, MANIFESTS, CHECKPOINTS, LEAKS = FIGURES[5:]
DEFECTS = {
    "row lost": Defect(
        sealed(
            lambda lake: {
                VALIDATED: write(without(read(lake[VALIDATED]), at(lake, VALIDATED, "A-002")))
            }
        ),
        {"lost": 1},
        {LOST: 1},
        (VALIDATED, "id 2"),
    ),
    "row twice": Defect(
        sealed(one_row(VALIDATED, VALIDATED, keep=True)),
        {"duplicated": 1},
        {TWICE: 1},
        (VALIDATED,),
    ),
    "row in another hour": Defect(
        sealed(one_row(INGESTED, ELSEWHERE)),
        {"misplaced": 1},
        {AWAY: 1},
        (INGESTED.split("/", 1)[1],),
    ),
    "row in another flush": Defect(
        sealed(one_row(INGESTED, INGESTED.replace(FLUSH, NEXT))), {"misplaced": 1}, {AWAY: 1}
    ),
    "row in another farm": Defect(
        sealed(one_row(INGESTED, FARM_B)), {"misplaced": 1}, {AWAY: 1}, ("belongs in", FARM_B)
    ),
    "row copied to another farm": Defect(
        sealed(one_row(INGESTED, FARM_B, keep=True)), {"duplicated": 1}, {TWICE: 1}, (FARM_B,)
    ),
    "bit of a value": Defect(
        sealed(cell(ENRICHED, "wind_speed", lambda old: math.nextafter(old, 99))),
        {"altered": 1},
        {ALTERED: 1},
        ("wind_speed",),
    ),
    "turbine of a row": Defect(
        sealed(cell(INGESTED, "turbine_id", "A-001")),
        {"altered": 1},
        {ALTERED: 1},
        ("turbine_id is A-001, must be A-002",),
    ),
    "farm of a row": Defect(
        sealed(cell(INGESTED, "turbine_id", "B-001")), {"altered": 1}, {ALTERED: 1}
    ),
    "rule of a row": Defect(
        sealed(cell(REJECTED, "rule", "stuck", "A-001")),
        {"quarantine.wrong-rule": 1},
        {ALTERED: 1},
    ),
    "surplus row": Defect(
        sealed(rows_of(INGESTED, stranger)), {"unexpected": 1}, {MORE: 1}, ("id 9999",)
    ),
    "surplus row of no turbine": Defect(
        sealed(rows_of(INGESTED, of_nobody)), {"unexpected": 1}, {MORE: 1}, ("id 9999",)
    ),
    "rows out of order": Defect(sealed(rows_of(INGESTED, turned)), {"object.order": 1}, {}),
    "turbine in two places": Defect(
        sealed(rows_of(VALIDATED, parted)), {"object.order": 1}, {}, ("A-001", "A-002")
    ),
    "object deleted": Defect(
        lambda lake: {ENRICHED: None},
        {"lost": 1, "manifest.dangling": 1},
        {LOST: 250, MANIFESTS: 1},
        (ENRICHED, "other turbine"),
    ),
    "ingestion deleted": Defect(
        lambda lake: {INGESTED: None},
        {"lost": 1, "manifest.dangling": 1},
        {LOST: 265, MANIFESTS: 1},
    ),
    "object in another hour": Defect(
        moved(VALIDATED, VALIDATED.replace("hour=00", "hour=05")),
        {"misplaced": 1, "manifest.dangling": 1},
        {AWAY: 250, MANIFESTS: 1},
        ("the same bytes are at",),
    ),
    "object torn": Defect(
        lambda lake: {VALIDATED: lake[VALIDATED][:-9]},
        {"object.unreadable": 1, "manifest.disagrees": 1},
        {LOST: 250, MANIFESTS: 1},
    ),
    "object of no rows": Defect(
        lambda lake: {
            ELSEWHERE.replace("hour=01", "hour=09"): write(read(lake[INGESTED]).slice(0, 0))
        },
        {"object.unexpected": 1},
        {},
    ),
    "object copied under a turbine's key": Defect(
        lambda lake: {INGESTED.replace(FLUSH, "A-002-1-87"): lake[INGESTED]},
        {"duplicated": 1},
        {TWICE: 265},
    ),
    "object under a key of unknown form": Defect(
        lambda lake: {INGESTED.replace(FLUSH, "part-0"): lake[INGESTED]},
        {"duplicated": 1},
        {TWICE: 265},
    ),
    "object not listed": Defect(
        document_of(MANIFEST, lambda document: document["objects"].pop(0)),
        {"manifest.missing": 1},
        {MANIFESTS: 1},
        ("not listed",),
    ),
    "object listed twice": Defect(
        document_of(MANIFEST, lambda d: d["objects"].append(d["objects"][0])),
        {"manifest.disagrees": 1},
        {MANIFESTS: 1},
        ("twice",),
    ),
    "manifest deleted": Defect(
        lambda lake: {MANIFEST: None}, {"manifest.missing": 1}, {MANIFESTS: 1}, (FLUSH,)
    ),
    "manifest unreadable": Defect(
        lambda lake: {MANIFEST: b"{"}, {"manifest.unreadable": 1}, {MANIFESTS: 1}
    ),
    "manifest in another hour": Defect(
        moved(MANIFEST, MANIFEST.replace("hour=04", "hour=05")),
        {"manifest.misplaced": 1},
        {MANIFESTS: 1},
    ),
    "manifest of no flush": Defect(
        lambda lake: {MANIFEST.replace(FLUSH, "A-compact-000099-A-001-1"): lake[MANIFEST]},
        {"manifest.unexpected": 1},
        {MANIFESTS: 1},
    ),
    **{
        f"manifest's {name}": Defect(
            document_of(MANIFEST, change), {"manifest.disagrees": 1}, {MANIFESTS: 1}, (name,)
        )
        for name, change in {
            "sha256": lambda d: d["objects"][0].update(sha256="0" * 64),
            "bytes": lambda d: d["objects"][0].update(bytes=1),
            "rows": lambda d: d.update(rows=1),
            "first_id": lambda d: d["objects"][0].update(first_id=1),
            "A-002": nodes({"A-002": [1, 86]}),
            "A-003": nodes({"A-003": [1, 86]}),
            "rejected": lambda d: d["rejected"].update(stuck=1),
            "layout": lambda d: d.update(layout="other"),
            "upload_timestamp_us": lambda d: d.update(upload_timestamp_us="now"),
        }.items()
    },
    "window altered": Defect(
        sealed(cell(AGGREGATED, "power_output", lambda old: old + 0.5, "A-001")),
        {"window.wrong": 1},
        {WINDOWS: 1},
        ("power_output",),
    ),
    "window lost": Defect(
        sealed(rows_of(AGGREGATED, lambda table: table.slice(1))),
        {"window.missing": 1},
        {WINDOWS: 1},
    ),
    "window twice": Defect(
        sealed(one_row(AGGREGATED, AGGREGATED, keep=True, turbine="A-001")),
        {"window.duplicated": 1},
        {WINDOWS: 1},
    ),
    "window of no turbine": Defect(
        sealed(
            lambda lake: {
                AGGREGATED: write(
                    pa.concat_tables(
                        [
                            read(lake[AGGREGATED]),
                            read(
                                edit(
                                    write(read(lake[AGGREGATED]).slice(0, 1)),
                                    "turbine_id",
                                    0,
                                    "Z-9",
                                )
                            ),
                        ]
                    )
                )
            }
        ),
        {"window.unexpected": 1},
        {WINDOWS: 1},
    ),
    "window in another hour": Defect(
        sealed(one_row(AGGREGATED, AGGREGATED.replace(AT_0, AT_1), turbine="A-001")),
        {"window.misplaced": 1},
        {WINDOWS: 1},
    ),
    "window made by another flush": Defect(
        sealed(one_row(AGGREGATED, AGGREGATED.replace(FLUSH, NEXT), turbine="A-001")),
        {"window.misplaced": 1},
        {WINDOWS: 1},
    ),
    "secret": Defect(
        sealed(leaking), {"altered": 1, "privacy.leak": 1}, {ALTERED: 1, LEAKS: 1}, (ENRICHED,)
    ),
    "checkpoint behind": Defect(
        document_of(CHECKPOINT, lambda document: document.update(last_id=700)),
        {"checkpoint.behind": 1},
        {CHECKPOINTS: 1},
    ),
}


@pytest.fixture(scope="module")
def lake() -> Objects:
    return compacted_lake.build()


@pytest.fixture(scope="module")
def kept(lake: Objects, tmp_path_factory: pytest.TempPathFactory) -> lakebuilder.Kept:
    return lakebuilder.Kept(tmp_path_factory.mktemp("lake"), lake)


@pytest.fixture(scope="module")
def judged(kept: lakebuilder.Kept, tmp_path_factory: pytest.TempPathFactory) -> JudgedLake:
    nodes = tmp_path_factory.mktemp("nodes")
    lakebuilder.write_nodes(nodes)
    return JudgedLake(nodes, kept)


def wrong(verdict: Verdict) -> dict[str, float]:
    return {name: verdict.figures[name] for name in FIGURES if verdict.figures[name]}


def test_an_undamaged_lake_passes_as_in_the_other_layout(judged: JudgedLake) -> None:
    verdict = judged({})
    assert (verdict.status, verdict.counts, verdict.errors, wrong(verdict)) == ("pass", {}, [], {})
    windows = verdict.figures["windows.expected"]
    assert verdict.rows_by_stage == lakebuilder.rows_by_stage(windows)
    assert verdict.figures["windows.revised"] == 1
    assert verdict.digest


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_gets_its_right_name(judged: JudgedLake, lake: Objects, name: str) -> None:
    defect = DEFECTS[name]
    changes = defect.change(lake)
    assert any(lake.get(each) != content for each, content in changes.items())
    verdict = judged(changes)
    assert (verdict.counts, wrong(verdict), verdict.errors, verdict.status) == (
        defect.counts,
        defect.figures,
        [],
        defect.status,
    )
    said = "\n".join(f"{found.key} {found.detail}" for found in verdict.findings)
    assert [word for word in defect.words if word not in said] == []


def test_two_flushes_are_not_one(judged: JudgedLake) -> None:
    verdict = judged(compacted_lake.flushes_as_one())
    said = [finding.detail for finding in verdict.findings if finding.kind == "manifest.disagrees"]
    assert any("two batches of A-002 in one flush" in detail for detail in said), verdict.counts


def test_rows_of_an_unreadable_node_are_not_judged(kept: lakebuilder.Kept, tmp_path: Path) -> None:
    lakebuilder.write_nodes(tmp_path)
    (tmp_path / "A" / "A-001.db").write_bytes(b"torn")
    verdict = JudgedLake(tmp_path, kept)({})
    assert (verdict.status, verdict.counts) == ("unknown", {"node.unreadable": 1})


def test_the_farm_of_most_objects_of_turbines_has_the_pipelines_layout(tmp_path: Path) -> None:
    """A copy of one compacted object does not change how the other objects are judged."""
    lakebuilder.write_nodes(tmp_path / "nodes")
    stray = compacted_lake.build()[INGESTED]
    lakebuilder.write_lake(tmp_path / "lake", lakebuilder.build() | {INGESTED: stray})
    verdict = judge(tmp_path / "nodes", LakeReader.folder(tmp_path / "lake"), None, 1)
    assert verdict.figures["rows.duplicated"] == pc.count(read(stray).column("id")).as_py()
    assert (verdict.counts.keys(), verdict.status) == ({"duplicated"}, "fail")


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("share", ["every object", "a farm"])
def test_objects_of_another_layout_than_the_runs_are_findings(
    tmp_path: Path, compacted: bool, share: str
) -> None:
    """Plant: most of a farm's keys decide the layout, whatever the run says."""
    right, wrong = lakebuilder.build(), compacted_lake.build()
    if compacted:
        right, wrong = wrong, right
    lake = wrong
    if share == "a farm":
        lake = {name: body for name, body in right.items() if "/A-" not in name}
        lake |= {name: body for name, body in wrong.items() if "/A-" in name}
    lakebuilder.write_nodes(tmp_path / "nodes")
    lakebuilder.write_lake(tmp_path / "lake", lake)
    reader = LakeReader.folder(tmp_path / "lake")
    verdict = judge(tmp_path / "nodes", reader, None, 1, compacted=compacted)
    assert (verdict.status, verdict.errors) == ("fail", [])
    data = {
        name.partition("/")[0].rpartition("-")[2]
        for name in lake.keys() - right.keys()
        if name.endswith(".parquet")
    }
    named = {finding.key for finding in verdict.findings}
    assert data <= {name.partition("/")[0].rpartition("-")[2] for name in named & lake.keys()}
    assert judge(tmp_path / "nodes", reader, None, 1).status == "pass"


def test_the_run_says_the_layout_and_keys_only_without_one(tmp_path: Path) -> None:
    """Plant: one compacted key changes how parts are cut."""
    stray = compacted_lake.build()
    manifest = next(name for name in stray if "-metadata/" in name)
    lakebuilder.write_lake(tmp_path / "lake", lakebuilder.build() | {manifest: stray[manifest]})
    lakebuilder.write_lake(tmp_path / "farms", stray)
    turbines, farms = (LakeReader.folder(tmp_path / name) for name in ("lake", "farms"))
    assert layout_of(tmp_path) is None
    assert not is_compacted(tmp_path, turbines)
    assert is_compacted(tmp_path, farms)
    for compacted in (True, False):
        with made(tmp_path / "run", True, "seed: 7\n", 0, compacted=compacted):
            assert layout_of(tmp_path / "run") is compacted
        for lake in (turbines, farms):
            assert is_compacted(tmp_path / "run", lake) is compacted
