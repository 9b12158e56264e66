"""Verdict on one share of the fleet: some turbines of one farm, with all of their objects.

A share is the unit of work of a worker process, and bounds its memory. Objects under the share's
keys may hold rows of other shares' turbines. Such objects are returned as `visitors`. The caller
then judges the shares of those turbines again, with these objects as `guests`.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.check.compare.checkpoints import check_checkpoints
from sim.check.compare.manifests import check_manifests
from sim.check.compare.order import check_order
from sim.check.compare.owners import Neighbours, Owners, find_owners
from sim.check.compare.rows import Compared, compare_rows
from sim.check.compare.windows import compare_windows, earlier_drains
from sim.check.completeness import Completeness
from sim.check.detection.score import Score, score
from sim.check.detection.truth import count_faults
from sim.check.expected.rows import Expectation, expect, late
from sim.check.expected.windows import expect_windows
from sim.check.findings import Finding, Findings, hour_text
from sim.check.privacy.leaks import KEY_PROTECTED, PROTECTED
from sim.check.privacy.scan import Privacy
from sim.check.read.columns import Ints
from sim.check.read.databases import NodeError, path_text
from sim.check.read.keys import ALL_STAGES, ROW_STAGES, BatchKey, foreign_reason, holds_rejected
from sim.check.read.lake import LakeError, LakeReader, ObjectRef
from sim.check.read.lender import Lenders
from sim.check.read.nodes import Node, NodeFile, read_config, read_rows
from sim.check.read.objects import DataObject, StageRows, fetch, read_stage

_LONGEST_ERROR: Final = 300
SEARCHED: Final = -2
"""Number of the privacy search in objects of no known turbine or form."""
STRAYS: Final = -1
"""Number of the share of objects that belong to no turbine."""


@dataclass(frozen=True)
class Share:
    """Part of the fleet, to be judged by one worker.

    `objects`  by stage, also `metadata` and `checkpoints`
    `guests`   by stage: objects of other shares that hold rows of these turbines
    `truth`    injected faults of these turbines
    `events`   the same with times; None if detection cannot be scored
    `fleet`    node files of all turbines: rows of another share may lie in these objects
    `by_hand`  no run drove the nodes, so they may have been drained more than once
    """

    number: int
    farm: str
    files: list[NodeFile]
    objects: dict[str, list[ObjectRef]]
    guests: dict[str, list[ObjectRef]]
    truth: pa.Table
    events: pa.Table | None = None
    fleet: Mapping[str, NodeFile] = field(default_factory=dict)
    by_hand: bool = False


@dataclass
class ShareVerdict:
    """The verdict on one share.

    `hashes`    `<bucket>/<key>` -> sha256
    `visitors`  number of another share -> (stage, object) with rows of its turbines
    `at`        the stage judged last, for error messages
    """

    number: int
    farm: str
    completeness: Completeness = field(default_factory=Completeness)
    findings: Findings = field(default_factory=Findings)
    hashes: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    visitors: dict[int, list[tuple[str, ObjectRef]]] = field(default_factory=dict)
    truth: dict[str, dict[str, int]] = field(default_factory=dict)
    generated: int = 0
    late: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)
    unbalanced: int = 0
    windows: int = 0
    windows_wrong: int = 0
    windows_revised: int = 0
    manifest_mismatches: int = 0
    checkpoint_mismatches: int = 0
    leaks: int = 0
    detection: Score | None = None
    errors: list[str] = field(default_factory=list)
    at: str = field(default="", compare=False)


def judge_share(reader: LakeReader, share: Share, share_of: Mapping[str, int]) -> ShareVerdict:
    """Judge one share. `share_of` maps every turbine of the fleet to its share's number.

    Never raises: an unreachable lake or a bug of the oracle is an entry in `errors`. The findings
    up to then are kept.
    """
    out = ShareVerdict(share.number, share.farm)
    try:
        _judge_files(reader, share, share_of, out)
    except LakeError as error:
        out.errors.append(str(error))
    except Exception as error:
        out.errors.append(_bug(", ".join(filter(None, (_subject(share), out.at))), error))
    return out


def _judge_files(
    reader: LakeReader, share: Share, share_of: Mapping[str, int], out: ShareVerdict
) -> None:
    nodes, tables = [], []
    for file in share.files:
        try:
            node, table = _read(file)
        except NodeError as error:
            out.findings.add(
                Finding("node.unreadable", farm=file.farm, turbine=file.turbine, detail=str(error))
            )
        else:
            nodes.append(node)
            tables.append(table)
    _judge(reader, share, share_of, nodes, tables, out)


@contextmanager
def _noted(name: str) -> Iterator[None]:
    """Add a name as a note to any exception."""
    try:
        yield
    except Exception as error:
        error.add_note(name)
        raise


def _subject(share: Share) -> str:
    turbines = [file.turbine for file in share.files]
    return (
        f"farm {share.farm}, turbines {turbines[0]} to {turbines[-1]}"
        if turbines
        else "objects of no turbine"
    )


def _bug(subject: str, error: Exception) -> str:
    """Return the message for an unforeseen exception: subject, notes, error, place in the code."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('sim/')[2]}:{frame.lineno} {frame.name}"
    notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
    why = f"{type(error).__name__}: {str(error)[:_LONGEST_ERROR]} (at {place})"
    text = "judged only in part because of a bug in windfleet, please report it"
    return f"{subject}{notes}: {text}: {why}"


def search_foreign(
    reader: LakeReader, number: int, refs: Sequence[ObjectRef], files: Sequence[NodeFile]
) -> ShareVerdict:
    """Search objects of no known turbine or form for the secrets of all nodes.

    Their rows are not judged.
    """
    out = ShareVerdict(number, "")
    nodes = []
    for file in files:
        with suppress(NodeError):
            nodes.append(read_config(file))
    privacy = Privacy(nodes)
    try:
        for ref, content in zip(refs, fetch(reader, refs), strict=True):
            try:
                privacy.search_object(ref, content)
            except Exception as error:
                out.errors.append(_bug(ref.name, error))
    except LakeError as error:
        out.errors.append(str(error))
    out.leaks = privacy.report("", out.findings)
    return out


def _read(file: NodeFile) -> tuple[Node, pa.Table]:
    node = read_config(file)
    if node.turbine != file.turbine:
        raise NodeError(
            f"{path_text(file.config)}: turbine_id is {node.turbine}, must be {file.turbine}"
        )
    return node, read_rows(file)


def _judge(
    reader: LakeReader,
    share: Share,
    share_of: Mapping[str, int],
    nodes: list[Node],
    tables: list[pa.Table],
    out: ShareVerdict,
) -> None:
    expected = expect(nodes, tables)
    privacy = Privacy(nodes)
    try:
        _judge_lake(reader, share, share_of, expected, privacy, out)
    finally:
        out.leaks = privacy.report(share.farm, out.findings)


def _judge_lake(
    reader: LakeReader,
    share: Share,
    share_of: Mapping[str, int],
    expected: Expectation,
    privacy: Privacy,
    out: ShareVerdict,
) -> None:
    nodes, neighbour = expected.nodes, _neighbours(share)
    out.generated, out.late = len(expected.id), late(expected)
    out.truth = count_faults(share.truth, expected)
    blamed: set[str] = set()
    objects: dict[str, DataObject] = {}
    present = {}
    quarantine: tuple[StageRows, Ints] | None = None
    lenders, compared = Lenders(), Compared()
    for stage in ALL_STAGES:
        out.at = f"stage {stage}"
        lake = _read_searched(reader, share, stage, privacy, lenders)
        owners = find_owners(lake, expected, share.number, share_of, neighbour)
        objects |= _report_objects(stage, lake, owners, expected, share_of, blamed, out)
        if stage == "quarantine":
            out.by_rule = _by_rule(lake)
            quarantine = lake, owners.owner
        if not nodes:
            continue
        check_order(stage, expected, lake, owners, out.findings)
        if stage in ROW_STAGES:
            verdict = compare_rows(
                stage, expected, lake, owners, out.completeness, out.findings, compared
            )
            present[stage] = verdict.present
            blamed |= verdict.blamed
        else:
            drained = earlier_drains(expected, lake, owners) if share.by_hand else None
            windows = expect_windows(expected, drained)
            out.windows = len(windows.first)
            wrong, revised, names = compare_windows(
                expected, windows, lake, owners, out.completeness, out.findings
            )
            out.windows_wrong, out.windows_revised = wrong, revised
            if share.events is not None and quarantine is not None:
                out.detection = score(share.events, nodes, lake, owners.owner, *quarantine)
            blamed |= names
    if not nodes:
        return
    split = present["validated"].astype(int) + present["quarantine"]
    out.unbalanced = int((present["ingestion"].astype(int) != split).sum())
    out.at = "manifests and checkpoints"
    judged = {node.turbine for node in nodes}
    manifests = [ref for ref in share.objects.get("metadata", []) if _turbine_of(ref) in judged]
    watched = privacy.watch(reader, "metadata")
    out.manifest_mismatches = check_manifests(
        watched, manifests, expected, objects, blamed, out.findings
    )
    checkpoints = share.objects.get("checkpoints", [])
    out.checkpoint_mismatches = check_checkpoints(watched, checkpoints, expected, out.findings)


def _read_searched(
    reader: LakeReader, share: Share, stage: str, privacy: Privacy, lenders: Lenders
) -> StageRows:
    """Return the rows of one stage, after the privacy search in its bytes and its cells."""
    home, guests = share.objects.get(stage, []), share.guests.get(stage, [])
    lake = read_stage(privacy.watch(reader, stage), stage, home, guests, lenders)
    privacy.search_rows(stage, lake)
    if stage in (*PROTECTED, *KEY_PROTECTED):
        odd = [item.ref for item in lake.objects if item.schema_problem]
        for ref, content in zip(odd, fetch(reader, odd) if odd else (), strict=True):
            with _noted(ref.name):
                privacy.search_object(ref, content)
    return lake


def _neighbours(share: Share) -> Neighbours:
    """Return a function that reads a node of another share, on demand.

    Rows of other shares under this share's keys are rare.
    """

    @lru_cache(maxsize=8)
    def neighbour(turbine: str) -> Expectation | None:
        file = share.fleet.get(turbine)
        with suppress(NodeError):
            if file is not None:
                node, table = _read(file)
                return expect([node], [table])
        return None

    return neighbour


def _by_rule(lake: StageRows) -> dict[str, int]:
    """Count quarantined rows per rule as in the lake. Guests count in the share of their key."""
    home = np.array([not item.guest for item in lake.objects], dtype=bool)[lake.object]
    counts = pc.value_counts(lake.table.column("rule").filter(pa.array(home)).drop_null())
    return {str(entry["values"]): int(entry["counts"]) for entry in counts.to_pylist()}


def _turbine_of(ref: ObjectRef) -> str:
    return ref.key.rsplit("/", 1)[-1].rsplit("-", 2)[0]


def _report_objects(
    stage: str,
    lake: StageRows,
    owners: Owners,
    expected: Expectation,
    share_of: Mapping[str, int],
    blamed: set[str],
    out: ShareVerdict,
) -> dict[str, DataObject]:
    """Report objects that are foreign, unreadable or empty. Return those of judged turbines."""
    judged = {node.turbine for node in expected.nodes}
    stray = np.bincount(lake.object[owners.unowned], minlength=len(lake.objects))
    for i, to in owners.visitors:
        if not lake.objects[i].guest:
            out.visitors.setdefault(to, []).append((stage, lake.objects[i].ref))
    own = {}
    for i, item in enumerate(lake.objects):
        if item.guest:
            continue
        out.hashes[item.ref.name] = item.sha256
        out.rows[stage] = out.rows.get(stage, 0) + item.rows
        place, name = item.place, item.ref.name
        if place is None or place.turbine not in share_of:
            misplaced = place is None and holds_rejected(item.ref.bucket, item.ref.key)
            if stray[i] or item.rows == 0 or misplaced:
                out.completeness.add(
                    stage, "unexpected", np.full(stray[i], place.hour if place else 0)
                )
                why = item.problem or foreign_reason(item.ref.bucket, item.ref.key)
                rows = int(stray[i])
                out.findings.add(
                    Finding("object.foreign", stage=stage, key=name, rows=rows, detail=why)
                )
        elif place.turbine in judged:  # a turbine with an unreadable node file cannot be judged
            own[name] = item
            if problem := _problem(item, stage, place, expected):
                kind, rows, detail = problem
                if kind == "object.unexpected":
                    blamed.add(name)
                out.findings.add(
                    Finding(
                        kind,
                        stage=stage,
                        farm=out.farm,
                        turbine=place.turbine,
                        hour=hour_text(place.hour),
                        key=name,
                        rows=rows,
                        detail=detail,
                    )
                )
    return own


def _problem(
    item: DataObject, stage: str, place: BatchKey, expected: Expectation
) -> tuple[str, int, str] | None:
    """Return (kind of finding, affected rows, detail) for an object with a defect of its own."""
    if item.problem:
        return "object.unreadable", _rows_of(expected, stage, place), item.problem
    if item.schema_problem:
        return "object.schema", item.rows, item.schema_problem
    if item.rows == 0:
        return "object.unexpected", 0, "has no rows; the pipeline never writes an empty object"
    return None


def _rows_of(expected: Expectation, stage: str, place: BatchKey) -> int:
    """Return the number of rows that an object must hold; 0 for aggregated, where it is unknown."""
    if stage == "aggregated":
        return 0
    b = expected.batches
    owner = next(i for i, node in enumerate(expected.nodes) if node.turbine == place.turbine)
    batch = np.flatnonzero((b.owner == owner) & (b.first == place.first) & (b.last == place.last))
    mask = np.isin(expected.batch, batch) & (expected.hour == place.hour) & expected.belongs(stage)
    return int(mask.sum())
