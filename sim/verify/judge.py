"""The verdict on a run: three checks, merged. `run`, `verify`, `demo` and `campaign` all use it.

check               sees                                        module
the oracle          node files and objects of the lake          sim.check
missing node files  turbines of the scenario without a file     sim.verify.missing_nodes
incomplete uploads  multipart uploads, which no listing shows   sim.verify.incomplete_uploads
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pipeline.lake import LakeError
from pipeline.settings import Settings
from sim.check import LakeReader, Verdict
from sim.check.early import EarlyVerdicts
from sim.check.shares import Progress, judged
from sim.check.verdict import Judged
from sim.check.verdict import verdict as oracle_verdict
from sim.fleet.part import FarmPart
from sim.verify import incomplete_uploads, missing_nodes

RANK: Final = ("pass", "unknown", "fail")
"""Statuses in rising order. The highest of several wins."""


@dataclass
class Judgement:
    """Results of the three checks of a run, or of a part of it.

    missing: turbines without a node file. uploads: places of incomplete multipart uploads; None if
    they were not looked for.
    """

    oracle: Judged
    missing: list[str] = field(default_factory=list)
    uploads: list[str] | None = None


def judge(
    run_dir: Path,
    lake: LakeReader,
    *,
    workers: int = 1,
    farms: Sequence[FarmPart] = (),
    store: Settings | None = None,
    by_hand: bool = False,
    early: EarlyVerdicts | None = None,
    elsewhere: Collection[str] = (),
    strays: bool = True,
    compacted: bool | None = None,
    progress: Progress | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> Judgement:
    """Judge a lake, or a part of it, against the node files of a run directory.

    farms: each of their turbines must have a node file; empty if the fleet is not known.
    store: the S3 of the lake, None for a folder.
    by_hand: no run drove the nodes, so they may have been drained more than once.
    early: verdicts of the oracle on shares that were judged before the end.
    elsewhere: turbines of other parts. Their objects are passed over.
    strays: judge objects of no turbine; of several parts in one lake, one does.
    compacted: layout of the lake, as the run made it; None: the oracle goes by the keys.
    log: called with a line for each check that could not be made. The verdict ignores such checks.
    """
    found = Judgement(
        judged(
            run_dir / "nodes",
            lake,
            run_dir / "truth",
            workers,
            progress,
            by_hand,
            early,
            elsewhere,
            strays,
            compacted,
        ),
        missing_nodes.missing(run_dir / "nodes", farms),
    )
    if store is not None and found.oracle.shares:
        try:
            found.uploads = incomplete_uploads.find(store)
        except LakeError as error:
            log(f"could not check for incomplete multipart uploads: {error}")
    return found


def verdict(judgements: Sequence[Judgement]) -> Verdict:
    """Return the verdict on a run from the judgements on all of its parts."""
    parts = [
        oracle_verdict([each.oracle for each in judgements]),
        missing_nodes.verdict([turbine for each in judgements for turbine in each.missing]),
    ]
    known = [each.uploads for each in judgements if each.uploads is not None]
    if known:
        # Parts in one store have all seen the same uploads.
        parts.append(
            incomplete_uploads.verdict(sorted({place for each in known for place in each}))
        )
    return merge(parts)


def merge(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the first verdict with status, figures, findings and errors of the others added."""
    counts: Counter[str] = Counter()
    for each in verdicts:
        counts.update(each.counts)
    return replace(
        verdicts[0],
        status=max((each.status for each in verdicts), key=RANK.index),
        figures={name: value for each in verdicts for name, value in each.figures.items()},
        findings=[finding for each in verdicts for finding in each.findings],
        counts=dict(sorted(counts.items())),
        errors=[error for each in verdicts for error in each.errors],
    )
