"""The verdict on a run: division into shares, sums over shares, and causes of `unknown`."""

from __future__ import annotations

import hashlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim.check import shares
from sim.check.completeness import Completeness
from sim.check.detection.score import Score
from sim.check.detection.truth import EVENTS
from sim.check.findings import Finding, Findings
from sim.check.read.keys import bucket_of
from sim.check.read.lake import LakeError, ObjectRef
from sim.check.read.ranges import NameRanges
from sim.check.share import SEARCHED, STRAYS, Share, ShareVerdict
from sim.check.verdict import Judged, Verdict, verdict
from tests.support.oracle_world import HOUR_0, START_US

HOUR = START_US // 3_600_000_000
FIGURES = (
    "windows.expected",
    "windows.wrong",
    "windows.revised",
    "manifest.mismatches",
    "checkpoint.mismatches",
)


def ref(stage: str, key: str) -> ObjectRef:
    return ObjectRef(bucket_of(stage), key, 1)


def data(stage: str, turbine: str) -> ObjectRef:
    top = "_quarantine" if stage == "quarantine" else stage
    return ref(
        stage, f"{top}/{HOUR_0}/{turbine}-1-2.{'json' if stage == 'metadata' else 'parquet'}"
    )


def checkpoint(turbine: str) -> ObjectRef:
    return ref("checkpoints", f"checkpoints/A/{turbine}.json")


class Lake:
    """A lake that can only be listed."""

    def __init__(self, refs: Iterable[ObjectRef], error: str = "") -> None:
        self.refs, self.error = list(refs), error

    def objects(self, ranges: NameRanges | None = None) -> list[ObjectRef]:
        if self.error:
            raise LakeError(self.error)
        return self.refs


class World:
    """Judge a run whose shares return `of`, by their numbers; `shares` lists the judged ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.of: dict[int, Callable[[Share], ShareVerdict]] = {}
        self.shares: list[Share] = []
        self.share_of: dict[str, int] = {}
        self.strange: list[tuple[list[str], list[str]]] = []
        self.leaks = 0
        monkeypatch.setattr(shares, "judge_share", self._share)
        monkeypatch.setattr(shares, "search_foreign", self._search)

    def _share(self, _: object, share: Share, share_of: dict[str, int]) -> ShareVerdict:
        self.shares.append(share)
        self.share_of = share_of
        return self.of.get(share.number, lambda share: ShareVerdict(share.number, share.farm))(
            share
        )

    def _search(
        self, _: object, number: int, refs: list[ObjectRef], files: list[Any]
    ) -> ShareVerdict:
        self.strange.append(([each.name for each in refs], [file.turbine for file in files]))
        out = ShareVerdict(number, "", leaks=self.leaks)
        for each in refs[: self.leaks]:
            out.findings.add(Finding("privacy.leak", key=each.name))
        return out

    def node(self, name: str, size: int = 1) -> None:
        path = self.folder / "nodes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)

    def judge(
        self, refs: Iterable[ObjectRef] = (), error: str = "", workers: int = 1, **more: Any
    ) -> Verdict:
        lake: Any = Lake(refs, error)
        return shares.judge(
            self.folder / "nodes", lake, more.get("truth"), workers, more.get("progress")
        )

    def judged(self) -> list[tuple[int, str, list[str]]]:
        return [
            (share.number, share.farm, [file.turbine for file in share.files])
            for share in self.shares
        ]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_turbines_are_divided_by_farm_number_and_size(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SHARE_TURBINES", 3)
    monkeypatch.setattr(shares, "SHARE_BYTES", 10)
    sizes = {
        "A/A-1.db": 2,
        "A/A-2.json": 99,
        "A/A-3.db": 2,
        "A/A-4.db": 2,
        "B/B-1.db": 4,
        "B/B-2.db": 3,
    }
    sizes |= {"B/B-2.retired-0.db": 3, "B/B-3.db": 1, "C/C-1.db": 11, "C/C-2.db": 1}
    sizes |= {"D/D-1.db": 6, "D/D-2.db": 6, "D/D-3.db": 4}
    for name, size in sizes.items():
        world.node(name, size)
    world.judge()
    assert world.judged() == [
        (0, "A", ["A-1", "A-2", "A-3"]),
        (1, "A", ["A-4"]),
        (2, "B", ["B-1", "B-2"]),
        (3, "B", ["B-3"]),
        (4, "C", ["C-1"]),
        (5, "C", ["C-2"]),
        (6, "D", ["D-1"]),
        (7, "D", ["D-2", "D-3"]),
        (-1, "", []),
    ]
    numbers = {turbine: number for number, _, turbines in world.judged() for turbine in turbines}
    assert world.share_of == numbers


def test_a_share_has_64_turbines_and_96_mebibytes() -> None:
    assert (shares.SHARE_TURBINES, shares.SHARE_BYTES) == (64, 96 * 1024 * 1024)


@pytest.mark.parametrize("strays", [True, False])
def test_of_two_parts_each_object_is_judged_by_one(world: World, strays: bool) -> None:
    world.node("A/A-1.db")
    own = [data("ingestion", "A-1"), checkpoint("A-1")]
    theirs = [data("ingestion", "B-1"), checkpoint("B-1"), data("ingestion", "B-7")]
    between, manifest = data("ingestion", "A-7"), data("metadata", "A-8")
    nowhere = [ref("ingestion", "odd"), ref("metadata", "metadata/odd")]
    lake: Any = Lake([*own, *theirs, between, manifest, *nowhere])
    found = shares.judged(world.folder / "nodes", lake, None, 1, elsewhere={"B-1"}, strays=strays)
    dealt = {share.number: share.objects for share in world.shares}
    assert dealt[0] == {"ingestion": own[:1], "checkpoints": own[1:]}
    assert dealt[-1] == {"ingestion": [between, *(nowhere[:1] if strays else ())]}
    assert found.foreign == [manifest, *(nowhere[1:] if strays else ())]
    assert world.strange == [([each.name for each in (manifest, nowhere[1])], ["A-1"])]


def test_objects_go_to_the_share_of_the_turbine_in_their_key(world: World) -> None:
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    stages = ("ingestion", "validated", "quarantine", "enriched", "aggregated", "metadata")
    refs = [data(stage, turbine) for turbine in ("A-1", "B-1") for stage in stages]
    refs += [checkpoint("A-1"), checkpoint("B-1")]
    strays = [data(stage, "Z-1") for stage in stages[:-1]]
    strays += [
        ref("validated", "_quarantine/odd"),
        ref("ingestion", "odd"),
        ref("quarantine", "odd"),
    ]
    foreign = [
        data("metadata", "Z-1"),
        checkpoint("Z-1"),
        ref("checkpoints", "odd"),
        ref("metadata", "metadata/odd"),
    ]
    result = world.judge([*refs, *strays, *foreign])
    dealt = {share.number: share.objects for share in world.shares}
    for number, turbine in enumerate(("A-1", "B-1")):
        assert dealt[number] == {s: [data(s, turbine)] for s in stages} | {
            "checkpoints": [checkpoint(turbine)]
        }
    assert dealt[-1] == {
        "ingestion": [data("ingestion", "Z-1"), ref("ingestion", "odd")],
        "validated": [data("validated", "Z-1"), ref("quarantine", "odd")],
        "quarantine": [data("quarantine", "Z-1"), ref("validated", "_quarantine/odd")],
        "enriched": [data("enriched", "Z-1")],
        "aggregated": [data("aggregated", "Z-1")],
    }
    why = "key of unknown form, or of a turbine that is not in the fleet"
    assert result.findings == sorted(
        (
            Finding("object.foreign", stage=each.bucket.split("-")[-1], key=each.name, detail=why)
            for each in foreign
        ),
        key=lambda found: (found.stage, found.key),
    )
    assert result.counts == {"object.foreign": 4}
    assert result.objects == len(refs) - 4 + len(strays)
    behind = [each for stage, refs in dealt[-1].items() if stage != "ingestion" for each in refs]
    assert len(behind) == 6
    searched = [*foreign, *behind]
    assert world.strange == [([each.name for each in searched], ["A-1", "B-1"])]


def test_turbines_and_strays_of_other_parts_are_passed_over(world: World) -> None:
    """A name between those of two turbines belongs to the part of the first one.

    Objects in no turbine's place are still searched for the secrets of these nodes.
    """
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    mine = [data("ingestion", "A-1"), checkpoint("A-1")]
    between = [data("enriched", "A-2"), data("metadata", "A-2")]
    other = [data("ingestion", "B-1"), data("metadata", "B-1"), checkpoint("B-1")]
    theirs = [data("enriched", "Z-1"), data("metadata", "Z-1")]
    nowhere = ref("enriched", "junk.parquet")
    lake: Any = Lake([*mine, *between, *other, *theirs, nowhere])
    nodes = world.folder / "nodes"
    part = shares.judged(nodes, lake, None, 1, elsewhere=("B-1",), strays=False)
    share, strays = world.shares
    assert (share.files[0].turbine, share.objects) == (
        "A-1",
        {"ingestion": mine[:1], "checkpoints": mine[1:]},
    )
    assert (strays.number, strays.objects) == (STRAYS, {"enriched": between[:1]})
    assert (part.foreign, part.unread) == (between[1:], [mine[0].name, between[0].name])
    ((searched, turbines),) = world.strange
    assert (nowhere.name in searched, turbines) == (True, ["A-1"])
    assert not {each.name for each in (*other, *theirs)} & set(searched)
    world.shares, world.strange = [], []
    part = shares.judged(nodes, lake, None, 1, elsewhere=("B-1",))
    assert world.shares[1].objects == {"enriched": [between[0], nowhere]}
    assert part.foreign == between[1:]


def test_an_object_of_a_farm_is_judged_by_one_part(world: World) -> None:
    """Its name may have a turbine of another part at its end."""
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    odd = data("validated", "A-compact-000001-B-1")
    key = odd.key.replace("-1-2.parquet", "-1.parquet")
    odd = ref("validated", key)
    refs = [data("ingestion", "A-1"), data("ingestion", "B-1"), odd]

    class Listed(Lake):
        def objects(self, ranges: NameRanges | None = None) -> list[ObjectRef]:
            return [each for each in refs if ranges is None or ranges.has(each.key) is not False]

    lake: Any = Listed(refs)
    seen = []
    for other, strays in (("B-1", True), ("A-1", False)):
        world.shares = []
        shares.judged(world.folder / "nodes", lake, None, 1, elsewhere=(other,), strays=strays)
        seen += [
            each for share in world.shares for found in share.objects.values() for each in found
        ]
    assert seen.count(odd) == 1


def test_findings_in_unknown_objects_count(world: World) -> None:
    world.node("A/A-1.db")
    world.judge([data("ingestion", "Z-1")])
    assert world.strange == []
    world.leaks = 1
    result = world.judge([data("enriched", "Z-1")])
    assert result.figures["privacy.leaks"] == 1
    assert result.counts == {"privacy.leak": 1}


def test_progress_is_reported_after_each_share(world: World) -> None:
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    seen: list[tuple[int, int]] = []
    refs = [
        data("metadata", "Z-1"),
        data("ingestion", "A-1"),
        data("enriched", "A-1"),
        data("enriched", "B-1"),
    ]
    world.judge(
        [*refs, data("ingestion", "Z-1")], progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(3, 5), (4, 5), (5, 5)]


def test_shares_are_judged_again_with_objects_that_hold_their_rows(world: World) -> None:
    """The earlier result of such a share no longer counts."""
    for name in ("A/A-1.db", "B/B-1.db", "C/C-1.db"):
        world.node(name)
    moved = [data("ingestion", "B-1"), data("enriched", "B-1"), data("ingestion", "C-1")]

    def visited(share: Share) -> ShareVerdict:
        return ShareVerdict(1, "B", visitors={0: [("ingestion", moved[0]), ("enriched", moved[1])]})

    world.of = {
        0: lambda share: ShareVerdict(0, "A", generated=10 if share.guests else 1000),
        1: visited,
        2: lambda share: ShareVerdict(2, "C", visitors={0: [("ingestion", moved[2])]}, generated=1),
    }
    result = world.judge([data("ingestion", "A-1"), *moved])
    assert [share.number for share in world.shares] == [0, 1, 2, -1, 0]
    assert world.shares[-1].guests == {"ingestion": [moved[0], moved[2]], "enriched": [moved[1]]}
    assert world.shares[-1].objects == {"ingestion": [data("ingestion", "A-1")]}
    assert result.figures["rows.generated"] == 11


def test_nothing_to_judge_is_unknown(world: World) -> None:
    (world.folder / "nodes").mkdir()
    why = f"{world.folder / 'nodes'}: no node files; the lake cannot be judged"
    nothing = world.judge()
    assert nothing == Verdict(errors=[why])
    assert (nothing.status, nothing.objects, nothing.digest, nothing.figures) == (
        "unknown",
        0,
        "",
        {},
    )
    world.node("A/A-1.db")
    assert world.judge(error="no lake") == Verdict(errors=["no lake"])


FAULTS = [
    {
        "turbine_id": turbine,
        "kind": "k",
        "channel": None,
        "from": 1,
        "to": 2,
        "first_id": 1,
        "last_id": i,
        "rows": 2,
    }
    for i, turbine in enumerate(("A-1", "B-1", "A-1", "Z-1"))
]


def test_each_share_gets_its_own_truth(world: World, tmp_path: Path) -> None:
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    folder = tmp_path / "truth"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(FAULTS), folder / "f.parquet")
    world.judge(truth=folder)
    assert [share.truth.column("last_id").to_pylist() for share in world.shares] == [
        [0, 2],
        [1],
        [],
    ]
    events = [share.events for share in world.shares if share.events is not None]
    assert [each.column("last_id").to_pylist() for each in events] == [[0, 2], [1], []]
    assert events[0].column_names == [*EVENTS]
    world.shares.clear()
    pq.write_table(pa.Table.from_pylist(FAULTS).drop_columns(["from"]), folder / "f.parquet")
    world.judge(truth=folder)
    assert [len(share.truth) for share in world.shares] == [2, 1, 0]
    assert [share.events for share in world.shares] == [None] * 3
    world.shares.clear()
    world.judge()
    assert [(len(share.truth), share.events) for share in world.shares] == [(0, None)] * 3


def test_unreadable_truth_is_reported_and_the_lake_is_judged(world: World, tmp_path: Path) -> None:
    world.node("A/A-1.db")
    world.of = {0: lambda share: ShareVerdict(0, "A", generated=1)}
    (tmp_path / "bad.parquet").write_bytes(b"x")
    result = world.judge(truth=tmp_path)
    (error,) = result.errors
    assert error.startswith(f"{tmp_path / 'bad.parquet'}: cannot read the ground truth")
    assert (result.status, result.figures["rows.generated"]) == ("unknown", 1)
    assert world.judge(truth=tmp_path, error="no lake").errors == [error, "no lake"]


def part(number: int) -> ShareVerdict:
    """Return share `number` - 1 with distinct figures: 1, 2, 4 ... times `number`."""
    names = (
        "generated",
        "late",
        "unbalanced",
        "windows",
        "windows_wrong",
        "windows_revised",
        "manifest_mismatches",
    )
    names += ("checkpoint_mismatches", "leaks")
    numbers = {name: number * 2**i for i, name in enumerate(names)}
    rows = {
        stage: number * 3**i
        for i, stage in enumerate(("ingestion", "validated", "quarantine", "enriched"))
    }
    completeness = Completeness()
    for i, fate in enumerate(
        ("expected", "lost", "duplicated", "misplaced", "altered", "unexpected")
    ):
        for stage, times in (("ingestion", 1), ("quarantine", 10), ("aggregated", 100)):
            completeness.rows.setdefault((stage, HOUR), {})[fate] = number * times * (i + 1)
    known = {
        "rows": rows,
        "completeness": completeness,
        "by_rule": {"stuck": number, "odd": 2, "type": 0, "null": 1},
    }
    return ShareVerdict(number - 1, "AB"[number - 1], **numbers | known)


def test_shares_add_up(world: World) -> None:
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    world.of = {0: lambda share: part(1), 1: lambda share: part(2)}
    result = world.judge(
        [
            data("aggregated", "A-1"),
            data("ingestion", "B-1"),
            checkpoint("A-1"),
            data("metadata", "A-1"),
        ]
    )
    assert result.figures == {
        "rows.generated": 3,
        "rows.late": 6,
        "rows.ingested": 3,
        "rows.validated": 9,
        "rows.quarantined": 27,
        "rows.enriched": 81,
        "rows.lost": 66,
        "rows.duplicated": 99,
        "rows.misplaced": 132,
        "rows.altered": 165,
        "rows.unexpected": 198,
        "rows.unbalanced": 12,
        "windows.expected": 24,
        "windows.wrong": 48,
        "windows.revised": 96,
        "manifest.mismatches": 192,
        "checkpoint.mismatches": 384,
        "privacy.leaks": 768,
    }
    assert result.rows_by_stage == {
        "ingestion": 3,
        "validated": 9,
        "quarantine": 27,
        "enriched": 81,
        "aggregated": 0,
    }
    assert result.quarantined_by_rule == {"null": 2, "stuck": 3, "odd": 4}
    assert list(result.quarantined_by_rule) == ["null", "stuck", "odd"]
    assert result.objects == 2
    assert (result.status, result.detection, result.truth) == ("pass", [], [])
    first = {
        "farm": "A",
        "hour": "2024-01-15T00:00:00Z",
        "stage": "aggregated",
        "actual": 100 - 200 + 300 + 600,
    }
    fates = {
        "expected": 100,
        "lost": 200,
        "duplicated": 300,
        "misplaced": 400,
        "altered": 500,
        "unexpected": 600,
    }
    assert result.completeness[0] == first | fates
    assert [(cell["farm"], cell["stage"], cell["expected"]) for cell in result.completeness] == [
        *(("A", "aggregated", 100), ("A", "ingestion", 1), ("A", "quarantine", 10)),
        *(("B", "aggregated", 200), ("B", "ingestion", 2), ("B", "quarantine", 20)),
    ]


def test_completeness_adds_up_over_the_shares_of_a_farm(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SHARE_TURBINES", 1)
    for name in ("A/A-1.db", "A/A-2.db"):
        world.node(name)
    completeness = Completeness()
    for hour, fate, rows in ((HOUR, "expected", 5), (HOUR, "lost", 2), (HOUR + 1, "expected", 1)):
        completeness.add("ingestion", fate, np.full(rows, hour))
    world.of = {
        i: lambda share: ShareVerdict(share.number, share.farm, completeness) for i in (0, 1)
    }
    (first, second) = world.judge().completeness
    assert (first["hour"], first["expected"], first["lost"], first["actual"]) == (
        "2024-01-15T00:00:00Z",
        10,
        4,
        6,
    )
    assert (second["hour"], second["expected"], second["altered"]) == ("2024-01-15T01:00:00Z", 2, 0)


def test_the_digest_covers_all_data_objects_or_is_empty(world: World) -> None:
    world.node("A/A-1.db")
    refs = [
        data("ingestion", "A-1"),
        data("enriched", "A-1"),
        checkpoint("A-1"),
        data("metadata", "A-1"),
    ]
    hashes = {refs[0].name: "b", refs[1].name: "a"}

    def digest(hashes: dict[str, str], errors: Iterable[str] = ()) -> str:
        world.of = {0: lambda share: ShareVerdict(0, "A", hashes=hashes, errors=list(errors))}
        return world.judge(refs).digest

    lines = f"{refs[1].name} a\n{refs[0].name} b\n"
    assert digest(hashes) == hashlib.sha256(lines.encode()).hexdigest()
    assert (
        digest(hashes | {refs[0].name: ""})
        == digest({refs[0].name: "b"})
        == digest(hashes, ["no"])
        == ""
    )


def finding(kind: str) -> Findings:
    findings = Findings()
    findings.add(Finding(kind))
    return findings


@pytest.mark.parametrize(
    ("generated", "kind", "errors", "status"),
    [
        (1, "", [], "pass"),
        (0, "", [], "unknown"),
        (1, "", ["x"], "unknown"),
        (1, "node.unreadable", [], "unknown"),
        (1, "lost", [], "fail"),
        (1, "lost", ["x"], "fail"),
        (0, "lost", [], "unknown"),
    ],
)
def test_status_of_a_run(
    world: World, generated: int, kind: str, errors: list[str], status: str
) -> None:
    world.node("A/A-1.db")
    found = finding(kind) if kind else Findings()
    world.of = {
        0: lambda share: ShareVerdict(0, "A", generated=generated, findings=found, errors=errors)
    }
    result = world.judge()
    assert (result.status, result.errors, result.counts) == (
        status,
        errors,
        {kind: 1} if kind else {},
    )


def test_errors_and_findings_of_all_shares_are_reported_once(world: World) -> None:
    for name in ("A/A-1.db", "B/B-1.db", "C/C-1.db"):
        world.node(name)
    world.of[0] = lambda share: ShareVerdict(0, "A", findings=finding("lost"), errors=["z", "b"])
    world.of[1] = lambda share: ShareVerdict(1, "B", findings=finding("altered"), errors=["a", "z"])
    result = world.judge()
    assert result.errors == ["a", "b", "z"]
    assert list(result.counts) == ["altered", "lost"]
    assert [found.kind for found in result.findings] == ["altered", "lost"]


def test_scores_of_shares_add_up(world: World) -> None:
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    kind = "sensor.stuck"
    scores = [
        Score(Counter({kind: n}), Counter({kind: n}), {kind: [1.0]}, {kind: Counter(stuck=1)})
        for n in (1, 3)
    ]
    truth = {kind: {"injected": 1, "rows": 5}}
    world.of = {
        i: lambda s: ShareVerdict(s.number, s.farm, detection=scores[s.number], truth=truth)
        for i in (0, 1)
    }
    result = world.judge()
    assert (result.figures["detection.faults"], result.figures["detection.found"]) == (4, 2)
    assert result.detection == [
        {
            "kind": kind,
            "injected": 4,
            "detectable": 4,
            "found": 2,
            "delay_s": 1.0,
            "by_signal": {"stuck": 2},
        }
    ]
    more = {"quarantined_by_rule": {}, "detectable": 4, "found": 2, "delay_s": 1.0}
    assert result.truth == [{"kind": kind, "injected": 2, "rows": 10} | more]


class Pool:
    """Stand-in for worker processes; the share of farm B kills its own."""

    last: ClassVar[int] = 1
    """Of how many workers a pool is in which the share of farm B dies, at least."""
    made: ClassVar[list[int]] = []
    shut: ClassVar[list[bool]] = []
    began: ClassVar[list[Callable[[], None]]] = []

    def __init__(self, workers: int, initializer: Callable[[], None], **_: object) -> None:
        self.workers = workers
        self.made.append(workers)
        self.began.append(initializer)

    def submit(
        self, work: Callable[..., ShareVerdict], lake: object, share: Share, share_of: object
    ) -> Future[Any]:
        future: Future[Any] = Future()
        if share.farm == "B" and self.workers >= self.last:
            future.set_exception(BrokenProcessPool("gone"))
        else:
            future.set_result(work(lake, share, share_of))
        return future

    def shutdown(self, *, cancel_futures: bool) -> None:
        self.shut.append(cancel_futures)


def test_a_dead_worker_is_reported_with_its_farm(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(shares, "FILES_PER_WORKER", 0.1)
    monkeypatch.setattr(Pool, "made", [])
    monkeypatch.setattr(Pool, "shut", [])
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    world.of = {0: lambda share: ShareVerdict(0, "A", generated=3)}
    result = world.judge(workers=2)
    text = "farm B: a worker process of the oracle died (out of memory?); use fewer workers"
    assert (result.errors, result.status, result.figures["rows.generated"]) == (
        [text],
        "unknown",
        3,
    )
    assert sorted(share.number for share in world.shares) == [-1, 0]
    world.judge(workers=9)
    assert (Pool.made, Pool.shut) == ([2, 1, 3, 1], [True] * 4)


def test_a_share_lost_with_another_worker_is_judged_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(shares, "FILES_PER_WORKER", 0.1)
    monkeypatch.setattr(Pool, "last", 2)
    for name in ("A/A-1.db", "B/B-1.db"):
        world.node(name)
    world.of = {
        n: lambda share: ShareVerdict(share.number, share.farm, generated=3) for n in (0, 1)
    }
    result = world.judge(workers=2)
    assert (result.errors, result.status, result.figures["rows.generated"]) == ([], "pass", 6)


def test_workers_ignore_an_interrupt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C reaches all processes of a terminal; a worker that exits breaks the pool."""
    began: list[Callable[[], None]] = []
    monkeypatch.setattr(shares, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(shares, "FILES_PER_WORKER", 0.1)
    monkeypatch.setattr(Pool, "began", began)
    world.node("A/A-1.db")
    world.judge(workers=2)
    (begin,) = began
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        begin()
        os.kill(os.getpid(), signal.SIGINT)  # would raise KeyboardInterrupt
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_worker_runs_in_this_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "ProcessPoolExecutor", None)
    world.node("A/A-1.db")
    world.judge(workers=1)
    world.judge(workers=0)
    assert len(world.shares) == 4


@pytest.mark.parametrize(("limit", "pools"), [(11, []), (6, []), (5, [2]), (1, [3])])
def test_a_small_lake_is_judged_in_this_process(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: int, pools: list[int]
) -> None:
    monkeypatch.setattr(shares, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(Pool, "made", made := [])
    monkeypatch.setattr(shares, "FILES_PER_WORKER", limit)
    monkeypatch.setattr(Pool, "last", 99)
    for name in ("A/A-1.db", "C/C-1.db"):
        world.node(name)
    key = "checkpoints/{}/{}-1.json"
    bucket = "expanso-databricks-checkpoints"
    refs = [ObjectRef(bucket, key.format(farm, farm), 9) for farm in "AC" for _ in range(4)]
    world.judge(refs, workers=9)
    assert made == pools


def test_a_leak_that_several_parts_find_in_one_foreign_object_counts_once() -> None:
    """Each part searches the objects of no turbine for the secrets of its own nodes."""

    def searched(*details: str) -> Judged:
        part = ShareVerdict(SEARCHED, "", leaks=len(details))
        for detail in details:
            key = "expanso-databricks-enriched/strange"
            part.findings.add(Finding("privacy.leak", key=key, detail=detail))
        return Judged([ShareVerdict(0, "A", generated=1), part])

    found = verdict([searched("a name", "a place"), searched("a name"), searched("a key")])
    assert found.figures["privacy.leaks"] == 3
    assert found.counts == {"privacy.leak": 3}
    assert [each.detail for each in found.findings] == ["a key", "a name", "a place"]
