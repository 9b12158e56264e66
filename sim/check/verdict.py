"""The verdict on a whole run: what was judged of its shares, added up.

`pass`     every row, window, manifest and checkpoint is confirmed
`fail`     at least one defect was found
`unknown`  no defect was found, and something could not be judged: there are no node files, a node
           file cannot be read, or the lake cannot be reached

Shares may have been judged in several places, each with a part of the run (`sim.check.shares`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pipeline.records import RULES
from sim.check.completeness import FATES, actual_rows
from sim.check.detection.score import Score
from sim.check.detection.truth import (
    summary,
    with_detection,
)
from sim.check.findings import Finding, Findings, hour_text, utf8_text
from sim.check.read.keys import (
    ALL_STAGES,
    ROW_STAGES,
    foreign_reason,
)
from sim.check.read.lake import ObjectRef
from sim.check.share import SEARCHED, STRAYS, ShareVerdict

_UNJUDGED: Final = frozenset({"node.unreadable"})
"""Findings that make a verdict unknown; any other makes it fail."""


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
    found, known = [], set[Finding]()
    for part in parts:
        if part.number == STRAYS:
            objects = frozenset(part.hashes.items())
            if objects in seen:
                continue
            seen.add(objects)
        if part.number == SEARCHED:
            part = _without(part, known)
            known.update(part.findings.kept)
        found.append(part)
    return found


def _without(part: ShareVerdict, known: Collection[Finding]) -> ShareVerdict:
    """Return a search in foreign objects without what another part has found in them, too."""
    again = Counter(finding.kind for finding in part.findings.kept if finding in known)
    left = Findings(
        [finding for finding in part.findings.kept if finding not in known],
        part.findings.counts - again,
        part.findings.kept_by_kind - again,
    )
    return replace(part, findings=left, leaks=part.leaks - again["privacy.leak"])


def _by_rule(parts: list[ShareVerdict]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part.by_rule)
    return {rule: total[rule] for rule in (*RULES, *sorted(set(total) - set(RULES))) if total[rule]}


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
