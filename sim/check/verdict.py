"""The verdict on a whole run: the lake against the node files.

`pass`     every row, window, manifest and checkpoint is confirmed
`fail`     at least one defect was found
`unknown`  no defect was found, and something could not be judged: there are no node files, a node
           file cannot be read, or the lake cannot be reached

The work is divided into shares of the fleet (`sim.check.share`) for worker processes. A small lake
is judged in this process.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import RULES
from sim.check.completeness import FATES, actual_rows
from sim.check.detection.score import Score
from sim.check.detection.truth import (
    NO_FAULTS,
    TruthError,
    read_events,
    read_truth,
    summary,
    with_detection,
)
from sim.check.early import EarlyVerdicts
from sim.check.findings import Finding, Findings, hour_text, utf8_text
from sim.check.privacy.leaks import KEY_PROTECTED, PROTECTED
from sim.check.read.keys import (
    ALL_STAGES,
    ROW_STAGES,
    bucket_of,
    foreign_reason,
    holds_rejected,
    read_batch_key,
    read_checkpoint_key,
)
from sim.check.read.lake import LakeError, LakeReader, ObjectRef
from sim.check.read.nodes import NodeFile, discover
from sim.check.share import Share, ShareVerdict, judge_share, search_foreign

SHARE_TURBINES: Final = 64
SHARE_BYTES: Final = 96 * 1024 * 1024
"""Size of a share's node databases: some 700,000 rows."""
FILES_PER_WORKER: Final = 500
"""Fewest objects and node files for each worker process.

The imports of a process take longer than judging fewer.
"""
_STRAYS: Final = -1
"""Number of the share of objects that belong to no turbine."""
_FOREIGN: Final = -2
"""Number of the privacy search in objects of no known turbine or form."""
_UNJUDGED: Final = frozenset({"node.unreadable"})
"""Findings that make a verdict unknown; any other makes it fail."""

Progress = Callable[[int, int], None]
"""Callback with the number of objects judged and the number of all objects."""


@dataclass
class Verdict:
    """The result of the oracle.

    `figures`       counts by their stable names
    `findings`      at most 200; `counts` has all, by kind
    `detection`     per kind of fault (`sim.check.detection.score`); empty without ground truth
    `digest`        over the sha256 of all data objects; empty if one could not be read
    `completeness`  per farm, stage and hour
    `errors`        reasons why parts of the run could not be judged
    """

    status: str = "unknown"
    figures: dict[str, float] = field(default_factory=dict)
    rows_by_stage: dict[str, int] = field(default_factory=dict)
    quarantined_by_rule: dict[str, int] = field(default_factory=dict)
    objects: int = 0
    digest: str = ""
    completeness: list[dict[str, str | int]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    truth: list[dict[str, object]] = field(default_factory=list)
    detection: list[dict[str, object]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Judged:
    """All that was judged of a lake, or of a part of it. Several parts add up to one verdict.

    `shares`    verdicts on shares; empty if nothing could be judged
    `foreign`   objects of no known turbine or form, apart from data objects
    `unread`    names of data objects that no share could read
    `errors`    reasons why something could not be judged
    """

    shares: list[ShareVerdict] = field(default_factory=list)
    foreign: list[ObjectRef] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def judge(
    run_nodes: Path,
    lake: LakeReader,
    truth: Path | None,
    workers: int,
    progress: Progress | None = None,
    by_hand: bool = False,
    early: EarlyVerdicts | None = None,
) -> Verdict:
    """Judge the lake against `run_nodes/<farm>/<turbine>.db` and `.json`. See `judged`."""
    return verdict([judged(run_nodes, lake, truth, workers, progress, by_hand, early)])


def judged(
    run_nodes: Path,
    lake: LakeReader,
    truth: Path | None,
    workers: int,
    progress: Progress | None = None,
    by_hand: bool = False,
    early: EarlyVerdicts | None = None,
    elsewhere: Collection[str] = (),
) -> Judged:
    """Judge the lake, or the part of it that belongs to the node files.

    truth: a folder of ground truth, or None.
    by_hand: no run drove the nodes, so they may have been drained more than once.
    early: verdicts on shares that were judged before the end.
    elsewhere: turbines that are judged elsewhere. Their objects are passed over.
    Never raises for defects of the run: they are in the result.
    """
    files = [file for file in discover(run_nodes) if file.turbine not in elsewhere]
    if not files:
        return Judged(errors=[f"{run_nodes}: no node files; the lake cannot be judged"])
    errors = []
    try:
        faults = read_truth(truth) if truth else None
        events = read_events(truth) if truth else None
    except TruthError as error:
        faults = events = None
        errors.append(str(error))
    try:
        refs = lake.objects()
    except LakeError as error:
        return Judged(errors=[*errors, str(error)])
    if elsewhere:
        refs = [ref for ref in refs if _place(ref)[1] not in elsewhere]
    shares, share_of = _shares(files, early.begins if early is not None else ())
    foreign = _deal(refs, shares, share_of)
    for number, share in shares.items():
        shares[number] = replace(_with_truth(share, faults, events), by_hand=by_hand)
    done = len(refs) - sum(_object_count(share) for share in shares.values())
    parts: dict[int, ShareVerdict] = {}
    strange = [
        ref
        for ref in [*foreign, *_strays(shares)]
        if ref.bucket in map(bucket_of, (*PROTECTED, *KEY_PROTECTED))
    ]
    if strange:
        parts[_FOREIGN] = search_foreign(lake, _FOREIGN, strange, files)
    for share in shares.values():
        if early is not None and (known := early.verdict_on(share)) is not None:
            parts[share.number] = known
            done += _object_count(share)
    left = [share for share in shares.values() if share.number not in parts]
    if progress and len(left) < len(shares):
        progress(done, len(refs))
    for part in _run(lake, left, share_of, workers):
        parts[part.number] = part
        done += _object_count(shares[part.number])
        if progress:
            progress(done, len(refs))
    # A share with rows under another share's keys is judged a second time, with those objects.
    again = _guests(parts, shares)
    parts.update({part.number: part for part in _run(lake, again, share_of, workers)})
    read = {name for part in parts.values() for name in part.hashes}
    strangers = {ref.name for ref in foreign}
    unread = [
        ref.name
        for ref in refs
        if _is_data(ref) and ref.name not in read and ref.name not in strangers
    ]
    return Judged(sorted(parts.values(), key=lambda part: part.number), foreign, unread, errors)


def shares_of(
    run_nodes: Path, turbines: Collection[str], refs: list[ObjectRef], truth: Path, name: str
) -> tuple[list[Share], dict[str, int]]:
    """Return the shares of turbines that are done, and each turbine's share. Raises TruthError.

    refs: their objects with ETags, as far as they are known; a listing at the end decides.
    name: of the files of ground truth.
    """
    own = frozenset(turbines)
    files = [file for file in discover(run_nodes) if file.turbine in own]
    shares, share_of = _shares(files)
    _deal(refs, shares, share_of)
    faults, events = read_truth(truth, name), read_events(truth, name)
    whole = [share for number, share in shares.items() if number >= 0]
    return [_with_truth(share, faults, events) for share in whole], share_of


def _with_truth(share: Share, faults: pa.Table | None, events: pa.Table | None) -> Share:
    """Return the share with the ground truth of its turbines."""
    if faults is None:
        return share
    names = pa.array([file.turbine for file in share.files], pa.string())

    def mine(table: pa.Table) -> pa.Table:
        return table.filter(pc.is_in(table.column("turbine_id"), value_set=names))

    return replace(share, truth=mine(faults), events=None if events is None else mine(events))


def _shares(
    files: list[NodeFile], begins: Collection[str] = ()
) -> tuple[dict[int, Share], dict[str, int]]:
    """Divide the fleet: shares by number (-1: objects of no turbine), and each turbine's number.

    begins: turbines with which a share begins in any case.
    """
    shares: dict[int, Share] = {}
    share_of: dict[str, int] = {}
    fleet = {file.turbine: file for file in files}
    size = 0
    for file in files:
        current = shares.get(len(shares) - 1)
        weight = sum(
            path.stat().st_size for path in (file.database, *file.retired) if path.exists()
        )
        full = (
            current is None or len(current.files) == SHARE_TURBINES or size + weight > SHARE_BYTES
        )
        if current is None or full or current.farm != file.farm or file.turbine in begins:
            size = 0
            current = shares[len(shares)] = Share(
                len(shares), file.farm, [], {}, {}, NO_FAULTS, fleet=fleet
            )
        size += weight
        current.files.append(file)
        share_of[file.turbine] = current.number
    shares[_STRAYS] = Share(_STRAYS, "", [], {}, {}, NO_FAULTS)
    return shares, share_of


def _deal(
    refs: list[ObjectRef], shares: dict[int, Share], share_of: dict[str, int]
) -> list[ObjectRef]:
    """Add every object to its share. Return the manifests and checkpoints of no known turbine."""
    foreign = []
    for ref in refs:
        stage, turbine = _place(ref)
        number = share_of.get(turbine, _STRAYS)
        if number == _STRAYS and stage not in ALL_STAGES:
            foreign.append(ref)
        else:
            shares[number].objects.setdefault(stage, []).append(ref)
    return foreign


def _place(ref: ObjectRef) -> tuple[str, str]:
    """Return stage and turbine of an object by its key. The turbine is empty for a foreign key."""
    name = ref.bucket.rsplit("-", 1)[-1]
    if name == "checkpoints":
        known = read_checkpoint_key(ref.key)
        return name, known[1] if known else ""
    place = read_batch_key(ref.bucket, ref.key)
    if place is not None:
        return place.stage, place.turbine
    return "quarantine" if holds_rejected(ref.bucket, ref.key) else name, ""


def _strays(shares: dict[int, Share]) -> list[ObjectRef]:
    return [ref for refs in shares[_STRAYS].objects.values() for ref in refs]


def _object_count(share: Share) -> int:
    return sum(len(refs) for refs in share.objects.values())


def _guests(parts: dict[int, ShareVerdict], shares: dict[int, Share]) -> list[Share]:
    """Return the shares with rows under other shares' keys, with those objects as `guests`."""
    guests: dict[int, dict[str, list[ObjectRef]]] = {}
    for part in parts.values():
        for number, visits in part.visitors.items():
            for stage, ref in visits:
                guests.setdefault(number, {}).setdefault(stage, []).append(ref)
    return [replace(shares[number], guests=objects) for number, objects in guests.items()]


def _run(
    lake: LakeReader, shares: Sequence[Share], share_of: dict[str, int], workers: int
) -> Iterator[ShareVerdict]:
    """Judge shares and yield verdicts as they finish.

    One worker runs in this process, several in spawned ones.
    """
    files = sum(_object_count(share) + len(share.files) for share in shares)
    workers = min(workers, int(files / FILES_PER_WORKER))
    if workers <= 1 or len(shares) <= 1:
        for share in shares:
            yield judge_share(lake, share, share_of)
        return
    context = multiprocessing.get_context("spawn")
    broken: list[Share] = []
    pool = ProcessPoolExecutor(
        min(workers, len(shares)), mp_context=context, initializer=_leave_interrupts_to_parent
    )
    try:
        futures = {pool.submit(judge_share, lake, share, share_of): share for share in shares}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                # A worker that dies breaks the whole pool, so the others' work is repeated.
                broken.append(futures[future])
    finally:
        pool.shutdown(cancel_futures=True)
    for share in broken:
        yield _run_isolated(lake, share, share_of)


def _run_isolated(lake: LakeReader, share: Share, share_of: dict[str, int]) -> ShareVerdict:
    """Judge a share in its own process. If that dies, no other share loses its verdict."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_leave_interrupts_to_parent)
    try:
        return pool.submit(judge_share, lake, share, share_of).result()
    except BrokenProcessPool:
        text = "a worker process of the oracle died (out of memory?); use fewer workers"
        return ShareVerdict(share.number, share.farm, errors=[f"farm {share.farm}: {text}"])
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def verdict(judged: Sequence[Judged]) -> Verdict:
    """Add up all that was judged of a lake, in one place or in several.

    Parts of one lake have each seen its foreign objects. These count once.
    """
    errors = sorted({error for each in judged for error in each.errors})
    parts = _distinct([part for each in judged for part in each.shares])
    if not parts:
        return Verdict(errors=errors)
    foreign = list({ref.name: ref for each in judged for ref in each.foreign}.values())
    hashes = {name: digest for part in parts for name, digest in part.hashes.items()}
    unread = {name for each in judged for name in each.unread} - hashes.keys()
    findings = Findings()
    for ref in foreign:
        stage = ref.bucket.rsplit("-", 1)[-1]
        detail = foreign_reason(ref.bucket, ref.key)
        findings.add(Finding("object.foreign", stage=stage, key=ref.name, detail=detail))
    for part in parts:
        findings.merge(part.findings)
    errors = errors + sorted({utf8_text(error) for part in parts for error in part.errors})
    rows: Counter[str] = Counter(dict.fromkeys(ALL_STAGES, 0))
    for part in parts:
        rows.update(part.rows)
    found = [part.detection for part in parts if part.detection is not None]
    detection = Score()
    for share in found:
        detection.add(share)
    figures: dict[str, float] = {
        "rows.generated": sum(part.generated for part in parts),
        "rows.late": sum(part.late for part in parts),
        "rows.ingested": rows["ingestion"],
        "rows.validated": rows["validated"],
        "rows.quarantined": rows["quarantine"],
        "rows.enriched": rows["enriched"],
        **{
            f"rows.{fate}": sum(part.completeness.total(fate, ROW_STAGES) for part in parts)
            for fate in FATES[1:]
        },
        "rows.unbalanced": sum(part.unbalanced for part in parts),
        "windows.expected": sum(part.windows for part in parts),
        "windows.wrong": sum(part.windows_wrong for part in parts),
        "windows.revised": sum(part.windows_revised for part in parts),
        "manifest.mismatches": sum(part.manifest_mismatches for part in parts),
        "checkpoint.mismatches": sum(part.checkpoint_mismatches for part in parts),
        "privacy.leaks": sum(part.leaks for part in parts),
        **(detection.figures() if found else {}),
    }
    complete = not errors and not unread and all(hashes.values())
    return Verdict(
        status=_status(findings, figures, errors),
        figures=figures,
        rows_by_stage=dict(rows),
        quarantined_by_rule=_by_rule(parts),
        objects=len(hashes) + len(unread),
        digest=_digest(hashes) if complete else "",
        completeness=_completeness(parts),
        findings=findings.bounded(),
        counts=dict(sorted(findings.counts.items())),
        truth=with_detection(summary([part.truth for part in parts]), detection.by_kind()),
        detection=detection.by_kind(),
        errors=errors,
    )


def _distinct(parts: Sequence[ShareVerdict]) -> list[ShareVerdict]:
    """Return the verdicts in order. Of several on the same foreign objects the first stays."""
    seen: set[frozenset[tuple[str, str]]] = set()
    found = []
    for part in parts:
        if part.number == _STRAYS:
            objects = frozenset(part.hashes.items())
            if objects in seen:
                continue
            seen.add(objects)
        found.append(part)
    return found


def _by_rule(parts: list[ShareVerdict]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part.by_rule)
    return {rule: total[rule] for rule in (*RULES, *sorted(set(total) - set(RULES))) if total[rule]}


def _is_data(ref: ObjectRef) -> bool:
    return ref.bucket.rsplit("-", 1)[-1] not in ("metadata", "checkpoints")


def _status(findings: Findings, figures: dict[str, float], errors: list[str]) -> str:
    if set(findings.counts) - _UNJUDGED and figures["rows.generated"]:
        return "fail"
    unjudged = bool(errors) or bool(findings.counts) or figures["rows.generated"] == 0
    return "unknown" if unjudged else "pass"


def _digest(hashes: dict[str, str]) -> str:
    lines = sorted(f"{name} {sha256}\n" for name, sha256 in hashes.items())
    # A file's name is bytes, and need not be UTF-8.
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _completeness(parts: list[ShareVerdict]) -> list[dict[str, str | int]]:
    sums: dict[tuple[str, int, str], Counter[str]] = {}
    for part in parts:
        for (stage, hour), rows in part.completeness.rows.items():
            sums.setdefault((part.farm, hour, stage), Counter(dict.fromkeys(FATES, 0))).update(rows)
    return [
        {"farm": farm, "hour": hour_text(hour), "stage": stage, "actual": actual_rows(rows), **rows}
        for (farm, hour, stage), rows in sorted(sums.items())
    ]
