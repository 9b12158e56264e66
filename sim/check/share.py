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
from sim.check.compare.flush_manifests import (
    check_flush_manifests,
    named_batches,
    read_flush_manifests,
)
from sim.check.compare.manifests import check_manifests
from sim.check.compare.named_owners import find_named_owners
from sim.check.compare.objects import report_objects
from sim.check.compare.order import check_order
from sim.check.compare.owners import Neighbours, Owners, find_owners
from sim.check.compare.places import BatchPlaces, FarmPlaces
from sim.check.compare.rows import Compared, compare_rows
from sim.check.compare.windows import compare_windows, earlier_drains
from sim.check.completeness import Completeness
from sim.check.detection.score import Score, score
from sim.check.detection.truth import count_faults
from sim.check.expected.rows import Expectation, expect, late
from sim.check.expected.windows import expect_windows
from sim.check.findings import Finding, Findings
from sim.check.privacy.leaks import KEY_PROTECTED, PROTECTED
from sim.check.privacy.scan import Privacy
from sim.check.read.columns import Ints
from sim.check.read.databases import NodeError, path_text
from sim.check.read.keys import ALL_STAGES, ROW_STAGES
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
    `compacted` an object has rows of a whole farm, and so has the share
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
    compacted: bool = False


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
    manifests = _FarmManifests(reader, share, expected, privacy) if share.compacted else None
    places = BatchPlaces(expected) if manifests is None else manifests.places
    for stage in ALL_STAGES:
        out.at = f"stage {stage}"
        lake = _read_searched(reader, share, stage, privacy, lenders)
        find = find_owners if manifests is None else find_named_owners
        owners = find(lake, expected, share.number, share_of, neighbour)
        if manifests is not None and stage in ROW_STAGES:
            manifests.places.learn(lake, owners.owner)
        _note_objects(stage, lake, owners, out)
        objects |= report_objects(
            stage,
            lake,
            owners,
            expected,
            places,
            share.farm,
            share_of,
            blamed,
            out.completeness,
            out.findings,
        )
        if stage == "quarantine":
            out.by_rule = _by_rule(lake)
            quarantine = lake, owners.owner
        if not nodes:
            continue
        check_order(stage, expected, lake, owners, out.findings, places)
        if stage in ROW_STAGES:
            verdict = compare_rows(
                stage, expected, lake, owners, out.completeness, out.findings, compared, places
            )
            present[stage] = verdict.present
            blamed |= verdict.blamed
        else:
            drained = earlier_drains(expected, lake, owners, places) if share.by_hand else None
            windows = expect_windows(expected, drained)
            out.windows = len(windows.first)
            wrong, revised, names = compare_windows(
                expected, windows, lake, owners, out.completeness, out.findings, places
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
    watched = privacy.watch(reader, "metadata")
    if manifests is not None:
        out.manifest_mismatches = manifests.check(objects, blamed, out.findings)
    else:
        judged = {node.turbine for node in nodes}
        refs = [ref for ref in share.objects.get("metadata", []) if _turbine_of(ref) in judged]
        out.manifest_mismatches = check_manifests(
            watched, refs, expected, objects, blamed, out.findings
        )
    checkpoints = share.objects.get("checkpoints", [])
    out.checkpoint_mismatches = check_checkpoints(watched, checkpoints, expected, out.findings)


class _FarmManifests:
    """Manifests of a compacted share, read before its objects, since they name the batches."""

    def __init__(
        self, reader: LakeReader, share: Share, expected: Expectation, privacy: Privacy
    ) -> None:
        refs = share.objects.get("metadata", [])
        self._read = read_flush_manifests(privacy.watch(reader, "metadata"), refs)
        self._expected, self._complete = expected, len(expected.nodes) == len(share.files)
        self.places = FarmPlaces(expected, share.farm, named_batches(self._read))

    def check(self, objects: Mapping[str, DataObject], blamed: set[str], findings: Findings) -> int:
        """Report defects. Return their number."""
        return check_flush_manifests(
            self._read, self._expected, self.places, self._complete, objects, blamed, findings
        )


def _note_objects(stage: str, lake: StageRows, owners: Owners, out: ShareVerdict) -> None:
    """Note hashes and rows of the share's objects, and those that other shares must see."""
    for i, to in owners.visitors:
        if not lake.objects[i].guest:
            out.visitors.setdefault(to, []).append((stage, lake.objects[i].ref))
    for item in lake.objects:
        if not item.guest:
            out.hashes[item.ref.name] = item.sha256
            out.rows[stage] = out.rows.get(stage, 0) + item.rows


def _read_searched(
    reader: LakeReader, share: Share, stage: str, privacy: Privacy, lenders: Lenders
) -> StageRows:
    """Return the rows of one stage, after the privacy search in its bytes and its cells."""
    home, guests = share.objects.get(stage, []), share.guests.get(stage, [])
    watched = privacy.watch(reader, stage)
    lake = read_stage(watched, stage, home, guests, lenders, share.compacted)
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
