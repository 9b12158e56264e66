"""The work of the oracle: the fleet in shares, judged by worker processes.

A share is judged by `sim.check.share`. A small lake is judged in this process. The verdict on the
run comes from all shares (`sim.check.verdict`).
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sim.check.detection.truth import (
    NO_FAULTS,
    TruthError,
    read_events,
    read_truth,
)
from sim.check.early import EarlyVerdicts
from sim.check.privacy.leaks import KEY_PROTECTED, PROTECTED
from sim.check.read.keys import (
    ALL_STAGES,
    bucket_of,
    holds_rejected,
    read_batch_key,
    read_checkpoint_key,
    read_farm_key,
)
from sim.check.read.lake import LakeError, LakeReader, ObjectRef
from sim.check.read.nodes import NodeFile, discover
from sim.check.read.ranges import NameRanges
from sim.check.share import SEARCHED, STRAYS, Share, ShareVerdict, judge_share, search_foreign
from sim.check.verdict import Judged, Verdict, verdict

SHARE_TURBINES: Final = 64
SHARE_BYTES: Final = 96 * 1024 * 1024
"""Size of a share's node databases: some 700,000 rows."""
FILES_PER_WORKER: Final = 500
"""Fewest objects and node files for each worker process.

The imports of a process take longer than judging fewer.
"""
Progress = Callable[[int, int], None]
"""Callback with the number of objects judged and the number of all objects."""


def judge(
    run_nodes: Path,
    lake: LakeReader,
    truth: Path | None,
    workers: int,
    progress: Progress | None = None,
    by_hand: bool = False,
    early: EarlyVerdicts | None = None,
    compacted: bool | None = None,
) -> Verdict:
    """Judge the lake against `run_nodes/<farm>/<turbine>.db` and `.json`. See `judged`."""
    found = judged(run_nodes, lake, truth, workers, progress, by_hand, early, compacted=compacted)
    return verdict([found])


def judged(
    run_nodes: Path,
    lake: LakeReader,
    truth: Path | None,
    workers: int,
    progress: Progress | None = None,
    by_hand: bool = False,
    early: EarlyVerdicts | None = None,
    elsewhere: Collection[str] = (),
    strays: bool = True,
    compacted: bool | None = None,
) -> Judged:
    """Judge the lake, or the part of it that belongs to the node files.

    truth: a folder of ground truth, or None.
    by_hand: no run drove the nodes, so they may have been drained more than once.
    early: verdicts on shares that were judged before the end.
    elsewhere: turbines that are judged elsewhere. Their objects are passed over, as are those of no
        turbine between them (`NameRanges`).
    strays: False if objects of no turbine, in no turbine's place, are judged elsewhere. They are
        still searched for the secrets of these nodes.
    compacted: True if an object must have rows of a whole farm, False if of one turbine. None if
        nobody knows: most keys of a farm decide.
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
    ranges = NameRanges([file.turbine for file in files], elsewhere) if elsewhere else None
    try:
        refs = lake.objects(ranges)
    except LakeError as error:
        return Judged(errors=[*errors, str(error)])
    if compacted is None:
        whole = compacted_farms(refs, {file.turbine: file.farm for file in files})
    else:
        whole = frozenset(file.farm for file in files if compacted)
    shares, share_of = _shares(files, early.begins if early is not None else (), whole)
    if ranges is not None:
        refs = [ref for ref in refs if _is_own(ref, share_of, elsewhere, ranges)]
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
        parts[SEARCHED] = search_foreign(lake, SEARCHED, strange, files)
    if not strays and ranges is not None:
        nowhere = {ref.name for ref in (*foreign, *_strays(shares)) if ranges.has(ref.key) is None}
        foreign = [ref for ref in foreign if ref.name not in nowhere]
        refs = [ref for ref in refs if ref.name not in nowhere]
        left_over = shares[STRAYS].objects.items()
        shares[STRAYS] = replace(
            shares[STRAYS],
            objects={
                stage: kept
                for stage, found in left_over
                if (kept := [ref for ref in found if ref.name not in nowhere])
            },
        )
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


def compacted_farms(refs: Collection[ObjectRef], farm_of: Mapping[str, str]) -> frozenset[str]:
    """Return the farms with more objects of the whole farm than of single turbines.

    farm_of: farm of each turbine.
    """
    farms, more = set(farm_of.values()), Counter[str]()
    for ref in refs:
        if (key := read_farm_key(ref.bucket, ref.key)) is not None and key.farm in farms:
            more[key.farm] += 1
        elif (own := read_batch_key(ref.bucket, ref.key)) is not None and own.turbine in farm_of:
            more[farm_of[own.turbine]] -= 1
    return frozenset(farm for farm, count in more.items() if count > 0)


def _shares(
    files: list[NodeFile], begins: Collection[str] = (), compacted: Collection[str] = ()
) -> tuple[dict[int, Share], dict[str, int]]:
    """Divide the fleet: shares by number (-1: objects of no turbine), and each turbine's number.

    begins: turbines with which a share begins in any case. compacted: farms that are one share.
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
        whole = file.farm in compacted
        full = not whole and (
            current is None
            or len(current.files) == SHARE_TURBINES
            or size + weight > SHARE_BYTES
            or file.turbine in begins
        )
        if current is None or full or current.farm != file.farm:
            size = 0
            current = shares[len(shares)] = Share(
                len(shares), file.farm, [], {}, {}, NO_FAULTS, fleet=fleet, compacted=whole
            )
        size += weight
        current.files.append(file)
        share_of[file.turbine] = current.number
    shares[STRAYS] = Share(STRAYS, "", [], {}, {}, NO_FAULTS)
    return shares, share_of


def _deal(
    refs: list[ObjectRef], shares: dict[int, Share], share_of: dict[str, int]
) -> list[ObjectRef]:
    """Add every object to its share. Return the manifests and checkpoints of no known turbine."""
    foreign = []
    farms = {share.farm: number for number, share in shares.items() if share.compacted}
    for ref in refs:
        stage, turbine = _place(ref)
        key = read_farm_key(ref.bucket, ref.key) if farms else None
        number = share_of.get(turbine, STRAYS)
        if key is not None and key.farm in farms:
            stage, number = key.stage, farms[key.farm]
        if number == STRAYS and stage not in ALL_STAGES:
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


def _is_own(
    ref: ObjectRef, share_of: Mapping[str, int], elsewhere: Collection[str], ranges: NameRanges
) -> bool:
    """Return True for an object of these turbines, or of none, in no other turbine's place.

    An object of a farm belongs where its name lies, whatever turbine the name has at its end.
    """
    turbine = _place(ref)[1]
    if turbine in share_of:
        return True
    return turbine not in elsewhere and ranges.has(ref.key) is not False


def _strays(shares: dict[int, Share]) -> list[ObjectRef]:
    return [ref for refs in shares[STRAYS].objects.values() for ref in refs]


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


def _is_data(ref: ObjectRef) -> bool:
    return ref.bucket.rsplit("-", 1)[-1] not in ("metadata", "checkpoints")
