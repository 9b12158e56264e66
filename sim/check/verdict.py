"""The verdict on a whole run: the lake against the node files, divided into shares over worker processes.

`pass` means that every row, window, manifest and checkpoint was confirmed. A defect is `fail`. Where something could
not be judged (no node files, an unreadable one, an unreachable lake) and nothing else is wrong, it is `unknown`.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import RULES
from sim.check.completeness import FATES, there
from sim.check.detection.score import Score, read_events
from sim.check.detection.truth import NO_FAULTS, TruthError, read_truth, summary, with_detection
from sim.check.findings import Finding, Findings, hour_text, written
from sim.check.privacy.scan import KEYLESS, PROTECTED
from sim.check.read.keys import (
    ALL_STAGES,
    ROW_STAGES,
    bucket_of,
    holds_rejected,
    read_batch_key,
    read_checkpoint_key,
    why_foreign,
)
from sim.check.read.lake import LakeError, LakeReader, ObjectRef
from sim.check.read.nodes import NodeFile, discover
from sim.check.share import Share, ShareVerdict, judge_share, search_strange

SHARE_TURBINES: Final = 64
SHARE_BYTES: Final = 96 * 1024 * 1024  # of node databases: some 700,000 rows
_STRAYS: Final = -1
_STRANGE: Final = -2
_UNJUDGED: Final = frozenset({"node.unreadable"})

Progress = Callable[[int, int], None]
"""Called with the numbers of objects judged and of all objects."""


@dataclass
class Verdict:
    """What the oracle says. `figures` are counts by their stable names; `findings` at most 200, `counts` has all kinds.

    `detection` is per kind of fault (see sim.check.detection.score), empty without ground truth.

    `digest` is empty when not every data object could be read. `completeness` is per farm, stage and hour.
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


def judge(
    run_nodes: Path,
    lake: LakeReader,
    truth: Path | None,
    workers: int,
    progress: Progress | None = None,
    by_hand: bool = False,
) -> Verdict:
    """Judge the lake against `run_nodes/<farm>/<turbine>.db` and `.json`; `truth` is a folder of ground truth or None.

    by_hand: no run drove the nodes, so that they may have been drained more than once.
    Never raises for what is wrong with the run: that is in the verdict.
    """
    files = discover(run_nodes)
    if not files:
        return Verdict(errors=[f"{run_nodes}: no node files; nothing can be judged without them"])
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
        return Verdict(errors=[*errors, str(error)])
    shares, share_of = _shares(files)
    foreign = _deal(refs, shares, share_of)
    for share in list(shares.values()):
        shares[share.number] = share = replace(share, by_hand=by_hand)
        if faults is not None:
            names = pa.array([file.turbine for file in share.files], pa.string())
            mine = faults.filter(pc.is_in(faults.column("turbine_id"), value_set=names))
            its = (
                None
                if events is None
                else events.filter(pc.is_in(events.column("turbine_id"), value_set=names))
            )
            shares[share.number] = replace(share, truth=mine, events=its)
    done = len(refs) - sum(_load(share) for share in shares.values())
    parts: dict[int, ShareVerdict] = {}
    strange = [
        ref
        for ref in [*foreign, *_strays(shares)]
        if ref.bucket in map(bucket_of, (*PROTECTED, *KEYLESS))
    ]
    if strange:
        parts[_STRANGE] = search_strange(lake, _STRANGE, strange, files)
    for part in _run(lake, list(shares.values()), share_of, workers):
        parts[part.number] = part
        done += _load(shares[part.number])
        if progress:
            progress(done, len(refs))
    again = _guests(parts, shares)
    parts.update({part.number: part for part in _run(lake, again, share_of, workers)})
    return _sum(list(parts.values()), foreign, refs, errors)


def _shares(files: list[NodeFile]) -> tuple[dict[int, Share], dict[str, int]]:
    """The work by number (-1: objects of no turbine), and the share of every turbine."""
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
        if current is None or full or current.farm != file.farm:
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
    """Gives every object to its share; returns manifests and checkpoints that have none."""
    foreign = []
    for ref in refs:
        name = ref.bucket.rsplit("-", 1)[-1]
        if name == "checkpoints":
            known = read_checkpoint_key(ref.key)
            stage, turbine = name, known[1] if known else ""
        else:
            place = read_batch_key(ref.bucket, ref.key)
            rejected = holds_rejected(ref.bucket, ref.key)
            stage = place.stage if place else "quarantine" if rejected else name
            turbine = place.turbine if place else ""
        number = share_of.get(turbine, _STRAYS)
        if number == _STRAYS and stage not in ALL_STAGES:
            foreign.append(ref)
        else:
            shares[number].objects.setdefault(stage, []).append(ref)
    return foreign


def _strays(shares: dict[int, Share]) -> list[ObjectRef]:
    return [ref for refs in shares[_STRAYS].objects.values() for ref in refs]


def _load(share: Share) -> int:
    return sum(len(refs) for refs in share.objects.values())


def _guests(parts: dict[int, ShareVerdict], shares: dict[int, Share]) -> list[Share]:
    """The shares whose rows were met under other shares' keys, with the objects that hold them."""
    guests: dict[int, dict[str, list[ObjectRef]]] = {}
    for part in parts.values():
        for number, visits in part.visitors.items():
            for stage, ref in visits:
                guests.setdefault(number, {}).setdefault(stage, []).append(ref)
    return [replace(shares[number], guests=objects) for number, objects in guests.items()]


def _run(
    lake: LakeReader, shares: Sequence[Share], share_of: dict[str, int], workers: int
) -> Iterator[ShareVerdict]:
    """Judges shares, in this process for one worker, else in spawned ones; in whatever order they finish."""
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
            except (
                BrokenProcessPool
            ):  # a worker that dies takes the others' work along: that is done again
                broken.append(futures[future])
    finally:
        pool.shutdown(cancel_futures=True)
    for share in broken:
        yield _alone(lake, share, share_of)


def _alone(lake: LakeReader, share: Share, share_of: dict[str, int]) -> ShareVerdict:
    """Judges a share in a process of its own, whose end costs no other share its verdict."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_leave_interrupts_to_parent)
    try:
        return pool.submit(judge_share, lake, share, share_of).result()
    except BrokenProcessPool:
        text = f"farm {share.farm}: a worker process of the oracle died (out of memory?); use fewer workers"
        return ShareVerdict(share.number, share.farm, errors=[text])
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _sum(
    parts: list[ShareVerdict], foreign: list[ObjectRef], refs: list[ObjectRef], errors: list[str]
) -> Verdict:
    findings = Findings()
    for ref in foreign:
        stage = ref.bucket.rsplit("-", 1)[-1]
        findings.add(
            Finding("object.foreign", stage, key=ref.name, detail=why_foreign(ref.bucket, ref.key))
        )
    for part in sorted(parts, key=lambda part: part.number):
        findings.merge(part.findings)
    errors = errors + sorted({written(error) for part in parts for error in part.errors})
    hashes = {name: digest for part in parts for name, digest in part.hashes.items()}
    data = [ref for ref in refs if ref not in foreign and _is_data(ref)]
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
            f"rows.{fate}": sum(part.tally.total(fate, ROW_STAGES) for part in parts)
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
    complete = not errors and len(hashes) == len(data) and all(hashes.values())
    return Verdict(
        status=_status(findings, figures, errors),
        figures=figures,
        rows_by_stage=dict(rows),
        quarantined_by_rule=_by_rule(parts),
        objects=len(data),
        digest=_digest(hashes) if complete else "",
        completeness=_completeness(parts),
        findings=findings.bounded(),
        counts=dict(sorted(findings.counts.items())),
        truth=with_detection(summary([part.truth for part in parts]), detection.by_kind()),
        detection=detection.by_kind(),
        errors=errors,
    )


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
    return hashlib.sha256(
        "".join(lines).encode("utf-8", "surrogateescape")
    ).hexdigest()  # a file's name is bytes


def _completeness(parts: list[ShareVerdict]) -> list[dict[str, str | int]]:
    sums: dict[tuple[str, int, str], Counter[str]] = {}
    for part in parts:
        for (stage, hour), cell in part.tally.cells.items():
            sums.setdefault((part.farm, hour, stage), Counter(dict.fromkeys(FATES, 0))).update(cell)
    return [
        {"farm": farm, "hour": hour_text(hour), "stage": stage, "actual": there(cell), **cell}
        for (farm, hour, stage), cell in sorted(sums.items())
    ]
